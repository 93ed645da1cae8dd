"""Copying rows out of the store to an Arrow file, one turn at the store for each range of ids."""

import uuid
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from store.db import Store

if TYPE_CHECKING:
    import pyarrow as pa

BATCH_ROWS = 20_000


def id_ranges(pieces: int) -> list[tuple[str, str]]:
    """All ids cut into PIECES ranges, each as its first and last UUID."""
    size = 2**128
    bounds = [size * piece // pieces for piece in range(pieces + 1)]
    return [(str(uuid.UUID(int=low)), str(uuid.UUID(int=high - 1))) for low, high in pairwise(bounds)]


def stage(store: Store, path: Path, query: str, parameters: Iterable[Mapping[str, object]]) -> None:
    """Write what QUERY gives for each of PARAMETERS to an Arrow stream at PATH; no file where it gives nothing."""
    import pyarrow as pa

    writer: pa.RecordBatchStreamWriter | None = None
    for named in parameters:
        with store.read() as reading:
            for batch in reading.batches(query, named, rows=BATCH_ROWS):
                writer = writer or pa.ipc.new_stream(path, batch.schema)
                writer.write_batch(batch)
    if writer is not None:
        writer.close()


def staged_batches(path: Path) -> "Iterator[pa.RecordBatch]":
    """The batches staged at PATH."""
    if not path.exists():
        return
    import pyarrow as pa

    with pa.ipc.open_stream(path) as stream:
        yield from stream
