"""Prompts and their responses, read from a store."""

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from store.errors import UnknownName
from store.ids import id_ranges
from store.named_sql import named_sql
from tui.answers.candidates import prompt_ranges
from tui.answers.list_index import id_table
from tui.answers.message_texts import contents, path_to, texts_at
from tui.answers.sheet import Sheet
from tui.answers.text_search import TextSearch
from tui.listing import Column, Line, ManyLines, number
from tui.query import Filter
from tui.response_set import Response, ResponseSet

if TYPE_CHECKING:
    import pyarrow as pa

    from store.db import Reading, Store

COLUMNS = (
    Column("responses", 9, is_number=True),
    Column("draws", 6, is_number=True),
    Column("best", 8, is_number=True),
    Column("spread", 7, is_number=True),
    Column("prompt", 0),
)


SHEET = "id UUID, responses INTEGER, draws INTEGER, best FLOAT, spread FLOAT, place BIGINT"


class StoreSets:
    """The prompts of a store, followed by newer versions only, and the responses of one."""

    def __init__(self, store: "Store", search: TextSearch) -> None:
        self._store = store
        self._search = search
        self._lock = threading.Lock()
        self._sheet = Sheet(SHEET, "draws DESC, responses DESC, id")
        self._followed_to = -1

    def close(self) -> None:
        """Give the memory back."""
        self._sheet.close()

    def prompts(self, wanted: Filter) -> ManyLines:
        """The prompts a filter keeps."""
        self._follow()
        among = self._search.messages(wanted.words) if wanted.words else None
        ids = self._sheet.select(wanted, among)
        some = f"{len(ids):,} of " if wanted.text else ""
        return ManyLines(ids, COLUMNS, f"{some}{len(self._sheet):,} prompts", self._lines)

    def _follow(self) -> None:
        with self._lock:
            if self._followed_to < 0:
                self._read_all()
                return
            with self._store.read() as reading:
                if reading.version > self._followed_to:
                    touched = reading.arrow(named_sql("tui", "prompts_touched"), {"after": self._followed_to})
                    if touched.num_rows:
                        self._sheet.put(_prompt_rows(reading, touched, *id_ranges(1)[0]))
                    self._followed_to = reading.version

    def _read_all(self) -> None:
        """Everything, in turns that are each short; what is written between them is read again next time."""
        oldest: int | None = None
        self._sheet.clear()
        for low, high in prompt_ranges(self._store):
            with self._store.read() as reading:
                oldest = reading.version if oldest is None else oldest
                self._sheet.put(_prompt_rows(reading, None, low, high))
        self._followed_to = oldest or 0

    def _lines(self, ids: Sequence[str]) -> list[Line]:
        rows = self._sheet.rows(ids)
        places = [row["place"] for row in rows.values() if row["place"] is not None]
        with self._store.read() as reading:
            found = texts_at(reading, places)
        return [_line(rows[one], found[one].content if one in found else "") for one in ids if one in rows]

    def response_set(self, prompt_id: str) -> ResponseSet:
        """A prompt with all its responses."""
        with self._store.read() as reading:
            rows = reading.dicts(named_sql("tui", "set_responses"), {"id": prompt_id})
            if not rows:
                raise UnknownName(f"no response to the prompt {prompt_id}")
            ids = [row["response_id"] for row in rows]
            path = path_to(reading, prompt_id)
            found = contents(reading, [*path, *ids], reading.version)
            writers = _writers(reading, prompt_id)
            rewards = _by_response(reading, "set_rewards", {"id": prompt_id})
            ratings = _by_response(reading, "set_ratings", {"ids": ids})
        return ResponseSet(
            prompt_id,
            tuple(found[step] for step in path),
            tuple(
                Response(
                    one,
                    found[one].content,
                    row["n_draws"],
                    ", ".join(filter(None, (row["policies"], writers.get(one)))),
                    tuple((name, value) for name, value, *_ in rewards.get(one, ())),
                    tuple((name, value) for name, value in ratings.get(one, ())),
                    row["n_tokens"],
                    any(is_cut for *_, is_cut in rewards.get(one, ())),
                )
                for one, row in zip(ids, rows, strict=True)
            ),
        )


def _prompt_rows(reading: "Reading", touched: "pa.Table | None", low: str, high: str) -> "pa.Table":
    """The rows of the sheet of TOUCHED prompts (a column `id` of bytes), or of a range of ids."""
    reading.con.register("touched_prompts", id_table(b"") if touched is None else touched)
    where = {"low": low, "high": high, "is_range": touched is None}
    return reading.arrow(named_sql("tui", "prompt_rows"), where)


def _writers(reading: "Reading", prompt_id: str) -> dict[str, str]:
    """Whose conversations the responses stand in, by response."""
    names: dict[str, set[str]] = {}
    for path, writer in reading.rows(named_sql("tui", "holders"), {"id": prompt_id}):
        after = path[path.index(prompt_id) + 1 :]
        if after:
            names.setdefault(after[0], set()).add(writer)
    return {one: ", ".join(sorted(found)) for one, found in names.items()}


def _by_response(reading: "Reading", query: str, params: dict[str, Any]) -> dict[str, list[tuple[Any, ...]]]:
    found: dict[str, list[tuple[Any, ...]]] = {}
    for response_id, *rest in reading.rows(named_sql("tui", query), params):
        found.setdefault(response_id, []).append(tuple(rest))
    return found


def _line(row: dict[str, Any], text: str) -> Line:
    counts = (f"{row['responses']:,}", f"{row['draws']:,}")
    return Line(row["id"], (*counts, number(row["best"]), number(row["spread"]), text))
