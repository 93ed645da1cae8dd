"""Named queries: one `.sql` file each, in the `queries` folder of the room that asks them."""

from functools import cache
from importlib.resources import files


@cache
def named_sql(room: str, name: str) -> str:
    """The text of ROOM's query called NAME."""
    return (files(room) / "queries" / f"{name}.sql").read_text(encoding="utf-8")
