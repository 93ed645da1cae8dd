"""Texts of messages and the path to one, read so that most of the table is skipped."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from store.named_sql import named_sql
from tui.review_data import Turn

if TYPE_CHECKING:
    from store.db import Reading


def contents(reading: "Reading", ids: list[str], newest: int) -> dict[str, Turn]:
    """Messages by id, none of them written after version NEWEST."""
    places: dict[str, int] = {}
    for span in ((newest, newest), (0, newest)):
        missing = [one for one in ids if one not in places]
        if missing:
            where = {"ids": missing, "first": span[0], "last": span[1]}
            places |= dict(reading.rows(named_sql("tui", "message_places"), where))
    return texts_at(reading, places.values())


def texts_at(reading: "Reading", places: Iterable[int]) -> dict[str, Turn]:
    """The messages that stand at PLACES of their table."""
    rows = reading.rows(named_sql("tui", "texts_at"), {"places": list(places)})
    return {one: Turn(one, role, content) for one, role, content in rows}


def path_to(reading: "Reading", message_id: str) -> list[str]:
    """The messages from the first turn down to this one."""
    rows = reading.rows(
        "SELECT parent_id IS NULL FROM messages WHERE message_id = CAST(? AS UUID)", [message_id]
    )
    if rows and rows[0][0]:
        return [message_id]
    held = reading.rows(f"{named_sql('tui', 'holders')} LIMIT 1", {"id": message_id})
    if held:
        whole: list[str] = held[0][0]
        return whole[: whole.index(message_id) + 1]
    path: list[str] = reading.rows(named_sql("tui", "climb_to"), {"id": message_id})[0][0]
    return path
