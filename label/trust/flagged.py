"""What a report says of answers that speak to their judge, and of the canaries a judge met."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from label.comparing.stored_verdicts import Merged
from label.measures import Measure, Resampling, mean_of, measured
from label.trust.injection import ANY, PATTERNS
from label.trust.win_rates import Lengths
from store.named_sql import named_sql

if TYPE_CHECKING:
    from store.db import Reading

REPEATED_PROMPTS = 5
"""A text that answers so many different prompts is no answer to any (a constant-answer attack, say)."""
REPEATED = "repeated"
"""The flag of such a text."""
MOST_SHOWN = 100
"""Flagged answers that a report names."""

Flags = Mapping[str, tuple[str, ...]]
"""Response id → why it is flagged; answers without a flag are not in it."""


@dataclass(frozen=True, slots=True)
class Flagged:
    """One answer that is flagged."""

    response_id: str
    flags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Met:
    """The canaries of one labeler."""

    asked: int
    passed: int


def read_flags(
    reading: "Reading", lengths: Lengths, labelers: Sequence[str] | None = None
) -> dict[str, tuple[str, ...]]:
    """Every answer with a flag that was judged, by anybody or by LABELERS."""
    params = {**PATTERNS, "any": ANY, "labelers": labelers}
    found = {
        response_id: tuple(flags)
        for response_id, flags in reading.rows(named_sql("label", "flagged_answers"), params)
    }
    for response_id, length in lengths.items():
        if length.n_prompts >= REPEATED_PROMPTS:
            found[response_id] = (*found.get(response_id, ()), REPEATED)
    return found


def read_canaries(reading: "Reading") -> dict[str, Met]:
    """How every labeler's canaries went."""
    return {labeler: Met(*counts) for labeler, *counts in reading.rows(named_sql("label", "canaries_met"))}


def flagged_among(judged: set[str], flags: Flags) -> list[Flagged]:
    """The flagged ones of the answers JUDGED, by id."""
    return [Flagged(one, flags[one]) for one in sorted(judged & flags.keys())]


def flag_measures(merged: Sequence[Merged], flags: Flags, resampling: Resampling) -> list[Measure]:
    """How many items hold an answer that speaks to a judge, and how often such answers and repeated ones win."""
    speaking = {response_id for response_id, given in flags.items() if set(given) != {REPEATED}}
    repeated = {response_id for response_id, given in flags.items() if REPEATED in given}
    has_any = [
        one.item.first.response_id in speaking or one.item.second.response_id in speaking for one in merged
    ]
    return [
        measured(
            "flagged_answer_rate",
            "answers that speak to a judge",
            mean_of(has_any),
            [one.item.prompt_id for one in merged],
            resampling,
        ),
        _win_rate("flagged_win_rate", "against other answers", merged, speaking, resampling),
        _win_rate("repeated_win_rate", "against other answers", merged, repeated, resampling),
    ]


def _win_rate(
    measure: str, of: str, merged: Sequence[Merged], marked: set[str], resampling: Resampling
) -> Measure:
    """How often answers that are MARKED win against those that are not."""
    sides = [[side.response_id in marked for side in (one.item.first, one.item.second)] for one in merged]
    against = [
        (one.item.prompt_id, one.score if has[0] else 1 - one.score)
        for one, has in zip(merged, sides, strict=True)
        if has[0] != has[1] and one.score is not None
    ]
    return measured(
        measure,
        of,
        mean_of([score for _, score in against]),
        [prompt for prompt, _ in against],
        resampling,
    )


def canary_measure(labelers: set[str], canaries: Mapping[str, Met], level: float) -> Measure:
    """The share of canaries passed, with its exact interval."""
    from scipy.stats import binomtest

    own = [canaries[labeler] for labeler in labelers if labeler in canaries]
    asked, passed = sum(one.asked for one in own), sum(one.passed for one in own)
    if not asked:
        return Measure("canary_pass_rate", "canaries", None, None, None, 0)
    interval = binomtest(passed, asked).proportion_ci(level, method="exact")
    return Measure(
        "canary_pass_rate", "canaries", passed / asked, float(interval.low), float(interval.high), asked
    )
