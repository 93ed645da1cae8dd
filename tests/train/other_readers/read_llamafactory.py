"""LLaMA-Factory's reader: `dataset_info.json`, its converter and its tokenising processor."""

import json
from pathlib import Path
from typing import Any

from stand_ins import put_in_place, read_all, side

put_in_place()

from llamafactory.data.loader import get_dataset
from llamafactory.data.template import get_template_and_fix_tokenizer
from llamafactory.hparams import DataArguments, ModelArguments
from transformers import AutoTokenizer, Seq2SeqTrainingArguments


def read(stage: str, folder: str, tokenizer_path: str, out: Path) -> list[dict[str, Any]]:
    """The rows of FOLDER as LLaMA-Factory trains on them at STAGE."""
    names = list(json.loads((Path(folder) / "dataset_info.json").read_text()))
    data_args = DataArguments(dataset=",".join(names), dataset_dir=folder, cutoff_len=512)
    model_args = ModelArguments(model_name_or_path=tokenizer_path)
    tokenizer = AutoTokenizer.from_pretrained(tokenizer_path)
    template = get_template_and_fix_tokenizer(tokenizer, data_args)
    training_args = Seq2SeqTrainingArguments(output_dir=f"{out}.trainer", use_cpu=True)
    module = get_dataset(template, model_args, data_args, training_args, stage, tokenizer)
    sides = ("chosen_", "rejected_") if stage == "rm" else ("",)
    return [
        side(row[f"{name}input_ids"], row[f"{name}labels"])
        for row in module["train_dataset"]
        for name in sides
    ]


read_all(read)
