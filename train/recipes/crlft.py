"""C-RLFT (OpenChat, section 3): every clean conversation, each class with its condition and weight."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from train.exporting.rows import TrainingRow
from train.exporting.steps import Step, conversation_steps, with_weight

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
    only_sources: tuple[str, ...] = ()
    """Only these sources; empty means all."""
    selection: str | None = None
    """Only the conversations of this selection, as `curate mix` or `curate split` made it."""
    part: str | None = None
    """Only this part of the selection."""
    beta: float | None = None
    """Weigh a class by its reward, exp(reward / beta), instead of by its weight."""
    weights: tuple[tuple[str, float], ...] = ()
    """(class, weight) for this export alone, whatever the store says."""
    weight_by_rating: str | None = None
    """LABELER or LABELER/SCALE: weigh by its ratings instead of by class."""
    class_by_rating: str | None = None
    """LABELER or LABELER/SCALE: its ratings, cut at the thresholds, are the classes."""
    thresholds: tuple[float, ...] = ()
    """Where ratings are cut; a rating at a threshold is in the class above it."""
    class_names: tuple[str, ...] = ()
    """Of the classes by rating, the lowest first; each is its own condition."""
    rating_of: str = "conversation"
    """`conversation`: the mean rating of its answers counts; `turn`: each answer's own."""
    unrated: float | None = None
    """The rating of answers that have none; None leaves their conversations out."""
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


def steps_of(
    settings: CrlftSettings,
    control_tokens: tuple[str, ...],
    by_rating: Mapping[str, Step[TrainingRow]] | None = None,
) -> dict[str, Step[TrainingRow]]:
    """The steps of the recipe, by name, in their order; BY_RATING are those that ratings decide."""
    steps = conversation_steps(control_tokens if settings.control_tokens == "drop" else ())
    if settings.refusals == "zero":
        steps["refusals weigh nothing"] = zero_refusals
    steps |= by_rating or {}
    steps["weight"] = with_weight
    return steps


def zero_refusals(row: TrainingRow) -> TrainingRow:
    """Refusal turns weigh nothing and stay as context."""
    weights = tuple(
        0.0 if role == "assistant" and is_refusal(content) else weight
        for (role, content), weight in zip(row.turns, row.turn_weights, strict=True)
    )
    return row if weights == row.turn_weights else replace(row, turn_weights=weights)
