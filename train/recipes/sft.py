"""Supervised fine-tuning (Camels, section 4; Xwin-LM, section 3): conversations, loss on what the assistant says."""

from dataclasses import dataclass, replace
from typing import Literal

from train.exporting.rows import TrainingRow
from train.exporting.steps import Step, conversation_steps
from train.recipes.crlft import is_refusal


@dataclass(frozen=True, slots=True)
class SftSettings:
    """What is taken and which of its turns are trained on."""

    only_classes: tuple[str, ...] = ()
    """Only these classes; empty means all, the unknown one too."""
    only_sources: tuple[str, ...] = ()
    """Only these sources; empty means all."""
    selection: str | None = None
    """Only the conversations of this selection, as `curate mix` or `curate split` made it."""
    part: str | None = None
    """Only this part of the selection."""
    turns: Literal["all", "last"] = "all"
    """`last`: the loss is on the last answer alone."""
    refusals: Literal["keep", "drop"] = "keep"
    """`drop`: conversations in which the model speaks of being one are left out."""
    control_tokens: Literal["drop", "keep"] = "drop"
    """`drop`: rows whose text holds a control token are left out; `keep`: they stay."""


def steps_of(settings: SftSettings, control_tokens: tuple[str, ...]) -> dict[str, Step[TrainingRow]]:
    """The steps of the recipe, by name, in their order."""
    steps = conversation_steps(control_tokens if settings.control_tokens == "drop" else ())
    if settings.refusals == "drop":
        steps["refusals"] = without_refusals
    if settings.turns == "last":
        steps["last answer only"] = last_answer_only
    return steps


def without_refusals(row: TrainingRow) -> TrainingRow | str:
    """Conversations in which an answer speaks of being a model are left out."""
    refused = any(role == "assistant" and is_refusal(content) for role, content in row.turns)
    return "refusal" if refused else row


def last_answer_only(row: TrainingRow) -> TrainingRow:
    """The answers before the last one become context."""
    weights = (*(0.0 for _ in row.turn_weights[:-1]), row.turn_weights[-1])
    return row if weights == row.turn_weights else replace(row, turn_weights=weights)
