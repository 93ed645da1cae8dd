"""The queue of disagreements on a real store: each kind of contradiction alone, and nothing that is none."""

import pytest

from store.db import Store
from store.ids import digest_of, path_digests, uuid_text
from tui.answers.store_review import StoreReview
from tui.judging.blind import Vote
from tui.judging.protocols import CAMELS
from tui.judging.queue import QueueSettings

QUESTIONS = ("which?", "who?", "why?")


def ids_of(question: str) -> tuple[str, str, str]:
    """A prompt and its two answers."""
    prompt, first = path_digests([("user", question), ("assistant", f"first {question}")])
    second = path_digests([("user", question), ("assistant", f"second {question}")])[-1]
    return uuid_text(prompt), uuid_text(first), uuid_text(second)


@pytest.fixture
def asked(store: Store, store_rows) -> Store:
    """Three questions with two answers each, about which a judge says that the first is better in both orders."""
    talks = [
        (name, name, [("user", question), ("assistant", f"{name} {question}")])
        for question in QUESTIONS
        for name in ("first", "second")
    ]
    store_rows.write_talks(store, talks)
    for question in QUESTIONS:
        say(store, question, 0.5, is_turned=False)
        say(store, question, 0.5, is_turned=True)
    return store


def say(
    store: Store, question: str, margin: float, *, is_turned: bool, who: str = "gpt-4", kind: str = "judge"
) -> None:
    """A verdict: a positive MARGIN says that the first answer is better, whichever order was shown."""
    prompt, first, second = ids_of(question)
    a, b = (second, first) if is_turned else (first, second)
    shown = -margin if is_turned else margin
    row = {
        "comparison_id": uuid_text(digest_of("p1", prompt, a, b, who)),
        "prompt_id": prompt,
        "response_a_id": a,
        "response_b_id": b,
        "labeler": who,
        "labeler_kind": kind,
        "template": "pair" if kind == "judge" else "camels5-blind",
        "scale": "camels5",
        "draw_index": 0,
        "signed_margin": shown,
        "state": "win" if margin else "tie",
        "parser_version": "1",
        "created_at": "2026-01-01T00:00:00",
    }
    with store.write() as writing:
        writing.append("comparisons", [row])


def score(store: Store, question: str, first: float, second: float, *, model: str = "rm") -> None:
    prompt, *answers = ids_of(question)
    rows = [
        {
            "prompt_id": prompt,
            "response_id": answer,
            "reward_model": model,
            "revision": "1",
            "state": "done",
            "value": value,
        }
        for answer, value in zip(answers, (first, second), strict=True)
    ]
    with store.write() as writing:
        writing.append("rewards", rows)


def queued(store: Store, annotator: str = "kim") -> set[str]:
    """The questions in the annotator's queue."""
    names = {ids_of(question)[0]: question for question in QUESTIONS}
    data = StoreReview(Store(store.path, wait_s=20), annotator, QueueSettings(kind="disagreement"))
    try:
        return {names[pair.prompt_id] for pair in data.queue()}
    finally:
        data.close()


def test_where_all_agree_nothing_is_queued(asked):
    score(asked, "which?", 2.0, 1.0)
    say(asked, "who?", 1.0, is_turned=False, who="lee", kind="person")
    say(asked, "why?", 0.0, is_turned=False, who="lee", kind="person")
    assert queued(asked) == set()


def test_a_judge_against_a_reward_model(asked):
    score(asked, "which?", 1.0, 2.0)
    score(asked, "who?", 2.0, 1.0)
    assert queued(asked) == {"which?"}
    score(asked, "who?", 0.0, 9.0, model="another-rm")
    assert queued(asked) == {"which?", "who?"}


def test_a_judge_whose_orders_conflict(asked):
    say(asked, "who?", -0.5, is_turned=True)
    assert queued(asked) == {"who?"}
    say(asked, "who?", 0.5, is_turned=True)
    assert queued(asked) == set()


def test_two_annotators_who_differ_are_judged_by_a_third_and_not_by_themselves(asked):
    for question in QUESTIONS:
        for is_turned in (False, True):
            say(asked, question, 0.0, is_turned=is_turned)
    say(asked, "why?", 1.0, is_turned=False, who="lee", kind="person")
    say(asked, "why?", -1.0, is_turned=True, who="mo", kind="person")
    assert queued(asked, "kim") == {"why?"}
    assert queued(asked, "lee") == queued(asked, "mo") == set()


def test_a_pair_that_was_judged_leaves_the_queue(asked):
    score(asked, "which?", 1.0, 2.0)
    data = StoreReview(Store(asked.path, wait_s=20), "kim", QueueSettings(kind="disagreement"))
    (pair,) = data.queue()
    data.vote(Vote(pair, CAMELS.choices[1], None, None, "", 1.0, "hash"))
    assert data.queue() == []
    data.close()
    assert queued(asked) == set()
    assert queued(asked, "lee") == {"which?"}
