"""Rows of an export by their number, read where they lie: a screen of a large export opens at once."""

import json
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from store.errors import BadInput
from train.checking.file_rows import Export, row_of

if TYPE_CHECKING:
    from train.checking.file_rows import FilePair, FileRow

STRIDE = 200
"""Of every so many lines the place in the file is kept."""
CHUNK = 1 << 22
GROUPS_KEPT = 4


class RowWindows:
    """The rows of an export; safe in one thread at a time."""

    def __init__(self, export: Export) -> None:
        """Raises BadInput for a file that cannot be read."""
        self._files = [_parquet(path) if path.suffix == ".parquet" else _Lines(path) for path in export.files]
        self._ends = list(accumulate(file.count for file in self._files))
        self._paths = export.files

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def rows(self, first: int, last: int) -> "list[FileRow | FilePair]":
        """The rows from number FIRST up to LAST.

        Raises BadInput for rows that cannot be read or are of no known layout.
        """
        found: list[FileRow | FilePair] = []
        number = first
        while number < min(last, len(self)):
            place = bisect_right(self._ends, number)
            start = self._ends[place] - self._files[place].count
            records = self._files[place].records(number - start, min(last, self._ends[place]) - start)
            found += [
                row_of(number + step, record, self._paths[place]) for step, record in enumerate(records)
            ]
            number += len(records)
        return found


class _Groups:
    """A Parquet file, by row groups."""

    def __init__(self, path: Path, starts: Sequence[int], count: int) -> None:
        self._path = path
        self._starts = starts
        self.count = count
        self._kept: dict[int, list[dict[str, Any]]] = {}

    def records(self, first: int, last: int) -> list[dict[str, Any]]:
        """The records from FIRST up to LAST."""
        found: list[dict[str, Any]] = []
        for group in range(bisect_right(self._starts, first) - 1, bisect_right(self._starts, last - 1)):
            start = self._starts[group]
            found += self._group(group)[max(0, first - start) : last - start]
        return found

    def _group(self, group: int) -> list[dict[str, Any]]:
        if group not in self._kept:
            if len(self._kept) >= GROUPS_KEPT:
                self._kept.pop(next(iter(self._kept)))
            self._kept[group] = _read_group(self._path, group)
        return self._kept[group]


def _parquet(path: Path) -> _Groups:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        metadata = parquet.read_metadata(path)
    except (pa.ArrowException, OSError) as error:
        raise BadInput(f"{path} cannot be read as Parquet: {str(error).splitlines()[0]}") from error
    sizes = [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]
    return _Groups(path, [0, *accumulate(sizes)][: len(sizes)], metadata.num_rows)


def _read_group(path: Path, group: int) -> list[dict[str, Any]]:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path) as file:
            records: list[dict[str, Any]] = file.read_row_group(group).to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise BadInput(f"{path} cannot be read as Parquet: {str(error).splitlines()[0]}") from error
    return records


class _Lines:
    """A file of JSON lines, with the places of some of them."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._places, self.count = _places(path)

    def records(self, first: int, last: int) -> list[dict[str, Any]]:
        """The records from FIRST up to LAST."""
        with self._path.open("rb") as file:
            file.seek(self._places[first // STRIDE])
            for _ in range(first % STRIDE):
                file.readline()
            return [self._record(number, file.readline()) for number in range(first, last)]

    def _record(self, number: int, line: bytes) -> dict[str, Any]:
        try:
            record = json.loads(line)
        except ValueError as error:
            raise BadInput(f"{self._path}, line {number + 1} is not JSON: {error}") from error
        if not isinstance(record, dict):
            raise BadInput(f"{self._path}, line {number + 1} is not an object")
        return record


def _places(path: Path) -> tuple[list[int], int]:
    """Where every STRIDE-th line begins, and how many lines there are."""
    places, count, offset, is_ended = [0], 0, 0, True
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            ends = np.flatnonzero(np.frombuffer(chunk, dtype=np.uint8) == ord("\n"))
            wanted = ends[(-count - 1) % STRIDE :: STRIDE]
            places += (wanted + offset + 1).tolist()
            count += len(ends)
            offset += len(chunk)
            is_ended = chunk.endswith(b"\n")
    return places, count + (not is_ended)
