import json
import threading
import time
from collections.abc import Callable

import pytest

from store.db import Store
from store.ids import path_digests, uuid_text
from tui.answers.store_review import StoreReview
from tui.judging.blind import Vote
from tui.judging.protocols import CAMELS
from tui.query import Filter, parse_filter
from tui.review_data import Decided, Decision


@pytest.fixture
def review(store: Store) -> "Callable[..., StoreReview]":
    """A function that opens the store for an annotator, everything taken in."""
    opened: list[StoreReview] = []

    def open_review(annotator: str = "kim", at: str | None = None) -> StoreReview:
        data = StoreReview(Store(store.path, at=at, wait_s=20), annotator)
        opened.append(data)
        take_in(data)
        return data

    yield open_review
    for data in opened:
        data.close()


def take_in(data: StoreReview) -> None:
    while data.refresh() != "none":
        pass


def kept(data: StoreReview, text: str) -> list[str]:
    ids = data.select(parse_filter(text)).ids
    return [row.first_text for row in data.rows(ids)]


def test_rows_show_class_source_turns_rating_and_first_user_text(review):
    data = review()
    selection = data.select(Filter())
    rows = data.rows(selection.ids)
    assert selection.is_complete
    assert selection.words == "gpt-4, openchat-appendix-g"
    assert [(row.source_class, row.source, row.n_turns, row.rating) for row in rows] == [
        ("GPT4", "forum", 4, 6.0),
        ("GPT3", "forum", 2, None),
        ("unknown", "wiki", 3, None),
    ]
    assert [row.first_text for row in rows] == ["one?", "one?", "two?"]
    assert (rows[0].n_rated, rows[0].n_answers) == (2, 2)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("class:GPT4", ["one?"]),
        ("source:wiki", ["two?"]),
        ("rating>5", ["one?"]),
        ("rated:none", ["one?", "two?"]),
        ("zebras", ["two?"]),
        ('"first answer" rating>5', ["one?"]),
        ("answer class:unknown", []),
    ],
)
def test_filters_answer_from_the_store(review, text, expected):
    assert kept(review(), text) == expected


def test_only_newer_rows_are_taken_in(review, store, store_rows):
    data = review()
    assert data.refresh() == "none"
    assert kept(data, "zebras") == ["two?"]
    store_rows.write_talks(store, [("forum", "gpt-4", [("user", "three?"), ("assistant", "zebras again")])])
    assert data.refresh() != "none"
    take_in(data)
    assert kept(data, "") == ["one?", "one?", "two?", "three?"]
    assert kept(data, "zebras") == ["two?", "three?"]
    path = [uuid_text(digest) for digest in path_digests(store_rows.talks[1][2])]
    with store.write() as writing:
        writing.append(
            "ratings",
            [
                store_rows.rating_row(path[1], 2),
                store_rows.rating_row(path[1], None, "refused", draw_index=1),
            ],
        )
    take_in(data)
    assert data.rows(data.select(parse_filter("rating<3")).ids)[0].source_class == "GPT3"


def test_new_classes_are_followed(review, store):
    data = review()
    with store.write() as writing:
        writing.append("source_classes", [{"name": "ALL", "condition": "x", "patterns": ["gpt-3.5-turbo"]}])
    take_in(data)
    assert len(data.select(parse_filter("class:ALL")).ids) == 1


def test_a_superseded_conversation_is_not_listed(review, store, store_rows):
    data = review()
    old = data.select(parse_filter("source:wiki")).ids[0]
    new = store_rows.write_talks(store, [("wiki", "", [("user", "two!"), ("assistant", "cleaned")])])[0]
    with store.write() as writing:
        writing.append_from(
            "conversations",
            f"SELECT * EXCLUDE (version) REPLACE ('{old}'::UUID AS derived_from, uuid() AS conversation_id)"
            f" FROM main.conversations WHERE conversation_id = '{new}'",
        )
    take_in(data)
    assert old not in list(data.select(Filter()).ids)


def test_a_conversation_has_its_turns_and_current_ratings(review, store_rows):
    data = review()
    view = data.conversation(data.select(Filter()).ids[0])
    assert [(turn.role, turn.content) for turn in view.turns] == store_rows.talks[0][2]
    assert [[rating.value for rating in turn.ratings] for turn in view.turns] == [[], [8.0], [], [4.0]]
    assert (view.source_class, view.source, view.model) == ("GPT4", "forum", "gpt-4")


def decisions(store: Store) -> list[tuple[str, str, str]]:
    with store.read() as reading:
        return reading.rows("SELECT verdict, reason, decided_by FROM decisions ORDER BY version, seq")


def test_decisions_are_rows_and_undo_is_another_row_with_the_state_before(review, store):
    data = review()
    one = data.select(Filter()).ids[0]
    with store.write() as writing:
        writing.append(
            "decisions",
            [
                {
                    "target_kind": "conversation",
                    "target_id": one,
                    "verdict": "drop",
                    "reason": "refusal",
                    "decided_by": "filter:refusal/1",
                    "decider_kind": "filter",
                    "decided_at": "2026-01-01T00:00:00",
                }
            ],
        )
    data.decide(one, Decision("keep", "fine", "kim"))
    assert data.conversation(one).decision == Decision("keep", "fine", "kim")
    data.decide(one, Decision("keep", "very fine", "kim"))
    assert data.undo_decision().decision.reason == "fine"
    assert data.undo_decision() == Decided(one, Decision("drop", "refusal", "filter:refusal/1", is_rule=True))
    assert data.conversation(one).decision.verdict == "drop"
    data.close()
    assert [row[:2] for row in decisions(store)] == [
        ("drop", "refusal"),
        ("keep", "fine"),
        ("keep", "very fine"),
        ("keep", "fine"),
        ("undecided", ""),
    ]
    assert {row[2] for row in decisions(store)[1:]} == {"kim"}
    with store.read() as reading:
        assert reading.rows("SELECT verdict, decided_by FROM latest_decisions") == [
            ("drop", "filter:refusal/1")
        ]


def test_undoing_a_first_decision_leaves_it_open(review, store):
    data = review()
    one = data.select(Filter()).ids[0]
    data.decide(one, Decision("drop", "", "kim"))
    assert list(data.select(parse_filter("verdict:drop")).ids) == [one]
    assert data.undo_decision().decision.verdict is None
    assert data.conversation(one).decision.verdict is None
    data.close()
    again = review()
    assert len(again.select(parse_filter("verdict:none")).ids) == 3
    with store.read() as reading:
        assert reading.rows("SELECT count(*) FROM current_conversations") == [(3,)]


def test_the_queue_holds_prompts_with_two_answers_until_they_are_judged(review, store):
    data = review()
    (pair,) = data.queue()
    texts = data.pair_texts(pair)
    assert [turn.content for turn in texts.prompt] == ["one?"]
    assert {texts.text_a, texts.text_b} == {"first answer", "second answer"}
    authors = data.pair_authors(pair)
    assert "gpt-4" in (authors.author_a if texts.text_a == "first answer" else authors.author_b)
    data.vote(Vote(pair, CAMELS.choices[4], True, True, "close", 3.0, "hash"))
    data.close()
    assert review().queue() == []
    assert len(review("lee").queue()) == 1
    with store.read() as reading:
        (row,) = reading.dicts("SELECT * FROM current_comparisons")
    assert str(row["response_a_id"]) == pair.response_a_id
    assert (row["signed_margin"], row["state"], row["labeler"]) == (-0.5, "win", "kim")


def test_an_undone_vote_comes_back_and_is_known_to_have_been_revealed(review, store):
    data = review()
    (pair,) = data.queue()
    vote = Vote(pair, CAMELS.choices[1], None, None, "", 1.0, "hash")
    data.vote(vote)
    data.undo_vote(vote)
    data.close()
    (again,) = review().queue()
    assert again.comparison_id == pair.comparison_id
    assert again.was_revealed
    with store.read() as reading:
        assert reading.rows("SELECT state FROM current_comparisons") == [("undone",)]


def test_skipped_pairs_stay_away_until_unskipped(review):
    data = review()
    (pair,) = data.queue()
    data.mark(pair, "skip")
    data.close()
    again = review()
    assert again.queue() == []
    again.mark(pair, "unskip")
    again.close()
    assert len(review().queue()) == 1


def test_draws_of_a_policy_make_a_queue_too(review, store, store_rows):
    path = [uuid_text(digest) for digest in path_digests([("user", "two?"), ("assistant", "drawn")])]
    talks = [("wiki", "", [("user", "two?"), ("assistant", "written")])]
    store_rows.write_talks(store, talks)
    with store.write() as writing:
        message = {
            "message_id": path[1],
            "parent_id": path[0],
            "role": "assistant",
            "content": "drawn",
            "depth": 1,
        }
        writing.append("messages", [message])
        sample = {"prompt_id": path[0], "response_id": path[1], "sample_index": 0, "policy": "policy-x"}
        writing.append("samples", [{**sample, "sampling": "{}", "finish_reason": "stop"}])
    data = review()
    pair = next(pair for pair in data.queue() if pair.prompt_id == path[0])
    authors = data.pair_authors(pair)
    assert "policy-x" in (authors.author_a if pair.response_a_id == path[1] else authors.author_b)


def test_what_was_saved_is_found_although_the_process_died(review, store):
    data = review()
    ids = data.select(Filter()).ids
    with store.read():  # nothing can be drained meanwhile
        threading.Thread(target=data.prepare_to_save, daemon=True).start()
    data.prepare_to_save()
    with store.read():
        for one in ids:
            data.decide(one, Decision("keep", "", "kim"))
        journal = data._run.journal.path.read_text().splitlines()
    assert sum(json.loads(line)[0] == "decisions" for line in journal) == 3


def test_a_session_that_only_looked_leaves_no_run(review, store):
    data = review()
    data.queue()
    data.close()
    with store.read() as reading:
        assert reading.rows("SELECT count(*) FROM runs") == [(0,)]


def test_the_past_shows_the_past(review, store, store_rows):
    store_rows.write_talks(store, [("forum", "gpt-4", [("user", "later"), ("assistant", "x")])])
    assert len(review(at="v1").select(Filter()).ids) == 3
    assert review(at="v1").is_read_only
    assert len(review().select(Filter()).ids) == 4


def test_the_app_follows_a_store_that_is_written_to(store, driving, looking, store_rows):
    stop = threading.Event()
    data = StoreReview(store, "kim")

    def write() -> None:
        number = 0
        while not stop.is_set():
            store_rows.write_talks(
                store, [("live", "gpt-4", [("user", f"new {number}"), ("assistant", f"a {number}")])]
            )
            number += 1

    async def steps(pilot):
        deadline = time.monotonic() + 30
        while len(pilot.app.screen.list.ids) < 6:
            assert time.monotonic() < deadline
            await pilot.press("down")
        await pilot.press("d")
        stop.set()
        writer.join()
        await looking.settle(pilot)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        driving(data, steps, poll_s=0.05)
    finally:
        stop.set()
        writer.join()
        data.close()
    assert [row[0] for row in decisions(store)] == ["drop"]


def test_the_real_app_over_the_real_store(store, driving, looking):
    data = StoreReview(store, "kim")

    async def steps(pilot):
        assert "3 conversations" in looking.frame(pilot.app)
        await looking.press(pilot, "enter", "n", "d", "escape", "b", "u", "1")
        shown = looking.frame(pilot.app)
        assert "gpt-4 · GPT4 · forum" in shown
        assert "gpt-3.5-turbo" in shown

    driving(data, steps, size=(120, 30))
    data.close()
    with store.read() as reading:
        assert reading.rows("SELECT native_label FROM current_comparisons") == [("a-is-better",)]
        assert reading.rows("SELECT state, command FROM current_runs") == [("finished", "review")]
    assert decisions(store) == [("drop", "", "kim")]
