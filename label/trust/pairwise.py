"""How far every two labelers agree, each person by name: the rows of a plot.

The figures are those of `label agree --among A --against B`, over all pairs of policies alike (micro).
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from label.comparing.stored_verdicts import Merged, merge_orders, read_verdicts
from label.measures import Measure, check_statistics, mean_of, measured
from label.trust.verdict_agreement import (
    MICRO,
    AgreementSettings,
    Labelled,
    kappa_of,
    tie_discounted,
    two_groups,
)

if TYPE_CHECKING:
    from store.db import Store


@dataclass(frozen=True, slots=True)
class LabelerPair:
    """Two labelers and how far they say the same."""

    first: str
    second: str
    raw: Measure
    """The share of items on which both say the same."""
    tie_discounted: float
    """The same with half for a tie against a preference."""
    kappa: float | None
    """Cohen's; None where it is not defined."""


def agreement_by_pair(store: "Store", settings: AgreementSettings) -> list[LabelerPair]:
    """Every two labelers that decided on items enough in common, in the order of their names."""
    check_statistics()
    with store.read() as reading:
        labels = merge_orders(read_verdicts(reading))
    by_labeler: dict[str, list[Merged]] = defaultdict(list)
    for one in labels:
        if one.draw_index == 0 and not one.knew_authors:
            by_labeler[one.labeler].append(one)
    found = (
        _agreement(first, second, by_labeler, settings)
        for first, second in combinations(sorted(by_labeler), 2)
    )
    return [one for one in found if one is not None]


def _agreement(
    first: str, second: str, by_labeler: dict[str, list[Merged]], settings: AgreementSettings
) -> LabelerPair | None:
    items = _enough(two_groups(by_labeler[first], by_labeler[second], settings), settings.min_items)
    pairs = [(one.item.prompt_id, *pair) for one in items for pair in one.pairs()]
    if not pairs:
        return None
    prompts = [prompt for prompt, _, _ in pairs]
    one = np.array([label.direction for _, label, _ in pairs], dtype=np.float64)
    other = np.array([label.direction for _, _, label in pairs], dtype=np.float64)
    kappa = kappa_of(one, other)(np.arange(len(pairs)))
    return LabelerPair(
        first,
        second,
        measured("raw", MICRO, mean_of(one == other), prompts, settings.resampling),
        float(tie_discounted(one, other).mean()),
        None if np.isnan(kappa) else kappa,
    )


def _enough(items: Sequence[Labelled], least: int) -> list[Labelled]:
    """The items of pairs of policies that have LEAST of them."""
    sizes = Counter(one.group for one in items)
    return [one for one in items if sizes[one.group] >= least]
