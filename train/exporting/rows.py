"""The rows that pass from the store to a file, and the count of what happened on the way."""

from collections import Counter
from dataclasses import dataclass, field

from store.chat_format import Turn


@dataclass(frozen=True, slots=True)
class Origin:
    """What a row was made from, as `export_rows` keeps it; ids are UUID text."""

    conversation_id: str | None
    """None for a row made of a prompt and draws under it."""
    message_ids: tuple[str, ...]
    source_class: str | None


@dataclass(frozen=True, slots=True)
class TrainingRow:
    """One conversation to train on."""

    conversation_id: str | None
    """UUID text; None for a row that was made of a prompt and answers under it."""
    message_ids: tuple[str, ...]
    """UUID text of the messages that are left, in order, or of all it was made of."""
    turns: tuple[Turn, ...]
    condition: str | None
    """None where the recipe knows no conditions."""
    weight: float
    """The weight of the class."""
    turn_weights: tuple[float, ...]
    """The loss factor of each turn: the class weight for answers, 0 for context."""
    source_class: str
    source: str
    turn_ratings: tuple[float | None, ...] = ()
    """The rating of each turn, None where it has none; empty where the recipe asks for none."""
    shown_scores: tuple[float | None, float | None] = (None, None)
    """Of a row that asks which of two answers is better: what the first and the second scored."""

    @property
    def answer_weights(self) -> tuple[float, ...]:
        """The loss factor of each assistant turn."""
        return tuple(
            weight
            for (role, _), weight in zip(self.turns, self.turn_weights, strict=True)
            if role == "assistant"
        )

    @property
    def origin(self) -> Origin:
        """What it was made from."""
        return Origin(self.conversation_id, self.message_ids, self.source_class)


@dataclass(frozen=True, slots=True)
class PairRow:
    """Two answers to one prompt, the better one first."""

    prompt_id: str
    """UUID text, as are the other ids."""
    chosen_id: str
    rejected_id: str
    prompt_message_ids: tuple[str, ...]
    """The prompt's path, root first."""
    prompt: tuple[Turn, ...]
    chosen: str
    rejected: str
    score_chosen: float | None
    score_rejected: float | None
    score_gap: float | None
    rank_chosen: int | None
    rank_rejected: int | None
    strength: str | None

    @property
    def origin(self) -> Origin:
        """What it was made from."""
        return Origin(None, (*self.prompt_message_ids, self.chosen_id, self.rejected_id), None)


@dataclass(frozen=True, slots=True)
class LabelledRow:
    """One answer to a prompt that is good or bad (KTO)."""

    pair: PairRow
    is_good: bool

    @property
    def completion(self) -> str:
        """The answer."""
        return self.pair.chosen if self.is_good else self.pair.rejected

    @property
    def scores(self) -> tuple[float | None, float | None]:
        """What the answer scored, and what the pair's other one did."""
        scores = (self.pair.score_chosen, self.pair.score_rejected)
        return scores if self.is_good else scores[::-1]

    @property
    def completion_id(self) -> str:
        """The answer's id, UUID text."""
        return self.pair.chosen_id if self.is_good else self.pair.rejected_id

    @property
    def origin(self) -> Origin:
        """What it was made from."""
        return Origin(None, (*self.pair.prompt_message_ids, self.completion_id), None)


Row = TrainingRow | PairRow | LabelledRow


@dataclass
class StepCount:
    """What one step did to the rows that reached it."""

    before: int = 0
    changed: int = 0
    dropped: Counter[str] = field(default_factory=Counter)

    @property
    def after(self) -> int:
        """Rows that went on."""
        return self.before - self.dropped.total()


@dataclass
class Tally:
    """The steps of a selection, in the order they were taken; `in = rows + dropped` always holds."""

    steps: dict[str, StepCount] = field(default_factory=dict)

    def of(self, step: str) -> StepCount:
        """The count of a step."""
        return self.steps.setdefault(step, StepCount())

    def dropped(self) -> dict[str, int]:
        """Reason → rows, over all steps."""
        total: Counter[str] = Counter()
        for step in self.steps.values():
            total += step.dropped
        return dict(sorted(total.items()))

    def changed(self) -> dict[str, int]:
        """Step → rows it changed but kept."""
        return {name: step.changed for name, step in self.steps.items() if step.changed}

    def as_json(self) -> list[dict[str, object]]:
        """The steps as a manifest lists them."""
        return [
            {
                "step": name,
                "before": step.before,
                "after": step.after,
                "changed": step.changed,
                "dropped": dict(sorted(step.dropped.items())),
            }
            for name, step in self.steps.items()
        ]
