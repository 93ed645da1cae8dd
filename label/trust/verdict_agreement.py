"""How far labelers agree: people with one another, judges with people, stored labels with either.

Verdicts come merged over the orders shown and upright, so that equal numbers mean equal verdicts. Where
an item has more labels than are asked for, the first by time count (Camels, appendix G.2). The kappas
are statsmodels', Krippendorff's alpha is evalica's (Krippendorff, Content Analysis, chapter 12).
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations, product
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from label.comparing.stored_verdicts import Item, Merged
from label.measures import Measure, Resampling, Rows, Statistic, macro_of, mean_of, measured, quietly

Weights = Literal["linear", "quadratic"]
Labels = NDArray[np.float64]

SLOW_RESAMPLES = 200
"""Alpha costs milliseconds a draw; its interval needs fewer draws."""

MICRO, MACRO = "micro", "macro"


@dataclass(frozen=True, slots=True)
class AgreementSettings:
    """What a user may ask of an agreement report."""

    first: int = 2
    """How many labels of an item count, by time; items with fewer are left out."""
    min_items: int = 10
    """Pairs of policies with fewer items are left out."""
    between: tuple[tuple[str, str], ...] = ()
    """Only these pairs of policies; all if empty."""
    resampling: Resampling = field(default_factory=Resampling)


@dataclass(frozen=True, slots=True)
class Labelled:
    """An item with the labels that count."""

    item: Item
    labels: tuple[Merged, ...]
    second_labels: tuple[Merged, ...] = ()
    """The other group's, where two groups are compared."""

    @property
    def group(self) -> str:
        """The pair of policies."""
        return pair_name(self.item.policies)

    def pairs(self) -> "Iterable[tuple[Merged, Merged]]":
        """Every two labels that are compared."""
        if self.second_labels:
            return product(self.labels, self.second_labels)
        return combinations(self.labels, 2)


@dataclass(frozen=True, slots=True)
class Agreement:
    """What came of it."""

    measures: list[Measure]
    left_out: dict[str, int]
    """Pairs of policies with too few items, and how many they have."""
    n_items: int
    """Items with labels enough, those left out not counted."""


def pair_name(policies: tuple[str, str]) -> str:
    """A pair of policies as reports show it."""
    return " : ".join(policies)


def one_group(labels: Iterable[Merged], settings: AgreementSettings) -> list[Labelled]:
    """The items with enough labels, each with its first ones."""
    return [
        Labelled(item, tuple(found[: settings.first]))
        for item, found in _by_item(labels, settings).items()
        if len(found) >= settings.first
    ]


def two_groups(
    first: Iterable[Merged], second: Iterable[Merged], settings: AgreementSettings
) -> list[Labelled]:
    """The items with labels of both groups, up to as many of each as are asked for."""
    seconds = _by_item(second, settings)
    return [
        Labelled(item, tuple(found[: settings.first]), tuple(seconds[item][: settings.first]))
        for item, found in _by_item(first, settings).items()
        if item in seconds
    ]


def _by_item(labels: Iterable[Merged], settings: AgreementSettings) -> dict[Item, list[Merged]]:
    """Usable labels by item, in order of time; one of each labeler and draw."""
    wanted = {frozenset(pair) for pair in settings.between}
    found: dict[Item, dict[tuple[str, int], Merged]] = defaultdict(dict)
    for one in sorted(labels, key=lambda label: (label.created_at, label.labeler, label.draw_index)):
        if one.direction is None or (wanted and frozenset(one.item.policies) not in wanted):
            continue
        found[one.item].setdefault((one.labeler, one.draw_index), one)
    return {item: list(by_voice.values()) for item, by_voice in found.items()}


def agreement_of(items: Sequence[Labelled], settings: AgreementSettings) -> Agreement:
    """Every measure on ITEMS, pair of policies by pair, and micro and macro over the pairs."""
    sizes = Counter(one.group for one in items)
    left_out = {name: size for name, size in sizes.items() if size < settings.min_items}
    kept = [one for one in items if one.group not in left_out]
    measures = [
        *_pairwise_measures(kept, settings.resampling),
        *_acceptance_measures(kept, settings.resampling),
        *_overall_measures(kept, settings.resampling),
    ]
    return Agreement(measures, left_out, len(kept))


def _pairwise_measures(items: Sequence[Labelled], resampling: Resampling) -> list[Measure]:
    pairs = [(one, *pair) for one in items for pair in one.pairs()]
    if not pairs:
        return []
    groups = [one.group for one, _, _ in pairs]
    prompts = [one.item.prompt_id for one, _, _ in pairs]
    first = np.array([label.direction for _, label, _ in pairs], dtype=np.float64)
    second = np.array([label.direction for _, _, label in pairs], dtype=np.float64)
    statistics: dict[str, Statistic] = {
        "raw": mean_of(first == second),
        "tie_discounted": mean_of(tie_discounted(first, second)),
        "cohen_kappa": kappa_of(first, second),
        "cohen_kappa_linear": kappa_of(first, second, "linear"),
    }
    if len({label.scale for _, *both in pairs for label in both}) == 1:
        step, other = (np.array([label.margin or 0.0 for label in side]) for side in _sides(pairs))
        statistics["strict"] = mean_of(np.isclose(step, other))
        statistics["strength_kappa_quadratic"] = kappa_of(step, other, "quadratic")
    return _by_group(statistics, groups, prompts, resampling)


def _sides(pairs: Sequence[tuple[Labelled, Merged, Merged]]) -> list[list[Merged]]:
    return [[first for _, first, _ in pairs], [second for _, _, second in pairs]]


def _by_group(
    statistics: dict[str, Statistic], groups: Sequence[str], prompts: Sequence[str], resampling: Resampling
) -> list[Measure]:
    """Every statistic on each group, on all rows (micro) and as the mean of the groups (macro)."""
    found: list[Measure] = []
    places = {name: [i for i, group in enumerate(groups) if group == name] for name in sorted(set(groups))}
    for measure, statistic in statistics.items():
        for name, rows in places.items():
            part = _on(statistic, np.array(rows))
            found.append(measured(measure, name, part, [prompts[i] for i in rows], resampling))
        macro = macro_of(statistic, groups)
        found.append(measured(measure, MACRO, macro, prompts, resampling))
        found.append(measured(measure, MICRO, statistic, prompts, resampling))
    return found


def _on(statistic: Statistic, rows: Rows) -> Statistic:
    return lambda chosen: statistic(rows[chosen])


def tie_discounted(first: Labels, second: Labels) -> Labels:
    """1 for equal directions, 0.5 where exactly one is a tie, else 0 (Camels, appendix G.2)."""
    return np.where(first == second, 1.0, np.where((first == 0) | (second == 0), 0.5, 0.0))


def kappa_of(first: Labels, second: Labels, weights: Weights | None = None) -> Statistic:
    """Cohen's kappa of two columns of labels; weighted by distance in rank if WEIGHTS says how."""
    from statsmodels.stats.inter_rater import cohens_kappa

    values = np.unique(np.concatenate([first, second]))
    cells = np.searchsorted(values, first) * len(values) + np.searchsorted(values, second)

    def kappa(rows: Rows) -> float:
        if len(values) < 2:
            return float("nan")
        table = np.bincount(cells[rows], minlength=len(values) ** 2).reshape(len(values), -1)
        return quietly(lambda: cohens_kappa(table, wt=weights, return_results=False))

    return kappa


def _acceptance_measures(items: Sequence[Labelled], resampling: Resampling) -> list[Measure]:
    """Whether two people find the same answers acceptable; one row an answer and pair of labels."""
    rows = [
        (one.group, one.item.prompt_id, first, second)
        for one in items
        for pair in one.pairs()
        for first, second in zip(*map(_acceptances, pair), strict=True)
        if first is not None and second is not None
    ]
    if not rows:
        return []
    first, second = (np.array([row[side] for row in rows], dtype=np.float64) for side in (2, 3))
    statistics = {"acceptance": mean_of(first == second), "acceptance_kappa": kappa_of(first, second)}
    return _by_group(statistics, [row[0] for row in rows], [row[1] for row in rows], resampling)


def _acceptances(label: Merged) -> tuple[bool | None, bool | None]:
    return label.accepts_first, label.accepts_second


def _overall_measures(items: Sequence[Labelled], resampling: Resampling) -> list[Measure]:
    """Measures for any number of labelers, on all items."""
    if not items:
        return []
    prompts = [one.item.prompt_id for one in items]
    labels = [[label.direction or 0 for label in (*one.labels, *one.second_labels)] for one in items]
    statistics: dict[str, Statistic] = {}
    if len({len(row) for row in labels}) == 1:
        statistics["fleiss_kappa"] = fleiss_of(np.array(labels, dtype=np.float64))
    statistics["krippendorff_alpha"] = alpha_of(_matrix(items, _direction), "nominal")
    statistics["krippendorff_alpha_ordinal"] = alpha_of(_matrix(items, _margin), "ordinal")
    if any(len(row) > 2 for row in labels):
        statistics["leave_one_out_mode"] = mean_of([leave_one_out(row) for row in labels])
    fewer = replace(resampling, resamples=min(resampling.resamples, SLOW_RESAMPLES))
    return [measured(name, MICRO, statistic, prompts, fewer) for name, statistic in statistics.items()]


def _direction(label: Merged) -> float:
    return float(label.direction or 0)


def _margin(label: Merged) -> float:
    return label.margin or 0.0


def _matrix(items: Sequence[Labelled], value: Callable[[Merged], float]) -> Labels:
    """Labels by labeler (row) and item (column), NaN where there is none."""
    voices = sorted({_voice(label) for one in items for label in (*one.labels, *one.second_labels)})
    numbers = {voice: row for row, voice in enumerate(voices)}
    matrix = np.full((len(voices), len(items)), np.nan)
    for column, one in enumerate(items):
        for label in (*one.labels, *one.second_labels):
            matrix[numbers[_voice(label)], column] = value(label)
    return matrix


def _voice(label: Merged) -> tuple[str, int]:
    return label.labeler, label.draw_index


def fleiss_of(labels: Labels) -> Statistic:
    """Fleiss' kappa of labels by item (row) and place (column)."""
    from statsmodels.stats.inter_rater import fleiss_kappa

    values = np.unique(labels)
    table = np.stack([(labels == value).sum(axis=1) for value in values], axis=1)

    def fleiss(rows: Rows) -> float:
        return quietly(lambda: fleiss_kappa(table[rows])) if len(values) > 1 else float("nan")

    return fleiss


def alpha_of(matrix: Labels, distance: Literal["nominal", "ordinal", "interval"]) -> Statistic:
    """Krippendorff's alpha of labels by labeler (row) and item (column), NaN where there is none."""
    import evalica
    import pandas as pd

    def alpha(rows: Rows) -> float:
        drawn = matrix[:, rows]
        if len(np.unique(drawn[~np.isnan(drawn)])) < 2:
            return float("nan")
        return quietly(lambda: evalica.alpha(pd.DataFrame(drawn), distance).alpha)

    return alpha


def leave_one_out(labels: Sequence[int]) -> float:
    """How often a label equals the mode of the others; where several are the mode, the chance of it.

    The measure of AlpacaFarm (arXiv 2305.14387, section 4); NaN for fewer than three labels.
    """
    if len(labels) < 3:
        return float("nan")
    return float(np.mean([_is_mode_of_others(labels, place) for place in range(len(labels))]))


def _is_mode_of_others(labels: Sequence[int], place: int) -> float:
    counts = Counter(label for other, label in enumerate(labels) if other != place)
    most = max(counts.values())
    modes = [label for label, count in counts.items() if count == most]
    return (labels[place] in modes) / len(modes)


def rates_of(labels: Iterable[Merged], settings: AgreementSettings) -> list[Measure]:
    """Acceptance and five-way preference of each pair of policies (Camels, figures 3 and 4).

    The first label of each item counts.
    """
    firsts = [found[0] for found in _by_item(labels, settings).values()]
    groups: dict[tuple[str, str], list[Merged]] = defaultdict(list)
    for one in firsts:
        if one.item.is_between_two:
            groups[one.item.policies].append(one)
    found: list[Measure] = []
    for policies, group in sorted(groups.items()):
        found += _acceptance_rates(policies, group, settings.resampling)
        found += _preference_rates(policies, group, settings.resampling)
    return found


def _acceptance_rates(
    policies: tuple[str, str], labels: Sequence[Merged], resampling: Resampling
) -> list[Measure]:
    if all(_acceptances(one) == (None, None) for one in labels):
        return []
    prompts = [one.item.prompt_id for one in labels]
    return [
        measured(
            f"acceptance_rate {policy}",
            pair_name(policies),
            mean_of([np.nan if (given := _acceptances(one)[side]) is None else given for one in labels]),
            prompts,
            resampling,
        )
        for side, policy in enumerate(policies)
    ]


def _preference_rates(
    policies: tuple[str, str], labels: Sequence[Merged], resampling: Resampling
) -> list[Measure]:
    words = [_words(one, policies) for one in labels]
    prompts = [one.item.prompt_id for one in labels]
    return [
        measured(
            f"preference {choice}",
            pair_name(policies),
            mean_of([word == choice for word in words]),
            prompts,
            resampling,
        )
        for choice in _choices(policies)
    ]


CLEARLY = 0.75
"""A margin beyond this is a clear preference on a five-way scale of 1, 0.5, 0, -0.5, -1."""


def _choices(policies: tuple[str, str]) -> list[str]:
    first, second = policies
    return [f"{first} clearly", f"{first} slightly", "tie", f"{second} slightly", f"{second} clearly"]


def _words(label: Merged, policies: tuple[str, str]) -> str:
    direction = label.direction or 0
    clear, slight, tie, other_slight, other_clear = _choices(policies)
    if direction == 0:
        return tie
    is_clear = abs(label.margin or 0.0) > CLEARLY
    if direction > 0:
        return clear if is_clear else slight
    return other_clear if is_clear else other_slight
