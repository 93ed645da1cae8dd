"""DPO on TRL (Xwin-LM, section 6; RLHF Workflow, section 3): better against worse, held to a reference policy.

Rows hold `prompt_ids`, `chosen_ids` and `rejected_ids`. The reference is always named by its folder, so that
no trainer looks for one of its own: the start of the run unless the settings say otherwise (iterated DPO
holds every iteration to the first policy).
"""

import sys
from pathlib import Path
from typing import Any

from datasets import Dataset
from trl import DPOConfig, DPOTrainer

from train.running.run_settings import RunFiles, RunSettings
from train.trainers import child


class TokenDPOTrainer(DPOTrainer):  # type: ignore[misc]  # trl ships no types
    """DPOTrainer over rows that are tokens already."""

    def _prepare_dataset(self, dataset: Dataset, *_: Any, **__: Any) -> Dataset:
        return dataset


def reference(settings: RunSettings, model: Any) -> Any:
    """The model the policy is held to; with adapters it may be the policy with its adapters off."""
    folder = settings.reference or settings.model
    if settings.lora_rank is not None and settings.reference in (None, settings.model):
        return None
    if settings.from_scratch:
        return child.load_model(settings)
    held = child.load_causal(folder)
    policy_rows = model.get_input_embeddings().weight.shape[0]
    if held.get_input_embeddings().weight.shape[0] < policy_rows:
        first = held.get_input_embeddings().weight.shape[0]
        child.grow_for(held, range(first, policy_rows))
    return held


def make(settings: RunSettings, files: RunFiles, rows: Dataset) -> TokenDPOTrainer:
    """The trainer of a run."""
    model, tokenizer = child.prepare(settings)
    args = DPOConfig(
        **child.arguments(settings, files.checkpoints),
        beta=settings.beta,
        max_length=settings.max_length,
        disable_dropout=True,
    )
    return TokenDPOTrainer(
        model=model,
        ref_model=reference(settings, model),
        args=args,
        train_dataset=rows,
        processing_class=tokenizer,
    )


if __name__ == "__main__":
    child.train_run(Path(sys.argv[1]), make)
