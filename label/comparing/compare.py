"""Pairwise judging of responses in the store.

A pair is shown in both orders unless told otherwise; each order asked is a row of `comparisons` as it was
shown, and the view `merged_comparisons` tells how the two went together.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from label.chat import STAND_IN, ChatModel
from label.comparing.comparison_job import (
    CompareSettings,
    ComparisonJob,
    new_tally,
    question_of,
    read_windows,
)
from label.comparing.comparison_tally import CompareTally
from label.comparing.pairing import Pair, plan_pairs
from label.comparing.verdict import VERDICT_PARSER
from label.engine.clock import Clock, LoopClock
from label.engine.prices import PriceTag
from label.engine.sigterm import ending_on_sigterm
from label.judging.canary_job import comparison_requests
from label.judging.judge import EXPECTED_TOKENS_PER_BYTE, labeler_of
from label.reasons import commonest
from store.errors import MissingExtra
from store.runs import run_of

if TYPE_CHECKING:
    from label.trust.bias import BiasReport
    from store.console import Advance
    from store.db import Store
    from store.runs import Run

BIAS_RESAMPLES = 200

EXPECTED_TOKENS_PER_MEMBER = 150
"""Of a reply: its analysis, and each of the other texts a template asks for."""


@dataclass(frozen=True, slots=True)
class CompareReport:
    """A finished run."""

    run_id: str
    labeler: str
    settings: CompareSettings
    tally: CompareTally
    bias: "BiasReport | None"
    """What all verdicts of this labeler on this scale depend on; None without the libraries of `agree`."""

    def as_json(self) -> dict[str, object]:
        """The object that `--json` prints."""
        return {
            **self.tally.counts(),
            "run_id": self.run_id,
            "labeler": self.labeler,
            "scale": self.settings.scale,
            "template": self.settings.template,
            "orders": self.settings.orders,
            "split": self.settings.split.as_json(),
            "bias": None if self.bias is None else self.bias.as_json(),
        }

    def reasons(self) -> list[str]:
        """The most frequent reasons for orders without a verdict, with their counts."""
        return commonest(self.tally.reasons)


@dataclass(frozen=True, slots=True)
class CompareForecast:
    """What a run would do."""

    requested: int
    """Pairs."""
    pending: int
    """Pairs left out, because one of their requests is in an open batch."""
    reused: int
    """Pairs with a verdict in every order."""
    identical: int
    """Pairs that say the same; nobody is asked."""
    calls: int
    """One for each order that is neither judged nor answered; a repair would be one more."""
    canaries: int
    """Calls about questions with a known answer, unless they were asked today."""
    prompt_tokens: int
    completion_tokens: int
    cost_usd: float
    """Expected, at a quarter of a token for a byte."""
    cost_usd_at_most: float
    """A token for every byte, and every reply as long as it may be; without repairs."""


def pairs_to_judge(store: "Store", settings: CompareSettings) -> list[Pair]:
    """The pairs a run would be about, judged already or not."""
    with store.read() as reading:
        return plan_pairs(reading, settings.pairing)


def compare_store(
    store: "Store",
    model: ChatModel,
    price: PriceTag,
    settings: CompareSettings,
    *,
    advance: "Advance",
    plan: Sequence[Pair] | None = None,
    tally: CompareTally | None = None,
    clock: Clock | None = None,
    asks: bool = True,
) -> CompareReport:
    """Judge the store's pairs, or those of PLAN; what is judged already is not asked again.

    Pairs with a request in an open batch are left out. A run that does not ask (ASKS is false) judges what
    stored answers tell, and leaves the rest out too.
    Raises ProviderStopped, BudgetReached or BadReply when the run cannot go on; what was answered until
    then is kept, and TALLY says how much it is.
    """
    pairs = pairs_to_judge(store, settings) if plan is None else plan
    labeler = labeler_of(model, settings.labeler)
    question = question_of(model, settings, labeler)
    with run_of(store, "label compare", _stored_settings(model, price, settings, labeler)) as run:
        job = ComparisonJob(
            run, question, price, settings, advance=advance, tally=tally or new_tally(settings), asks=asks
        )
        job.tally.requested = len(pairs)
        try:
            with ending_on_sigterm():
                asyncio.run(job.compare(pairs, clock or LoopClock()))
        finally:
            run.drain()
            _finish(run, job.tally)
        bias = _bias(store, labeler, settings)
        _finish(run, job.tally, bias)
    return CompareReport(run.run_id, labeler, settings, job.tally, bias)


def _finish(run: "Run", tally: CompareTally, bias: "BiasReport | None" = None) -> None:
    run.finish(
        {**tally.counts(), **({} if bias is None else {"bias": bias.as_json()})},
        prompt_tokens=tally.prompt_tokens,
        completion_tokens=tally.completion_tokens,
        cost_usd=tally.cost_usd,
    )


def _bias(store: "Store", labeler: str, settings: CompareSettings) -> "BiasReport | None":
    """The report on this labeler's verdicts on this scale, with few draws: `label bias` makes a longer one."""
    from label.measures import Resampling, check_statistics
    from label.trust.bias_report import BiasSettings, read_reports

    wanted = BiasSettings(by=(labeler,), scale=settings.scale, resampling=Resampling(BIAS_RESAMPLES))
    try:
        check_statistics()
    except MissingExtra:
        return None
    with store.read() as reading:
        return read_reports(reading, wanted)[0]


def forecast(store: "Store", model: ChatModel, price: PriceTag, settings: CompareSettings) -> CompareForecast:
    """What `compare_store` would do, without a call and without writing."""
    question = question_of(model, settings, labeler_of(model, settings.labeler))
    plan = pairs_to_judge(store, settings)
    pending = reused = identical = n_bytes = 0
    asked: set[str] = set()
    for window in read_windows(store, plan, question):
        for pair in (pair for group in window.groups for pair in group):
            missing = [order for order in pair.orders if order.comparison_id not in window.known]
            if any(order.key in window.pending for order in missing):
                pending += 1
                continue
            reused += not missing
            identical += pair.is_identical
            for order in missing:
                is_known = order.key in asked or order.key in window.completions
                if order.shown is not None and order.key is not None and not is_known:
                    asked.add(order.key)
                    n_bytes += question.first(order.shown).n_bytes
    is_model = model.provider != STAND_IN
    calls = len(asked)
    known_answers = comparison_requests(question, settings.canaries) if calls else []
    n_bytes += sum(request.n_bytes for _, request in known_answers)
    n_asked = calls + len(known_answers)
    prompt_tokens = round(n_bytes * EXPECTED_TOKENS_PER_BYTE) if is_model else 0
    longest = 1 if question.prompt.is_label_only else settings.max_tokens
    reply_tokens = EXPECTED_TOKENS_PER_MEMBER * max(1, len(question.prompt.reply))
    completion_tokens = n_asked * min(reply_tokens, longest) if is_model else 0
    return CompareForecast(
        requested=len(plan) - pending,
        pending=pending,
        reused=reused,
        identical=identical,
        calls=calls,
        canaries=len(known_answers),
        prompt_tokens=prompt_tokens,
        completion_tokens=completion_tokens,
        cost_usd=price.cost_usd(prompt_tokens, completion_tokens),
        cost_usd_at_most=price.most_usd(n_bytes, n_asked * longest),
    )


def _stored_settings(
    model: ChatModel, price: PriceTag, settings: CompareSettings, labeler: str
) -> dict[str, object]:
    return {
        **asdict(settings),
        "split": settings.split.as_json(),
        "labeler": labeler,
        "model": model.model,
        "provider": model.provider,
        "base_url": model.base_url,
        "price": asdict(price),
        "parser_version": VERDICT_PARSER,
    }
