"""Copying rows out of the store to an Arrow file, one turn at the store for each range of ids."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from store.db import Store

if TYPE_CHECKING:
    import pyarrow as pa

BATCH_ROWS = 20_000


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
