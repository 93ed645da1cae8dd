"""OpenRLHF's readers: `SFTDataset` and `RewardDataset`, for reward models and for DPO."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from stand_ins import IGNORED, put_in_place, read_all, side

put_in_place()

from openrlhf.datasets import RewardDataset, SFTDataset
from openrlhf.datasets.utils import blending_datasets
from transformers import AutoTokenizer


def strategy_of(**keys: Any) -> Any:
    """What the datasets ask of the command line."""
    data = SimpleNamespace(apply_chat_template=True, tokenizer_chat_template=None, **keys)
    args = SimpleNamespace(data=data, use_ms=False)
    return SimpleNamespace(args=args, print=print, is_rank_0=lambda: False)


KEYS: dict[str, dict[str, Any]] = {
    "messages": {"input_key": "messages", "output_key": None},
    "prompt-completion": {"input_key": "prompt", "output_key": "completion"},
    "pairs": {"prompt_key": "prompt", "chosen_key": "chosen", "rejected_key": "rejected"},
    "pairs-full": {"prompt_key": None, "chosen_key": "chosen", "rejected_key": "rejected"},
}


def spoken(row: Any) -> dict[str, Any]:
    """One row of SFTDataset: a token is trained on where the mask of the token before it says so."""
    ids, mask = row[0][0].tolist(), row[2][0].int().tolist()
    trained = [0, *mask[:-1]]
    return side(ids, [token if one else IGNORED for token, one in zip(ids, trained, strict=True)])


def compared(row: Any) -> list[dict[str, Any]]:
    """One row of RewardDataset, the better side first: all after the prompt, of which DPO tells the length."""
    extra = row[4]
    return [side(ids, [IGNORED] * extra + ids[extra:]) for ids in (row[0][0].tolist(), row[2][0].tolist())]


def read(task: str, path: str, tokenizer_path: str, out: Path) -> list[dict[str, Any]]:
    """The rows of the file PATH; TASK is a layout and `sft`, `rm` or `dpo`."""
    tokenizer = AutoTokenizer.from_pretrained(tokenizer_path)
    layout, kind = task.split(":")
    strategy = strategy_of(**KEYS[layout])
    rows = blending_datasets(path, None, strategy)
    if kind == "sft":
        is_multiturn = layout == "messages"
        talks = SFTDataset(rows, tokenizer, 512, strategy, num_processors=None, multiturn=is_multiturn)
        return [spoken(talks[number]) for number in range(len(talks))]
    pairs = RewardDataset(rows, tokenizer, 512, strategy, is_dpo=kind == "dpo", num_processors=None)
    return [one for number in range(len(pairs)) for one in compared(pairs[number])]


read_all(read)
