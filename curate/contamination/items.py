"""The texts of evaluation sets, whatever file they come in.

JSON, JSON Lines, CSV, TSV, Parquet, Arrow, also gzipped, inside a zip archive or a folder. Every field that
holds text counts, lists and objects in it too: what is a question, an option or an answer need not be known.
"""

import csv
import gzip
import io
import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curate.ingesting.inputs import ENDINGS
from store.errors import BadInput

ID_FIELDS = ("task_id", "id", "idx", "example_id", "question_id", "qid", "uid")
ITEM_LISTS = ("examples", "data", "rows", "instances", "questions")
"""Fields of a JSON object that hold a set's items, such as BBH's."""
MAX_MEMBER_BYTES = 1 << 30
MAX_FIELD_CHARS = 1 << 30


@dataclass(frozen=True, slots=True)
class Item:
    """One question of an evaluation set."""

    benchmark: str
    item: str
    texts: tuple[str, ...]


def read_items(named: str) -> Iterator[Item]:
    """The items of a file or folder, given as `PATH` or `NAME=PATH`.

    Raises BadInput for one that holds none.
    """
    name, _, given = named.rpartition("=") if "=" in named and not Path(named).exists() else ("", "", named)
    path = Path(given)
    if not path.exists():
        raise BadInput(f"{given} is neither a file nor a folder")
    files = sorted(one for one in path.rglob("*") if _is_data(one)) if path.is_dir() else [path]
    if not files:
        raise BadInput(f"{path} holds no data files ({', '.join(ENDINGS)}, .zip, also gzipped)")
    for file in files:
        own = file.relative_to(path).as_posix() if path.is_dir() else file.name
        prefix = f"{_bare(own)}:" if name and len(files) > 1 else ""
        for item in _of_file(file, name or _bare(own)):
            yield Item(item.benchmark, prefix + item.item, item.texts)


def _is_data(path: Path) -> bool:
    return path.is_file() and (_ending(path.name) in ENDINGS or path.suffix == ".zip")


def _ending(name: str) -> str:
    return Path(name.lower().removesuffix(".gz")).suffix


def _bare(name: str) -> str:
    bare = name.removesuffix(".gz")
    return bare.removesuffix(Path(bare).suffix)


def _of_file(path: Path, name: str) -> Iterator[Item]:
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            for member in sorted(archive.infolist(), key=lambda one: one.filename):
                if _ending(member.filename) not in ENDINGS:
                    continue
                if member.file_size > MAX_MEMBER_BYTES:
                    raise BadInput(f"{path}: {member.filename} is larger than a gigabyte; unpack the archive")
                yield from _of_bytes(
                    archive.read(member), member.filename, f"{name}/{_bare(member.filename)}"
                )
        return
    if _ending(path.name) in (".parquet", ".arrow"):
        yield from _of_rows(_columnar(path), name)
        return
    with path.open("rb") as file, gzip.GzipFile(fileobj=file) as packed:
        data = (packed if path.name.endswith(".gz") else file).read(MAX_MEMBER_BYTES + 1)
    if len(data) > MAX_MEMBER_BYTES:
        raise BadInput(f"{path} is larger than a gigabyte, which no evaluation set is")
    yield from _of_bytes(data, path.name, name)


def _columnar(path: Path) -> Iterator[Any]:
    import polars as pl

    frame = pl.read_parquet(path) if path.suffix == ".parquet" else pl.read_ipc(path)
    yield from frame.iter_rows(named=True)


def _of_bytes(data: bytes, file_name: str, name: str) -> Iterator[Item]:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInput(f"{file_name} is not UTF-8 text: {error}") from error
    ending = _ending(file_name)
    try:
        if ending in (".csv", ".tsv", ".tab"):
            csv.field_size_limit(MAX_FIELD_CHARS)
            rows: Iterator[Any] = csv.reader(io.StringIO(text), delimiter="," if ending == ".csv" else "\t")
        elif ending == ".json":
            rows = iter(_rows_of_json(json.loads(text)))
        else:
            rows = (json.loads(line) for line in text.split("\n") if line.strip())
        yield from _of_rows(rows, name)
    except (json.JSONDecodeError, csv.Error) as error:
        raise BadInput(f"{file_name} cannot be read as {ending}: {error}") from error


def _rows_of_json(value: Any) -> list[Any]:
    if isinstance(value, list):
        return value
    if isinstance(value, dict):
        for field in ITEM_LISTS:
            if isinstance(value.get(field), list):
                found: list[Any] = value[field]
                return found
    return [value]


def _of_rows(rows: Iterator[Any], name: str) -> Iterator[Item]:
    for number, row in enumerate(rows, start=1):
        texts = tuple(_texts(row))
        if texts:
            yield Item(name, _id_of(row) or str(number), texts)


def _id_of(row: Any) -> str | None:
    if not isinstance(row, dict):
        return None
    return next((str(row[field]) for field in ID_FIELDS if isinstance(row.get(field), str | int)), None)


def _texts(value: Any) -> Iterator[str]:
    """Every text in VALUE, in order."""
    if isinstance(value, str):
        if value.strip():
            yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from _texts(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _texts(one)
