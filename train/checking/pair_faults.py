"""The faults of a pair as a whole; each of its sides is held against the checks of a conversation too."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from train.checking.file_rows import FilePair


@dataclass
class PairLengths:
    """How long the two sides of pairs are, in characters; a reward model learns length where they differ."""

    rows: int = 0
    chosen_characters: int = 0
    rejected_characters: int = 0
    chosen_longer: int = 0

    def add(self, pair: FilePair) -> None:
        """Count a pair."""
        better, worse = (len(_answer(pair, side) or "") for side in (0, 1))
        self.rows += 1
        self.chosen_characters += better
        self.rejected_characters += worse
        self.chosen_longer += better > worse

    def as_json(self) -> dict[str, float] | None:
        """Means and a share, None without pairs."""
        if not self.rows:
            return None
        return {
            "rows": self.rows,
            "mean_chosen_characters": round(self.chosen_characters / self.rows, 1),
            "mean_rejected_characters": round(self.rejected_characters / self.rows, 1),
            "chosen_longer_share": round(self.chosen_longer / self.rows, 4),
        }


PairCheck = Callable[[FilePair], Iterable[str]]


def check_difference(pair: FilePair) -> Iterator[str]:
    """The two answers are not the same."""
    better, worse = (_answer(pair, side) for side in (0, 1))
    if better is not None and worse is not None and better.strip() == worse.strip():
        yield "chosen equals rejected"


def check_prompt(pair: FilePair) -> Iterator[str]:
    """Both sides answer the same prompt, with one turn each."""
    better, worse = (side.turns or () for side in pair.sides)
    if better[:-1] != worse[:-1]:
        yield "chosen and rejected answer different prompts"


def check_scores(pair: FilePair) -> Iterator[str]:
    """The score that chose an answer really is the higher one."""
    if pair.score_chosen is None or pair.score_rejected is None:
        return
    if not pair.score_chosen > pair.score_rejected:
        yield "chosen scores no higher than rejected"


def check_columns(pair: FilePair) -> Iterator[str]:
    """No column has a name that trainers consume unasked, and answers are not whole conversations."""
    if pair.has_consumed_column:
        yield "column that trainers consume"
    if pair.mixes_layouts:
        yield "prompt column beside whole conversations"


PAIR_CHECKS: tuple[PairCheck, ...] = (check_difference, check_prompt, check_scores, check_columns)


def pair_faults(pair: FilePair) -> set[str]:
    """The names of all faults of a pair as a whole."""
    return {fault for check in PAIR_CHECKS for fault in check(pair)}


def _answer(pair: FilePair, side: int) -> str | None:
    turns = pair.sides[side].turns
    return turns[-1][1] if turns else None
