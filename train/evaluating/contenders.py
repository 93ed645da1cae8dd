"""Who says which of two answers is better: a reward model, a preference model, or a judge that is prompted.

All are asked about the same items and answer in the same form, so that they can stand side by side.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from label.exchange import Exchange
from label.preference_model import Contest, PreferenceModel
from label.reward_model import RewardModel
from train.evaluating.gold_items import GoldItem

if TYPE_CHECKING:
    from store.runs import Run

Advance = Callable[[int], None]
"""Is told of items that are done."""

Kind = Literal["reward_model", "preference_model", "judge"]
Outcome = NDArray[np.float64]
"""Of one item, a row for each chosen and a column for each rejected answer: 1 where the chosen one wins, 0 where
it loses, a half for a tie, NaN where there is no verdict."""

WINDOW = 500
"""Items asked about together."""


@dataclass(frozen=True, slots=True)
class Verdicts:
    """What one contender said of every item."""

    name: str
    kind: Kind
    revision: str
    outcomes: tuple[Outcome, ...]
    n_truncated: int = 0
    """Answers that it read only a part of."""
    cost_usd: float = 0.0


class Contender(Protocol):
    """One of those who are asked."""

    @property
    def name(self) -> str:
        """What it is called in the report."""

    @property
    def revision(self) -> str:
        """Which one of that name."""

    def decide(self, items: Sequence[GoldItem], run: "Run", advance: Advance) -> Verdicts:
        """Its verdict on every item; what costs money goes into the journal of RUN."""


@dataclass(frozen=True, slots=True)
class RewardContender:
    """A reward model: the answer with the higher number wins."""

    model: RewardModel
    tie: float
    """Numbers that differ by less are a tie."""

    @property
    def name(self) -> str:
        """The reward model's."""
        return self.model.name

    @property
    def revision(self) -> str:
        """The reward model's."""
        return self.model.revision

    def decide(self, items: Sequence[GoldItem], run: "Run", advance: Advance) -> Verdicts:
        """Every answer is scored once."""
        outcomes: list[Outcome] = []
        n_truncated = 0
        for window in _windows(items):
            exchanges = list(
                dict.fromkeys(
                    Exchange(item.prompt, text) for item in window for text in (*item.chosen, *item.rejected)
                )
            )
            values: dict[Exchange, float] = {}
            for place, reward in self.model.score(exchanges):
                values[exchanges[place]] = float("nan") if reward.value is None else reward.value
                n_truncated += reward.is_truncated
            for item in window:
                better, worse = (
                    np.array([values[Exchange(item.prompt, text)] for text in texts])
                    for texts in (item.chosen, item.rejected)
                )
                outcomes.append(outcome_of(better[:, None] - worse[None, :], self.tie))
            advance(len(window))
        return Verdicts(self.name, "reward_model", self.revision, tuple(outcomes), n_truncated)


@dataclass(frozen=True, slots=True)
class PreferenceContender:
    """A preference model: the answer it finds more probable wins, the mean of both orders."""

    model: PreferenceModel
    tie: float
    """Probabilities that differ by less are a tie."""

    @property
    def name(self) -> str:
        """The preference model's."""
        return self.model.name

    @property
    def revision(self) -> str:
        """The preference model's."""
        return self.model.revision

    def decide(self, items: Sequence[GoldItem], run: "Run", advance: Advance) -> Verdicts:
        """Every two answers are weighed in both orders."""
        outcomes: list[Outcome] = []
        for window in _windows(items):
            asked = [contest for item in window for contest in contests_of(item)]
            unique = list(dict.fromkeys(order for one in asked for order in (one, one.swapped())))
            firsts: dict[Contest, float] = {}
            for place, odds in self.model.weigh(unique):
                firsts[unique[place]] = float("nan") if odds.first is None else odds.first
            for item in window:
                margins = [
                    firsts[one] - firsts[one.swapped()] for one in contests_of(item)
                ]  # (P - (1 - P')) of the mean (P + 1 - P') / 2
                outcomes.append(outcome_of(in_shape(item, margins), self.tie))
            advance(len(window))
        return Verdicts(self.name, "preference_model", self.revision, tuple(outcomes))


def contests_of(item: GoldItem) -> list[Contest]:
    """Every chosen answer against every rejected one, row by row."""
    return [Contest(item.prompt, better, worse) for better in item.chosen for worse in item.rejected]


def in_shape(item: GoldItem, values: Sequence[float]) -> Outcome:
    """Values of an item's contests as a matrix."""
    return np.array(values, dtype=np.float64).reshape(len(item.chosen), len(item.rejected))


def outcome_of(margins: Outcome, tie: float) -> Outcome:
    """1, 0 or a half for each margin of the chosen answer; NaN stays."""
    found = np.where(margins > 0, 1.0, 0.0)
    found[np.abs(margins) < tie] = 0.5
    found[margins == 0] = 0.5
    found[np.isnan(margins)] = np.nan
    return found


def _windows(items: Sequence[GoldItem]) -> Iterator[Sequence[GoldItem]]:
    for start in range(0, len(items), WINDOW):
        yield items[start : start + WINDOW]
