"""Ranks and best-of-n: exact, and blind to where a response stood."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from label.id_columns import are_among, chances, ids_of_texts, uuid_column, uuid_texts
from label.ranking.best_of import (
    best_of_curve,
    chances_of_best,
    closest_rank,
    kl_bound,
    rank_curve,
    win_rate_curve,
)
from label.ranking.order import ranked, repeated, sets_of
from store.ids import digest_of, uuid_text


def id_of(*words: object) -> str:
    return uuid_text(digest_of("m1", *map(str, words)))


def sets(rows, order=None):
    """Sets of (prompt, response, score) rows, in a given order."""
    rows = [rows[place] for place in order] if order is not None else rows
    return sets_of(
        ids_of_texts([id_of("p", prompt) for prompt, _, _ in rows]),
        ids_of_texts([id_of("r", prompt, response) for prompt, response, _ in rows]),
        np.array([score for _, _, score in rows], dtype=np.float64),
    )


def ranking(found, epsilon=1e-4):
    """Prompt → (response, ties) in the order of ranks."""
    return {
        uuid_texts(found.prompts[piece.sets[[row]]])[0]: list(
            zip(uuid_texts(found.responses[piece.rows[row]]), piece.ties[row].tolist(), strict=True)
        )
        for piece in ranked(found, epsilon)
        for row in range(len(piece.sets))
    }


SCORES = st.lists(
    st.tuples(st.integers(0, 3), st.sampled_from([0.0, 0.5, 0.50005, 1.0, 2.0])), min_size=1, max_size=20
)


@given(SCORES, st.randoms(use_true_random=False))
def test_no_rank_depends_on_where_a_response_stood(scores, random) -> None:
    rows = [(prompt, number, score) for number, (prompt, score) in enumerate(scores)]
    order = list(range(len(rows)))
    random.shuffle(order)
    assert ranking(sets(rows)) == ranking(sets(rows, order))


@given(SCORES)
def test_a_better_response_ranks_before_a_worse_one(scores) -> None:
    found = sets([(prompt, number, score) for number, (prompt, score) in enumerate(scores)])
    for piece in ranked(found, 1e-4):
        assert (piece.scores[:, :-1] - piece.scores[:, 1:] > -1e-4).all()
        assert (piece.ties <= np.arange(piece.size)).all()


def test_scores_within_epsilon_are_one_tie_and_stand_in_the_order_of_ids() -> None:
    rows = [("p", "a", 1.0), ("p", "b", 1.00005), ("p", "c", 1.0001), ("p", "d", 0.5)]
    (found,) = ranking(sets(rows)).values()
    assert [tie for _, tie in found] == [0, 0, 0, 3]
    (other,) = ranking(sets([("p", name, 2.0 - score) for _, name, score in rows])).values()
    assert [one for one, _ in found[:3]] == [one for one, _ in other[1:]]


def test_without_epsilon_only_equal_scores_tie() -> None:
    (found,) = ranking(sets([("p", "a", 1.0), ("p", "b", 1.0), ("p", "c", 1.00001)]), 0.0).values()
    assert [tie for _, tie in found] == [0, 1, 1]


def test_rows_of_a_prompt_need_not_stand_together() -> None:
    rows = [("p", 1, 1.0), ("q", 1, 5.0), ("p", 2, 2.0), ("q", 2, 4.0), ("p", 3, 3.0)]
    found = ranking(sets(rows))
    assert found[id_of("p", "p")] == [(id_of("r", "p", n), place) for place, n in enumerate((3, 2, 1))]
    assert found[id_of("p", "q")] == [(id_of("r", "q", n), place) for place, n in enumerate((1, 2))]


def test_a_response_that_stands_twice_is_found() -> None:
    found = repeated(sets([("p", 1, 1.0), ("q", 1, 5.0), ("p", 2, 2.0), ("p", 1, 3.0)]))
    assert uuid_texts(found) == [id_of("r", "p", 1)]
    assert len(repeated(sets([("p", 1, 1.0), ("p", 2, 1.0)]))) == 0


def test_ids_keep_their_bytes() -> None:
    texts = [id_of("x", number) for number in range(5)]
    ids = ids_of_texts(texts)
    assert uuid_texts(ids) == texts
    assert [str(one) for one in uuid_column(ids).to_pylist()] == texts
    assert are_among(ids, ids[[1, 3]]).tolist() == [False, True, False, True, False]
    assert len(set(chances(ids, 0).tolist()) | set(chances(ids, 1).tolist())) == 10


@pytest.mark.parametrize("n", range(1, 8))
def test_the_expected_best_of_n_is_the_mean_over_every_choice(n: int) -> None:
    scores = sorted([3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.6], reverse=True)
    by_force = np.mean([max(choice) for choice in combinations(scores, n)])
    assert np.dot(scores, chances_of_best(7, n)) == pytest.approx(by_force, rel=1e-12)
    assert chances_of_best(7, n).sum() == pytest.approx(1)


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=9), st.integers(1, 9))
def test_the_curve_counts_only_prompts_with_draws_enough(scores, n: int) -> None:
    rows = [("p", number, score) for number, score in enumerate(scores)] + [("q", 0, 1.0)]
    points = {point.x: point for point in best_of_curve(ranked(sets(rows), 0.0), (1, n))}
    if n > len(scores):
        assert set(points) == {1}
        return
    by_force = np.mean([max(choice) for choice in combinations(scores, n)])
    expected = by_force if n > 1 else (by_force + 1.0) / 2
    assert points[n].value == pytest.approx(expected, abs=1e-9)
    assert points[n].prompts == (1 if n > 1 else 2)


def test_no_best_of_more_than_there_are() -> None:
    with pytest.raises(ValueError, match="best of 4 among 3"):
        chances_of_best(3, 4)


def test_the_bound_on_the_divergence() -> None:
    assert kl_bound(1) == 0
    assert kl_bound(64) == pytest.approx(3.174508, abs=1e-6)


def test_mean_score_by_rank_and_the_rank_closest_to_a_mean() -> None:
    rows = [("p", n, float(n)) for n in range(4)] + [("q", n, 10.0 + n) for n in range(3)]
    curve = rank_curve(ranked(sets(rows)))
    assert [(point.x, point.value, point.prompts) for point in curve] == [
        (1, 7.5, 2),
        (2, 6.5, 2),
        (3, 5.5, 2),
        (4, 0.0, 1),
    ]
    assert closest_rank(curve, 6.4).x == 2
    assert closest_rank(curve, 6.0).x == 2


def test_the_win_rate_of_the_best_of_n_is_exact_over_what_was_judged() -> None:
    found = sets([("p", n, float(n)) for n in range(4)] + [("q", n, float(n)) for n in range(4)])
    (piece,) = ranked(found)
    judged = np.full((2, 4), np.nan)
    judged[0] = [1.0, 0.0, 0.5, np.nan]
    points = win_rate_curve([(piece, judged)], (1, 2, 4))
    by_force = [{0: 1.0, 1: 0.0, 2: 0.5}.get(min(choice)) for choice in combinations(range(4), 2)]
    known = [score for score in by_force if score is not None]
    assert points[2][0] == pytest.approx(np.mean(known))
    assert points[2][1] == pytest.approx(len(known) / len(by_force))
    assert points[4] == (1.0, 1.0)
    assert points[1] == (pytest.approx(0.5), 0.75)
