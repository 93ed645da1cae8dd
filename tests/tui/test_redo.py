import pytest
from click.testing import CliRunner

from store.db import Store
from store.ids import digest_of, uuid_text
from tui.answers.store_review import StoreReview
from tui.cli import review
from tui.judging.blind import Act, Vote
from tui.judging.protocols import CAMELS, PROTOCOLS, XWIN
from tui.judging.queue import QueueSettings
from tui.judging.session import Judging, save_act, save_undo
from tui.query import Filter
from tui.review_data import Decision, PairTexts

TEXTS = PairTexts((), "left", "right")


def saved(fake) -> list[str]:
    return [entry[0] if entry[0] != "mark" else entry[2] for entry in fake.saved]


def test_redo_votes_and_skips_again_in_turn(fake, driving, looking, secrets):
    async def steps(pilot):
        await looking.press(pilot, "b", "u", "1", "enter", "s", "5", "backspace", "backspace", "backspace")
        assert "pair 1 of 3 · 0 voted" in looking.frame(pilot.app)
        await looking.press(pilot, "r")
        shown = looking.frame(pilot.app)
        assert "pair 1 of 3 · 1 voted" in shown
        assert "your vote: A clearly better" in shown
        assert secrets[0] in shown
        await looking.press(pilot, "r")
        assert "pair 3 of 3" in looking.frame(pilot.app)
        assert secrets[0] not in looking.frame(pilot.app)
        await looking.press(pilot, "r")
        assert "your vote: B clearly better" in looking.frame(pilot.app)
        await looking.press(pilot, "r")
        assert "nothing to redo" in looking.frame(pilot.app)

    driving(fake, steps)
    assert saved(fake) == [
        *("vote", "skip", "vote"),
        *("undo vote", "unskip", "undo vote"),
        *("vote", "skip", "vote"),
    ]
    first, again = fake.saved[0][1], fake.saved[6][1]
    assert again == first
    assert not again.pair.was_revealed


def test_a_vote_after_an_undo_leaves_nothing_to_redo(fake, driving, looking):
    async def steps(pilot):
        await looking.press(pilot, "b", "1", "backspace", "5", "r")
        assert "nothing to redo" in looking.frame(pilot.app)

    driving(fake, steps)
    assert saved(fake) == ["vote", "undo vote", "vote"]


def test_decisions_are_taken_again_and_the_footer_names_the_key(fake, driving, looking):
    one = fake.conversations[0].conversation_id

    async def steps(pilot):
        assert "U Redo" in looking.frame(pilot.app)
        await looking.press(pilot, "k", "d", "u", "u", "U")
        assert "✓ redone: keep again" in looking.frame(pilot.app)
        await looking.press(pilot, "enter", "ctrl+r")
        assert "✗ dropped by kim" in looking.frame(pilot.app)
        await looking.press(pilot, "U")
        assert "nothing to redo" in looking.frame(pilot.app)

    driving(fake, steps)
    assert [entry[::2] for entry in fake.saved[4:]] == [("redo", "keep"), ("redo", "drop")]
    assert fake.conversations[0].conversation_id == one


@pytest.mark.parametrize("scale", sorted(PROTOCOLS))
def test_a_later_session_takes_back_and_does_again_what_an_earlier_one_did(store, scale):
    settings = QueueSettings(PROTOCOLS[scale])

    def session(annotator: str = "kim") -> tuple[StoreReview, Judging]:
        data = StoreReview(Store(store.path, wait_s=20), annotator, settings)
        data.prepare_to_save()
        return data, Judging(data.queue(), settings.protocol, data.judged())

    data, judging = session()
    act = judging.cast(2, TEXTS, 1.25)
    save_act(data, act)
    data.close()
    other, others_judging = session("lee")
    assert others_judging.undo() is None
    other.close()

    data, judging = session()
    assert judging.is_finished
    undone = judging.undo()
    assert undone.vote.choice == act.vote.choice
    assert judging.pair.was_revealed
    save_undo(data, undone)
    data.close()

    data, judging = session()
    assert len(judging.pairs) == 1
    redone = judging.redo()
    save_act(data, redone, again=True)
    assert judging.vote is redone.vote
    assert "1 judged" in data.pair_authors(redone.pair).standing
    data.close()

    data, judging = session()
    assert judging.is_finished
    assert judging.redo() is None
    assert [one.vote.choice for one in judging.history.done] == [act.vote.choice]
    data.close()
    with store.read() as reading:
        rows = reading.rows("SELECT state, template, seconds FROM comparisons ORDER BY version, seq")
    assert rows == [("win", f"{scale}-blind", 1.25), ("undone", f"{scale}-blind", None), *rows[:1]]


def test_a_skip_is_done_again_in_a_later_session(store):
    def session() -> tuple[StoreReview, Judging]:
        data = StoreReview(Store(store.path, wait_s=20), "kim")
        data.prepare_to_save()
        return data, Judging(data.queue(), CAMELS, data.judged())

    for step in ("skip", "undo", "redo", "none"):
        data, judging = session()
        if step == "skip":
            save_act(data, judging.skip())
        elif step == "undo":
            save_undo(data, judging.undo())
        elif step == "redo":
            save_act(data, judging.redo(), again=True)
        assert judging.is_finished == (step != "undo")
        data.close()
    assert len(judging.history.done) == 1


def test_a_vote_cast_after_the_authors_were_shown_does_not_come_back_to_the_queue(store):
    settings = QueueSettings(kind="uncertain")
    with store.write() as writing:
        for number, response in enumerate(writing.rows(ANSWERS)):
            row = {
                "prompt_id": response[0],
                "response_id": response[1],
                "reward_model": "rm",
                "revision": "1",
            }
            writing.append("rewards", [{**row, "value": float(number), "state": "done"}])
    data = StoreReview(Store(store.path, wait_s=20), "kim", settings)
    judging = Judging(data.queue(), CAMELS, data.judged())
    save_act(data, judging.cast(1, TEXTS, 1.0))
    judging.reveal(judging.pair)
    save_undo(data, judging.undo())
    save_act(data, judging.cast(5, TEXTS, 1.0))
    assert data.queue() == []
    data.close()
    data = StoreReview(Store(store.path, wait_s=20), "kim", settings)
    assert data.queue() == []
    data.close()


ANSWERS = """
SELECT CAST(parent_id AS VARCHAR), CAST(message_id AS VARCHAR)
FROM main.messages
WHERE parent_id = (SELECT parent_id FROM main.messages WHERE role = 'assistant' GROUP BY 1 HAVING count(*) > 1)
"""


def decisions(store: Store) -> list[str]:
    with store.read() as reading:
        return [row[0] for row in reading.rows("SELECT verdict FROM decisions ORDER BY version, seq")]


def a_session(store: Store, annotator: str = "kim") -> StoreReview:
    data = StoreReview(Store(store.path, wait_s=20), annotator)
    while data.refresh() != "none":
        pass
    return data


def test_decisions_of_earlier_sessions_are_taken_back_and_taken_again(store):
    data = a_session(store)
    one, two, _ = data.select(Filter()).ids
    data.decide(one, Decision("keep", "fine", "kim"))
    data.decide(one, Decision("drop", "", "kim"))
    data.decide(two, Decision("drop", "", "kim"))
    data.close()
    data = a_session(store)
    assert data.redo_decision() is None
    assert data.undo_decision().conversation_id == two
    assert data.undo_decision().decision == Decision("keep", "fine", "kim")
    data.close()
    data = a_session(store)
    assert data.redo_decision().decision.verdict == "drop"
    assert data.conversation(one).decision.verdict == "drop"
    assert data.redo_decision().conversation_id == two
    assert data.redo_decision() is None
    data.close()
    assert decisions(store) == ["keep", "drop", "drop", "undecided", "keep", "drop", "drop"]


def test_taking_back_brings_back_what_another_person_decided_before(store):
    for annotator, verdict in (("kim", "keep"), ("lee", "drop"), ("kim", "keep")):
        data = a_session(store, annotator)
        one = data.select(Filter()).ids[0]
        data.decide(one, Decision(verdict, annotator, annotator))
        data.close()
    data = a_session(store)
    assert data.undo_decision().decision == Decision("drop", "lee", "lee")
    assert data.undo_decision().decision.verdict == "drop"
    assert data.undo_decision() is None
    data.close()


def test_plain_mode_redoes_flags_and_comments(store, review_pairs):
    typed = "z\nr\nfc odd case\n1\nz\nr\nz\nr\nx\n"
    result = CliRunner().invoke(
        review, ["--store", str(store.path), "--annotator", "kim", "--plain"], input=typed
    )
    assert result.exit_code == 0
    assert "nothing to undo" in result.output
    assert "nothing to redo" in result.output
    assert "redone: A clearly better" in result.output
    assert review_pairs() == [("a-is-better", None, None, "camels5-blind")]
    with store.read() as reading:
        marks = reading.rows("SELECT mark, note FROM marks ORDER BY version, created_at")
        states = reading.rows("SELECT state, explanation FROM comparisons ORDER BY version, created_at")
    assert marks == [("flag", None), ("comment", "odd case")]
    assert [state for state, _ in states] == ["win", "undone", "win", "undone", "win"]
    assert {comment for _, comment in states} == {"odd case", None}


def test_plain_mode_in_a_later_session_reads_the_guidelines_and_takes_a_vote_back(store, review_pairs):
    options = ["--store", str(store.path), "--annotator", "kim", "--plain", "--protocol", "xwin4"]
    assert CliRunner().invoke(review, options, input="8\n").exit_code == 0
    later = CliRunner().invoke(review, options, input="z\nv\n")
    assert XWIN.guidelines.splitlines()[0] in later.output
    assert review_pairs() == []
    last = CliRunner().invoke(review, options, input="r\n")
    assert "redone: B significantly better" in last.output
    assert review_pairs() == [("b-is-significantly-better", None, None, "xwin4-blind")]


def test_an_act_says_what_was_done(fake):
    pair = fake.queue()[0]
    assert Act(pair).words == "skipped"
    vote = Vote(pair, CAMELS.choices[3], None, None, "", 1.0, uuid_text(digest_of("q1", "x")))
    assert Act(pair, vote).words == "tie"
