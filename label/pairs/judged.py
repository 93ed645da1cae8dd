"""Pairs that somebody compared: judges and people say which response is better.

Every verdict on the same two responses has to agree; ties and conflicts make no pair.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from label.comparing.scales import SCALES
from label.id_columns import Ids, Places, are_among, ids_of_texts
from label.pairs.rules import Pairs
from label.ranking.order import Scores, Sets, ranked
from label.trust.agree import EVERYONE, KINDS, check_words
from store.errors import RequestError
from store.named_sql import named_sql

if TYPE_CHECKING:
    from store.db import Reading


@dataclass(frozen=True, slots=True)
class Judged:
    """Which verdicts make pairs."""

    by: tuple[str, ...] = ("all",)
    """Labelers, or `people`, `judges`, `all`."""
    min_margin: float = 0.0
    """The mean margin of a pair's verdicts is at least this, of 1."""
    with_weak: bool = False
    """Whether a verdict counts that holds in one order and is a tie in the other."""
    drops_contradicted: bool = False
    """Whether pairs are dropped whose rejected response has the higher score."""
    keeps_unscored: bool = False
    """Whether pairs stay that have no scores to be held against a gap or a ratio."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one labeler's verdict says, all orders taken together."""

    prompt_id: str
    chosen_id: str
    rejected_id: str
    margin: float
    scale: str


def judged_pairs(
    reading: "Reading",
    judged: Judged,
    conditions: str,
    dropped: Counter[str],
    params: Mapping[str, object] | None = None,
) -> tuple[Pairs, int]:
    """The pairs, and how many verdicts were read; DROPPED is told why verdicts made none.

    CONDITIONS is SQL on the verdicts, with its PARAMS. Raises UnknownName for a labeler that compared nothing.
    """
    groups: dict[tuple[str, str], list[Verdict]] = defaultdict(list)
    read = 0
    for state, verdict in _verdicts(reading, judged, conditions, params or {}):
        read += 1
        if state == "win" or (state == "weak" and judged.with_weak):
            if verdict.chosen_id == verdict.rejected_id:
                dropped["equal_text"] += 1
                continue
            first, second = sorted((verdict.chosen_id, verdict.rejected_id))
            groups[first, second].append(verdict)
        else:
            dropped[state] += 1
    return _as_pairs(list(_agreed(groups.values(), judged, dropped))), read


def _verdicts(
    reading: "Reading", judged: Judged, conditions: str, params: Mapping[str, object]
) -> Iterator[tuple[str, Verdict]]:
    known = reading.rows("SELECT DISTINCT labeler, labeler_kind FROM comparisons ORDER BY ALL")
    if not known:
        raise RequestError("the store holds no verdicts; compare responses with: label compare")
    check_words(judged.by, {name for name, _ in known})
    kinds = [KINDS[word] for word in judged.by if word in KINDS]
    chosen = [name for name, kind in known if name in judged.by or kind in kinds or EVERYONE in judged.by]
    rows = reading.rows(
        named_sql("label", "pairs_judged").replace("/* where */", conditions), {"labelers": chosen, **params}
    )
    for state, *fields in rows:
        yield state, Verdict(*fields)


def _agreed(
    groups: Iterable[list[Verdict]], judged: Judged, dropped: Counter[str]
) -> Iterator[tuple[Verdict, str]]:
    """One verdict for each two responses, with the name of its strength."""
    for group in groups:
        head = group[0]
        if any(one.chosen_id != head.chosen_id for one in group):
            dropped["labelers_disagree"] += len(group)
            continue
        margin = sum(one.margin for one in group) / len(group)
        if margin < judged.min_margin:
            dropped["below_min_margin"] += len(group)
            continue
        if len(group) > 1:
            dropped["said_again"] += len(group) - 1
        yield head, _strength(margin, {one.scale for one in group})


def _strength(margin: float, scales: set[str]) -> str:
    """The strength's name on the scale it was judged on; the margin where there are several."""
    scale = SCALES.get(next(iter(scales))) if len(scales) == 1 else None
    return f"{margin:.2f}" if scale is None else scale.strength_of(margin)


def _as_pairs(found: Sequence[tuple[Verdict, str]]) -> Pairs:
    unknown, unranked = np.full(len(found), np.nan), np.zeros(len(found), dtype=np.intp)
    return Pairs(
        ids_of_texts([one.prompt_id for one, _ in found]),
        ids_of_texts([one.chosen_id for one, _ in found]),
        ids_of_texts([one.rejected_id for one, _ in found]),
        unknown,
        unknown,
        unranked,
        unranked,
        np.array([strength for _, strength in found], dtype=np.object_),
    ).in_order()


def with_scores(pairs: Pairs, sets: Sets, epsilon: float) -> Pairs:
    """The pairs with the scores and ranks of their responses, where they have them."""
    wanted = np.concatenate([pairs.chosen, pairs.rejected])
    known: dict[tuple[int, int], tuple[float, int]] = {}
    for piece in ranked(sets, epsilon):
        ids = sets.responses[piece.rows]
        is_wanted = are_among(ids.reshape(-1, 2), wanted).reshape(piece.rows.shape)
        for row, place in zip(*np.nonzero(is_wanted), strict=True):
            first, second = ids[row, place]
            known[int(first), int(second)] = float(piece.scores[row, place]), int(place) + 1
    columns = [_looked_up(known, ids) for ids in (pairs.chosen, pairs.rejected)]
    (score_chosen, rank_chosen), (score_rejected, rank_rejected) = columns
    return replace(
        pairs,
        score_chosen=score_chosen,
        score_rejected=score_rejected,
        rank_chosen=rank_chosen,
        rank_rejected=rank_rejected,
    )


def _looked_up(known: Mapping[tuple[int, int], tuple[float, int]], ids: Ids) -> tuple[Scores, Places]:
    found = [known.get((int(first), int(second)), (np.nan, 0)) for first, second in ids]
    return (
        np.array([score for score, _ in found], dtype=np.float64),
        np.array([place for _, place in found], dtype=np.intp),
    )
