"""Reading exports back, whatever their layout: what `train check` looks at and `train run` trains on."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from store.chat_format import Turn
from store.errors import BadInput
from train.supervise import Supervised

LAYOUT_BY_COLUMN = {"input_ids": "tokenized", "items": "openchat", "messages": "messages"}
BATCH_ROWS = 1_000


@dataclass(frozen=True, slots=True)
class FileRow:
    """A row as a file has it; nothing about it is taken on trust."""

    number: int
    """Counted from 0 over all shards."""
    conversation_id: str
    source_class: str
    condition: str | None
    turns: tuple[Turn, ...] | None
    """None in the layout `tokenized`."""
    turn_weights: tuple[float, ...] | None
    tokens: Supervised | None
    """None in the layouts that hold text."""


@dataclass(frozen=True, slots=True)
class Export:
    """The files of an export and what its manifest says, if it has one."""

    folder: Path
    files: tuple[Path, ...]
    manifest: dict[str, Any] | None

    def rows(self) -> Iterator[FileRow]:
        """All rows, in their order.

        Raises BadInput for a file that cannot be read or has none of the known layouts.
        """
        number = 0
        for path in self.files:
            for record in _records(path):
                yield _row(number, record, path)
                number += 1


def open_export(path: Path) -> Export:
    """The export at PATH: its directory, or one file of rows.

    Raises BadInput if there is nothing to read.
    """
    if path.is_file():
        return Export(path.parent, (path,), None)
    manifest_path = path / "manifest.json"
    manifest = _manifest(manifest_path) if manifest_path.is_file() else None
    files = sorted([*path.glob("*.parquet"), *path.glob("*.jsonl")])
    if not files:
        raise BadInput(f"{path} holds no .parquet or .jsonl file; name a directory that train export wrote")
    return Export(path, tuple(files), manifest)


def _manifest(path: Path) -> dict[str, Any]:
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise BadInput(f"{path} is not JSON: {error}") from error
    if not isinstance(manifest, dict):
        raise BadInput(f"{path} is not a manifest")
    return manifest


def _records(path: Path) -> Iterator[dict[str, Any]]:
    yield from _parquet_records(path) if path.suffix == ".parquet" else _jsonl_records(path)


def _parquet_records(path: Path) -> Iterator[dict[str, Any]]:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(BATCH_ROWS):
                yield from batch.to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise BadInput(f"{path} cannot be read as Parquet: {str(error).splitlines()[0]}") from error


def _jsonl_records(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            try:
                record = json.loads(line)
            except ValueError as error:
                raise BadInput(f"{path}, line {number} is not JSON: {error}") from error
            if not isinstance(record, dict):
                raise BadInput(f"{path}, line {number} is not an object")
            yield record


def layout_of(record: dict[str, Any], path: Path) -> str:
    """The layout a record is in, by the column only that layout has."""
    for column, layout in LAYOUT_BY_COLUMN.items():
        if column in record:
            return layout
    known = ", ".join(sorted(LAYOUT_BY_COLUMN))
    raise BadInput(f"{path} has none of the columns {known}; its columns are {', '.join(record)}")


def _row(number: int, record: dict[str, Any], path: Path) -> FileRow:
    layout = layout_of(record, path)
    make = {"tokenized": _from_tokenized, "openchat": _from_openchat, "messages": _from_messages}[layout]
    try:
        condition, turns, weights, tokens = make(record)
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput(f"{path}, row {number} is not of the layout {layout}: {error}") from error
    identity = (str(record.get("conversation_id") or number), str(record.get("source_class") or "none"))
    return FileRow(number, *identity, condition, turns, weights, tokens)


Parts = tuple[
    str | None, tuple[Turn, ...] | None, tuple[float, ...] | None, Supervised | None
]  # condition, turns, weights, tokens


def _from_messages(record: dict[str, Any]) -> Parts:
    turns = tuple((str(turn["role"]), turn["content"] or "") for turn in record["messages"] or [])
    weights = record.get("message_weights")
    if weights is None:
        weight = float(record.get("weight", 1.0))
        weights = [weight if role == "assistant" else 0.0 for role, _ in turns]
    kwargs = record.get("chat_template_kwargs") or {}
    return kwargs.get("condition"), turns, _floats(weights), None


def _from_openchat(record: dict[str, Any]) -> Parts:
    system = [("system", record["system"])] if record.get("system") else []
    spoken = [(str(item["role"]), item["content"] or "") for item in record["items"] or []]
    weights = [0.0] * len(system) + [item.get("weight", 0.0) for item in record["items"] or []]
    return record.get("condition"), tuple(system + spoken), _floats(weights), None


def _from_tokenized(record: dict[str, Any]) -> Parts:
    ids = list(record["input_ids"])
    n_tokens = int(record.get("n_tokens") or len(ids))
    weights = list(_floats(record["loss_weights"]))
    return record.get("condition"), None, None, Supervised(ids, list(record["labels"]), weights, n_tokens)


def _floats(values: list[Any]) -> tuple[float, ...]:
    return tuple(float("nan") if value is None else float(value) for value in values)
