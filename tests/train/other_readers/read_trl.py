"""TRL's own preparation of rows, as its trainers hold them once they are made."""

from pathlib import Path
from typing import Any

from datasets import load_dataset
from stand_ins import IGNORED, read_all, side
from transformers import AutoTokenizer
from trl import DPOConfig, DPOTrainer, RewardConfig, RewardTrainer, SFTConfig, SFTTrainer
from trl.trainer.kto_trainer import KTOConfig, KTOTrainer

TRAINERS = {
    "sft": (SFTTrainer, SFTConfig),
    "dpo": (DPOTrainer, DPOConfig),
    "rm": (RewardTrainer, RewardConfig),
    "kto": (KTOTrainer, KTOConfig),
}


def sides(row: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    """The conversations of a prepared row."""
    if kind == "sft":
        return [side(row["input_ids"], row["labels"])]
    if kind == "rm":
        return [side(row[name], row[name]) for name in ("chosen_ids", "rejected_ids")]
    prompt = row["prompt_ids"]
    if kind == "dpo":
        return [
            side(prompt + row[name], [IGNORED] * len(prompt) + row[name])
            for name in ("chosen_ids", "rejected_ids")
        ]
    return [side(prompt + row["completion_ids"], [IGNORED] * len(prompt) + row["completion_ids"])]


def read(task: str, path: str, model: str, out: Path) -> list[dict[str, Any]]:
    """The rows of the file PATH; TASK is a layout and `sft`, `rm`, `dpo` or `kto`."""
    layout, kind = task.split(":")
    trainer, config = TRAINERS[kind]
    options = {"assistant_only_loss": True} if layout == "messages" else {}
    args = config(
        output_dir=f"{out}.trainer", use_cpu=True, bf16=False, max_length=512, report_to="none", **options
    )
    rows = load_dataset("parquet" if path.endswith(".parquet") else "json", data_files=path, split="train")
    made = trainer(
        model=model, args=args, train_dataset=rows, processing_class=AutoTokenizer.from_pretrained(model)
    )
    return [one for row in made.train_dataset for one in sides(row, kind)]


read_all(read)
