"""C-RLFT (OpenChat, section 3): every clean conversation, each class with its condition and weight.

A step takes a row and gives it back, changed or not, or says why it is left out.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from store.chat_format import control_tokens_in
from train.rows import Tally, TrainingRow

Step = Callable[[TrainingRow], TrainingRow | str]

# Sentences in which a model speaks of itself instead of answering; OpenChat's released code gives such
# turns weight 0 and keeps them as context.
REFUSAL_PHRASES = (
    "as an ai",
    "as a language model",
    "as a large language model",
    "as an artificial intelligence",
    "i'm just a language model",
    "i am just a language model",
    "i'm an ai",
    "i am an ai",
    "my knowledge cutoff",
    "trained by openai",
    "developed by openai",
    "openai's content policy",
    "openai's use case policy",
    "i'm sorry, but i cannot",
    "i'm sorry, but i can't",
    "i cannot fulfill",
)
_REFUSAL = re.compile(r"\b(" + "|".join(map(re.escape, REFUSAL_PHRASES)) + r")\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class CrlftSettings:
    """What is taken and how it is weighed; the switches are the ablations of OpenChat's Table 2."""

    only_classes: tuple[str, ...] = ()
    """Only these classes; empty means every class with a condition and a weight."""
    no_reward: bool = False
    """All weights 1."""
    no_condition: bool = False
    """One condition for all, that of the heaviest class."""
    refusals: str = "zero"
    """`zero`: refusal turns have weight 0 but stay as context; `keep`: they weigh what others do."""
    control_tokens: str = "drop"
    """`drop`: rows whose text holds a control token are left out; `keep`: they stay."""


def is_refusal(text: str) -> bool:
    """Whether a turn speaks of being a model rather than answering."""
    return _REFUSAL.search(text.replace("’", "'")) is not None


def steps_of(settings: CrlftSettings, control_tokens: tuple[str, ...]) -> dict[str, Step]:
    """The steps of the recipe, by name, in their order."""
    steps: dict[str, Step] = {
        "tool turns": without_tools,
        "leading answers cut": cut_leading_answers,
        "trailing questions cut": cut_trailing_questions,
        "answer left": with_an_answer,
        "empty turns": without_empty_turns,
        "alternating roles": with_alternating_roles,
    }
    if settings.control_tokens == "drop":
        steps["control tokens"] = lambda row: without_control_tokens(row, control_tokens)
    if settings.refusals == "zero":
        steps["refusals weigh nothing"] = zero_refusals
    steps["weight"] = with_weight
    return steps


def walk(row: TrainingRow, steps: dict[str, Step], tally: Tally) -> TrainingRow | None:
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


def _part(row: TrainingRow, start: int, end: int) -> TrainingRow:
    return replace(
        row,
        message_ids=row.message_ids[start:end],
        turns=row.turns[start:end],
        turn_weights=row.turn_weights[start:end],
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


def zero_refusals(row: TrainingRow) -> TrainingRow:
    """Refusal turns weigh nothing and stay as context."""
    weights = tuple(
        0.0 if role == "assistant" and is_refusal(content) else weight
        for (role, content), weight in zip(row.turns, row.turn_weights, strict=True)
    )
    return row if weights == row.turn_weights else replace(row, turn_weights=weights)


def with_weight(row: TrainingRow) -> TrainingRow | str:
    """A row that weighs nothing in all its turns changes nothing."""
    return row if any(row.turn_weights) else "no turn with weight"


def walk_all(rows: Iterator[TrainingRow], steps: dict[str, Step], tally: Tally) -> Iterator[TrainingRow]:
    """The rows that pass every step; TALLY lists the steps at once, in their order."""
    for name in steps:
        tally.of(name)
    walked = (walk(row, steps, tally) for row in rows)
    return (row for row in walked if row is not None)
