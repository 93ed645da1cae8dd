"""What `label agree`, `label bias`, `label calibrate` and `label win-rates` measure, as figures; from a store.

Each step takes a short turn to read and computes after it. The figures are those that the commands print.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from label.measures import Measure, Resampling
from store.errors import NeedsMemory, PreferablyError, TryLater
from tui.browse_data import MeasureStep
from tui.figures import Figure, Mark, said
from tui.listing import Column, number

if TYPE_CHECKING:
    from label.trust.bias import BiasReport
    from store.db import Store

MOST_RATINGS = 200_000
"""Ratings that are compared one by one; more of them are left to the command, which takes its time."""
COUNT = Column("n", 6, is_number=True)
LABELERS = "SELECT DISTINCT labeler, labeler_kind FROM comparisons ORDER BY labeler"


class StoreMeasures:
    """How labelers agree and what their verdicts depend on."""

    def __init__(self, store: "Store", resampling: Resampling | None = None) -> None:
        self._store = store
        self._resampling = resampling or Resampling()

    def steps(self) -> list[MeasureStep]:
        """What is measured, one thing after the other."""
        parts: tuple[tuple[str, Callable[[], Sequence[Figure]]], ...] = (
            ("agreement of labelers", self._agreement),
            ("order, length and words", self._bias),
            ("judges against people", self._calibration),
            ("win rates", self._win_rates),
            ("ratings by class", self._ratings_by_class),
            ("agreement on ratings", self._rating_agreement),
        )
        return [MeasureStep(words, partial(_or_why, words, measure)) for words, measure in parts]

    def _labelers(self) -> list[tuple[str, str]]:
        with self._store.read() as reading:
            return [(name, kind) for name, kind in reading.rows(LABELERS)]

    def _agreement(self) -> list[Figure]:
        from label.trust.pairwise import agreement_by_pair
        from label.trust.verdict_agreement import AgreementSettings

        pairs = agreement_by_pair(self._store, AgreementSettings(first=1, resampling=self._resampling))
        marks = [
            _mark(one.raw, f"{one.first} : {one.second}", number(one.tie_discounted), number(one.kappa))
            for one in pairs
        ]
        note = "no two labelers decided on ten items of two policies in common"
        more = (COUNT, Column("ties ½", 6, is_number=True), Column("kappa", 6, is_number=True))
        return [_intervals("Agreement: two labelers say the same", "share of items", marks, note, more)]

    def _bias(self) -> list[Figure]:
        from label.trust.bias_report import BiasSettings, read_labels, reports_of

        labelers = self._labelers()
        if not labelers:
            return [said("Order, length and words", "nobody compared anything yet")]
        named = tuple(name for name, _ in labelers)
        with self._store.read() as reading:  # by name, so that no ratings of others are read
            labels = read_labels(reading, BiasSettings(by=named))
        voices = dict.fromkeys("people" if kind == "person" else name for name, kind in labelers)
        reports = reports_of(labels, BiasSettings(by=tuple(voices), resampling=self._resampling))
        return [
            _intervals(
                "Order: how often turning it turns the verdict",
                "flip rate",
                _of(reports, "flip_rate"),
                "nothing was judged in both orders",
                guide=None,
            ),
            _intervals(
                "Order: how often the answer shown first wins",
                "win rate of the first",
                _of(reports, "first_slot_rate"),
                "nothing was judged in both orders",
            ),
            _intervals(
                "Length: how often the longer answer wins",
                "win rate of the longer",
                _of(reports, "longer_preferred"),
                "no verdict took a side between answers of different length",
            ),
            *map(_points, reports),
        ]

    def _calibration(self) -> list[Figure]:
        return [
            self._calibrated(name) for name, kind in self._labelers() if kind in ("judge", "preference_model")
        ] or [said("Judges against people", "no judge compared anything yet")]

    def _calibrated(self, judge: str) -> Figure:
        from label.trust.calibrate import calibration_of
        from label.trust.calibration import CalibrationSettings

        title = f"{judge} against people: right by strength of the verdict"
        try:
            measures = calibration_of(self._store, CalibrationSettings(judge)).measures
        except (TryLater, NeedsMemory):
            raise
        except PreferablyError as error:
            return said(title, str(error))
        return _intervals(title, "share that is right", [_mark(one, one.of) for one in measures], "")

    def _win_rates(self) -> list[Figure]:
        from label.trust.agree import win_rate_report

        found = win_rate_report(self._store, ("all",), self._resampling).measures
        return [
            _intervals(
                f"Win rates of the first policy by {name}",
                "win rate",
                [_mark(one, one.of) for one in measures if one.measure == "win_rate"],
                "it compared no two policies",
            )
            for name, measures in found.items()
        ]

    def _ratings_by_class(self) -> list[Figure]:
        from curate.reporting.class_ratings import ratings_by_class

        with self._store.read() as reading:
            version = reading.version
        found = ratings_by_class(self._store.at_version(version).read)
        return [
            Figure(
                f"Ratings by class: {one['labeler']}, {one['template']}, {one['scale']} {one['aspect']}",
                "bars",
                "rating",
                tuple(
                    Mark(
                        f"{held['name']} (mean {held['mean']:.2f} of {held['conversations']:,})",
                        bar["conversations"] / held["conversations"],
                        at=bar["rating"],
                        group=held["name"],
                        cells=(f"{bar['conversations']:,}",),
                    )
                    for held in one["classes"]
                    for bar in held["histogram"]
                ),
                more=(COUNT,),
                value_name="share",
            )
            for one in found
        ] or [said("Ratings by class", "no conversation has a rating for each of its answers yet")]

    def _rating_agreement(self) -> list[Figure]:
        from label.trust.rating_agreement import rating_agreement, read_scores

        title = "Agreement on ratings"
        with self._store.read() as reading:
            count = reading.rows("SELECT count(*) FROM ratings")[0][0]
            if count > MOST_RATINGS:
                return [said(title, f"{count:,} ratings take a while: label agree --among judges")]
            scores = read_scores(reading)
        marks = [_mark(one, f"{one.measure} {one.of}") for one in rating_agreement(scores, self._resampling)]
        note = "nothing was rated twice, by two labelers or in two draws"
        return [_intervals(title, "coefficient", marks, note, guide=None, span=None)]


def _or_why(words: str, measure: Callable[[], Sequence[Figure]]) -> Sequence[Figure]:
    """What was measured, or the reason it cannot be."""
    try:
        return measure()
    except (TryLater, NeedsMemory):
        raise
    except PreferablyError as error:
        return [said(words.capitalize(), str(error))]


def _mark(one: Measure, name: str, *cells: str) -> Mark:
    return Mark(name, one.value, one.low, one.high, cells=(f"{one.n:,}", *cells))


def _of(reports: Sequence["BiasReport"], measure: str) -> list[Mark]:
    """One measure of every labeler."""
    return [
        _mark(one, f"{report.labeler}, {one.of}" if measure == "longer_preferred" else report.labeler)
        for report in reports
        for one in report.measures
        if one.measure == measure and one.n
    ]


def _intervals(
    title: str,
    axis: str,
    marks: Sequence[Mark],
    note: str,
    more: tuple[Column, ...] = (COUNT,),
    *,
    guide: float | None = 0.5,
    span: tuple[float, float] | None = (0.0, 1.0),
) -> Figure:
    return Figure(title, "intervals", axis, tuple(marks), more, note, span, guide)


def _points(report: "BiasReport") -> Figure:
    r = report.value("win_rate_unique_tokens_r")
    return Figure(
        f"{report.labeler}: win rate by unique tokens" + ("" if r is None else f", r = {r:.2f}"),
        "points",
        "tokens",
        tuple(Mark(point.policy, point.mean_unique_tokens, at=point.win_rate) for point in report.points),
        note="it compared no two policies",
        value_name="win rate",
    )
