"""axolotl's readers: `prepare_datasets` and `prepare_preference_datasets`, as its trainers call them."""

from pathlib import Path
from typing import Any

from stand_ins import put_in_place, read_all, side

put_in_place()

from axolotl.utils.data import rl, sft
from axolotl.utils.dict import DictDefault
from axolotl.utils.schemas.enums import RLType
from transformers import AutoTokenizer

TASKS: dict[str, dict[str, Any]] = {
    "messages": {
        "data": {
            "type": "chat_template",
            "field_messages": "messages",
            "roles_to_train": ["assistant"],
            "train_on_eos": "turn",
        }
    },
    "pairs": {"rl": RLType.DPO, "data": {"type": "chat_template.default", "field_messages": "prompt"}},
    "pairs-full": {"rl": RLType.DPO, "data": {"type": "chat_template.argilla_chat"}},
    "axolotl-pairs": {"reward_model": True, "data": {"type": "bradley_terry.chat_template"}},
}

for module in (rl, sft):
    module.save_preprocessed_dataset = lambda *_: None  # a copy on disk, by a pool of processes


def sides(row: dict[str, Any]) -> list[dict[str, Any]]:
    """The conversations of a prepared row; DPO is prepared as text, which TRL tokenises."""
    if "chosen_ids" in row:
        return [side(row[name], row[name]) for name in ("chosen_ids", "rejected_ids")]
    if "prompt" in row:
        return [{"text": row["prompt"] + row[name]} for name in ("chosen", "rejected")]
    return [side(row["input_ids"], row["labels"])]


def read(layout: str, path: str, tokenizer_path: str, out: Path) -> list[dict[str, Any]]:
    """The rows of PATH as axolotl trains on them."""
    task = TASKS[layout]
    ds_type = "parquet" if path.endswith(".parquet") else "json"
    config = DictDefault(
        {
            "base_model": tokenizer_path,
            "tokenizer_config": tokenizer_path,
            "base_model_config": tokenizer_path,
            "chat_template": "tokenizer_default",
            "datasets": [{"path": path, "ds_type": ds_type, "split": "train", **task["data"]}],
            "dataset_prepared_path": f"{out}.prepared",
            "output_dir": f"{out}.trained",
            "sequence_len": 512,
            "val_set_size": 0,
            "train_on_inputs": False,
            "num_epochs": 1,
            "batch_size": 1,
            "max_steps": 1,
            "rl": task.get("rl"),
            "reward_model": task.get("reward_model"),
            "shuffle_merged_datasets": False,
        }
    )
    tokenizer = AutoTokenizer.from_pretrained(tokenizer_path)
    prepare = rl.prepare_preference_datasets if config.rl else sft.prepare_datasets
    return [one for row in prepare(config, tokenizer)[0] for one in sides(row)]


read_all(read)
