"""Steps every recipe takes its rows through: what is cut, what is left out and why.

A step takes a row and gives it back, changed or not, or says why it is left out.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Protocol, TypeVar

from store.chat_format import control_tokens_in
from train.exporting.rows import Tally, TrainingRow

Kind = TypeVar("Kind")


class Step(Protocol[Kind]):
    """One step of a recipe."""

    def __call__(self, row: Kind, /) -> Kind | str:
        """The row, or the reason to leave it out."""
        ...


def walk(row: Kind, steps: Mapping[str, Step[Kind]], tally: Tally) -> Kind | None:
    """The row after every step, or None where one of them left it out; TALLY counts it."""
    for name, step in steps.items():
        count = tally.of(name)
        count.before += 1
        outcome = step(row)
        if isinstance(outcome, str):
            count.dropped[outcome] += 1
            return None
        count.changed += outcome is not row
        row = outcome
    return row


def walk_all(rows: Iterator[Kind], steps: Mapping[str, Step[Kind]], tally: Tally) -> Iterator[Kind]:
    """The rows that pass every step; TALLY lists the steps at once, in their order."""
    for name in steps:
        tally.of(name)
    walked = (walk(row, steps, tally) for row in rows)
    return (row for row in walked if row is not None)


def conversation_steps(control_tokens: tuple[str, ...]) -> dict[str, Step[TrainingRow]]:
    """What makes a conversation one that a template takes; without CONTROL_TOKENS none are looked for."""
    steps: dict[str, Step[TrainingRow]] = {
        "tool turns": without_tools,
        "leading answers cut": cut_leading_answers,
        "trailing questions cut": cut_trailing_questions,
        "answer left": with_an_answer,
        "empty turns": without_empty_turns,
        "alternating roles": with_alternating_roles,
    }
    if control_tokens:
        steps["control tokens"] = lambda row: without_control_tokens(row, control_tokens)
    return steps


def _part(row: TrainingRow, start: int, end: int) -> TrainingRow:
    return replace(
        row,
        message_ids=row.message_ids[start:end],
        turns=row.turns[start:end],
        turn_weights=row.turn_weights[start:end],
        turn_ratings=row.turn_ratings[start:end],
    )


def _roles(row: TrainingRow) -> list[str]:
    return [role for role, _ in row.turns]


def without_tools(row: TrainingRow) -> TrainingRow | str:
    """Rows with tool turns are left out: the template has no place for them."""
    return "tool turns" if {"tool", "tool_call"} & set(_roles(row)) else row


def cut_leading_answers(row: TrainingRow) -> TrainingRow:
    """An answer without its question goes; a system turn before it stays."""
    roles = _roles(row)
    first = 1 if roles[:1] == ["system"] else 0
    start = first
    while start < len(roles) and roles[start] == "assistant":
        start += 1
    if start == first:
        return row
    rest = _part(row, start, len(roles))
    head = _part(row, 0, first)
    return replace(
        rest,
        message_ids=head.message_ids + rest.message_ids,
        turns=head.turns + rest.turns,
        turn_weights=head.turn_weights + rest.turn_weights,
        turn_ratings=head.turn_ratings + rest.turn_ratings,
    )


def cut_trailing_questions(row: TrainingRow) -> TrainingRow:
    """What follows the last answer goes."""
    roles = _roles(row)
    end = len(roles)
    while end > 0 and roles[end - 1] == "user":
        end -= 1
    return row if end == len(roles) else _part(row, 0, end)


def with_an_answer(row: TrainingRow) -> TrainingRow | str:
    """Rows without an assistant turn have nothing to train on."""
    return row if "assistant" in _roles(row) else "no assistant turn left"


def without_empty_turns(row: TrainingRow) -> TrainingRow | str:
    """A turn of blanks teaches nothing but blanks."""
    return row if all(content.strip() for _, content in row.turns) else "empty turn"


def with_alternating_roles(row: TrainingRow) -> TrainingRow | str:
    """At most one system turn at the front, then question and answer in turn, an answer last."""
    return row if alternates(_roles(row)) else "roles do not alternate"


def alternates(roles: list[str]) -> bool:
    """Whether roles are an optional system turn, then user and assistant in turn, assistant last."""
    spoken = roles[1:] if roles[:1] == ["system"] else roles
    pairs = zip(spoken[::2], spoken[1::2], strict=False)
    return len(spoken) > 0 and len(spoken) % 2 == 0 and all(pair == ("user", "assistant") for pair in pairs)


def without_control_tokens(row: TrainingRow, tokens: tuple[str, ...]) -> TrainingRow | str:
    """Text that would become a control token lets data end a turn; such rows are left out."""
    found = any(control_tokens_in(content, tokens) for _, content in row.turns)
    return "control tokens in content" if found else row


def with_weight(row: TrainingRow) -> TrainingRow | str:
    """A row that weighs nothing in all its turns changes nothing."""
    return row if any(row.turn_weights) else "no turn with weight"
