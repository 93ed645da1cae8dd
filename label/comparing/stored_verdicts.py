"""Verdicts on pairs of answers, as rows of the store and as merged from both orders.

A verdict is kept as it was shown. To be compared with others it is set upright: its two sides in one
order that does not depend on who was shown what. Two orders of one labeler merge into one verdict whose
state says how they went together.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from label.comparing.scales import LOGPROB
from store.named_sql import named_sql

if TYPE_CHECKING:
    from store.db import Reading, Store

DECIDED = ("win", "tie", "weak", "conflict")
"""States that carry a verdict; the others say why there is none."""
UNKNOWN_POLICY = "unknown"
SEEN_TEMPLATES_END = "-seen"
"""Votes given after the authors had been shown are made with such a template; they count nowhere."""


@dataclass(frozen=True, slots=True)
class Side:
    """One of two answers; ordered by policy, then by id."""

    policy: str
    """Who wrote it, or `unknown`."""
    response_id: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one labeler said about two answers in the order they were shown."""

    prompt_id: str
    first: Side
    second: Side
    labeler: str
    labeler_kind: str
    template: str
    scale: str
    draw_index: int
    margin: float | None
    """From 1, the first is clearly better, to -1; None where there is no verdict."""
    state: str
    accepts_first: bool | None
    accepts_second: bool | None
    created_at: datetime

    @property
    def item(self) -> "Item":
        """What it is about."""
        return Item(self.prompt_id, *sorted((self.first, self.second), key=_side_key))

    @property
    def is_upright(self) -> bool:
        """Whether the sides stand as in its item."""
        return _side_key(self.first) <= _side_key(self.second)

    @property
    def is_usable(self) -> bool:
        """Whether it carries a verdict."""
        return self.margin is not None and self.state in DECIDED


@dataclass(frozen=True, slots=True)
class Item:
    """Two answers to one prompt, in the order of their policies."""

    prompt_id: str
    first: Side
    second: Side

    @property
    def policies(self) -> tuple[str, str]:
        """Who is compared with whom."""
        return self.first.policy, self.second.policy

    @property
    def is_between_two(self) -> bool:
        """Whether different policies wrote the answers: only then one of them can win."""
        return self.first.policy != self.second.policy


@dataclass(frozen=True, slots=True)
class Merged:
    """What one labeler said about an item, all orders shown taken together."""

    item: Item
    labeler: str
    labeler_kind: str
    template: str
    scale: str
    draw_index: int
    margin: float | None
    """The mean of the orders' signed margins, positive where the item's first side is better."""
    state: str
    """`win`, `weak` (one order ties), `tie`, `conflict` (the orders disagree), or why there is no verdict."""
    n_orders: int
    accepts_first: bool | None
    accepts_second: bool | None
    created_at: datetime

    @property
    def knew_authors(self) -> bool:
        """Whether it is a person's second vote, given after the authors had been shown."""
        return self.template.endswith(SEEN_TEMPLATES_END)

    @property
    def direction(self) -> int | None:
        """1 if the first side is better, -1 if the second, 0 for a tie or a conflict."""
        if self.margin is None:
            return None
        return 0 if self.state in ("tie", "conflict") else sign(self.margin)

    @property
    def score(self) -> float | None:
        """What the first side gets of the point: a tie and a conflict are half of it.

        Of probabilities it is the mean over the orders, as in AlpacaEval 2.
        """
        if self.direction is None or self.margin is None:
            return None
        return (1 + (self.margin if self.scale == LOGPROB.name else self.direction)) / 2


def _side_key(side: Side) -> tuple[str, str]:
    return side.policy, side.response_id


def sign(value: float) -> int:
    """1, 0 or -1."""
    return (value > 0) - (value < 0)


def set_upright(verdict: Verdict) -> Verdict:
    """The same verdict with its sides as in its item."""
    if verdict.is_upright:
        return verdict
    return replace(
        verdict,
        first=verdict.second,
        second=verdict.first,
        margin=None if verdict.margin is None else 0.0 - verdict.margin,
        accepts_first=verdict.accepts_second,
        accepts_second=verdict.accepts_first,
    )


def merge_orders(verdicts: Iterable[Verdict]) -> list[Merged]:
    """One merged verdict for each item, labeler, template, scale and draw, in order of time."""
    groups: dict[tuple[object, ...], list[Verdict]] = defaultdict(list)
    for one in verdicts:
        groups[one.item, one.labeler, one.template, one.scale, one.draw_index].append(one)
    return sorted(map(_merge, groups.values()), key=lambda one: (one.created_at, one.labeler))


def _merge(orders: Sequence[Verdict]) -> Merged:
    upright = [set_upright(one) for one in orders]
    head = upright[0]
    state = merged_state(upright)
    margins = [one.margin for one in upright if one.margin is not None]
    return Merged(
        item=head.item,
        labeler=head.labeler,
        labeler_kind=head.labeler_kind,
        template=head.template,
        scale=head.scale,
        draw_index=head.draw_index,
        margin=sum(margins) / len(margins) if margins and state in DECIDED else None,
        state=state,
        n_orders=len(upright),
        accepts_first=head.accepts_first,
        accepts_second=head.accepts_second,
        created_at=max(one.created_at for one in upright),
    )


def merged_state(upright: Sequence[Verdict]) -> str:
    """The state of all orders together; one order without a verdict leaves none, and says why."""
    failed = [one.state for one in upright if not one.is_usable]
    if failed:
        return min(failed)
    signs = {sign(one.margin) for one in upright if one.margin is not None}
    if {1, -1} <= signs:
        return "conflict"
    if signs == {0}:
        return "tie"
    return "weak" if 0 in signs else "win"


def load_verdicts(store: "Store") -> list[Verdict]:
    """Every verdict in force, whoever gave it; what was taken back is left out."""
    with store.read() as reading:
        return read_verdicts(reading)


def read_verdicts(reading: "Reading") -> list[Verdict]:
    """The same, inside a turn."""
    rows = reading.rows(named_sql("label", "agree_verdicts"))
    return [_verdict_of(*row) for row in rows]


def _verdict_of(
    prompt_id: str,
    first_id: str,
    second_id: str,
    first_policy: str | None,
    second_policy: str | None,
    *rest: object,
) -> Verdict:
    first = Side(first_policy or UNKNOWN_POLICY, first_id)
    second = Side(second_policy or UNKNOWN_POLICY, second_id)
    return Verdict(prompt_id, first, second, *rest)  # type: ignore[arg-type]  # the columns are the fields
