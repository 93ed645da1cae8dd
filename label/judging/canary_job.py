"""Canaries of one run: asked before the first real question, kept in a table of their own, counted apart.

A judge gets new ones every day; on the same day they are answered from the store.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from label.chat import STAND_IN, ChatModel, ChatRequest, request_key
from label.comparing.compared import PairQuestion
from label.comparing.pair_prompt import show_pair
from label.comparing.stored_verdicts import sign
from label.comparing.verdict import VERDICT_PARSER, Opinion
from label.judging.canaries import Bank, Canary, canaries, is_rated_well, of_quality, preferred
from label.judging.outcome import Outcome
from label.judging.parse import PARSER_VERSION
from label.judging.render import shown_turns
from label.judging.turns import Question
from store.errors import CheckFailed
from store.runs import utc_now

Row = dict[str, object]
Record = Callable[[str, Mapping[str, object]], Awaitable[None]]


@dataclass(slots=True)
class CanaryTally:
    """How a run's canaries went."""

    asked: int = 0
    passed: int = 0
    failed: list[str] = field(default_factory=list)
    """What the ones that failed are about."""

    def as_json(self) -> dict[str, object]:
        """The counts as an object."""
        return {"asked": self.asked, "passed": self.passed, "failed": sorted(self.failed)}

    def words(self) -> str:
        """One line about it."""
        failed = f" (failed: {', '.join(sorted(self.failed))})" if self.failed else ""
        return f"canaries passed {self.passed} of {self.asked}{failed}"

    def check(self, least: float | None) -> None:
        """Raises CheckFailed if a smaller share than LEAST was passed."""
        if least is not None and self.asked and self.passed < least * self.asked:
            raise CheckFailed(f"{self.words()}, below --min-canaries {least:g}; nothing else was asked")

    def add(self, row: Row) -> None:
        """Count one."""
        self.asked += 1
        if row["is_passed"]:
            self.passed += 1
        else:
            self.failed.append(str(row["canary"]))


def canaries_for(model: ChatModel, count: int, *signed: str) -> list[Canary]:
    """Today's canaries of whoever labels are SIGNED by, on this template and scale."""
    bank: Bank = "world" if model.provider == STAND_IN else "sums"
    return canaries(count, " ".join([*signed, f"{utc_now():%Y-%m-%d}"]), bank)


def comparison_requests(question: PairQuestion, count: int) -> list[tuple[Canary, ChatRequest]]:
    """Each canary with the request that asks about it, in one order."""
    drawn = canaries_for(question.model, count, question.labeler, question.prompt.name, question.scale.name)
    return [(one, _comparison_request(question, one)) for one in drawn]


def _comparison_request(question: PairQuestion, one: Canary) -> ChatRequest:
    shown = show_pair(question.prompt.name, [("user", one.question)], one.right, one.bad)
    return question.first(shown if one.is_right_first else shown.swapped())


def rating_requests(
    questions: Sequence[Question], labeler: str, count: int
) -> list[tuple[Canary, Question, ChatRequest]]:
    """COUNT canaries for each scale that has a known answer, asked in its first draw only."""
    found = []
    for question in questions:
        scale = question.scale
        if question.draw_index or not of_quality([scale.aspect]):
            continue
        for one in canaries_for(question.model, count, labeler, scale.template, scale.aspect):
            turns = shown_turns(question.prompt.name, [("user", one.question), ("assistant", one.rated)])
            found.append((one, question, question.first(turns)))
    return found


async def compare_canaries(
    asked: Iterable[tuple[Canary, ChatRequest]],
    question: PairQuestion,
    ask: Callable[[ChatRequest], Awaitable[Opinion]],
    record: Record,
    run_id: str,
) -> CanaryTally:
    """Ask about each, and keep what was said."""

    async def row_of(one: Canary, request: ChatRequest) -> Row:
        opinion = await ask(request)
        return {
            "canary": one.name,
            "kind": "comparison",
            "question": one.question,
            "labeler": question.labeler,
            "template": question.prompt.name,
            "scale": question.scale.name,
            "aspect": "",
            "expected": "A" if one.is_right_first else "B",
            "given": opinion.native_label,
            "state": opinion.state,
            "is_passed": sign(opinion.signed_margin or 0.0) == preferred(one),
            "explanation": opinion.explanation,
            "request_key": request_key(request),
            "parser_version": VERDICT_PARSER,
        }

    return await _recorded([row_of(*one) for one in asked], record, run_id)


async def rate_canaries(
    asked: Iterable[tuple[Canary, Question, ChatRequest]],
    labeler: str,
    ask: Callable[[ChatRequest, Question], Awaitable[Outcome]],
    record: Record,
    run_id: str,
) -> CanaryTally:
    """Have each rated, and keep the ratings."""

    async def row_of(one: Canary, question: Question, request: ChatRequest) -> Row:
        outcome = await ask(request, question)
        scale = question.scale
        return {
            "canary": one.rated_name,
            "kind": "rating",
            "question": one.question,
            "labeler": labeler,
            "template": scale.template,
            "scale": scale.scale,
            "aspect": scale.aspect,
            "expected": "high" if one.is_right_first else "low",
            "given": None if outcome.value is None else str(outcome.value),
            "state": outcome.state,
            "is_passed": is_rated_well(one, outcome.value, scale.lowest, scale.highest),
            "explanation": outcome.explanation,
            "request_key": request_key(request),
            "parser_version": PARSER_VERSION,
        }

    return await _recorded([row_of(*one) for one in asked], record, run_id)


async def _recorded(rows: Iterable[Awaitable[Row]], record: Record, run_id: str) -> CanaryTally:
    """Those under way come to their end before what stopped the run is raised."""
    tally = CanaryTally()
    found = await asyncio.gather(*rows, return_exceptions=True)
    for row in found:
        if isinstance(row, BaseException):
            continue
        await record("canaries", {**row, "created_at": utc_now().isoformat(), "run_id": run_id})
        tally.add(row)
    errors = [one for one in found if isinstance(one, BaseException)]
    if errors:
        raise errors[0]
    return tally
