"""What rules flagged, decided by a person with the evidence in sight; and a conversation before and after cleaning."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from curate.clean import CleanSettings, clean
from curate.cli import cli
from curate.contamination.allowing import allowed_lines
from curate.contamination.decontaminate import DecontaminateSettings, decontaminate, flagged
from store.db import Store
from store.ids import to_text
from tui.answers.browse import StoreBrowse
from tui.answers.store_review import StoreReview
from tui.flags import Flag, evidence_blocks
from tui.review_data import Decision, Turn
from tui.screens.cleaning import CleaningScreen
from tui.screens.conversation import ConversationScreen

PHRASE = "seven green turtles walk slowly past the old mill while nine herons watch them go"
OTHER = "how many red apples are left after three of the eleven children have eaten two each"


@pytest.fixture
def found(store: Store, store_rows, tmp_path: Path) -> tuple[Store, list[str]]:
    """Three conversations flagged: two hold one phrase of a set, one another."""
    talks = [
        ("web", "", [("user", f"Tell me {number}"), ("assistant", f"Well [/nope]: {text}, so.")])
        for number, text in enumerate((PHRASE, PHRASE, OTHER))
    ]
    ids = store_rows.write_talks(store, talks)
    items = [{"question": text, "answer": "#### 5"} for text in (PHRASE, OTHER)]
    path = tmp_path / "questions.jsonl"
    path.write_text("".join(json.dumps(item) + "\n" for item in items))
    decontaminate(store, DecontaminateSettings(against=(f"math={path}",), near=None))
    return store, ids


@pytest.fixture
def browsing(found):
    store, _ = found
    data = StoreReview(store, "kim")
    while data.refresh() != "none":
        pass
    browse = StoreBrowse(data)
    yield data, browse
    browse.close()
    data.close()


def keys(browse: StoreBrowse) -> list[str]:
    return list(browse.flags(frozenset()).keys)


def test_flags_wait_with_their_evidence_marked_in_its_turn(found, browsing):
    _, ids = found
    _, browse = browsing
    assert sorted(keys(browse)) == sorted(ids)
    (block,) = browse.flag_evidence(ids[0])
    assert block.heading.startswith("turn 2 of 2 · assistant · found in math/")
    assert f"Well [/nope]: ⟦{PHRASE}⟧, so." == block.text


def test_a_person_who_decides_takes_the_flag_out_of_the_queue_and_an_undo_brings_it_back(found, browsing):
    store, ids = found
    data, browse = browsing
    data.decide(ids[0], Decision("drop", "", "kim"))
    data.drain()
    assert sorted(keys(browse)) == sorted(ids[1:])
    assert len(flagged(store, 10)) == 2
    data.undo_decision()
    data.drain()
    assert sorted(keys(browse)) == sorted(ids)


def test_what_is_allowed_is_a_line_for_the_next_search(found, browsing, tmp_path):
    store, ids = found
    data, browse = browsing
    keys(browse)
    assert browse.allow_line(ids[0]) == PHRASE
    assert sorted(browse.flagged_alike(ids[0])) == sorted(ids[:2])
    for one in browse.flagged_alike(ids[0]):
        data.decide(one, Decision("keep", f"allowed: {browse.allow_line(ids[0])}", "kim"))
    data.drain()
    assert keys(browse) == [ids[2]]
    assert allowed_lines(store) == [PHRASE]
    done = CliRunner().invoke(cli, ["decontaminate", "--allowed", "--store", str(store.path)])
    assert done.output == f"{PHRASE}\n"
    (tmp_path / "fine.txt").write_text(done.output)
    again = DecontaminateSettings(
        against=(f"math={tmp_path}/questions.jsonl",), near=None, allow=tmp_path / "fine.txt", is_again=True
    )
    assert decontaminate(store, again).flagged == 1


def test_what_an_item_says_nearly_is_allowed_by_the_item():
    evidence = {"benchmark": "math", "item": "12", "method": "near", "score": 0.7, "found": "some words"}
    assert Flag("c", "decontaminate:benchmarks", "undecided", "r", evidence).allow_line == "item: math/12"
    cut = Flag("c", "d", "undecided", "r", {**evidence, "method": "ngram", "found": "x " * 150})
    assert cut.allow_line == "item: math/12"
    assert Flag("c", "dedup:near", "drop", "near duplicate", {"duplicate_of": "c1-0"}).allow_line is None


def test_evidence_that_stands_elsewhere_than_it_says_is_looked_for():
    turns = [Turn("a", "user", "nothing"), Turn("b", "assistant", "and the words here")]
    flag = Flag("c", "d", "undecided", "r", {"found": "the words", "position": 9, "start": 70})
    (block,) = evidence_blocks(flag, turns)
    assert block.text == "and ⟦the words⟧ here"
    assert len(evidence_blocks(Flag("c", "d", "undecided", "r", {"found": "gone"}), turns)) == 2


def test_near_duplicates_that_were_dropped_wait_beside_what_was_kept(browsing, found):
    store, ids = found
    _, browse = browsing
    with store.write() as writing:
        row = {
            "target_kind": "conversation",
            "target_id": ids[0],
            "verdict": "drop",
            "reason": "near duplicate",
            "evidence": json.dumps({"duplicate_of": to_text("c1", ids[2]), "score": 0.9}),
            "decided_by": "dedup:near-conversations/1",
            "decider_kind": "dedup",
            "decided_at": "2026-01-01T00:00:00",
        }
        writing.append("decisions", [row])
    lines = browse.flags(frozenset()).page(0, 9)
    assert lines[0].cells[:2] in (("flagged", "math"), ("dropped", "near duplicate"))
    assert sum(line.cells[0] == "dropped" for line in lines) == 1
    this, kept = browse.flag_evidence(ids[0])
    assert this.heading == "this one · near duplicate"
    assert kept.heading.startswith("kept in its place · c1-")
    assert "⟦seven" in this.text


def test_flags_are_kept_dropped_and_allowed_by_keys_and_taken_back(fake, browse, driving, looking):
    one, two, three = (view.conversation_id for view in fake.conversations[:3])

    async def steps(pilot):
        await looking.press(pilot, "g", "w")
        shown = looking.frame(pilot.app)
        assert "Flags · 3 to be looked at" in shown
        assert f"here ⟦{one}⟧" in shown
        assert all(word in shown for word in ("k Keep", "d Drop", "a Allow", "u Undo"))
        await looking.press(pilot, "a")
        assert "1 to be looked at" in looking.frame(pilot.app)
        assert "saved for 2" in looking.frame(pilot.app)
        await looking.press(pilot, "u")
        assert "3 to be looked at" in looking.frame(pilot.app)
        await looking.press(pilot, "U")
        assert "1 to be looked at" in looking.frame(pilot.app)
        await looking.press(pilot, "a")
        assert "only what was found in a set" in looking.frame(pilot.app)
        await looking.press(pilot, "d")
        assert "0 to be looked at" in looking.frame(pilot.app)
        await looking.press(pilot, "u", "enter")
        assert isinstance(pilot.app.screen, ConversationScreen)

    driving(fake, steps, browse=browse)
    decided = [(saved[0], saved[1], saved[2]) for saved in fake.saved]
    assert decided[:2] == [("decide", one, "keep"), ("decide", two, "keep")]
    assert {saved[1] for saved in decided[2:4]} == {one, two}
    assert ("decide", three, "drop") in decided


def test_nothing_is_decided_in_the_past(fake, browse, driving, looking):
    fake.is_read_only = True

    async def steps(pilot):
        await looking.press(pilot, "g", "w", "k", "u", "a")
        assert "nothing can be decided" in looking.frame(pilot.app)

    driving(fake, steps, browse=browse)
    assert fake.saved == []


def test_a_cleaning_is_shown_side_by_side_and_line_by_line(fake, browse, driving, looking):
    async def steps(pilot):
        await looking.press(pilot, "enter", "c")
        assert isinstance(pilot.app.screen, CleaningScreen)
        shown = looking.frame(pilot.app)
        assert "1 of 2 turns changed" in shown
        assert "⟦old⟧ word" in shown
        assert "as it was" in shown
        await looking.press(pilot, "w")
        assert "⟦" not in looking.frame(pilot.app)
        await looking.press(pilot, "c")
        assert "-old" in looking.frame(pilot.app)
        assert "same" not in looking.frame(pilot.app)
        await looking.press(pilot, "c", "n", "n")
        assert "no more changes" in looking.frame(pilot.app)

    driving(fake, steps, browse=browse)


def test_a_conversation_that_was_never_cleaned_says_so(fake, browse, driving, looking):
    browse.why_not = "it was never cleaned"

    async def steps(pilot):
        await looking.press(pilot, "enter", "c", "n", "c")
        await looking.press(pilot, "escape")
        assert isinstance(pilot.app.screen, ConversationScreen)

    driving(fake, steps, browse=browse)


def test_before_and_after_are_those_of_the_command(store, store_rows):
    talk = [("user", "ask"), ("assistant", "Sure!\nCopy code\nthe answer")]
    (one,) = store_rows.write_talks(store, [("web", "gpt-4", talk)])
    clean(store, CleanSettings(steps=("boilerplate",)))
    data = StoreReview(store, "kim")
    while data.refresh() != "none":
        pass
    browse = StoreBrowse(data)
    cleaning = browse.cleaning(one)
    assert cleaning.steps == ("clean boilerplate/1",)
    first, second = cleaning.turns
    assert not first.is_changed
    assert second.before == talk[1][1]
    assert second.after == "Sure!\nthe answer"
    assert "-Copy code" in second.lines
    with store.read() as reading:
        others = reading.rows(
            "SELECT CAST(conversation_id AS VARCHAR) FROM conversations WHERE derived_from IS NULL"
        )
    never = next(row[0] for row in others if row[0] != one)
    assert "was never cleaned" in browse.cleaning(never).why_not
    browse.close()
    data.close()
