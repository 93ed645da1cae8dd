"""What a judge's verdicts depend on besides the answers: the order shown, the length, its own family.

Everything is measured on stored verdicts; nothing is asked. The two logistic coefficients come from one
model of the verdicts as shown, logit P(first wins) = position + slope * ln(length of first / length of
second), so that neither hides the other.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise

import numpy as np

from label.comparing.stored_verdicts import Item, Merged, Side, Verdict, merge_orders
from label.measures import Measure, Resampling, mean_of, measured
from label.trust.families import family_of
from label.trust.flagged import MOST_SHOWN, REPEATED, REPEATED_PROMPTS, Flagged
from label.trust.rating_agreement import pearson_over_models
from label.trust.rating_length import Heatmap
from label.trust.win_rates import Lengths, dummy_score, fit_logistic, length_of, outcomes_of, policy_rates

LENGTH_BINS = (1.0, 1.1, 1.25, 1.5, 2.0, float("inf"))
"""How many times as long the longer answer is."""


@dataclass(frozen=True, slots=True)
class PolicyPoint:
    """A policy's place in the plot of win rate against unique tokens (Camels, figure 2)."""

    policy: str
    mean_unique_tokens: float
    win_rate: float


@dataclass(frozen=True, slots=True)
class BiasReport:
    """What a labeler's verdicts depend on."""

    labeler: str
    measures: list[Measure]
    points: list[PolicyPoint]
    states: dict[str, int]
    """Verdicts by state after merging both orders."""
    heatmap: Heatmap | None = None
    """Prompts by length and correlation of rating and length, if it rated."""
    flagged: tuple[Flagged, ...] = ()
    """Answers among those it judged that speak to a judge, or answer many prompts."""

    def value(self, measure: str, of: str | None = None) -> float | None:
        """The first figure of this name."""
        found = self.get(measure, of)
        return None if found is None else found.value

    def get(self, measure: str, of: str | None = None) -> Measure | None:
        """The first measure of this name."""
        return next((one for one in self.measures if one.measure == measure and of in (None, one.of)), None)

    def as_json(self) -> dict[str, object]:
        """The report as an object."""
        return {
            "labeler": self.labeler,
            "measures": [one.as_json() for one in self.measures],
            "points": [asdict(point) for point in self.points],
            "states": self.states,
            "heatmap": None if self.heatmap is None else asdict(self.heatmap),
            "n_flagged": len(self.flagged),
            "flagged": [asdict(one) for one in self.flagged[:MOST_SHOWN]],
        }

    def lines(self) -> list[str]:
        """The report in five lines."""
        return [
            f"order: flip rate {self._words('flip_rate')}, first slot wins {self._words('first_slot_rate')}"
            f"{self._position_words()}",
            f"length: the longer answer wins {self._words('longer_preferred', 'all lengths')}"
            f"{self._per_doubling()}{self._rating_words()}",
            f"unique tokens: agrees with the more-unique-tokens dummy {self._words('dummy_agreement')},"
            f" r over policies {self._words('win_rate_unique_tokens_r')}",
            f"family: own answers win {self._words('own_family_win_rate')},"
            f" against other labelers {self._words('self_preference')}",
            f"verdicts: {self._states()}; unparsed {self._words('unparsed_rate')},"
            f" repeated answers {self._words('repeated_answer_rate')},"
            f" answers that speak to a judge {self._flagged_words()}{self._canary_words()}",
        ]

    def _words(self, measure: str, of: str | None = None) -> str:
        found = self.get(measure, of)
        if found is None or found.value is None:
            return "unknown"
        if found.low is None or found.high is None:
            return f"{found.value:.3f} (n={found.n})"
        return f"{found.value:.3f} [{found.low:.3f}, {found.high:.3f}] (n={found.n})"

    def _position_words(self) -> str:
        position = self.value("position_logit")
        return (
            "" if position is None else f", being first makes the odds {np.exp(position):.2f} times as high"
        )

    def _per_doubling(self) -> str:
        slope = self.value("length_slope_logit")
        return "" if slope is None else f", twice the length makes the odds {2**slope:.2f} times as high"

    def _rating_words(self) -> str:
        found = [name for name in ("rating", "reward") if self.get(f"{name}_length_r") is not None]
        return "".join(f", {name} and length r {self._words(f'{name}_length_r')}" for name in found)

    def _flagged_words(self) -> str:
        spoken = sum(one.flags != (REPEATED,) for one in self.flagged)
        wins = self.get("flagged_win_rate")
        return f"{spoken:,}" + ("" if wins is None or wins.value is None else f" (win {wins.value:.3f})")

    def _canary_words(self) -> str:
        canaries = self.get("canary_pass_rate")
        if canaries is None or canaries.value is None:
            return ""
        return f", canaries passed {round(canaries.value * canaries.n)} of {canaries.n}"

    def _states(self) -> str:
        return ", ".join(f"{count:,} {state}" for state, count in sorted(self.states.items())) or "none"


def bias_of(
    labeler: str,
    verdicts: Sequence[Verdict],
    lengths: Lengths,
    resampling: Resampling,
    others: Sequence[Merged] = (),
) -> BiasReport:
    """The report on one labeler's VERDICTS; OTHERS are what everyone else said, to set its taste against.

    Equal answers are a tie whatever a labeler's habits, so they say nothing about order and length.
    """
    merged = merge_orders(verdicts)
    points = policy_points(merged, lengths)
    told_apart = [one for one in verdicts if one.first.response_id != one.second.response_id]
    measures = [
        *_order_measures(told_apart, resampling),
        *_logistic_measures(told_apart, lengths, resampling),
        *_length_measures(merged, lengths, resampling),
        *_token_measures(merged, points, lengths, resampling),
        *_family_measures(labeler, merged, others, resampling),
        *_text_measures(verdicts, merged, lengths, resampling),
    ]
    return BiasReport(labeler, measures, points, dict(Counter(one.state for one in merged)))


def _order_measures(verdicts: Sequence[Verdict], resampling: Resampling) -> list[Measure]:
    shown = _in_both_orders(verdicts)
    both = merge_orders(shown)
    prompts = [one.item.prompt_id for one in both]
    decided = [one for one in shown if one.margin]
    return [
        measured(
            "flip_rate",
            "both orders",
            mean_of([one.state == "conflict" for one in both]),
            prompts,
            resampling,
        ),
        measured(
            "order_changes_verdict",
            "both orders",
            mean_of([one.state in ("conflict", "weak") for one in both]),
            prompts,
            resampling,
        ),
        measured(
            "first_slot_rate",
            "both orders, no ties",
            mean_of([(one.margin or 0) > 0 for one in decided]),
            [one.prompt_id for one in decided],
            resampling,
        ),
    ]


def _in_both_orders(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """The usable verdicts on items that were judged in both orders: only there are the slots balanced."""
    orders: dict[tuple[object, ...], list[Verdict]] = defaultdict(list)
    for one in verdicts:
        if one.is_usable:
            orders[one.item, one.labeler, one.template, one.scale, one.draw_index].append(one)
    return [
        one
        for shown in orders.values()
        if {verdict.is_upright for verdict in shown} == {True, False}
        for one in shown
    ]


def _logistic_measures(
    verdicts: Sequence[Verdict], lengths: Lengths, resampling: Resampling
) -> list[Measure]:
    """Position and length, each at the other held equal."""
    usable = [one for one in verdicts if one.is_usable]
    of = "verdicts as shown"
    names = ("position_logit", "length_slope_logit")
    fit = None
    if usable:
        ratios = np.array([_log_ratio(one.first, one.second, lengths) for one in usable])
        fit = fit_logistic(
            np.array([_score_of_first(one) for one in usable]),
            np.column_stack([np.ones(len(usable)), ratios]),
            [one.prompt_id for one in usable],
            resampling.level,
        )
    if fit is None:
        return [Measure(name, of, None, None, None, len(usable)) for name in names]
    return [
        Measure(name, of, value, *interval, len(usable))
        for name, value, interval in zip(names, fit.values, fit.intervals, strict=True)
    ]


def _score_of_first(one: Verdict) -> float:
    margin = one.margin or 0.0
    return (1 + (margin > 0) - (margin < 0)) / 2


def _log_ratio(first: Side, second: Side, lengths: Lengths) -> float:
    return float(np.log(_characters(first, lengths) / _characters(second, lengths)))


def _characters(side: Side, lengths: Lengths) -> int:
    return max(1, length_of(side, lengths).characters)


def _length_measures(merged: Sequence[Merged], lengths: Lengths, resampling: Resampling) -> list[Measure]:
    """How often the longer answer wins where one wins, overall and by how much longer it is."""
    rows = [
        (one.item.prompt_id, ratio, (one.direction or 0) * np.sign(ratio) > 0)
        for one in merged
        if one.direction and (ratio := _log_ratio(one.item.first, one.item.second, lengths))
    ]
    found = [_longer("all lengths", rows, resampling)]
    for low, high in pairwise(LENGTH_BINS):
        inside = [row for row in rows if np.log(low) <= abs(row[1]) < np.log(high)]
        name = f"over {low:g} times as long" if high == float("inf") else f"{low:g} to {high:g} times as long"
        found.append(_longer(name, inside, resampling))
    return found


def _longer(of: str, rows: Sequence[tuple[str, float, bool]], resampling: Resampling) -> Measure:
    return measured(
        "longer_preferred", of, mean_of([row[2] for row in rows]), [row[0] for row in rows], resampling
    )


def policy_points(merged: Sequence[Merged], lengths: Lengths) -> list[PolicyPoint]:
    """Each policy's win rate and how many unique tokens its answers have on average."""
    tokens: dict[str, dict[str, int]] = defaultdict(dict)
    for one in outcomes_of(merged):
        if not one.item.is_between_two:
            continue
        for side in (one.item.first, one.item.second):
            tokens[side.policy][side.response_id] = length_of(side, lengths).unique_tokens
    rates = policy_rates(merged)
    return [
        PolicyPoint(policy, float(np.mean(list(counts.values()))), rates[policy])
        for policy, counts in sorted(tokens.items())
    ]


def _token_measures(
    merged: Sequence[Merged], points: Sequence[PolicyPoint], lengths: Lengths, resampling: Resampling
) -> list[Measure]:
    rows = [(one, one.score) for one in merged if one.score is not None]
    closeness = [1 - abs(score - dummy_score(one.item, lengths)) for one, score in rows]
    r = pearson_over_models(
        {point.policy: point.win_rate for point in points},
        {point.policy: point.mean_unique_tokens for point in points},
        "policies",
    )
    return [
        measured(
            "dummy_agreement",
            "more unique tokens win",
            mean_of(closeness),
            [one.item.prompt_id for one, _ in rows],
            resampling,
        ),
        Measure("win_rate_unique_tokens_r", r.of, r.value, r.low, r.high, r.n),
    ]


def _family_measures(
    labeler: str, merged: Sequence[Merged], others: Sequence[Merged], resampling: Resampling
) -> list[Measure]:
    """How often answers of the labeler's own family win against others', and how much more than elsewhere."""
    family = family_of(labeler)
    of = f"family {family or 'unknown'}"
    elsewhere = {one.item: one.score for one in outcomes_of(others)}
    rows = [
        (one.item, share)
        for one in outcomes_of(merged)
        if (share := _own_share(one.item, one.score, family)) is not None
    ]
    shared = [(item, share) for item, share in rows if item in elsewhere]
    return [
        measured(
            "own_family_win_rate",
            of,
            mean_of([share for _, share in rows]),
            [item.prompt_id for item, _ in rows],
            resampling,
        ),
        measured(
            "self_preference",
            of,
            mean_of([share - (_own_share(item, elsewhere[item], family) or 0.0) for item, share in shared]),
            [item.prompt_id for item, _ in shared],
            resampling,
        ),
    ]


def _own_share(item: Item, score: float, family: str | None) -> float | None:
    """What the side of FAMILY gets of the point, if exactly one side is of it."""
    own = [family is not None and family_of(policy) == family for policy in item.policies]
    if own == [True, False]:
        return score
    return 1 - score if own == [False, True] else None


def _text_measures(
    verdicts: Sequence[Verdict], merged: Sequence[Merged], lengths: Lengths, resampling: Resampling
) -> list[Measure]:
    """Verdicts that could not be read, and answers that many prompts share."""
    prompts = [one.prompt_id for one in verdicts]
    repeated = [_n_prompts(one.item, lengths) >= REPEATED_PROMPTS for one in merged]
    of = f"one text for {REPEATED_PROMPTS} prompts or more"
    return [
        measured(
            "unparsed_rate",
            "verdicts as shown",
            _share(verdicts, lambda one: one.state == "unparsed"),
            prompts,
            resampling,
        ),
        measured(
            "no_verdict_rate",
            "verdicts as shown",
            _share(verdicts, lambda one: not one.is_usable),
            prompts,
            resampling,
        ),
        measured(
            "repeated_answer_rate", of, mean_of(repeated), [one.item.prompt_id for one in merged], resampling
        ),
    ]


def _share(verdicts: Sequence[Verdict], has: Callable[[Verdict], bool]) -> Callable[..., float]:
    return mean_of([has(one) for one in verdicts])


def _n_prompts(item: Item, lengths: Lengths) -> int:
    return max(length_of(side, lengths).n_prompts for side in (item.first, item.second))
