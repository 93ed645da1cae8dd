import random

from hypothesis import given
from hypothesis import strategies as st

from tui.judging.blind import (
    BlindPair,
    Vote,
    in_queue_order,
    pair_of,
    shown_text_hash,
    undo_row,
    vote_row,
)
from tui.judging.protocols import CAMELS

IDS = [f"00000000-0000-0000-0000-{number:012d}" for number in range(40)]


@given(st.lists(st.sampled_from(IDS), min_size=2, max_size=6, unique=True), st.randoms(use_true_random=False))
def test_the_pair_does_not_depend_on_the_order_of_arrival(ids: list[str], chance: random.Random) -> None:
    shuffled = ids.copy()
    chance.shuffle(shuffled)
    assert pair_of("p", ids, "kim") == pair_of("p", shuffled, "kim")


def test_sides_are_about_even_and_differ_between_annotators() -> None:
    def firsts(annotator: str) -> list[bool]:
        return [pair_of(f"prompt {n}", IDS[:2], annotator).response_a_id == IDS[0] for n in range(400)]

    kim, lee = firsts("kim"), firsts("lee")
    assert 150 < sum(kim) < 250
    assert 150 < sum(a == b for a, b in zip(kim, lee, strict=True)) < 250


def test_the_queue_has_an_order_of_its_own_for_each_annotator() -> None:
    pairs = [BlindPair(one, IDS[0], IDS[1], "kim") for one in IDS]
    assert in_queue_order(pairs, "kim") == in_queue_order(pairs[::-1], "kim")
    assert in_queue_order(pairs, "kim") != in_queue_order(pairs, "lee")


def a_vote(step: int, *, was_revealed: bool = False) -> Vote:
    pair = BlindPair(IDS[0], IDS[1], IDS[2], "kim", was_revealed)
    return Vote(pair, CAMELS.choices[step], True, None, "", 2.5, "hash")


def test_margins_are_positive_for_a_and_mirror_each_other() -> None:
    margins = [CAMELS.choices[step].signed_margin for step in range(1, 6)]
    assert margins == [1.0, 0.5, 0.0, -0.5, -1.0]
    assert [CAMELS.choices[step].state for step in range(1, 6)] == ["win", "win", "tie", "win", "win"]


def test_a_vote_says_who_what_and_how() -> None:
    row = vote_row(a_vote(5), "2026-01-01T00:00:00")
    assert row["labeler"] == "kim"
    assert row["labeler_kind"] == "person"
    assert (row["native_label"], row["signed_margin"], row["state"]) == ("b-is-better", -1.0, "win")
    assert (row["acceptable_a"], row["acceptable_b"], row["seconds"]) == (True, None, 2.5)


def test_an_undone_vote_is_a_row_of_the_same_comparison_without_a_verdict() -> None:
    vote, undone = vote_row(a_vote(1), ""), undo_row(a_vote(1), "")
    assert undone["comparison_id"] == vote["comparison_id"]
    assert undone["state"] == "undone"
    assert "signed_margin" not in undone


def test_a_vote_after_the_authors_were_shown_is_not_called_blind() -> None:
    assert vote_row(a_vote(1), "")["template"] == "camels5-blind"
    assert vote_row(a_vote(1, was_revealed=True), "")["template"] == "camels5-seen"


def test_the_shown_text_hash_changes_with_the_sides() -> None:
    prompt = [("user", "q")]
    assert shown_text_hash(prompt, "x", "y") != shown_text_hash(prompt, "y", "x")
    assert len(shown_text_hash(prompt, "x", "y")) == 64
