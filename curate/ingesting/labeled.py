"""Records with labels on their way into the store: verdicts, ratings, draws and rewards.

A label waits until the messages it names are written, and is written once: a file that is read again
brings the same rows. Two verdicts that contradict each other are both kept; the later one is in force.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa

from curate.ingesting.judged import PERSON
from curate.ingesting.known_ids import uuid_array
from curate.ingesting.piece import Piece
from curate.reader import Answer, Labeled, Rating, Record, Verdict
from store.ids import ROOT, digest_of

if TYPE_CHECKING:
    from store.db import Reading, Writing

UUID, TEXT, TIME = pa.uuid(), pa.string(), pa.timestamp("us")
PLACE = {"source_id": UUID, "record_number": pa.int64()}


@dataclass(frozen=True, slots=True)
class Table:
    """A table of labels: its columns, and those that make a row the same one, read again."""

    name: str
    columns: dict[str, pa.DataType]
    about: str
    """The column that must name a stored message for the row to be stored already."""
    sameness: tuple[str, ...]


COMPARISONS = Table(
    "comparisons",
    {
        "comparison_id": UUID,
        "prompt_id": UUID,
        "response_a_id": UUID,
        "response_b_id": UUID,
        "policy_a": TEXT,
        "policy_b": TEXT,
        "labeler": TEXT,
        "labeler_kind": TEXT,
        "template": TEXT,
        "scale": TEXT,
        "draw_index": pa.int32(),
        "native_label": TEXT,
        "signed_margin": pa.float64(),
        "explanation": TEXT,
        "state": TEXT,
        "parser_version": TEXT,
        "created_at": TIME,
        **PLACE,
    },
    "comparison_id",
    ("comparison_id", "native_label", "signed_margin", "state", "created_at"),
)
RATINGS = Table(
    "ratings",
    {
        "response_id": UUID,
        "labeler": TEXT,
        "labeler_kind": TEXT,
        "template": TEXT,
        "scale": TEXT,
        "aspect": TEXT,
        "draw_index": pa.int32(),
        "value": pa.float64(),
        "explanation": TEXT,
        "state": TEXT,
        "parser_version": TEXT,
        "created_at": TIME,
        **PLACE,
    },
    "response_id",
    ("response_id", "labeler", "template", "scale", "aspect", "draw_index", "value", "state", "created_at"),
)
SAMPLES = Table(
    "samples",
    {
        "prompt_id": UUID,
        "response_id": UUID,
        "sample_index": pa.int32(),
        "policy": TEXT,
        "sampling": TEXT,
        "seed": pa.int64(),
        "finish_reason": TEXT,
        "n_tokens": pa.int32(),
        **PLACE,
    },
    "response_id",
    ("prompt_id", "response_id", "sample_index", "policy", "sampling"),
)
REWARDS = Table(
    "rewards",
    {
        "prompt_id": UUID,
        "response_id": UUID,
        "reward_model": TEXT,
        "revision": TEXT,
        "value": pa.float32(),
        "state": TEXT,
        **PLACE,
    },
    "response_id",
    ("prompt_id", "response_id", "reward_model", "revision", "value", "state"),
)
TABLES = (COMPARISONS, RATINGS, SAMPLES, REWARDS)

Row = tuple[Any, ...]
"""Values in the order of a table's columns; ids as 16 bytes."""


class Waiting(NamedTuple):
    """A row, and how many new messages had been met when it came."""

    last_new: int
    row: Row


class Hung(NamedTuple):
    """An answer in the tree of messages."""

    prompt_id: bytes
    """The message it answers."""
    response_id: bytes


@dataclass(slots=True)
class LabeledRows:
    """The labels of one file that are not written yet."""

    reader: str
    source_id: bytes
    _waiting: dict[str, list[Waiting]] = field(default_factory=lambda: {table.name: [] for table in TABLES})

    def add(self, item: Labeled, piece: Piece) -> None:
        """Put the record and its answers into PIECE, and keep the labels."""
        path = piece.add_messages(item.prompt)
        prompt = path[-1] if path else ROOT
        ending = path
        hung: list[Hung] = []
        for place, answer in enumerate(item.answers):
            turns = (*answer.before, ("assistant", answer.text))
            own = piece.add_messages(turns, prompt, len(path))
            hung.append(Hung(own[-2] if len(own) > 1 else prompt, own[-1]))
            if place == item.ending:
                ending = path + own
        piece.keep(_record_of(item), ending)
        self._keep(item, prompt, hung, len(piece.ids))

    def add_record(self, record: Record, piece: Piece) -> None:
        """Put a conversation into PIECE, and keep what was given to its messages."""
        path = piece.add(record)
        for place, rating in record.ratings:
            row = (*_rating_row(rating, path[place], self.reader), self.source_id, record.record_number)
            self._waiting["ratings"].append(Waiting(len(piece.ids), row))

    def _keep(self, item: Labeled, prompt: bytes, hung: Sequence[Hung], last_new: int) -> None:
        place = (self.source_id, item.record_number)
        for verdict in item.verdicts:
            row = (*_comparison(verdict, prompt, item.answers, hung, self.reader), *place)
            self._waiting["comparisons"].append(Waiting(last_new, row))
        for answer, one in zip(item.answers, hung, strict=True):
            for table, values in _answer_rows(answer, one, self.reader):
                self._waiting[table].append(Waiting(last_new, (*values, *place)))

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    def take(self, settled: int) -> dict[str, list[Row]]:
        """The labels, by table, whose messages are all among the first SETTLED; the others wait on."""
        ready: dict[str, list[Row]] = {}
        for name, waiting in self._waiting.items():
            ready[name] = [one.row for one in waiting if one.last_new <= settled]
            self._waiting[name] = [
                Waiting(one.last_new - settled, one.row) for one in waiting if one.last_new > settled
            ]
        return ready


def _record_of(item: Labeled) -> Record:
    model = item.answers[item.ending].policy if item.ending is not None else ""
    return Record(
        item.record_number,
        item.line,
        item.byte_offset,
        item.external_id,
        (),
        model,
        None,
        item.language,
        item.metadata,
        (item.record_number,),
    )


def _comparison(
    verdict: Verdict, prompt: bytes, answers: Sequence[Answer], hung: Sequence[Hung], reader: str
) -> Row:
    sides = [(hung[place].response_id, answers[place].policy) for place in (verdict.a, verdict.b)]
    margin = verdict.signed_margin
    if not verdict.is_order_known and sides[1] < sides[0]:
        sides.reverse()
        margin = None if margin is None else 0 - margin
    ordered = sorted(sides) if verdict.labeler_kind == PERSON else sides
    named = [part for side in ordered for part in side]
    asked = (verdict.labeler, verdict.template, verdict.scale, str(verdict.draw_index))
    return (
        digest_of("p1", prompt, *named, *asked),
        prompt,
        sides[0][0],
        sides[1][0],
        sides[0][1] or None,
        sides[1][1] or None,
        verdict.labeler,
        verdict.labeler_kind,
        verdict.template,
        verdict.scale,
        verdict.draw_index,
        verdict.native_label or _binary_label(verdict.scale, margin),
        margin,
        verdict.explanation,
        verdict.state,
        reader,
        verdict.created_at,
    )


def _binary_label(scale: str, margin: float | None) -> str | None:
    if scale != "binary" or not margin:
        return None
    return "A" if margin > 0 else "B"


def _answer_rows(answer: Answer, hung: Hung, reader: str) -> Iterator[tuple[str, Row]]:
    prompt, response = hung
    for one in answer.ratings:
        yield "ratings", _rating_row(one, response, reader)
    for draw in answer.draws:
        values = (draw.sample_index, draw.policy, draw.sampling, draw.seed, draw.finish_reason, draw.n_tokens)
        yield "samples", (prompt, response, *values)
    for reward in answer.rewards:
        value = None if reward.value is None else float(np.float32(reward.value))
        yield "rewards", (prompt, response, reward.reward_model, reward.revision, value, reward.state)


def _rating_row(one: Rating, response: bytes, reader: str) -> Row:
    return (
        response,
        one.labeler,
        one.labeler_kind,
        one.template,
        one.scale,
        one.aspect,
        one.draw_index,
        one.value,
        one.explanation,
        one.state,
        reader,
        one.created_at,
    )


@cache
def key_getter(table_name: str) -> Callable[[Row], Row]:
    """Takes from a row of the table what makes it the same one, read again."""
    table = next(table for table in TABLES if table.name == table_name)
    return itemgetter(*_places(table, table.sameness))


def _places(table: Table, columns: Iterable[str]) -> list[int]:
    names = list(table.columns)
    return [names.index(name) for name in columns]


def key_of(table: Table, row: Row) -> Row:
    """What makes a row the same one, read again."""
    return key_getter(table.name)(row)


def fresh_rows(reading: "Reading", table: Table, rows: Sequence[Row], written: frozenset[bytes]) -> list[Row]:
    """Those of ROWS, each once, that the store does not hold; nothing can be stored about a message just WRITTEN."""
    unique: dict[Row, Row] = {}
    for key, row in zip(map(key_getter(table.name), rows), rows, strict=True):
        unique.setdefault(key, row)
    stored = _stored_keys(reading, table, _doubtful(table, unique.values(), written))
    return [row for key, row in unique.items() if key not in stored]


def _doubtful(table: Table, rows: Iterable[Row], written: frozenset[bytes]) -> set[bytes]:
    """The ids by which those rows are looked up that are about no message just written."""
    (about,) = _places(table, [table.about])
    responses = _places(table, [name for name in table.columns if name.startswith("response_")])
    return {row[about] for row in rows if not any(row[place] in written for place in responses)}


def _stored_keys(reading: "Reading", table: Table, ids: set[bytes]) -> set[Row]:
    if not ids:
        return set()
    reading.con.register("asked_ids", pa.table({"id": uuid_array(list(ids))}))
    try:
        rows = reading.rows(
            f"SELECT {', '.join(table.sameness)} FROM {table.name}"
            f" WHERE {table.about} IN (SELECT id FROM asked_ids)"
        )
    finally:
        reading.con.unregister("asked_ids")
    places = [place for place, name in enumerate(table.sameness) if table.columns[name] == UUID]
    return {_with_bytes(row, places) for row in rows}


def _with_bytes(row: Row, places: Sequence[int]) -> Row:
    values = list(row)
    for place in places:
        values[place] = values[place].bytes
    return tuple(values)


def append_labels(writing: "Writing", table: Table, rows: Sequence[Row], run_id: str) -> int:
    """Write ROWS; returns how many."""
    if not rows:
        return 0
    columns = {
        name: _array([row[place] for row in rows], type_)
        for place, (name, type_) in enumerate(table.columns.items())
    }
    return writing.append(table.name, pa.table({**columns, "run_id": pa.array([run_id] * len(rows), TEXT)}))


def _array(values: list[Any], type_: pa.DataType) -> pa.Array:
    return uuid_array(values) if type_ == UUID else pa.array(values, type_)
