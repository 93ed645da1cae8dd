"""`label bias`: the bias report on stored verdicts, kept with a run, and its gates."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING

from label.comparing.stored_verdicts import Merged, Verdict, merge_orders, read_verdicts
from label.measures import Resampling, check_statistics
from label.trust.agree import check_words, is_chosen, named_models, named_only, voice_of
from label.trust.bias import BiasReport, bias_of
from label.trust.flagged import (
    Flags,
    Met,
    canary_measure,
    flag_measures,
    flagged_among,
    read_canaries,
    read_flags,
)
from label.trust.rating_agreement import Score, raters, read_scores
from label.trust.rating_length import PromptLength, heatmap_of, length_measures, prompt_lengths
from label.trust.reward_agreement import read_reward_lengths, reward_models
from label.trust.win_rates import Lengths, read_lengths
from store.errors import CheckFailed, RequestError

if TYPE_CHECKING:
    from store.db import Reading, Store


@dataclass(frozen=True, slots=True)
class BiasSettings:
    """What a user may ask of `label bias`."""

    by: tuple[str, ...] = ("judges",)
    """Labelers, or words for all of a kind."""
    scale: str | None = None
    """Only verdicts on this scale."""
    max_flip_rate: float | None = None
    """Fail where a labeler contradicts itself more often when the order is turned."""
    max_unparsed: float | None = None
    """Fail where a larger share of the verdicts could not be read."""
    min_canaries: float | None = None
    """Fail where a smaller share of the canaries was passed."""
    resampling: Resampling = field(default_factory=Resampling)


def bias_report(store: "Store", settings: BiasSettings) -> list[BiasReport]:
    """One report for each labeler asked about, stored with a run unless the store is looked at in the past.

    Raises UnknownName for a labeler that is not there, RequestError if it compared nothing.
    """
    from store.runs import run_of

    check_statistics()
    reports = _reports(store, settings)
    if store.at is not None:
        return reports
    with run_of(store, "label bias", asdict(settings)) as run:
        run.finish({report.labeler: report.as_json() for report in reports})
    return reports


def _reports(store: "Store", settings: BiasSettings) -> list[BiasReport]:
    with store.read() as reading:
        labels = read_labels(reading, settings)
    return reports_of(labels, settings)


def read_reports(reading: "Reading", settings: BiasSettings) -> list[BiasReport]:
    """The reports, inside a turn; a command that has just compared calls this at its end."""
    return reports_of(read_labels(reading, settings), settings)


def read_labels(reading: "Reading", settings: BiasSettings) -> "Labels":
    """All that the reports rest on, so that they can be made after the turn."""
    verdicts = [one for one in read_verdicts(reading) if settings.scale in (None, one.scale)]
    named = named_only(settings.by)
    scores = read_scores(reading, named)
    lengths = read_lengths(reading, named)
    flags, canaries = read_flags(reading, lengths, named), read_canaries(reading)
    models = reward_models(reading)
    rewards = read_reward_lengths(reading, named_models(models, settings.by))
    known = frozenset({*models, *raters(reading)})
    return Labels(verdicts, merge_orders(verdicts), scores, lengths, flags, canaries, rewards, known)


def reports_of(labels: "Labels", settings: BiasSettings) -> list[BiasReport]:
    """One report for each labeler asked about.

    Raises UnknownName for a labeler that is not there, RequestError if it compared nothing.
    """
    found = voices(labels, settings.by, labels.known)
    if not found:
        raise RequestError(f"no labels by {', '.join(settings.by)}; compare answers with: label compare")
    return [_report(name, labelers, labels, settings) for name, labelers in sorted(found.items())]


@dataclass(frozen=True, slots=True)
class Labels:
    """Everything a report may need, of all labelers."""

    verdicts: Sequence[Verdict]
    merged: Sequence[Merged]
    scores: Sequence[Score]
    lengths: Lengths
    flags: Flags
    canaries: Mapping[str, Met]
    rewards: Mapping[str, Sequence[PromptLength]]
    """Reward model → its prompts, of those asked about."""
    known: Set[str] = frozenset()
    """Labelers that gave any number, whether asked about or not."""


def voices(labels: Labels, words: Sequence[str], known: Set[str] = frozenset()) -> dict[str, set[str]]:
    """Whose labels are reported together: people as one, unless one of them is named.

    Raises UnknownName for a word that names nobody.
    """
    everyone: list[Merged | Score] = [*labels.merged, *labels.scores]
    check_words(words, {one.labeler for one in everyone} | known)
    found: dict[str, set[str]] = {model: {model} for model in labels.rewards}
    for one in everyone:
        if is_chosen(one, words):
            name = one.labeler if one.labeler in words else voice_of(one)
            found.setdefault(name, set()).add(one.labeler)
    return found


def _report(name: str, labelers: set[str], labels: Labels, settings: BiasSettings) -> BiasReport:
    own = [one for one in labels.verdicts if one.labeler in labelers]
    others = [one for one in labels.merged if one.labeler not in labelers]
    report = bias_of(name, own, labels.lengths, settings.resampling, others)
    scores = [one for one in labels.scores if one.labeler in labelers]
    prompts = labels.rewards.get(name) or prompt_lengths(scores, labels.lengths)
    what = "reward_length_r" if name in labels.rewards else "rating_length_r"
    judged = {side.response_id for one in own for side in (one.first, one.second)}
    return replace(
        report,
        measures=[
            *report.measures,
            *flag_measures(merge_orders(own), labels.flags, settings.resampling),
            canary_measure(labelers, labels.canaries, settings.resampling.level),
            *(length_measures(prompts, settings.resampling, what) if prompts else ()),
        ],
        heatmap=heatmap_of(name, prompts) if prompts else None,
        flagged=tuple(flagged_among(judged | {one.response_id for one in scores}, labels.flags)),
    )


def check_gates(reports: Sequence[BiasReport], settings: BiasSettings) -> None:
    """Raises CheckFailed, naming every labeler and figure that passes a bound."""
    faults = [
        *_above(reports, "flip_rate", settings.max_flip_rate, "--max-flip-rate"),
        *_above(reports, "unparsed_rate", settings.max_unparsed, "--max-unparsed"),
    ]
    faults += _below(reports, "canary_pass_rate", settings.min_canaries, "--min-canaries")
    if faults:
        raise CheckFailed("; ".join(faults))


def _below(reports: Sequence[BiasReport], measure: str, bound: float | None, option: str) -> list[str]:
    """A labeler that met no canary, such as a person, is not held to it."""
    found = [(report.labeler, report.value(measure)) for report in reports]
    return [
        f"{labeler} has a {measure} of {value:.4f}, below {option} {bound:g}"
        for labeler, value in found
        if bound is not None and value is not None and value < bound
    ]


def _above(reports: Sequence[BiasReport], measure: str, bound: float | None, option: str) -> list[str]:
    if bound is None:
        return []
    found = [(report.labeler, report.value(measure)) for report in reports if report.states]
    unknown = [
        f"{labeler} has no {measure}: nothing was judged in both orders"
        for labeler, value in found
        if value is None
    ]
    return unknown + [
        f"{labeler} has a {measure} of {value:.4f}, above {option} {bound:g}"
        for labeler, value in found
        if value is not None and value > bound
    ]
