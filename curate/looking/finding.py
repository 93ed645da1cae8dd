"""Finding the one thing a user means by an id, the start of an id, or `EXPORT:ROW`."""

import re
from dataclasses import dataclass
from pathlib import Path

from store.db import Reading
from store.errors import RequestError
from store.ids import to_text

KINDS = {
    "c1": ("conversations", "conversation_id"),
    "m1": ("messages", "message_id"),
    "x1": ("exports", "export_id"),
}
"""Tag of an id → the table and column it is looked up in."""

SHORTEST_PREFIX = 4
"""Hex digits below which the start of an id says too little."""

_GIVEN = re.compile(rf"(c1|m1|x1)-([0-9a-f]{{{SHORTEST_PREFIX},32}})")


@dataclass(frozen=True, slots=True)
class Found:
    """A thing in the store."""

    tag: str
    uuid: str

    @property
    def text(self) -> str:
        """Its id as people see it."""
        return to_text(self.tag, self.uuid)


def find(reading: Reading, given: str) -> Found:
    """The conversation, message or export whose id is, or starts with, GIVEN.

    Raises RequestError if there is none or more than one.
    """
    match = _GIVEN.fullmatch(given)
    if match is None:
        raise RequestError(
            f"{given!r} is not an id; an id is c1-… (conversation), m1-… (message) or x1-… (export),"
            f" with at least {SHORTEST_PREFIX} of its hex digits"
        )
    tag, digits = match.groups()
    table, column = KINDS[tag]
    rows = reading.rows(
        f"SELECT DISTINCT CAST({column} AS VARCHAR) FROM {table}"
        f" WHERE {column} BETWEEN CAST(? AS UUID) AND CAST(? AS UUID) LIMIT 2",
        [digits.ljust(32, "0"), digits.ljust(32, "f")],
    )
    if not rows:
        raise RequestError(f"nothing in this store has the id {given}")
    if len(rows) > 1:
        raise RequestError(f"{given} is the start of more than one id; give more digits")
    return Found(tag, rows[0][0])


def find_export_row(reading: Reading, given: str) -> tuple[str, int]:
    """The export's UUID and the row number in `x1-…:ROW` or `DIRECTORY:ROW`.

    Raises RequestError if there is no such export or row.
    """
    name, _, number = given.rpartition(":")
    if not number.isdigit():
        raise RequestError(f"{given!r} is not EXPORT:ROW; rows are counted from 0")
    uuid = find(reading, name).uuid if _GIVEN.fullmatch(name) else _export_at(reading, name)
    return uuid, int(number)


def _export_at(reading: Reading, directory: str) -> str:
    rows = reading.rows(
        "SELECT CAST(arg_max(export_id, version) AS VARCHAR) FROM exports WHERE path IN (?, ?)",
        [directory, str(Path(directory).resolve())],
    )
    if rows[0][0] is None:
        raise RequestError(f"no export was written to {directory}; see: curate sql 'SELECT * FROM exports'")
    return str(rows[0][0])
