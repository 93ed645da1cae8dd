"""Verdicts of a pairwise preference model: how probable it finds each of two responses, shown in both orders.

Each order is a row of `comparisons` on the scale `logprob`, with the margin 2 P(A) - 1; the mean over both
orders is what `merged_comparisons` shows. A pair counts as settled when both orders are on disk.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from label.comparing.compared import Known, windows
from label.comparing.comparison_job import IDENTICAL
from label.comparing.comparison_tally import CompareTally
from label.comparing.pairing import Pair, Pairing, Split, plan_pairs
from label.comparing.scales import LOGPROB
from label.comparing.stored_verdicts import Side, Verdict, merge_orders
from label.comparing.weighed_pairs import PreferWindow, Showing, is_known, read_by, read_window
from label.preference_model import PAIR_FORMAT, Odds, PreferenceModel, signed_as
from label.reasons import commonest
from store.runs import run_of, utc_now

if TYPE_CHECKING:
    from store.console import Advance
    from store.db import Store
    from store.runs import Run

LABELER_KIND = "preference_model"


@dataclass(frozen=True, slots=True)
class PreferSettings:
    """What decides the verdicts of a run; stored with it."""

    pairing: Pairing = field(default_factory=Pairing)
    labeler: str | None = None
    """What the verdicts are signed with; None signs with the model's name."""


@dataclass(frozen=True, slots=True)
class PreferReport:
    """A finished run."""

    run_id: str
    labeler: str
    revision: str
    tally: CompareTally

    def as_json(self) -> dict[str, object]:
        """The object that `--json` prints."""
        return {
            **self.tally.counts(),
            "run_id": self.run_id,
            "labeler": self.labeler,
            "revision": self.revision,
            "scale": LOGPROB.name,
            "template": PAIR_FORMAT,
        }

    def reasons(self) -> list[str]:
        """The most frequent reasons for orders without a verdict, with their counts."""
        return commonest(self.tally.reasons)


def new_tally() -> CompareTally:
    """What a run begins with."""
    return CompareTally(LOGPROB, Split())


def pairs_to_weigh(store: "Store", settings: PreferSettings) -> list[Pair]:
    """The pairs a run would be about, weighed already or not."""
    if store.path.exists():
        with store.write():
            pass  # takes in what a killed run left in its journal
    with store.read() as reading:
        return plan_pairs(reading, settings.pairing)


def prefer_store(
    store: "Store",
    model: PreferenceModel,
    settings: PreferSettings,
    *,
    plan: Sequence[Pair],
    advance: "Advance",
    tally: CompareTally | None = None,
) -> PreferReport:
    """Weigh the pairs of PLAN in both orders; what this model, in this revision, has weighed is left alone."""
    labeler = signed_as(model, settings.labeler)
    tally = tally or new_tally()
    tally.requested = len(plan)
    stored = {**asdict(settings), "labeler": labeler, "revision": model.revision}
    with run_of(store, "label prefer", {**stored, "described": dict(model.described)}) as run:
        job = PreferJob(run, model, labeler, tally=tally, advance=advance)
        try:
            for piece in windows(plan):
                with store.read() as reading:
                    window = read_window(reading, piece, labeler, model.revision)
                job.weigh(window)
        finally:
            model.close()
            run.drain()
            run.finish(tally.counts())
    return PreferReport(run.run_id, labeler, model.revision, tally)


def forecast(store: "Store", model: PreferenceModel, settings: PreferSettings) -> tuple[CompareTally, int]:
    """The pairs a run would be about, those settled already, and how many contests are left to weigh."""
    tally, contests = new_tally(), 0
    with store.read() as reading:
        plan = plan_pairs(reading, settings.pairing)
    tally.requested = len(plan)
    for piece in windows(plan):
        with store.read() as reading:
            window = read_window(reading, piece, signed_as(model, settings.labeler), model.revision)
        tally.identical += window.n_identical
        contests += len(window.contests)
        tally.reused += sum(is_known(showings, window.known) for showings in window.showings.values())
    return tally, contests


class PreferJob:
    """One run's work: windows weighed, verdicts made durable as they come, pairs counted when both orders are."""

    def __init__(
        self, run: "Run", model: PreferenceModel, labeler: str, *, tally: CompareTally, advance: "Advance"
    ) -> None:
        self._run = run
        self._model = model
        self._labeler = labeler
        self._tally = tally
        self._advance = advance

    def weigh(self, window: PreferWindow) -> None:
        """Settle every pair of a window."""
        self._tally.identical += window.n_identical
        known = dict(window.known)
        waiting = dict(window.showings)
        for pair in [pair for pair, showings in waiting.items() if is_known(showings, known)]:
            self._settle(pair, waiting.pop(pair), known, is_reused=True)
        for showings, odds in self._found(window):
            self._run.journal.append("comparisons", [self._row(one, odds) for one in showings])
            if odds.why and odds.first is None:
                self._tally.note_reason(f"{odds.state}: {odds.why}")
            for one in showings:
                known[one.comparison_id] = Known(_state(odds), _margin(odds))
                if is_known(waiting[one.pair], known):
                    self._settle(one.pair, waiting.pop(one.pair), known, is_reused=False)

    def _found(self, window: PreferWindow) -> Iterator[tuple[tuple[Showing, ...], Odds]]:
        if window.identical:
            yield window.identical, Odds("done", 0.5, why=IDENTICAL)
        contests = list(window.contests)
        for place, odds in self._model.weigh(contests):
            yield window.contests[contests[place]], odds

    def _settle(
        self, pair: Pair, showings: Sequence[Showing], known: Mapping[str, Known], *, is_reused: bool
    ) -> None:
        (merged,) = merge_orders([self._verdict(one, known[one.comparison_id]) for one in showings])
        self._tally.add(merged, is_reused=is_reused)
        self._advance(1)

    def _verdict(self, one: Showing, known: Known) -> Verdict:
        return Verdict(
            prompt_id=one.pair.prompt_id,
            first=Side(one.first.policy, one.first.response_id),
            second=Side(one.second.policy, one.second.response_id),
            labeler=self._labeler,
            labeler_kind=LABELER_KIND,
            template=PAIR_FORMAT,
            scale=LOGPROB.name,
            draw_index=0,
            margin=known.signed_margin,
            state=known.state,
            accepts_first=None,
            accepts_second=None,
            created_at=utc_now(),
        )

    def _row(self, one: Showing, odds: Odds) -> dict[str, object]:
        margin = _margin(odds)
        return {
            "comparison_id": one.comparison_id,
            "prompt_id": one.pair.prompt_id,
            "response_a_id": one.first.response_id,
            "response_b_id": one.second.response_id,
            "policy_a": one.first.policy or None,
            "policy_b": one.second.policy or None,
            "labeler": self._labeler,
            "labeler_kind": LABELER_KIND,
            "template": PAIR_FORMAT,
            "scale": LOGPROB.name,
            "draw_index": 0,
            "native_label": None if not margin else LOGPROB.names[margin < 0],
            "signed_margin": margin,
            "explanation": odds.why or _in_words(odds),
            "state": _state(odds),
            "parser_version": read_by(self._model.revision),
            "created_at": utc_now().isoformat(),
            "run_id": self._run.run_id,
        }


def _margin(odds: Odds) -> float | None:
    return None if odds.first is None else 2 * odds.first - 1


def _state(odds: Odds) -> str:
    """The state of `comparisons`."""
    margin = _margin(odds)
    if margin is None:
        return "error" if odds.state == "failed" else odds.state
    return "win" if margin else "tie"


def _in_words(odds: Odds) -> str:
    rest = "" if odds.outside is None else f"; {odds.outside:.6f} on other tokens"
    return f"P(A) = {odds.first:.6f}{rest}"
