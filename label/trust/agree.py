"""`label agree` and `label win-rates`: whose labels are compared, and the report on them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import TYPE_CHECKING

from label.comparing.stored_verdicts import Item, Merged, merge_orders, read_verdicts, sign
from label.measures import Measure, Resampling, check_statistics
from label.ranking.order import TIE
from label.trust.rating_agreement import Score, pearson_over_models, rating_agreement, read_scores
from label.trust.reward_agreement import read_rewards, reward_agreement, reward_models
from label.trust.verdict_agreement import (
    AgreementSettings,
    Labelled,
    agreement_of,
    one_group,
    rates_of,
    two_groups,
)
from label.trust.win_rates import policy_rates, rankings, read_lengths, win_rates
from store.errors import RequestError, UnknownName
from store.named_sql import named_sql

if TYPE_CHECKING:
    from store.db import Reading, Store

KINDS = {
    "people": "person",
    "judges": "judge",
    "reward-models": "reward_model",
    "preference-models": "preference_model",
}
"""Words for all labelers of one kind."""
EVERYONE = "all"
FROM_RATINGS = " (ratings)"
"""Added to the name of a labeler whose verdict is the difference of two ratings."""


@dataclass(frozen=True, slots=True)
class AgreeSettings:
    """What a user may ask of `label agree`."""

    among: tuple[str, ...] = ("people",)
    """Labelers, or words for all of a kind: `people`, `judges`, `reward-models`, `all`."""
    against: tuple[str, ...] = ()
    """Another group that the first is compared with; empty compares the first with itself."""
    scale: str | None = None
    """Only verdicts on this scale."""
    has_ratings: bool = False
    """Whether labelers that rated both answers count with the difference as their verdict."""
    has_draws: bool = False
    """Whether several draws of one judge count as several labelers; else the first counts."""
    agreement: AgreementSettings = field(default_factory=AgreementSettings)


@dataclass(frozen=True, slots=True)
class AgreeReport:
    """What came of it."""

    measures: list[Measure]
    left_out: dict[str, int]
    """Pairs of policies with too few items, and how many they have."""
    verdicts: int
    """Verdicts in force of the labelers asked about."""
    replaced: int
    """Verdicts of theirs that a later one of the same labeler on the same answers replaced."""
    labelers: tuple[str, ...]
    n_items: int
    """Items with labels enough to be compared."""


def agree(store: "Store", settings: AgreeSettings) -> AgreeReport:
    """How far labelers agree.

    Raises UnknownName for a labeler that is not there, RequestError if there is nothing to compare.
    """
    check_statistics()
    with store.read() as reading:
        labels = merge_orders(read_verdicts(reading))
        scores = read_scores(reading)
        models = reward_models(reading)
        rewards = _chosen_rewards(reading, models, (*settings.among, *settings.against))
        replaced = dict(reading.rows(named_sql("label", "agree_replaced")))
    labels = [one for one in labels if settings.scale in (None, one.scale)]
    labels += from_rewards(rewards, {one.item for one in labels})
    if settings.has_ratings:
        labels += from_ratings(scores, {one.item for one in labels})
    names = {one.labeler for one in labels} | {one.labeler for one in scores} | set(models)
    first = chosen(labels, settings.among, names, has_draws=settings.has_draws)
    second = chosen(labels, settings.against, names, has_draws=settings.has_draws)
    items = _items(first, second, settings)
    rated = [one for one in scores if is_chosen(one, (*settings.among, *settings.against))]
    found = agreement_of(items, settings.agreement)
    resampling = settings.agreement.resampling
    measures = [
        *found.measures,
        *rates_of([*first, *second], settings.agreement),
        *between_judges([*first, *second]),
        *rating_agreement(rated, resampling),
        *reward_agreement(rewards, rated, resampling),
    ]
    if not measures:
        raise RequestError(
            "nothing to compare: no item has labels enough of these labelers; see whose labels there are"
            " with: curate sql 'SELECT labeler, count(*) FROM comparisons GROUP BY ALL'"
        )
    labelers = tuple(sorted({one.labeler for one in (*first, *second)}))
    n_replaced = sum(replaced.get(labeler, 0) for labeler in labelers)
    return AgreeReport(
        measures, found.left_out, len(first) + len(second), n_replaced, labelers, found.n_items
    )


def _items(first: list[Merged], second: list[Merged], settings: AgreeSettings) -> list[Labelled]:
    if settings.against:
        return two_groups(first, second, settings.agreement)
    return one_group(first, settings.agreement)


def chosen(
    labels: Iterable[Merged], words: Sequence[str], names: set[str], *, has_draws: bool
) -> list[Merged]:
    """The labels of the labelers that WORDS name.

    Raises UnknownName for a word that is neither one of NAMES nor a word for a kind.
    """
    check_words(words, names)
    return [
        one
        for one in labels
        if is_chosen(one, words) and (has_draws or one.draw_index == 0) and not one.knew_authors
    ]


def check_words(words: Sequence[str], names: set[str]) -> None:
    """Raises UnknownName for a word that is neither one of NAMES nor a word for a kind."""
    for word in words:
        if word not in names and word not in KINDS and word != EVERYONE:
            raise UnknownName.of("labeler", word, [*names, *KINDS, EVERYONE])


def is_chosen(one: Merged | Score, words: Sequence[str]) -> bool:
    """Whether WORDS name its labeler."""
    return any(word in (EVERYONE, one.labeler) or KINDS.get(word) == one.labeler_kind for word in words)


def named_only(words: Sequence[str]) -> list[str] | None:
    """The labelers that WORDS name, where none of them is a word for a kind: only their labels are read then."""
    return None if any(word == EVERYONE or word in KINDS for word in words) else list(words)


def named_models(models: Sequence[str], words: Sequence[str]) -> list[str]:
    """The reward models that WORDS name."""
    has_all = any(word == EVERYONE or KINDS.get(word) == "reward_model" for word in words)
    return [model for model in models if has_all or model in words]


def _chosen_rewards(reading: "Reading", models: Sequence[str], words: Sequence[str]) -> list[Score]:
    """The rewards of the models that WORDS name; nothing is read where they name none."""
    named = named_models(models, words)
    return [one for one in read_rewards(reading) if one.labeler in named] if named else []


def from_ratings(scores: Iterable[Score], items: Iterable[Item]) -> list[Merged]:
    """Verdicts on ITEMS by those who rated both answers: the better rated one wins, equal ratings tie."""
    return _from_scores(scores, items, FROM_RATINGS, 0.0)


def from_rewards(rewards: Iterable[Score], items: Iterable[Item]) -> list[Merged]:
    """The same for rewards; those closer than the noise of a batch tie."""
    return _from_scores(rewards, items, "", TIE)


def _from_scores(scores: Iterable[Score], items: Iterable[Item], suffix: str, tie: float) -> list[Merged]:
    given: dict[tuple[str, str, str], dict[str, list[float]]] = {}
    kinds: dict[str, str] = {}
    for one in scores:
        key = (one.labeler, one.scale, one.aspect)
        given.setdefault(key, {}).setdefault(one.response_id, []).append(one.value)
        kinds[one.labeler] = one.labeler_kind
    return [
        _from_values(item, key, kinds[key[0]], suffix, _margin(item, values, tie))
        for key, values in given.items()
        for item in items
        if item.first.response_id in values and item.second.response_id in values
    ]


def _margin(item: Item, values: dict[str, list[float]], tie: float) -> float:
    first, second = (values[side.response_id] for side in (item.first, item.second))
    difference = sum(first) / len(first) - sum(second) / len(second)
    return float(sign(difference)) if abs(difference) > tie else 0.0


def _from_values(item: Item, key: tuple[str, str, str], kind: str, suffix: str, margin: float) -> Merged:
    from datetime import datetime

    labeler, scale, aspect = key
    return Merged(
        item=item,
        labeler=labeler + suffix,
        labeler_kind=kind,
        template=aspect,
        scale=scale,
        draw_index=0,
        margin=margin,
        state="win" if margin else "tie",
        n_orders=1,
        accepts_first=None,
        accepts_second=None,
        created_at=datetime.max,
    )


def between_judges(labels: Sequence[Merged]) -> list[Measure]:
    """Pearson between labelers over the win rates they give to policies; people count as one labeler."""
    rates: dict[str, dict[str, float]] = {}
    for name in sorted({voice_of(one) for one in labels}):
        rates[name] = policy_rates([one for one in labels if voice_of(one) == name])
    return [
        pearson_over_models(rates[first], rates[second], f"{first} : {second}, win rates")
        for first, second in combinations(rates, 2)
    ]


def voice_of(one: Merged | Score) -> str:
    """Whose figures a verdict belongs to: people speak together, every other labeler for itself."""
    return "people" if one.labeler_kind == KINDS["people"] else one.labeler


@dataclass(frozen=True, slots=True)
class WinRateReport:
    """Win rates by whose verdicts they rest on."""

    measures: dict[str, list[Measure]]


def win_rate_report(
    store: "Store", words: Sequence[str], resampling: Resampling, scale: str | None = None
) -> WinRateReport:
    """Win rates and rankings, for people together and for every other labeler by itself.

    Raises UnknownName for a labeler that is not there, RequestError if nobody compared anything.
    """
    check_statistics()
    with store.read() as reading:
        labels = [one for one in merge_orders(read_verdicts(reading)) if scale in (None, one.scale)]
        wanted = chosen(labels, words, {one.labeler for one in labels}, has_draws=True)
        if not wanted:
            raise RequestError("nobody compared anything yet; compare answers with: label compare, or review")
        lengths = read_lengths(reading, sorted({one.labeler for one in wanted}))
    return WinRateReport(
        {
            name: [
                *win_rates(own, lengths, resampling),
                *rankings(own, replace(resampling, resamples=min(resampling.resamples, RANKED_RESAMPLES))),
            ]
            for name in sorted({voice_of(one) for one in wanted})
            if (own := [one for one in wanted if voice_of(one) == name])
        }
    )


RANKED_RESAMPLES = 200
"""A ranking of all policies costs about a millisecond a draw; its intervals need fewer draws."""
