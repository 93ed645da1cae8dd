"""The faults of a pair as a whole; each of its sides is held against the checks of a conversation too."""

from collections.abc import Callable, Iterable, Iterator

from train.file_rows import FilePair

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
