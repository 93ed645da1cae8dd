"""Pairs as a preference model is shown them: their texts, and which orders have a verdict already."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from label.comparing.compared import Known, comparison_id
from label.comparing.pairing import Answer, Pair, shown_orders
from label.comparing.scales import LOGPROB
from label.exchange import Turn, message_turns, prompt_paths
from label.preference_model import PAIR_FORMAT, Contest
from store.named_sql import named_sql

if TYPE_CHECKING:
    from store.db import Reading


def read_by(revision: str) -> str:
    """What stands for the parser's version: which model made the odds, and how they are read."""
    return f"odds/1 {revision}"


@dataclass(frozen=True, slots=True)
class Showing:
    """One pair in one order."""

    comparison_id: str
    pair: Pair
    first: Answer
    second: Answer


@dataclass(frozen=True, slots=True)
class PreferWindow:
    """Some pairs, what is asked about them, and what is known."""

    showings: Mapping[Pair, tuple[Showing, ...]]
    """Of identical responses only one order."""
    contests: Mapping[Contest, tuple[Showing, ...]]
    """What is to be weighed → the orders it settles: pairs of several policies may say the same."""
    identical: tuple[Showing, ...]
    """Not yet stored as ties."""
    n_identical: int
    known: Mapping[str, Known]


def is_known(showings: Sequence[Showing], known: Mapping[str, Known]) -> bool:
    """Whether every order of a pair has a verdict."""
    return all(one.comparison_id in known for one in showings)


def read_window(
    reading: "Reading", piece: Sequence[tuple[Pair, ...]], labeler: str, revision: str
) -> PreferWindow:
    """The texts of some pairs, with the verdicts that exist."""
    heads = [group[0] for group in piece]
    paths = prompt_paths(reading, {pair.prompt_id for pair in heads})
    responses = {answer.response_id for pair in heads for answer in (pair.first, pair.second)}
    turns = message_turns(reading, responses.union(*paths.values()))
    shown = {pair: _showings(pair, turns, labeler) for group in piece for pair in group}
    ids = [one.comparison_id for showings in shown.values() for one in showings]
    rows = reading.rows(
        named_sql("label", "known_comparisons"),
        {"comparison_ids": ids, "parser_version": read_by(revision)},
    )
    known = {comparison: Known(state, margin) for comparison, _, state, margin in rows}
    contests: dict[Contest, list[Showing]] = defaultdict(list)
    identical = []
    for showings in shown.values():
        for one in showings:
            if one.comparison_id in known:
                continue
            if len(showings) == 1:
                identical.append(one)
            else:
                contests[_contest(one, paths, turns)].append(one)
    return PreferWindow(
        showings=shown,
        contests={contest: tuple(showings) for contest, showings in contests.items()},
        identical=tuple(identical),
        n_identical=sum(len(showings) == 1 for showings in shown.values()),
        known=known,
    )


def _showings(pair: Pair, turns: Mapping[str, Turn], labeler: str) -> tuple[Showing, ...]:
    signed = (labeler, PAIR_FORMAT, LOGPROB.name)
    orders = shown_orders(pair, "both")
    (_, one), (_, other) = turns[pair.first.response_id], turns[pair.second.response_id]
    if one.strip() == other.strip():
        orders = orders[:1]
    return tuple(
        Showing(comparison_id(pair.prompt_id, first, second, signed), pair, first, second)
        for first, second in orders
    )


def _contest(one: Showing, paths: Mapping[str, Sequence[str]], turns: Mapping[str, Turn]) -> Contest:
    prompt = tuple(turns[message_id] for message_id in paths[one.pair.prompt_id])
    return Contest(prompt, turns[one.first.response_id][1], turns[one.second.response_id][1])
