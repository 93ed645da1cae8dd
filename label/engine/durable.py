"""Results on disk before they are counted: many results share one write and one fsync."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

from store.errors import PreferablyError

Row = Mapping[str, object]
Append = Callable[[str, Sequence[Row]], None]


class GroupCommit:
    """Collects rows while a write is under way and writes them together next."""

    def __init__(self, append: Append) -> None:
        """APPEND makes rows of a table durable, blocking; it is called in a thread, one call at a time."""
        self._append = append
        self._waiting: list[tuple[Sequence[tuple[str, Row]], asyncio.Future[None]]] = []
        self._writer: asyncio.Task[None] | None = None

    async def record(self, table: str, row: Row) -> None:
        """Return once ROW of TABLE is on disk.

        Raises PreferablyError if it cannot be written.
        """
        await self.record_all([(table, row)])

    async def record_all(self, rows: Sequence[tuple[str, Row]]) -> None:
        """Return once every row, each with its table, is on disk; no table's rows before an earlier table's.

        Raises PreferablyError if they cannot be written.
        """
        written = asyncio.get_running_loop().create_future()
        self._waiting.append((rows, written))
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write())
        await written

    async def _write(self) -> None:
        while self._waiting:
            group, self._waiting = self._waiting, []
            error = await asyncio.to_thread(self._write_group, group)
            for _, written in group:
                if not written.done():
                    written.set_result(None) if error is None else written.set_exception(error)

    def _write_group(
        self, group: Sequence[tuple[Sequence[tuple[str, Row]], object]]
    ) -> PreferablyError | None:
        tables: dict[str, list[Row]] = defaultdict(list)
        for table, row in (pair for rows, _ in group for pair in rows):
            tables[table].append(row)
        try:
            for table, rows in tables.items():
                self._append(table, rows)
        except OSError as error:
            return PreferablyError(f"results cannot be written to the journal: {error}")
        return None
