"""What each message of a training row was to it: prompt, chosen, rejected or answer, and the numbers that chose it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from store.db import Reading
from store.errors import UnknownName
from store.ids import to_text
from store.selections import selection_named

TWO_ANSWERS = ("rm", "dpo", "pm")
"""Recipes whose rows are a prompt, the chosen and the rejected answer."""
LABELLED = "kto"
"""A row is a prompt and one answer; the two rows of a pair follow each other, the desirable one first."""
BEST = "rsft"
"""A row is a prompt and the response of one rank."""


@dataclass(frozen=True, slots=True)
class TracedRow:
    """One row of an export."""

    export: str
    recipe: str
    layout: str
    row_number: int
    messages: tuple[Mapping[str, str], ...]
    """Each message with what it was: `history`, `prompt`, `chosen`, `rejected`, `response`, or its role."""
    label: bool | None
    """Whether the answer is desirable, by the recipe `kto`."""
    facts: Mapping[str, Any]
    """What chose it: the selection with scores, ranks and strength of a pair; rank and score of a response."""


EXPORT_ROW = """
SELECT
    exports.recipe,
    exports.layout,
    exports.settings,
    exports.at_version,
    CAST(export_rows.message_ids AS VARCHAR[]) AS message_ids
FROM export_rows
JOIN exports
    ON exports.export_id = export_rows.export_id
WHERE export_rows.export_id = CAST($export AS UUID) AND export_rows.row_number = $row
"""

ROLES = """
SELECT CAST(message_id AS VARCHAR), role
FROM messages
WHERE list_contains($messages, CAST(message_id AS VARCHAR))
"""

PAIR = """
SELECT score_chosen, score_rejected, score_gap, rank_chosen, rank_rejected, strength, part
FROM selection_pairs
WHERE selection_id = CAST($selection AS UUID)
    AND chosen_id = CAST($chosen AS UUID)
    AND rejected_id = CAST($rejected AS UUID)
"""

REWARDS = """
SELECT reward_model, revision, arg_max_null(value, version * 1048576 + seq) AS value
FROM rewards
WHERE response_id = CAST($response AS UUID) AND version <= $version
    AND ($models IS NULL OR list_contains(CAST($models AS VARCHAR[]), reward_model)
        OR list_contains(CAST($models AS VARCHAR[]), reward_model || '@' || revision))
GROUP BY reward_model, revision
ORDER BY reward_model, revision
"""

RATINGS = """
SELECT aspect, avg(value) AS value
FROM (
    SELECT template, scale, aspect, draw_index, arg_max_null(value, version * 1048576 + seq) AS value
    FROM ratings
    WHERE response_id = CAST($response AS UUID) AND labeler = $labeler AND version <= $version
    GROUP BY template, scale, aspect, draw_index
)
WHERE value IS NOT NULL
GROUP BY aspect
ORDER BY aspect
"""


def trace_row(reading: Reading, export: str, row: int) -> TracedRow:
    """The row ROW of the export with the UUID EXPORT, which is there."""
    (found,) = reading.dicts(EXPORT_ROW, {"export": export, "row": row})
    recipe, ids = found["recipe"], found["message_ids"]
    asked = json.loads(found["settings"]).get("recipe") or {}
    label, facts = None, {}
    if recipe in TWO_ANSWERS:
        parts = [*_prompt(ids[:-2]), "chosen", "rejected"]
        facts = _pair(reading, asked, found["at_version"], ids[-2], ids[-1])
    elif recipe == LABELLED:
        label = row % 2 == 0
        parts = [*_prompt(ids[:-1]), "chosen" if label else "rejected"]
        facts = _half_of_pair(reading, export, row, asked, found["at_version"])
    elif recipe == BEST:
        parts = [*_prompt(ids[:-1]), "response"]
        facts = _rank(reading, asked, found["at_version"], ids[-1])
    else:
        roles = dict(reading.rows(ROLES, {"messages": ids}))
        parts = [roles[message] for message in ids]
    return TracedRow(
        to_text("x1", export),
        recipe,
        found["layout"],
        row,
        tuple(
            {"message": to_text("m1", message), "is": part} for message, part in zip(ids, parts, strict=True)
        ),
        label,
        facts,
    )


def _prompt(ids: Sequence[str]) -> list[str]:
    """A path that ends with the turn to be answered."""
    return [*("history" for _ in ids[:-1]), "prompt"]


def _half_of_pair(
    reading: Reading, export: str, row: int, asked: Mapping[str, Any], version: int
) -> dict[str, Any]:
    """The numbers of the pair that this row and its neighbour were made of."""
    first = row - row % 2
    answers = [reading.rows(_ANSWER, [export, number])[0][0] for number in (first, first + 1)]
    other = to_text("m1", answers[1 - row % 2])
    return {"other_answer": other, **_pair(reading, asked, version, answers[0], answers[1])}


_ANSWER = (
    "SELECT CAST(message_ids[-1] AS VARCHAR) FROM export_rows"
    " WHERE export_id = CAST(? AS UUID) AND row_number = ?"
)


def _pair(
    reading: Reading, asked: Mapping[str, Any], version: int, chosen: str, rejected: str
) -> dict[str, Any]:
    """What the selection says of the pair, as it was when the export was made."""
    name = str(asked["pairs"])
    try:
        selection = selection_named(reading, name if "@" in name else f"{name}@v{version}", "pairs")
    except UnknownName:  # `--at` looks back beyond it
        return {"selection": name}
    params = {"selection": selection.selection_id, "chosen": chosen, "rejected": rejected}
    rows = reading.dicts(PAIR, params)
    told = {key: value for key, value in rows[0].items() if value is not None} if rows else {}
    return {"selection": f"{selection.name}@v{selection.version}", **told}


def _rank(reading: Reading, asked: Mapping[str, Any], version: int, response: str) -> dict[str, Any]:
    """The rank that was asked for, and what the scores say of the response."""
    params = {"response": response, "version": version}
    facts: dict[str, Any] = {"rank": asked.get("rank")}
    for key in ("length_penalty", "candidates", "prompts"):
        if asked.get(key):
            facts[key] = asked[key]
    if asked.get("ratings"):
        rows = reading.rows(RATINGS, {**params, "labeler": asked["ratings"]})
        facts["ratings_by"] = asked["ratings"]
        facts["rating"] = sum(value for _, value in rows) / len(rows) if rows else None
        return facts
    models = list(asked.get("reward_models") or ()) or None
    facts["rewards"] = reading.dicts(REWARDS, {**params, "models": models})
    return facts
