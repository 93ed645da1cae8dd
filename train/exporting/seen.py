"""What passed through to the exporter, summed while it passes: by class for conversations, as lengths for pairs."""

import math
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

from train.checking.pair_tokens import PairTokens
from train.exporter import ExportRow
from train.exporting.rows import LabelledRow, PairRow, TrainingRow
from train.supervise import Supervised


@dataclass
class ClassSum:
    """What the rows of one class add up to."""

    condition: str | None
    lowest_weight: float = math.inf
    highest_weight: float = -math.inf
    rows: int = 0
    tokens: int = 0
    trained_tokens: int = 0
    weight_sum: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """As the manifest keeps it: one weight, or none where rows differ, and between what they lie."""
        found = asdict(self)
        lowest, highest = found.pop("lowest_weight"), found.pop("highest_weight")
        if lowest == highest:
            return {"condition": found.pop("condition"), "weight": lowest, **found}
        return {"condition": found.pop("condition"), "weight": None, "weights": [lowest, highest], **found}


@dataclass
class PairSum:
    """What the pairs add up to; lengths are in characters."""

    rows: int = 0
    prompts: set[str] = field(default_factory=set)
    chosen_characters: int = 0
    rejected_characters: int = 0
    chosen_longer: int = 0
    gaps: int = 0
    gap_sum: float = 0.0
    prompt_tokens: int = 0
    longest_tokens: int = 0

    def add(self, row: PairRow, tokens: PairTokens | None) -> None:
        """Count a pair."""
        self.rows += 1
        self.prompts.add(row.prompt_id)
        self.chosen_characters += len(row.chosen)
        self.rejected_characters += len(row.rejected)
        self.chosen_longer += len(row.chosen) > len(row.rejected)
        if row.score_gap is not None:
            self.gaps += 1
            self.gap_sum += row.score_gap
        if tokens is not None:
            self.prompt_tokens += tokens.prompt
            self.longest_tokens = max(self.longest_tokens, tokens.longest)

    def as_json(self) -> dict[str, Any]:
        """Means and shares, as the manifest keeps them."""
        if not self.rows:
            return {"rows": 0}
        return {
            "rows": self.rows,
            "prompts": len(self.prompts),
            "mean_chosen_characters": round(self.chosen_characters / self.rows, 1),
            "mean_rejected_characters": round(self.rejected_characters / self.rows, 1),
            "chosen_longer_share": round(self.chosen_longer / self.rows, 4),
            "mean_score_gap": round(self.gap_sum / self.gaps, 4) if self.gaps else None,
            "mean_prompt_tokens": round(self.prompt_tokens / self.rows, 1),
            "longest_tokens": self.longest_tokens,
        }


@dataclass
class Seen:
    """The sums of one export."""

    classes: dict[str, ClassSum] = field(default_factory=dict)
    turns: Counter[str] = field(default_factory=Counter)
    """Role → turns of conversations."""
    sources: dict[str, int] = field(default_factory=dict)
    pairs: PairSum = field(default_factory=PairSum)

    def add(self, one: ExportRow) -> None:
        """Count a row."""
        if isinstance(one.row, TrainingRow):
            self._add_conversation(one.row, one.tokens)
        elif isinstance(one.row, PairRow):
            self._add_pair(one.row, one.tokens)
        elif isinstance(one.row, LabelledRow) and one.row.is_good:
            self._add_pair(one.row.pair, one.tokens)

    def _add_conversation(self, row: TrainingRow, tokens: Supervised | PairTokens | None) -> None:
        total = self.classes.setdefault(row.source_class, ClassSum(row.condition))
        total.rows += 1
        self.turns.update(role for role, _ in row.turns)
        total.lowest_weight = min(total.lowest_weight, row.weight)
        total.highest_weight = max(total.highest_weight, row.weight)
        self.sources[row.source] = self.sources.get(row.source, 0) + 1
        if isinstance(tokens, Supervised):
            total.tokens += len(tokens.input_ids)
            total.trained_tokens += tokens.n_trained
            total.weight_sum += sum(tokens.loss_weights)

    def _add_pair(self, row: PairRow, tokens: Supervised | PairTokens | None) -> None:
        self.pairs.add(row, tokens if isinstance(tokens, PairTokens) else None)

    def as_json(self) -> dict[str, Any]:
        """What the manifest says of the rows."""
        if self.pairs.rows:
            return {"pairs": self.pairs.as_json()}
        classes = {name: total.as_json() for name, total in sorted(self.classes.items())}
        return {"classes": classes, "turns": dict(sorted(self.turns.items()))}
