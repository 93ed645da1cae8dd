"""Test sets for models that say which of two answers is better: files in RewardBench's or RM-Bench's form.

RewardBench: a row has `prompt`, `chosen`, `rejected` and a `subset`; RM-Bench: `chosen` and `rejected` are three
answers each, from plain to elaborate in style. Rows of whole conversations (`chosen` and `rejected` as lists of
messages, with or without `prompt`) are taken too.
"""

import gzip
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec

from label.exchange import Turn
from store.errors import BadInput

STYLES = 3  # RM-Bench, section 3: concise, detailed, detailed with markdown
ALL = "all"


@dataclass(frozen=True, slots=True)
class GoldItem:
    """One prompt with better and worse answers: one each, or RM-Bench's three each, by style."""

    prompt: tuple[Turn, ...]
    chosen: tuple[str, ...]
    rejected: tuple[str, ...]
    group: str
    """The subset, domain or strength it belongs to."""

    @property
    def cluster(self) -> str:
        """Names its prompt: items of one prompt are not independent."""
        return sha256(repr(self.prompt).encode()).hexdigest()[:16]

    @property
    def has_styles(self) -> bool:
        """Whether it is one of RM-Bench's."""
        return len(self.chosen) == STYLES


def read_items(paths: Sequence[Path]) -> list[GoldItem]:
    """The items of some files, in order.

    Raises BadInput, naming file and record, for what is no such row, and for forms that are mixed.
    """
    items = [item for path in paths for item in _items_of(path)]
    if len({item.has_styles for item in items}) > 1:
        raise BadInput(
            "some rows hold one chosen answer and some hold three; evaluate them one after the other"
        )
    return items


def _items_of(path: Path) -> Iterator[GoldItem]:
    n_rows = 0
    for n_rows, row in enumerate(_rows_of(path), 1):
        if not isinstance(row, dict):
            raise BadInput(f"{path}, record {n_rows}: this is no object with prompt, chosen and rejected")
        try:
            yield _item(row, _stem(path))
        except BadInput as error:
            raise BadInput(f"{path}, record {n_rows}: {error}") from error
    if n_rows == 0:
        raise BadInput(f"{path} holds no record")


def _stem(path: Path) -> str:
    return path.name.partition(".")[0].removesuffix("_filtered")


def _rows_of(path: Path) -> Iterator[Any]:
    suffixes = path.suffixes[-2:]
    if path.suffix == ".parquet":
        import polars as pl

        try:
            yield from pl.read_parquet(path).iter_rows(named=True)
        except (OSError, pl.exceptions.PolarsError) as error:
            raise BadInput(f"{path} is no Parquet file: {str(error).splitlines()[0]}") from error
        return
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError) as error:
        raise BadInput(f"{path} cannot be read: {error}") from error
    if ".jsonl" in suffixes:
        for number, line in enumerate(data.splitlines(), 1):
            if line.strip():
                yield _decoded(line, f"{path}, line {number}")
        return
    rows = _decoded(data, str(path))
    if not isinstance(rows, list):
        raise BadInput(f"{path} is no list of rows; name a .json, .jsonl or .parquet file, gzipped or not")
    yield from rows


def _decoded(data: bytes, where: str) -> Any:
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"{where} is no JSON: {error}") from error


def _item(row: Mapping[str, Any], stem: str) -> GoldItem:
    group = str(
        row.get("domain") or (stem if isinstance(row.get("chosen"), list) else "") or row.get("subset") or ALL
    )
    prompt = _prompt(row.get("prompt"))
    chosen, rejected = row.get("chosen"), row.get("rejected")
    if isinstance(chosen, str) and isinstance(rejected, str):
        return GoldItem(_needed(prompt), (chosen,), (rejected,), group)
    if _is_triple(chosen) and _is_triple(rejected):
        return GoldItem(_needed(prompt), tuple(chosen), tuple(rejected), group)  # type: ignore[arg-type]  # checked
    better, worse = _prompt(chosen), _prompt(rejected)
    if not better or not worse or better[-1][0] != "assistant" or worse[-1][0] != "assistant":
        raise BadInput("`chosen` and `rejected` are neither texts, nor three texts each, nor conversations")
    if better[:-1] != worse[:-1]:
        raise BadInput("`chosen` and `rejected` answer different prompts")
    group = str(row.get("domain") or row.get("subset") or ALL)
    return GoldItem(_needed((*prompt, *better[:-1])), (better[-1][1],), (worse[-1][1],), group)


def _is_triple(value: object) -> bool:
    return isinstance(value, list) and len(value) == STYLES and all(isinstance(text, str) for text in value)


def _needed(prompt: tuple[Turn, ...]) -> tuple[Turn, ...]:
    if not prompt:
        raise BadInput("there is no prompt")
    return prompt


def _prompt(value: object) -> tuple[Turn, ...]:
    """A text is a user's turn; a list is messages; anything else is nothing."""
    if isinstance(value, str):
        return (("user", value),)
    turns = value if isinstance(value, list) else []
    if not all(isinstance(turn, dict) and {"role", "content"} <= turn.keys() for turn in turns):
        return ()
    return tuple((str(turn["role"]), str(turn["content"])) for turn in turns)
