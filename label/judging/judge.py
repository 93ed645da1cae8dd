"""Ratings of conversations by a judge: OpenChat, Appendix G.

Each assistant turn is rated 1 to 10 given the turns before it; a conversation's rating is the mean
over its turns. A turn shared by several conversations is one message and is asked about once.
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from label.chat import STAND_IN, ChatModel
from label.engine.clock import Clock, LoopClock
from label.engine.prices import PriceTag
from label.engine.sigterm import ending_on_sigterm
from label.judging.canary_job import rating_requests
from label.judging.parse import PARSER_VERSION
from label.judging.rating_job import JudgeSettings, RatingJob, Tally, questions_of, read_windows
from label.judging.rating_scales import RatingScale, scales_of
from label.judging.turns import ConversationTurns, Question, Window, planned
from label.reasons import commonest
from label.trust.rating_habits import RatingHabits, read_habits
from store.named_sql import named_sql
from store.runs import run_of

if TYPE_CHECKING:
    from store.console import Advance
    from store.db import Store
    from store.runs import Run

EXPECTED_TOKENS_PER_BYTE = 0.25
EXPECTED_COMPLETION_TOKENS = 200


@dataclass(frozen=True, slots=True)
class ClassRating:
    """How the conversations of one class were rated."""

    name: str
    aspect: str
    complete: int
    """Conversations with every turn rated."""
    partial: int
    mean_rating: float | None
    """Over complete conversations."""


@dataclass(frozen=True, slots=True)
class DrawRating:
    """How well the draws of one judge agree about the turns that have them all."""

    aspect: str
    draws: int
    turns: int
    mean: float
    all_equal: float
    """The share of turns on which every draw gave the same number."""
    icc_one: float | None
    """Intraclass correlation of a single draw, ICC(1,1); None where the turns do not differ."""
    icc_mean: float | None
    """The same of the mean of all draws, ICC(1,k)."""


@dataclass(frozen=True, slots=True)
class JudgeReport:
    """A finished run."""

    run_id: str
    labeler: str
    tally: Tally
    classes: tuple[ClassRating, ...]
    habits: RatingHabits
    """What all ratings of this labeler on these scales depend on."""
    draws: tuple[DrawRating, ...] = ()
    """One for each aspect, where turns were drawn more than once."""

    def as_json(self) -> dict[str, object]:
        """The object that `--json` prints."""
        return {
            **self.tally.counts(),
            "run_id": self.run_id,
            "labeler": self.labeler,
            "classes": [asdict(rating) for rating in self.classes],
            "draws": [asdict(rating) for rating in self.draws],
            "bias": self.habits.as_json(),
        }

    def reasons(self) -> list[str]:
        """The most frequent reasons for turns without a rating, with their counts."""
        return commonest(self.tally.reasons)


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a run would do."""

    requested: int
    pending: int
    """Turns left out, because their request is in an open batch."""
    reused: int
    calls: int
    """One for each turn that is neither rated nor answered; a repair would be one more."""
    canaries: int
    """Calls about questions with a known answer, unless they were asked today."""
    prompt_tokens: int
    completion_tokens: int
    cost_usd: float
    """Expected, at a quarter of a token for a byte."""
    cost_usd_at_most: float
    """A token for every byte, and every reply as long as it may be; without repairs."""


def plan_turns(store: "Store", settings: JudgeSettings) -> list[ConversationTurns]:
    """The turns a run would be about, rated already or not."""
    with store.read() as reading:
        return planned(reading, settings.draw)


def count_turns(plan: Sequence[ConversationTurns]) -> int:
    """How many turns a plan is about."""
    return sum(len(turns.positions) for turns in plan)


def judge_store(
    store: "Store",
    model: ChatModel,
    price: PriceTag,
    settings: JudgeSettings,
    *,
    advance: "Advance",
    plan: Sequence[ConversationTurns] | None = None,
    clock: Clock | None = None,
    tally: Tally | None = None,
    asks: bool = True,
) -> JudgeReport:
    """Rate the turns of the store's conversations, or those of PLAN; what is rated already is not asked again.

    Turns whose request is in an open batch are left out. A run that does not ask (ASKS is false) rates what
    stored answers tell, and leaves the rest out too.
    Raises ProviderStopped, BudgetReached or BadReply when the run cannot go on; what was answered until
    then is kept, and TALLY says how much it is.
    """
    turns = plan_turns(store, settings) if plan is None else plan
    labeler = labeler_of(model, settings.labeler)
    with run_of(store, "label judge", stored_settings(model, price, settings, labeler)) as run:
        job = RatingJob(
            run, model, price, settings, labeler=labeler, advance=advance, tally=tally or Tally(), asks=asks
        )
        job.tally.requested = count_turns(turns) * len(job.questions)
        try:
            with ending_on_sigterm():
                source = read_windows(store, turns, job.questions, labeler)
                asyncio.run(job.rate(source, clock or LoopClock()))
        finally:
            run.drain()
            finish(run, job.tally)
        scales = scales_of(settings.aspects)
        classes = tuple(rating for scale in scales for rating in ratings_by_class(store, labeler, scale))
        draws = draw_ratings(store, labeler, settings)
        with store.read() as reading:
            habits = read_habits(reading, labeler, [scale.template for scale in scales])
        finish(run, job.tally, habits)
    return JudgeReport(run.run_id, labeler, job.tally, classes, habits, draws)


def forecast(store: "Store", model: ChatModel, price: PriceTag, settings: JudgeSettings) -> Forecast:
    """What `judge_store` would do, without a call and without writing."""
    questions = questions_of(model, settings)
    labeler = labeler_of(model, settings.labeler)
    source = read_windows(store, plan_turns(store, settings), questions, labeler)
    return forecast_of(source, questions, model, price, settings, labeler=labeler)


def forecast_of(
    source: Iterable[Window],
    questions: Sequence[Question],
    model: ChatModel,
    price: PriceTag,
    settings: JudgeSettings,
    *,
    labeler: str,
) -> Forecast:
    """The same for the turns of SOURCE; QUESTIONS are what canaries are asked with."""
    requested = pending = reused = calls = n_bytes = 0
    for window in source:
        for turn in (turn for turns in window.conversations for turn in turns):
            if turn.key in window.pending:
                pending += 1
                continue
            requested += 1
            reused += turn.key in window.rated
            if turn.key not in window.rated and turn.key not in window.completions:
                calls += 1
                n_bytes += turn.request().n_bytes
    asked = rating_requests(questions, labeler, settings.canaries) if calls else []
    n_bytes += sum(request.n_bytes for _, _, request in asked)
    is_model = model.provider != STAND_IN
    prompt_tokens = round(n_bytes * EXPECTED_TOKENS_PER_BYTE) if is_model else 0
    completion_tokens = (calls + len(asked)) * EXPECTED_COMPLETION_TOKENS if is_model else 0
    return Forecast(
        requested=requested,
        pending=pending,
        reused=reused,
        calls=calls,
        canaries=len(asked),
        prompt_tokens=prompt_tokens,
        completion_tokens=completion_tokens,
        cost_usd=price.cost_usd(prompt_tokens, completion_tokens),
        cost_usd_at_most=price.most_usd(n_bytes, (calls + len(asked)) * settings.max_tokens),
    )


def ratings_by_class(store: "Store", labeler: str, scale: RatingScale) -> tuple[ClassRating, ...]:
    """How one labeler rated the conversations of each class, over all its runs."""
    with store.read() as reading:
        rows = reading.dicts(
            named_sql("label", "ratings_by_class"),
            {"labeler": labeler, "template": scale.template, "scale": scale.scale, "aspect": scale.aspect},
        )
    return tuple(ClassRating(aspect=scale.aspect, **row) for row in rows)


def draw_ratings(store: "Store", labeler: str, settings: JudgeSettings) -> tuple[DrawRating, ...]:
    """How the labeler's draws agree, over all turns that have as many as these settings ask for."""
    if settings.draws < 2:
        return ()
    found = [
        (scale, _values_by_turn(store, labeler, scale, settings.draws))
        for scale in scales_of(settings.aspects)
    ]
    return tuple(_draw_rating(scale, values) for scale, values in found if values)


def _values_by_turn(store: "Store", labeler: str, scale: RatingScale, draws: int) -> list[list[float]]:
    with store.read() as reading:
        rows = reading.rows(
            named_sql("label", "drawn_ratings"),
            {
                "labeler": labeler,
                "template": scale.template,
                "scale": scale.scale,
                "aspect": scale.aspect,
                "draws": draws,
            },
        )
    return [values for (values,) in rows]


def _draw_rating(scale: RatingScale, values: list[list[float]]) -> DrawRating:
    import numpy as np

    from label.trust.rating_agreement import intraclass_correlations

    table = np.array(values)
    is_spread = len(table) > 1 and np.ptp(table.mean(axis=1)) > 0
    found = intraclass_correlations(table) if is_spread else {}
    return DrawRating(
        aspect=scale.aspect,
        draws=table.shape[1],
        turns=table.shape[0],
        mean=float(table.mean()),
        all_equal=float((np.ptp(table, axis=1) == 0).mean()),
        icc_one=_plain(found.get("icc_1_1")),
        icc_mean=_plain(found.get("icc_1_k")),
    )


def _plain(value: float | None) -> float | None:
    return None if value is None else float(value)


def labeler_of(model: ChatModel, name: str | None) -> str:
    """The name ratings are signed with; the offline stand-in's is always in it."""
    if name is None or name == model.labeler:
        return model.labeler
    return f"{model.labeler}:{name}" if model.provider == STAND_IN else name


def stored_settings(
    model: ChatModel, price: PriceTag, settings: JudgeSettings, labeler: str
) -> dict[str, object]:
    """What is kept of how a run went about it."""
    return {
        **asdict(settings),
        "labeler": labeler,
        "model": model.model,
        "provider": model.provider,
        "base_url": model.base_url,
        "price": asdict(price),
        "templates": [scale.template for scale in scales_of(settings.aspects)],
        "parser_version": PARSER_VERSION,
    }


def finish(run: "Run", tally: Tally, habits: RatingHabits | None = None) -> None:
    """Keep what a run came to."""
    run.finish(
        {**tally.counts(), **({} if habits is None else {"bias": habits.as_json()})},
        prompt_tokens=tally.prompt_tokens,
        completion_tokens=tally.completion_tokens,
        cost_usd=tally.cost_usd,
    )
