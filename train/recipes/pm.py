"""The pairwise preference model (RLHF Workflow, section 2.3): a causal model that answers which of two is better.

Written as `label prefer` writes a contest, so that the model reads later what it was trained on.
"""

import hashlib
from dataclasses import dataclass
from typing import Literal

from label.preference_model import Contest
from label.preference_models.pair_tokens import LABELS, written
from train.exporting.rows import PairRow, TrainingRow


@dataclass(frozen=True, slots=True)
class PmSettings:
    """Which pairs are taken, and in which order each is shown."""

    pairs: str
    """The selection of pairs, as `label pairs` made it."""
    part: str | None = None
    """Only this part of the selection."""
    control_tokens: Literal["drop", "keep"] = "drop"
    """`drop`: rows whose text holds a control token are left out; `keep`: they stay."""
    seed: int = 0
    """Of the order in which the two answers of a row are shown."""


def is_better_first(row: PairRow, seed: int) -> bool:
    """Whether the better answer is shown first: by a hash of the row, so that half of them are."""
    text = f"{seed}/{row.prompt_id}/{row.chosen_id}/{row.rejected_id}"
    return hashlib.sha256(text.encode()).digest()[0] % 2 == 0


def as_contest(row: PairRow, seed: int) -> TrainingRow:
    """The pair as a question and the label that answers it, which alone is trained on."""
    contest = Contest(row.prompt, row.chosen, row.rejected)
    better, worse = LABELS
    is_upright = is_better_first(row, seed)
    question = written(contest if is_upright else contest.swapped())
    return TrainingRow(
        conversation_id=None,
        message_ids=row.origin.message_ids,
        turns=(("user", question), ("assistant", better if is_upright else worse)),
        condition=None,
        weight=1.0,
        turn_weights=(0.0, 1.0),
        source_class=row.strength or "",
        source="",
        shown_scores=(row.score_chosen, row.score_rejected)
        if is_upright
        else (row.score_rejected, row.score_chosen),
    )
