"""Named choices of prompts, conversations or pairs: written once, read by name, never changed.

A name may be given again; then the newer choice is meant, and `name@vN` still means the one that was
there at version N.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from store.db import Params, Reading, Writing
from store.errors import RequestError, UnknownName
from store.ids import digest_of, uuid_text
from store.runs import utc_now

SelectionKind = Literal["prompts", "conversations", "pairs"]

TABLE_OF: dict[SelectionKind, str] = {
    "prompts": "selection_prompts",
    "conversations": "selection_conversations",
    "pairs": "selection_pairs",
}


@dataclass(frozen=True, slots=True)
class Selection:
    """One named choice."""

    selection_id: str
    """UUID text."""
    name: str
    kind: SelectionKind
    settings: Mapping[str, Any]
    """The rule that chose, as the command was asked."""
    at_version: int
    """The state of the store it was made from."""
    steps: Mapping[str, Any]
    """What each step of the rule took and left."""
    row_count: int
    version: int
    """The write that stored it."""


def check_name(name: str) -> None:
    """Raises RequestError if NAME could be mistaken for a version."""
    if not name or "@" in name or name.removeprefix("v").isdigit():
        raise RequestError(
            f"{name!r} cannot name a selection; choose a name that is not a number and has no @"
        )


def write_selection(
    writing: Writing,
    name: str,
    kind: SelectionKind,
    select: str,
    params: Params = None,
    *,
    settings: Mapping[str, object],
    steps: Mapping[str, object],
    run_id: str | None,
    at_version: int | None = None,
) -> str:
    """Store the rows of SELECT under NAME; returns the selection's id as UUID text.

    SELECT gives every column of the kind's table but `selection_id`, `version` and `seq`. AT_VERSION is the
    state it was made from, the one before this write if not given.
    Raises RequestError if NAME could be mistaken for a version.
    """
    check_name(name)
    created_at = utc_now().isoformat()
    selection_id = uuid_text(digest_of("e1", name, str(writing.version), created_at))
    added = writing.append_from(
        TABLE_OF[kind], f"SELECT CAST('{selection_id}' AS UUID) AS selection_id, * FROM ({select})", params
    )
    writing.append(
        "selections",
        [
            {
                "selection_id": selection_id,
                "name": name,
                "kind": kind,
                "settings": json.dumps(settings, sort_keys=True, default=str),
                "at_version": writing.version - 1 if at_version is None else at_version,
                "steps": json.dumps(steps, sort_keys=True),
                "row_count": added,
                "created_at": created_at,
                "run_id": run_id,
            }
        ],
    )
    return selection_id


def selection_named(reading: Reading, text: str, kind: SelectionKind | None = None) -> Selection:
    """The newest selection called TEXT, or with TEXT `name@vN` the newest up to version N.

    Raises UnknownName if there is none, RequestError if it is not of KIND.
    """
    name, _, at = text.partition("@")
    if at and not at.removeprefix("v").isdigit():
        raise RequestError(f"{text!r}: after @ stands a version, such as {name}@v12")
    bound = int(at.removeprefix("v")) if at else 2**62
    found = [one for one in selections(reading) if one.name == name and one.version <= bound]
    if not found:
        raise UnknownName.of("selection", text, {one.name for one in selections(reading)})
    chosen = found[-1]
    if kind is not None and chosen.kind != kind:
        raise RequestError(f"selection {text!r} holds {chosen.kind}, not {kind}")
    return chosen


def newest_selection(reading: Reading, name: str) -> Selection | None:
    """The newest selection called NAME, if there is one."""
    return next((one for one in reversed(selections(reading)) if one.name == name), None)


def selections(reading: Reading) -> list[Selection]:
    """Every selection, oldest first."""
    rows = reading.dicts(
        """
        SELECT
            CAST(selection_id AS VARCHAR) AS selection_id, name, kind, settings, at_version, steps, row_count, version
        FROM selections
        ORDER BY version, seq
        """
    )
    return [
        Selection(**{**row, "settings": json.loads(row["settings"]), "steps": json.loads(row["steps"])})
        for row in rows
    ]
