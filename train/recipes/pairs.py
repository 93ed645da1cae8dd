"""Recipes over pairs: reward models and DPO (Xwin-LM, sections 4 and 6; RLHF Workflow, sections 2 and 3), and KTO."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from store.chat_format import control_tokens_in
from train.exporting.rows import LabelledRow, PairRow
from train.exporting.steps import Step


@dataclass(frozen=True, slots=True)
class PairSettings:
    """Which pairs are taken."""

    pairs: str
    """The selection of pairs, as `label pairs` made it."""
    part: str | None = None
    """Only this part of the selection."""
    control_tokens: Literal["drop", "keep"] = "drop"
    """`drop`: rows whose text holds a control token are left out; `keep`: they stay."""


def steps_of(control_tokens: tuple[str, ...]) -> dict[str, Step[PairRow]]:
    """The steps of the recipes, by name, in their order; without CONTROL_TOKENS none are looked for."""
    steps: dict[str, Step[PairRow]] = {
        "prompt": with_a_prompt,
        "empty turns": without_empty_turns,
        "different answers": with_different_answers,
        "scores": with_the_better_first,
    }
    if control_tokens:
        steps["control tokens"] = lambda row: without_control_tokens(row, control_tokens)
    return steps


def with_a_prompt(row: PairRow) -> PairRow | str:
    """A prompt is at most one system turn, then question and answer in turn, a question last."""
    roles = [role for role, _ in row.prompt]
    if {"tool", "tool_call"} & set(roles):
        return "tool turns"
    spoken = roles[1:] if roles[:1] == ["system"] else roles
    wanted = ["user", "assistant"] * (len(spoken) // 2) + ["user"]
    return row if spoken == wanted else "prompt does not alternate and end with the user"


def without_empty_turns(row: PairRow) -> PairRow | str:
    """A turn of blanks teaches nothing but blanks."""
    texts = (*(content for _, content in row.prompt), row.chosen, row.rejected)
    return row if all(text.strip() for text in texts) else "empty turn"


def with_different_answers(row: PairRow) -> PairRow | str:
    """Answers that say the same cannot be told apart."""
    return "chosen equals rejected" if row.chosen.strip() == row.rejected.strip() else row


def with_the_better_first(row: PairRow) -> PairRow | str:
    """Where scores chose, the chosen answer has the higher one."""
    if row.score_chosen is None or row.score_rejected is None or row.score_chosen > row.score_rejected:
        return row
    return "chosen scores no higher than rejected"


def without_control_tokens(row: PairRow, tokens: tuple[str, ...]) -> PairRow | str:
    """Text that would become a control token lets data end a turn; such rows are left out."""
    texts = (*(content for _, content in row.prompt), row.chosen, row.rejected)
    return "control tokens in content" if any(control_tokens_in(text, tokens) for text in texts) else row


def labelled(row: PairRow) -> Iterator[LabelledRow]:
    """The two rows KTO makes of a pair."""
    yield LabelledRow(row, is_good=True)
    yield LabelledRow(row, is_good=False)
