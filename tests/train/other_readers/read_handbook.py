"""The alignment handbook's reader: `get_datasets` and `apply_chat_template`."""

from pathlib import Path
from typing import Any

from huggingface_hub.errors import RepositoryNotFoundError
from stand_ins import read_all, stand_in

stand_in("huggingface_hub.utils._errors", RepositoryNotFoundError=RepositoryNotFoundError)  # since moved
stand_in("alignment.decontaminate", decontaminate_humaneval=None)  # asks the hub for HumanEval when imported

from alignment.data import apply_chat_template, get_datasets
from transformers import AutoTokenizer


def sides(row: dict[str, Any], bos_token: str) -> list[dict[str, Any]]:
    """The conversations of a row as text; an answer written apart opens like a conversation of its own."""
    if "text" in row:
        return [{"text": row["text"]}]
    prompt = row.get("text_prompt", "")
    answers = [row[name] for name in ("text_chosen", "text_rejected")]
    return [{"text": prompt + (one.removeprefix(bos_token) if prompt else one)} for one in answers]


def read(task: str, folder: str, tokenizer_path: str, out: Path) -> list[dict[str, Any]]:
    """The rows of FOLDER as the handbook writes them out for TASK."""
    tokenizer = AutoTokenizer.from_pretrained(tokenizer_path)
    columns = ["messages", "prompt", "chosen", "rejected"]
    rows = get_datasets({folder: 1.0}, splits=["train"], columns_to_keep=columns, shuffle=False)["train"]
    written = rows.map(
        apply_chat_template,
        fn_kwargs={"tokenizer": tokenizer, "task": task, "auto_insert_empty_system_msg": False},
    )
    return [one for row in written for one in sides(row, tokenizer.bos_token)]


read_all(read)
