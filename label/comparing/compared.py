"""Pairs of responses to be judged: their texts, the requests that ask about them, and what is already known."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, islice
from typing import TYPE_CHECKING

from label.batches.rows import open_keys
from label.chat import ChatModel, ChatRequest, Json, request_key
from label.comparing.pair_prompt import (
    PairPrompt,
    ShownPair,
    render_pair,
    render_pair_repair,
    reply_schema,
    show_pair,
)
from label.comparing.pairing import Answer, Orders, Pair, shown_orders
from label.comparing.scales import Scale
from label.comparing.verdict import VERDICT_PARSER, opinion_of
from label.engine.calls import Completion
from label.exchange import message_turns, prompt_paths
from label.judging.render import Turn
from label.judging.turns import known_completions
from store.ids import digest_of, uuid_text
from store.named_sql import named_sql

if TYPE_CHECKING:
    from store.db import Reading

WINDOW_GROUPS = 1000
"""Pairs of texts that are in memory together."""


@dataclass(frozen=True, slots=True)
class PairQuestion:
    """How two responses are put to the judge."""

    model: ChatModel
    prompt: PairPrompt
    scale: Scale
    orders: Orders
    sampling: dict[str, Json]
    labeler: str

    def first(self, shown: ShownPair) -> ChatRequest:
        """The request to say which of the two SHOWN is better."""
        return ChatRequest(
            provider=self.model.provider,
            base_url=self.model.base_url,
            model=self.model.model,
            api_version=self.model.api_version,
            messages=render_pair(self.prompt, self.scale, shown),
            response_schema=reply_schema(self.prompt, self.scale) if self.is_schema_sent else None,
            sampling=self.sampling,
        )

    @property
    def is_schema_sent(self) -> bool:
        """Whether the answer is bound to a schema: a single letter needs none."""
        return self.model.takes_schema and not self.prompt.is_label_only

    def again(self, request: ChatRequest, reply: str) -> ChatRequest:
        """The one request to repair a reply that could not be read."""
        return replace(
            request,
            messages=render_pair_repair(self.prompt, self.scale, request.messages, reply),
            repair_index=request.repair_index + 1,
        )

    def comparison_id(self, prompt_id: str, first: Answer, second: Answer) -> str:
        """The id of this labeler's verdict on two answers shown in this order."""
        return comparison_id(prompt_id, first, second, (self.labeler, self.prompt.name, self.scale.name))


def comparison_id(prompt_id: str, first: Answer, second: Answer, signed: tuple[str, str, str]) -> str:
    """The id of a verdict on two answers shown in this order, SIGNED by labeler, template and scale."""
    sides = [part for answer in (first, second) for part in (answer.response_id, answer.policy)]
    return uuid_text(digest_of("p1", prompt_id, *sides, *signed, "0"))


@dataclass(frozen=True, slots=True)
class ShownOrder:
    """Two responses in the order they are shown."""

    comparison_id: str
    first: Answer
    second: Answer
    shown: ShownPair | None
    """None for identical responses, which nobody needs to be asked about."""
    key: str | None
    """The key of its first request."""


@dataclass(frozen=True, slots=True)
class JudgedPair:
    """A pair with the orders it is asked about in."""

    pair: Pair
    orders: tuple[ShownOrder, ...]
    """Of identical responses only one."""

    @property
    def is_identical(self) -> bool:
        """Whether both responses say the same."""
        return self.orders[0].shown is None


@dataclass(frozen=True, slots=True)
class Known:
    """A verdict that an earlier run stored."""

    state: str
    signed_margin: float | None


@dataclass(frozen=True, slots=True)
class PairWindow:
    """Some pairs, and what earlier runs know of them."""

    groups: tuple[tuple[JudgedPair, ...], ...]
    """Pairs of the same two responses are together: they differ in who gave them, and share the calls."""
    known: dict[str, Known]
    """Comparison id → the verdict there is."""
    completions: dict[str, Completion]
    """Request key → answer that exists, where there is no verdict yet."""
    pending: frozenset[str] = frozenset()
    """Keys of requests without an answer that are in an open batch."""
    broken: frozenset[str] = frozenset()
    """Keys of requests whose answer cannot be read."""


def windows(plan: Sequence[Pair]) -> Iterator[list[tuple[Pair, ...]]]:
    """The plan in pieces that fit into memory, pairs of the same two responses together."""
    groups = (tuple(group) for _, group in groupby(plan, key=_texts_of))
    while piece := list(islice(groups, WINDOW_GROUPS)):
        yield piece


def _texts_of(pair: Pair) -> tuple[str, str, str]:
    return pair.prompt_id, pair.first.response_id, pair.second.response_id


def read_pairs(reading: "Reading", piece: Sequence[tuple[Pair, ...]], question: PairQuestion) -> PairWindow:
    """The texts of some pairs, with the verdicts and answers that exist."""
    heads = [group[0] for group in piece]
    paths = prompt_paths(reading, {pair.prompt_id for pair in heads})
    responses = {answer.response_id for pair in heads for answer in (pair.first, pair.second)}
    turns = message_turns(reading, responses.union(*paths.values()))
    groups = tuple(_judged_group(group, paths, turns, question) for group in piece)
    orders = [order for group in groups for pair in group for order in pair.orders]
    known = _known_comparisons(reading, orders)
    asked = {
        order.key: order for order in orders if order.key is not None and order.comparison_id not in known
    }
    completions = known_completions(reading, list(asked))
    repairs = _repair_keys(asked, completions, question)
    repaired = known_completions(reading, list(repairs.values()))
    pending = open_keys(reading, [key for key in asked if key not in completions])
    return PairWindow(groups, known, completions | repaired, pending, frozenset(repairs))


def _judged_group(
    group: Sequence[Pair],
    paths: Mapping[str, Sequence[str]],
    turns: Mapping[str, Turn],
    question: PairQuestion,
) -> tuple[JudgedPair, ...]:
    head = group[0]
    (_, first), (_, second) = turns[head.first.response_id], turns[head.second.response_id]
    if first.strip() == second.strip():
        return tuple(JudgedPair(pair, (_identical(pair, question),)) for pair in group)
    prompt = [turns[message_id] for message_id in paths[head.prompt_id]]
    shown = show_pair(question.prompt.name, prompt, first, second)
    keys: dict[ShownPair, str] = {}
    return tuple(JudgedPair(pair, _orders(pair, shown, question, keys)) for pair in group)


def _identical(pair: Pair, question: PairQuestion) -> ShownOrder:
    comparison_id = question.comparison_id(pair.prompt_id, pair.first, pair.second)
    return ShownOrder(comparison_id, pair.first, pair.second, None, None)


def _orders(
    pair: Pair, shown: ShownPair, question: PairQuestion, keys: dict[ShownPair, str]
) -> tuple[ShownOrder, ...]:
    """The orders PAIR is shown in; KEYS keeps what the pairs of a group have in common."""
    orders = []
    for first, second in shown_orders(pair, question.orders):
        as_shown = shown if first == pair.first else shown.swapped()
        if as_shown not in keys:
            keys[as_shown] = request_key(question.first(as_shown))
        comparison_id = question.comparison_id(pair.prompt_id, first, second)
        orders.append(ShownOrder(comparison_id, first, second, as_shown, keys[as_shown]))
    return tuple(orders)


def _known_comparisons(reading: "Reading", orders: Sequence[ShownOrder]) -> dict[str, Known]:
    """Verdicts on the very same requests; of identical responses there is no request."""
    rows = reading.rows(
        named_sql("label", "known_comparisons"),
        {"comparison_ids": [order.comparison_id for order in orders], "parser_version": VERDICT_PARSER},
    )
    keys = {order.comparison_id: order.key for order in orders}
    return {
        comparison_id: Known(state, margin)
        for comparison_id, key, state, margin in rows
        if keys[comparison_id] == key
    }


def _repair_keys(
    asked: Mapping[str, ShownOrder], completions: Mapping[str, Completion], question: PairQuestion
) -> dict[str, str]:
    """Key of an unreadable answer → key of the repair it leads to."""
    if question.prompt.is_label_only:
        return {}
    return {
        key: request_key(question.again(question.first(order.shown), known.reply or ""))
        for key, order in asked.items()
        if order.shown is not None
        and (known := completions.get(key)) is not None
        and opinion_of(known, question.scale).state == "unparsed"
    }
