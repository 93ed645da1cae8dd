"""Files of rows: Parquet or JSON Lines, cut into shards, the same bytes for the same rows."""

import hashlib
import json
import os
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from train.exporter import Shard, Target

if TYPE_CHECKING:
    import pyarrow as pa

GROUP_ROWS = 1_000
"""Rows turned into columns at a time."""
HASH_CHUNK = 1 << 20


def write_shards(
    rows: Iterator[dict[str, Any]], target: Target, schema: "pa.Schema | None" = None
) -> list[Shard]:
    """Write ROWS as shards `train-00000.…`; at least one shard is written, even without rows."""
    shards: list[Shard] = []
    first = list(islice(rows, 1))
    while first or not shards:
        name = f"train-{len(shards):05d}.{target.file_format}"
        part = islice(chain(first, rows), target.rows_per_shard)
        path = target.folder / name
        if schema is not None and target.file_format == "parquet":
            written = _write_parquet(part, path, schema)
        else:
            written = write_jsonl(part, path)
        shards.append(Shard(name, written))
        first = list(islice(rows, 1))
    return shards


def write_jsonl(rows: Iterator[dict[str, Any]], path: Path) -> int:
    """Write ROWS to PATH, one a line; how many there were."""
    written = 0
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
            written += 1
    return written


def _write_parquet(rows: Iterator[dict[str, Any]], path: Path, schema: "pa.Schema") -> int:
    import pyarrow as pa
    from pyarrow import parquet

    written = 0
    with parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        while group := list(islice(rows, GROUP_ROWS)):
            writer.write_table(pa.Table.from_pylist(group, schema=schema))
            written += len(group)
    return written


def sha256_of(path: Path) -> str:
    """The hash of a file."""
    hasher = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(HASH_CHUNK):
            hasher.update(chunk)
    return hasher.hexdigest()


def sync(path: Path) -> None:
    """Make a file or directory durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
