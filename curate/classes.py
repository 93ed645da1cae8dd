"""Source classes: what a model label means for training (OpenChat, section 3)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

from store.errors import BadSettings
from store.rows import UNKNOWN_CLASS, SourceClass

if TYPE_CHECKING:
    from store.db import Reading, Store

ANY, ONE = "*", "?"


@dataclass(frozen=True, slots=True)
class ClassChange:
    """What to change about a class; None leaves it as it is."""

    name: str
    condition: str | None = None
    """Text before every speaker."""
    weight: float | None = None
    """Loss factor."""
    reward: float | None = None
    """The coarse reward r_c."""
    patterns: tuple[str, ...] | None = None
    """Globs of model labels, instead of those it had."""


@dataclass(frozen=True, slots=True)
class ClassCount:
    """A class with the conversations that are in it."""

    source_class: SourceClass
    conversations: int


@dataclass(frozen=True, slots=True)
class ClassReport:
    """All classes, and the labels that are in none."""

    classes: list[ClassCount]
    unmatched: list[tuple[str, int]]
    """(model label, conversations), most frequent first; the empty label is a missing one."""


def show_classes(store: "Store") -> ClassReport:
    """Every class with its number of conversations, and what matches none."""
    with store.read() as reading:
        known = _classes(reading)
        counts = dict(reading.rows("SELECT class, count(*) FROM all_conversations GROUP BY class"))
        unmatched = reading.rows(
            """
            SELECT model, count(*) AS conversations
            FROM all_conversations
            WHERE class = ?
            GROUP BY model
            ORDER BY conversations DESC, model
            """,
            [UNKNOWN_CLASS],
        )
    for name in sorted(set(counts) - {one.name for one in known}):
        known.append(SourceClass(name, None, None, None, ()))
    return ClassReport([ClassCount(one, counts.get(one.name, 0)) for one in known], unmatched)


def set_class(store: "Store", change: ClassChange) -> SourceClass:
    """Make or change a class; takes one write turn.

    Raises BadSettings if a pattern could match a label as well as another class's, so that neither wins.
    """
    _check_change(change)
    with store.write() as writing:
        known = {one.name: one for one in _classes(writing)}
        before = known.get(change.name, SourceClass(change.name, None, None, None, ()))
        after = _changed(before, change)
        _check_patterns(after, [one for one in known.values() if one.name != change.name])
        if after != known.get(change.name):
            writing.append("source_classes", [_row(after)])
    return after


def _classes(reading: "Reading") -> list[SourceClass]:
    rows = reading.rows("SELECT name, condition, weight, reward, patterns FROM current_classes ORDER BY name")
    return [
        SourceClass(name, condition, weight, reward, tuple(patterns))
        for name, condition, weight, reward, patterns in rows
    ]


def _row(one: SourceClass) -> dict[str, object]:
    return {
        "name": one.name,
        "condition": one.condition,
        "reward": one.reward,
        "weight": one.weight,
        "patterns": list(one.patterns),
    }


def _check_change(change: ClassChange) -> None:
    if not change.name.strip():
        raise BadSettings("a class needs a name")
    if change.weight is not None and not (math.isfinite(change.weight) and change.weight >= 0):
        raise BadSettings(f"a weight is a number from 0 up, not {change.weight:g}")
    if change.reward is not None and not math.isfinite(change.reward):
        raise BadSettings(f"a reward is a finite number, not {change.reward:g}")
    if change.name == UNKNOWN_CLASS and change.patterns:
        raise BadSettings(
            f"class {UNKNOWN_CLASS} is what matches no pattern; give the labels a class of their own"
        )
    for pattern in change.patterns or ():
        if not pattern.strip(ANY + " "):
            raise BadSettings(f"pattern {pattern!r} would match every label; say which")


def _changed(before: SourceClass, change: ClassChange) -> SourceClass:
    return replace(
        before,
        condition=before.condition if change.condition is None else change.condition,
        weight=before.weight if change.weight is None else change.weight,
        reward=before.reward if change.reward is None else change.reward,
        patterns=before.patterns if change.patterns is None else change.patterns,
    )


def _check_patterns(after: SourceClass, others: Sequence[SourceClass]) -> None:
    for other in others:
        for mine in after.patterns:
            for theirs in other.patterns:
                if strength(mine) == strength(theirs) and globs_overlap(mine.lower(), theirs.lower()):
                    raise BadSettings(
                        f"pattern {mine!r} and {theirs!r} of class {other.name} can match the same label and are"
                        " equally long, so neither would win; make one more exact"
                    )


def strength(pattern: str) -> int:
    """How exact a pattern is: of those that match a label, the one with most characters decides."""
    return len(pattern.replace(ANY, ""))


def globs_overlap(first: str, second: str) -> bool:
    """Whether some label matches both globs; a character class counts as any character."""
    return _overlap(_plain(first), _plain(second))


def _plain(pattern: str) -> str:
    """PATTERN with each `[…]` as `?`."""
    plain, rest = "", pattern
    while "[" in rest and "]" in rest[rest.index("[") + 2 :]:
        start = rest.index("[")
        plain += rest[:start] + ONE
        rest = rest[rest.index("]", start + 2) + 1 :]
    return plain + rest


@lru_cache(maxsize=4096)
def _overlap(first: str, second: str) -> bool:
    if not first or not second:
        return not (first + second).strip(ANY)
    if first[0] == ANY:
        return _overlap(first[1:], second) or _overlap(first, second[1:])
    if second[0] == ANY:
        return _overlap(second, first)
    if ONE not in (first[0], second[0]) and first[0] != second[0]:
        return False
    return _overlap(first[1:], second[1:])
