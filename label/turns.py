"""The assistant turns to be judged: which there are, their texts, and what is already known of them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, islice
from typing import TYPE_CHECKING, Literal

from label.chat import ChatModel, ChatRequest, Json, request_key
from label.engine.calls import Completion, known_completion
from label.outcome import needs_repair
from label.parse import PARSER_VERSION
from label.render import JudgePrompt, render_repair, render_shown, shown_turns
from store.named_sql import named_sql

if TYPE_CHECKING:
    from store.db import Reading

Per = Literal["all", "class", "source"]

WINDOW_CONVERSATIONS = 500
"""Conversations whose texts are in memory together."""


@dataclass(frozen=True, slots=True)
class Draw:
    """Which conversations to judge."""

    sample: int | None = None
    """How many conversations of each group; None takes all."""
    per: Per = "all"
    seed: int = 0
    limit: int | None = None
    """The most turns."""


@dataclass(frozen=True, slots=True)
class ConversationTurns:
    """The turns of one conversation that are to be judged."""

    conversation_id: str
    positions: tuple[int, ...]
    """Counted from 1 along the conversation."""


@dataclass(frozen=True, slots=True)
class Question:
    """How a turn is put to the judge."""

    model: ChatModel
    prompt: JudgePrompt
    sampling: dict[str, Json]

    def first(self, shown: Sequence[str]) -> ChatRequest:
        """The request to rate the last of the SHOWN turns."""
        return ChatRequest(
            provider=self.model.provider,
            base_url=self.model.base_url,
            model=self.model.model,
            api_version=self.model.api_version,
            messages=render_shown(self.prompt, shown),
            sampling=self.sampling,
        )

    def again(self, request: ChatRequest, reply: str) -> ChatRequest:
        """The one request to repair a reply that could not be read."""
        return replace(
            request,
            messages=render_repair(self.prompt, request.messages, reply),
            repair_index=request.repair_index + 1,
        )


@dataclass(frozen=True, slots=True)
class JudgedTurn:
    """One assistant turn to be rated. The request is made when it is needed: prefixes add up."""

    message_id: str
    key: str
    """The key of its first request."""
    question: Question
    shown: Sequence[str]
    """The conversation as the judge sees it, at least up to this turn."""
    position: int

    def request(self) -> ChatRequest:
        """The request to rate this turn."""
        return self.question.first(self.shown[: self.position])


@dataclass(frozen=True, slots=True)
class Window:
    """Some conversations, and what earlier runs know of their turns."""

    conversations: tuple[tuple[JudgedTurn, ...], ...]
    rated: dict[str, str]
    """Request key → state of the rating that exists."""
    completions: dict[str, Completion]
    """Request key → answer that exists, where there is no rating of it yet."""


def planned(reading: "Reading", draw: Draw) -> list[ConversationTurns]:
    """The turns to judge, in an order that depends on ids only."""
    rows = reading.rows(
        named_sql("label", "judged_turns"),
        {"per": draw.per, "seed": str(draw.seed), "sample": draw.sample, "limit": draw.limit},
    )
    return [
        ConversationTurns(conversation_id, tuple(position for _, position in turns))
        for conversation_id, turns in groupby(rows, key=lambda row: row[0])
    ]


def windows(plan: Sequence[ConversationTurns]) -> Iterator[list[ConversationTurns]]:
    """The plan in pieces that fit into memory."""
    rest = iter(plan)
    while piece := list(islice(rest, WINDOW_CONVERSATIONS)):
        yield piece


def read_window(
    reading: "Reading", piece: Sequence[ConversationTurns], question: Question, labeler: str
) -> Window:
    """The texts of some conversations, with the ratings and answers that exist."""
    wanted = {turns.conversation_id: turns.positions for turns in piece}
    rows = reading.rows(named_sql("label", "turn_texts"), {"conversation_ids": list(wanted)})
    conversations = tuple(
        _judged_turns(list(texts), wanted[conversation_id], question)
        for conversation_id, texts in groupby(rows, key=lambda row: row[0])
    )
    keys = [turn.key for turns in conversations for turn in turns]
    rated = _known_ratings(reading, keys, labeler, question.prompt.name)
    completions = _known_completions(reading, [key for key in keys if key not in rated])
    repairs = _repair_keys([turn for turns in conversations for turn in turns], completions)
    return Window(conversations, rated, completions | _known_completions(reading, repairs))


def _repair_keys(turns: Sequence[JudgedTurn], completions: Mapping[str, Completion]) -> list[str]:
    """The keys of the repairs that unreadable answers led to, if the run got that far."""
    return [
        request_key(turn.question.again(turn.request(), known.reply or ""))
        for turn in turns
        if (known := completions.get(turn.key)) is not None and needs_repair(known)
    ]


def _judged_turns(
    rows: Sequence[tuple[str, int, str, str, str]], positions: Sequence[int], question: Question
) -> tuple[JudgedTurn, ...]:
    shown = shown_turns(question.prompt.name, [(role, content) for *_, role, content in rows])
    return tuple(
        JudgedTurn(
            message_id=rows[position - 1][2],
            key=request_key(question.first(shown[:position])),
            question=question,
            shown=shown,
            position=position,
        )
        for position in positions
    )


def _known_ratings(reading: "Reading", keys: list[str], labeler: str, template: str) -> dict[str, str]:
    rows = reading.rows(
        named_sql("label", "known_ratings"),
        {"keys": keys, "labeler": labeler, "template": template, "parser_version": PARSER_VERSION},
    )
    return dict(rows)


def _known_completions(reading: "Reading", keys: list[str]) -> dict[str, Completion]:
    """Ids first, texts after: only the few versions that hold an answer are read in full."""
    if not keys:
        return {}
    places = {
        (version, seq)
        for _, version, seq in reading.rows(named_sql("label", "known_completions"), {"keys": keys})
    }
    if not places:
        return {}
    rows = reading.dicts(
        named_sql("label", "completion_texts"),
        {"keys": keys, "versions": sorted({version for version, _ in places})},
    )
    return {
        str(row["request_key"]): known_completion(row)
        for row in rows
        if (row["version"], row["seq"]) in places
    }
