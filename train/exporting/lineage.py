"""Which conversation and messages each row of an export was made from."""

from pathlib import Path
from typing import Any

from store.runs import Run
from train.exporting.rows import Row

LINEAGE_ROWS = 100_000
"""Rows of `export_rows` a write turn takes."""


class Lineage:
    """The rows of `export_rows`, kept in a file until the export is written."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.pending: list[dict[str, Any]] = []
        self.n_rows = 0

    def __enter__(self) -> "Lineage":
        import pyarrow as pa

        fields = [
            ("row_number", pa.int64()),
            ("conversation_id", pa.string()),
            ("message_ids", pa.list_(pa.string())),
            ("source_class", pa.string()),
        ]
        self.schema = pa.schema(fields)
        self.writer = pa.ipc.new_stream(self.path, self.schema)
        return self

    def __exit__(self, *_: object) -> None:
        self._flush()
        self.writer.close()

    def add(self, row: Row) -> None:
        """Note the row that is written next; rows are numbered from 0 over all shards."""
        origin = row.origin
        self.pending.append(
            {
                "row_number": self.n_rows,
                "conversation_id": origin.conversation_id,
                "message_ids": list(origin.message_ids),
                "source_class": origin.source_class,
            }
        )
        self.n_rows += 1
        if len(self.pending) >= LINEAGE_ROWS:
            self._flush()

    def _flush(self) -> None:
        import pyarrow as pa

        if self.pending:
            self.writer.write_batch(pa.RecordBatch.from_pylist(self.pending, schema=self.schema))
            self.pending = []

    def store_rows(self, run: Run, export_id: str) -> None:
        """Append the rows to `export_rows`, a write turn for each piece, past what is there already."""
        import pyarrow as pa

        with pa.ipc.open_stream(self.path) as stream:
            for batch in stream:
                with run.store.write(run.run_id) as writing:
                    there = writing.rows(
                        "SELECT coalesce(max(row_number), -1) FROM export_rows WHERE export_id = ?",
                        [export_id],
                    )[0][0]
                    table = pa.Table.from_batches([batch])
                    table = table.filter(pa.compute.greater(table["row_number"], there))
                    ids = pa.array([export_id] * table.num_rows, type=pa.string())
                    writing.append("export_rows", table.append_column("export_id", ids))
