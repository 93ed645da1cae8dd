"""Reward models on TRL: Bradley–Terry on the number read at the last token (Xwin-LM, section 4; RLHF Workflow, 2.2).

Rows hold `chosen_ids` and `rejected_ids`, made by the code that `label reward` reads responses with.
"""

import sys
from pathlib import Path
from typing import Any

from datasets import Dataset
from trl import RewardConfig, RewardTrainer

from label.reward_models.classifier import load_classifier
from train.running.run_settings import RunFiles, RunSettings
from train.trainers import child


def prepare(settings: RunSettings) -> tuple[Any, Any]:
    """A model with one output, new where it starts from a language model, and its tokenizer.

    Transformers reads the number at the rightmost token that is not padding, so padding is a token of its own.
    """
    tokenizer, _, new_ids = child.load_format(settings)
    model = _fresh(settings) if settings.from_scratch else _grown_from(settings)
    child.grow_for(model, new_ids)
    model.config.get_text_config().pad_token_id = tokenizer.pad_token_id
    model.train()
    return child.with_adapters(model, settings, new_ids, "SEQ_CLS"), tokenizer


def _grown_from(settings: RunSettings) -> Any:
    return load_classifier(Path(settings.model), "float32", has_new_head=True)


def _fresh(settings: RunSettings) -> Any:
    from transformers import AutoConfig, AutoModelForSequenceClassification, set_seed

    set_seed(settings.seed)
    config = AutoConfig.from_pretrained(
        settings.model, num_labels=1, trust_remote_code=False, local_files_only=True
    )
    return AutoModelForSequenceClassification.from_config(config)


def make(settings: RunSettings, files: RunFiles, rows: Dataset) -> RewardTrainer:
    """The trainer of a run."""
    from transformers import set_seed

    set_seed(settings.seed)  # the head's weights
    model, tokenizer = prepare(settings)
    args = RewardConfig(
        **child.arguments(settings, files.checkpoints),
        max_length=None,  # rows that are too long are left out, and counted, before
        disable_dropout=True,
    )
    return RewardTrainer(model=model, args=args, train_dataset=rows, processing_class=tokenizer)


if __name__ == "__main__":
    child.train_run(Path(sys.argv[1]), make)
