"""Test items that lie in the store: pairs a labeler decided, by how strongly, or the pairs of a selection."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from label.comparing.scales import SCALES
from label.exchange import message_turns, prompt_paths
from store.errors import BadSettings, RequestError, UnknownName
from store.named_sql import named_sql
from store.selections import selection_named
from train.evaluating.gold_items import ALL, GoldItem

if TYPE_CHECKING:
    from store.db import Reading

WINDOW = 2000


@dataclass(frozen=True, slots=True)
class StoredGold:
    """The items, and what was left out."""

    items: list[GoldItem]
    strengths: tuple[str, ...]
    """The groups they fall into, the strongest first; empty where there is only one."""
    undecided: int
    """Pairs on which the labeler's verdict is a tie or a conflict, or is missing."""


Named = tuple[str, str, str, str]
"""Prompt, chosen, rejected, group."""


def gold_of_labeler(reading: "Reading", labeler: str, scale: str | None) -> StoredGold:
    """The pairs that LABELER decided (Xwin-LM, table 3).

    Raises UnknownName for one that compared nothing, BadSettings where it used several scales.
    """
    rows = reading.rows(named_sql("train", "judged_pairs"), {"labeler": labeler, "scale": scale})
    if not rows:
        found = reading.rows("SELECT DISTINCT labeler FROM merged_comparisons")
        names = [name for (name,) in found]
        if labeler in names:
            raise RequestError(f"{labeler} compared nothing on the scale {scale!r}")
        raise UnknownName.of("labeler of pairs", labeler, names)
    scales = sorted({row[0] for row in rows})
    if len(scales) > 1:
        raise BadSettings(f"{labeler} used the scales {', '.join(scales)}; say which one with --scale")
    known = SCALES.get(scales[0])
    decided = [row for row in rows if row[2] is not None]
    named = [
        (prompt_id, chosen_id, rejected_id, ALL if known is None else known.strength_of(margin))
        for _, prompt_id, chosen_id, rejected_id, margin in decided
    ]
    strengths = () if known is None else tuple(name for name, _ in known.strengths)
    return StoredGold(_with_texts(reading, named), strengths, len(rows) - len(decided))


def gold_of_selection(reading: "Reading", name: str, part: str | None) -> StoredGold:
    """The pairs of a selection; raises RequestError where there are none."""
    selection = selection_named(reading, name, "pairs")
    rows = reading.rows(
        named_sql("train", "selected_pairs"), {"selection_id": selection.selection_id, "part": part}
    )
    if not rows:
        raise RequestError(f"selection {name!r} has no pair" + ("" if part is None else f" in part {part!r}"))
    return StoredGold(_with_texts(reading, rows), (), 0)


def _with_texts(reading: "Reading", named: Sequence[Named]) -> list[GoldItem]:
    items: list[GoldItem] = []
    for start in range(0, len(named), WINDOW):
        piece = named[start : start + WINDOW]
        paths = prompt_paths(reading, {row[0] for row in piece})
        answers = {response for row in piece for response in row[1:3]}
        turns = message_turns(reading, answers.union(*paths.values()))
        items += [
            GoldItem(
                tuple(turns[message_id] for message_id in paths[prompt_id]),
                (turns[chosen_id][1],),
                (turns[rejected_id][1],),
                group,
            )
            for prompt_id, chosen_id, rejected_id, group in piece
        ]
    return items
