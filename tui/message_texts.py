"""Texts of messages and the path to one, read so that most of the table is skipped."""

from typing import TYPE_CHECKING

from store.named_sql import named_sql
from tui.review_data import Turn

if TYPE_CHECKING:
    from store.db import Reading


def contents(reading: "Reading", ids: list[str], newest: int) -> dict[str, Turn]:
    """Messages by id, none of them written after version NEWEST."""
    turns: dict[str, Turn] = {}
    for span in ((newest, newest), (0, newest)):
        missing = [one for one in ids if one not in turns]
        if missing:
            _take_contents(reading, missing, span, turns)
    return turns


def _take_contents(reading: "Reading", ids: list[str], span: tuple[int, int], turns: dict[str, Turn]) -> None:
    where = {"ids": ids, "first": span[0], "last": span[1]}
    for version, present in reading.rows(named_sql("tui", "message_versions"), where):
        for message_id, role, content in reading.rows(
            named_sql("tui", "contents"), {"ids": present, "version": version}
        ):
            turns[message_id] = Turn(message_id, role, content)


def path_to(reading: "Reading", message_id: str) -> list[str]:
    """The messages from the first turn down to this one."""
    one = {"id": message_id}
    rows = reading.rows(named_sql("tui", "path_to"), one) or reading.rows(named_sql("tui", "climb_to"), one)
    path: list[str] = rows[0][0]
    return path
