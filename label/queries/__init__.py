"""Named queries of the label room, one `.sql` file each."""

from functools import cache
from importlib.resources import files


@cache
def query(name: str) -> str:
    """The text of the query called NAME."""
    return (files("label.queries") / f"{name}.sql").read_text(encoding="utf-8")
