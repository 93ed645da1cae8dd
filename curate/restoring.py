"""Bringing back what a rule dropped: a person's keep, which outweighs every rule."""

import getpass
from collections.abc import Sequence
from typing import TYPE_CHECKING

from curate.looking.finding import find
from store.errors import BadSettings, RequestError
from store.runs import run_of, utc_now

if TYPE_CHECKING:
    from store.db import Store


def user_name() -> str:
    """Who is at the keyboard.

    Raises BadSettings where the system does not know.
    """
    try:
        return getpass.getuser()
    except (OSError, KeyError) as error:
        raise BadSettings("this system has no name for you; give one with --annotator NAME") from error


def restore(store: "Store", given: Sequence[str], annotator: str, reason: str) -> list[str]:
    """Keep the conversations GIVEN in ANNOTATOR's name; returns their ids as people see them.

    Raises RequestError, having written nothing, if one is no conversation of this store.
    """
    with store.read() as reading:
        found = [find(reading, text) for text in given]
    for text, one in zip(given, found, strict=True):
        if one.tag != "c1":
            raise RequestError(f"{text} is not a conversation; only conversations are kept and dropped")
    rows: list[dict[str, object]] = [
        {
            "target_kind": "conversation",
            "target_id": one.uuid,
            "verdict": "keep",
            "reason": reason,
            "decided_by": annotator,
            "decided_at": utc_now().isoformat(),
        }
        for one in found
    ]
    with run_of(store, "curate decisions --restore", {"annotator": annotator}) as run:
        with store.write(run.run_id) as writing:
            writing.append("decisions", [{**row, "run_id": run.run_id} for row in rows])
        run.finish({"restored": len(rows)})
    return [one.text for one in found]
