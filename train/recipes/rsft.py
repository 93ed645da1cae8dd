"""Rejection-sampling fine-tuning (Xwin-LM, section 5): the best of a prompt's responses, loss on the response alone."""

from dataclasses import dataclass
from typing import Any, Literal

from train.exporting.rows import TrainingRow
from train.exporting.steps import Step, conversation_steps


@dataclass(frozen=True, slots=True)
class RsftSettings:
    """Which response of each prompt is taken."""

    reward_models: tuple[str, ...] = ()
    """Whose rewards rank the responses; empty takes the only one of the store."""
    ratings: str | None = None
    """The labeler whose ratings rank them instead."""
    policies: tuple[str, ...] = ()
    """Only responses that one of these gave; empty takes all."""
    prompts: str | None = None
    """Only prompts of this selection."""
    length_penalty: float = 0.0
    """What each character costs (RLHF Workflow: 0.001)."""
    rank: int = 1
    """The rank that is taken, 1 for the best (Xwin-LM, Figure 6)."""
    candidates: int | None = None
    """Only the first N draws of each policy compete (Xwin-LM, Figure 6); None takes all."""
    control_tokens: Literal["drop", "keep"] = "drop"
    """`drop`: rows whose text holds a control token are left out; `keep`: they stay."""


def steps_of(settings: RsftSettings, control_tokens: tuple[str, ...]) -> dict[str, Step[TrainingRow]]:
    """The steps of the recipe, by name, in their order."""
    return conversation_steps(control_tokens if settings.control_tokens == "drop" else ())


def row_of(record: dict[str, Any]) -> TrainingRow:
    """A prompt and its response as a conversation that is trained on at its end."""
    turns = (*zip(record["roles"], record["contents"], strict=True), ("assistant", record["answer"]))
    return TrainingRow(
        conversation_id=None,
        message_ids=(*record["message_ids"], record["response_id"]),
        turns=turns,
        condition=None,
        weight=1.0,
        turn_weights=(*(0.0 for _ in turns[:-1]), 1.0),
        source_class="",
        source="",
    )
