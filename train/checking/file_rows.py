"""Reading exports back, whatever their layout: what `train check` looks at and `train run` trains on."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from store.chat_format import Turn
from store.errors import BadInput
from train.checking.file_layouts import layout_of, pieces_of, sides_of
from train.supervise import Supervised

BATCH_ROWS = 1_000

CONSUMED_COLUMNS = frozenset({"margin", "images"})
"""Columns of a pair that TRL or OpenRLHF read unasked."""


@dataclass(frozen=True, slots=True)
class FileRow:
    """A row as a file has it; nothing about it is taken on trust."""

    number: int
    """Counted from 0 over all shards."""
    conversation_id: str
    source_class: str
    condition: str | None
    """None where the layout has no column for it, empty where the column is empty."""
    turns: tuple[Turn, ...] | None
    """None in the layout `tokenized`."""
    turn_weights: tuple[float, ...] | None
    tokens: Supervised | None
    """None in the layouts that hold text."""
    label: bool | None = None
    """Whether the answer is a good one, in the layout `labelled`."""
    side: str | None = None
    """`chosen` or `rejected` in a pair."""
    prompt_id: str | None = None
    """What the file says the prompt's id is."""
    answer_id: str | None = None
    """What it says the answer's id is."""
    scores: tuple[float, float] | None = None
    """Of a labelled answer: its own and the other's. Of a row that shows two answers: the first's, the second's."""
    pieces: tuple[int, ...] | None = None
    """The lengths of the conversations that a row of tokens is packed of, as the file says them."""


@dataclass(frozen=True, slots=True)
class FilePair:
    """A pair as a file has it, each side as the conversation a trainer makes of it."""

    number: int
    """Counted from 0 over all shards."""
    sides: tuple[FileRow, FileRow]
    """The better one first."""
    score_chosen: float | None
    score_rejected: float | None
    has_consumed_column: bool
    """Whether a column has a name that trainers consume unasked."""
    mixes_layouts: bool
    """Whether answers are whole conversations although the prompt has a column of its own."""


@dataclass(frozen=True, slots=True)
class Export:
    """The files of an export and what its manifest says, if it has one."""

    folder: Path
    files: tuple[Path, ...]
    manifest: dict[str, Any] | None

    def rows(self) -> Iterator[FileRow | FilePair]:
        """All rows, in their order.

        Raises BadInput for a file that cannot be read or has none of the known layouts.
        """
        number = 0
        for path in self.files:
            for record in _records(path):
                yield row_of(number, record, path)
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


def row_of(number: int, record: dict[str, Any], path: Path) -> "FileRow | FilePair":
    """A record as a row or a pair.

    Raises BadInput for a record of no known layout.
    """
    layout = layout_of(record, path)
    try:
        sides = sides_of(record, layout)
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput(f"{path}, row {number} is not of the layout {layout}: {error}") from error
    identity = str(record.get("conversation_id") or record.get("prompt_id") or number)
    source_class = str(record.get("source_class") or "none")
    label = record["label"] if layout == "labelled" else None
    names = ("chosen", "rejected") if len(sides) == 2 else (None,)
    rows = tuple(
        FileRow(
            number,
            identity,
            source_class,
            side.condition,
            side.turns,
            side.turn_weights,
            side.tokens,
            label,
            name,
            prompt_id=record.get("prompt_id"),
            answer_id=record.get(f"{name or 'completion'}_id"),
            scores=_scores(record),
            pieces=pieces_of(record),
        )
        for side, name in zip(sides, names, strict=True)
    )
    return rows[0] if len(rows) == 1 else _pair(number, rows, record, layout)


def _pair(number: int, rows: tuple[FileRow, ...], record: dict[str, Any], layout: str) -> FilePair:
    better, worse = rows
    return FilePair(
        number,
        (better, worse),
        _score(record.get("score_chosen")),
        _score(record.get("score_rejected")),
        has_consumed_column=bool(CONSUMED_COLUMNS & record.keys()),
        mixes_layouts=layout == "pairs" and len(record["chosen"]) > 1,
    )


def _scores(record: dict[str, Any]) -> tuple[float, float] | None:
    for names in (("score", "score_other"), ("score_a", "score_b")):
        found = [record.get(name) for name in names]
        if None not in found:
            return float(found[0]), float(found[1])  # type: ignore[arg-type]  # None is ruled out above
    return None


def _score(value: Any) -> float | None:
    return None if value is None else float(value)
