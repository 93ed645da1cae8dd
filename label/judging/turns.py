"""The assistant turns to be judged: which there are, their texts, and what is already known of them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, islice
from typing import TYPE_CHECKING, Literal

from label.batches.rows import open_keys
from label.chat import ChatModel, ChatRequest, Json, request_key
from label.engine.calls import Completion, known_completion
from label.judging.outcome import needs_repair
from label.judging.parse import PARSER_VERSION
from label.judging.rating_scales import RatingScale
from label.judging.render import JudgePrompt, render_repair, render_shown, shown_turns
from store.named_sql import named_sql

if TYPE_CHECKING:
    from store.db import Reading, Store

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
    scale: RatingScale
    draw_index: int = 0
    """Which of several answers to the same words it asks for."""
    references: tuple[str, ...] = ()
    """Reference answers as the judge sees them."""

    def first(self, shown: Sequence[str]) -> ChatRequest:
        """The request to rate the last of the SHOWN turns."""
        return ChatRequest(
            provider=self.model.provider,
            base_url=self.model.base_url,
            model=self.model.model,
            api_version=self.model.api_version,
            messages=render_shown(self.prompt, shown, self.references),
            sampling=self.sampling,
            sample_index=self.draw_index,
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
    """The turns of one conversation in order, once for each question."""
    rated: dict[str, str]
    """Request key → state of the rating that exists."""
    completions: dict[str, Completion]
    """Request key → answer that exists, where there is no rating of it yet."""
    pending: frozenset[str] = frozenset()
    """Keys of requests without an answer that are in an open batch."""
    broken: frozenset[str] = frozenset()
    """Keys of requests whose answer cannot be read."""


def planned(reading: "Reading", draw: Draw) -> list[ConversationTurns]:
    """The turns to judge; which they are depends on ids only."""
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
    reading: "Reading",
    piece: Sequence[ConversationTurns],
    questions: Sequence[Question],
    labeler: str,
) -> Window:
    """The texts of some conversations, with the ratings and answers that exist."""
    wanted = {turns.conversation_id: turns.positions for turns in piece}
    conversations = tuple(
        turns
        for conversation_id, path in _paths(reading, list(wanted))
        for turns in _judged_turns(path, wanted[conversation_id], questions)
    )
    return known_of(reading, conversations, labeler)


def known_of(reading: "Reading", conversations: tuple[tuple[JudgedTurn, ...], ...], labeler: str) -> Window:
    """These turns with the ratings and answers that exist."""
    keys = [turn.key for turns in conversations for turn in turns]
    rated = _known_ratings(reading, keys, labeler)
    completions = known_completions(reading, [key for key in keys if key not in rated])
    repairs = _repair_keys([turn for turns in conversations for turn in turns], completions)
    repaired = known_completions(reading, list(repairs.values()))
    pending = open_keys(reading, [key for key in keys if key not in rated and key not in completions])
    return Window(conversations, rated, completions | repaired, pending, frozenset(repairs))


def _repair_keys(turns: Sequence[JudgedTurn], completions: Mapping[str, Completion]) -> dict[str, str]:
    """Key of an unreadable answer → key of the repair it leads to."""
    return {
        turn.key: request_key(turn.question.again(turn.request(), known.reply or ""))
        for turn in turns
        if (known := completions.get(turn.key)) is not None and needs_repair(known, turn.question.scale)
    }


def _paths(
    reading: "Reading", conversation_ids: list[str]
) -> Iterator[tuple[str, list[tuple[str, str, str]]]]:
    """Each conversation with its (message id, role, content) in order: ids first, then only their texts."""
    places = reading.rows(named_sql("label", "turn_places"), {"conversation_ids": conversation_ids})
    versions = sorted({version for *_, version in places})
    message_ids = list({message_id for _, _, message_id, _ in places})
    texts = {
        message_id: (message_id, role, content)
        for message_id, role, content in reading.rows(
            named_sql("label", "turn_texts"), {"versions": versions, "message_ids": message_ids}
        )
    }
    for conversation_id, path in groupby(places, key=lambda place: place[0]):
        yield conversation_id, [texts[message_id] for _, _, message_id, _ in path]


def _judged_turns(
    path: Sequence[tuple[str, str, str]],
    positions: Sequence[int],
    questions: Sequence[Question],
) -> Iterator[tuple[JudgedTurn, ...]]:
    """The turns at these positions of a path, once for each question."""
    texts = [(role, content) for _, role, content in path]
    names = {question.prompt.name for question in questions}
    shown = {name: shown_turns(name, texts) for name in names}
    for question in questions:
        yield tuple(
            JudgedTurn(
                message_id=path[position - 1][0],
                key=request_key(question.first(shown[question.prompt.name][:position])),
                question=question,
                shown=shown[question.prompt.name],
                position=position,
            )
            for position in positions
        )


def _known_ratings(reading: "Reading", keys: list[str], labeler: str) -> dict[str, str]:
    rows = reading.rows(
        named_sql("label", "known_ratings"),
        {"keys": keys, "labeler": labeler, "parser_version": PARSER_VERSION},
    )
    return dict(rows)


def stored_completions(store: "Store", keys: list[str]) -> dict[str, Completion]:
    """The answers there are to these requests, read in a turn of its own."""
    with store.read() as reading:
        return known_completions(reading, keys)


def known_completions(reading: "Reading", keys: list[str]) -> dict[str, Completion]:
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
