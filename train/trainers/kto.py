"""KTO on TRL: single answers that are good or bad, held to a reference policy."""

import sys
from pathlib import Path

from datasets import Dataset
from trl import KTOConfig, KTOTrainer

from train.running.run_settings import RunFiles, RunSettings
from train.trainers import child
from train.trainers.dpo import reference


def make(settings: RunSettings, files: RunFiles, rows: Dataset) -> KTOTrainer:
    """The trainer of a run, over rows of `prompt`, `completion` and `label`."""
    model, tokenizer = child.prepare(settings)
    args = KTOConfig(
        **child.arguments(settings, files.checkpoints), beta=settings.beta, max_length=settings.max_length
    )
    return KTOTrainer(
        model=model,
        ref_model=reference(settings, model),
        args=args,
        train_dataset=rows,
        processing_class=tokenizer,
    )


if __name__ == "__main__":
    child.train_run(Path(sys.argv[1]), make)
