"""Searching all texts: what is found, where it is read, and that nothing is found while one judges blind."""

import pytest

from store.db import Store
from store.ids import path_digests, uuid_text
from tui.answers import finding
from tui.answers.browse import StoreBrowse
from tui.answers.finding import Found
from tui.answers.store_review import StoreReview
from tui.browse_data import TextPlace
from tui.excerpts import excerpt, highlighted, words_of
from tui.query import Filter, parse_filter
from tui.screens.conversation import ConversationScreen
from tui.screens.find import FindScreen

FIRST = uuid_text(path_digests([("user", "one?"), ("assistant", "first answer")])[-1])
ZEBRAS = uuid_text(
    path_digests([("system", "be kind"), ("user", "two?"), ("assistant", "Zebras [/nope]")])[-1]
)


@pytest.fixture
def browsing(store: Store):
    data = StoreReview(store, "kim")
    while data.refresh() != "none":
        pass
    found = StoreBrowse(data)
    yield found
    found.close()
    data.close()


def to_the_end(found: Found) -> Found:
    while not found.is_done:
        found = found.more()
    return found


def cells(found: Found) -> list[tuple[str, ...]]:
    return [line.cells for line in found.page(0, 100)]


def test_words_are_found_in_any_case_with_the_text_around_them(browsing):
    found = to_the_end(browsing.find("zEBRAs", Filter()))
    assert found.keys == [ZEBRAS]
    assert cells(found) == [("wiki", "3 assistant", "⟦Zebras⟧ [/nope]")]
    assert found.words == "1 found in 8 messages"


def test_every_word_must_stand_in_the_message_and_a_phrase_as_it_is(browsing):
    assert len(to_the_end(browsing.find("answer", Filter())).keys) == 2
    assert to_the_end(browsing.find("answer first", Filter())).keys == [FIRST]
    assert to_the_end(browsing.find('"answer first"', Filter())).keys == []
    assert to_the_end(browsing.find('"first answer"', Filter())).keys == [FIRST]


def test_signs_of_patterns_are_looked_for_as_they_are(browsing):
    assert to_the_end(browsing.find("[/nope]", Filter())).keys == [ZEBRAS]
    assert to_the_end(browsing.find("%", Filter())).keys == []
    assert to_the_end(browsing.find("", Filter())).keys == []


def test_only_the_conversations_of_a_filter_are_searched_if_asked(browsing):
    assert to_the_end(browsing.find("answer", parse_filter("class:GPT4"))).keys == [FIRST]
    assert to_the_end(browsing.find("answer", parse_filter("class:GPT4 second"))).keys == []
    assert to_the_end(browsing.find("answer", parse_filter("source:wiki"))).keys == []


def test_a_search_goes_by_windows_and_pauses_when_enough_is_found(browsing, store, store_rows, monkeypatch):
    talks = [("many", "", [("user", f"needle {number}")]) for number in range(25)]
    for part in (talks[:10], talks[10:]):
        store_rows.write_talks(store, part)
    monkeypatch.setattr(finding, "FIRST_WINDOW", 5)
    monkeypatch.setattr(finding, "WINDOW", 5)
    monkeypatch.setattr(finding, "ENOUGH", 4)
    found = browsing.find("needle", Filter())
    assert found.keys == []
    assert not found.is_done
    steps = 0
    while not found.is_done:
        found = (found.asked_for_more() if found.is_paused else found).more()
        steps += 1
        assert len(found.keys) <= 4 * (steps + 1)
    assert len(found.keys) == len(set(found.keys)) == 25
    assert "25 found in 33 messages" in found.words


def test_a_message_is_read_in_a_conversation_or_among_the_responses_to_its_prompt(browsing, store):
    prompt = uuid_text(path_digests([("user", "one?")])[-1])
    drawn = uuid_text(path_digests([("user", "one?"), ("assistant", "a drawn one")])[-1])
    with store.write() as writing:
        names = ("message_id", "parent_id", "role", "content", "depth")
        writing.append(
            "messages", [dict(zip(names, (drawn, prompt, "assistant", "a drawn one", 1), strict=True))]
        )
        sample = {"prompt_id": prompt, "response_id": drawn, "sample_index": 0, "policy": "tiny"}
        writing.append("samples", [{**sample, "sampling": "{}", "finish_reason": "stop"}])
    found = to_the_end(browsing.find("drawn one", Filter()))
    assert cells(found) == [("drawn: tiny", "2 assistant", "a ⟦drawn⟧ ⟦one⟧")]
    assert browsing.place_of(drawn) == TextPlace("prompt", prompt, drawn)
    place = browsing.place_of(ZEBRAS)
    assert (place.kind, place.message_id) == ("conversation", ZEBRAS)


def test_the_excerpt_of_a_long_text_begins_before_the_first_word_found(browsing, store, store_rows):
    long = "x " * 5_000 + "Needle here " + "y " * 500
    store_rows.write_talks(store, [("long", "", [("user", long)])])
    ((_, turn, text),) = cells(to_the_end(browsing.find("needle", Filter())))
    assert turn == "1 user"
    assert text.startswith("…x x ")
    assert text.index("⟦Needle⟧") < 30
    assert len(text) < 500


def test_words_overlap_and_are_marked_once():
    assert words_of('a "b c" a d') == ("a", "b c", "d")
    assert highlighted("catalog cat", ("cat", "catalog")) == "⟦catalog⟧ ⟦cat⟧"
    assert highlighted("as it is", ()) == "as it is"
    assert excerpt("nothing of it", ("word",), is_cut=True) == "…nothing of it"


def test_typing_searches_and_enter_reads_the_message_in_its_conversation(fake, browse, driving, looking):
    async def steps(pilot):
        await looking.press(pilot, "ctrl+f")
        assert isinstance(pilot.app.screen, FindScreen)
        await pilot.press(*"answer")
        await looking.press(pilot, "enter")
        shown = looking.frame(pilot.app)
        assert "Find · 3 found" in shown
        assert shown.count("found 00000000") == 3
        await looking.press(pilot, "down", "enter")
        assert isinstance(pilot.app.screen, ConversationScreen)
        assert "⟦answer⟧ 0" in looking.frame(pilot.app)
        await looking.press(pilot, "escape", "escape")
        assert len(pilot.app.screen_stack) == 1

    driving(fake, steps, browse=browse)
    assert browse.asked == [("find", ""), ("find", "answer")]


def test_the_filter_of_the_list_narrows_the_search_if_asked(fake, browse, driving, looking):
    async def steps(pilot):
        await looking.press(pilot, "ctrl+f")
        await pilot.press(*"answer")
        await looking.press(pilot, "enter", "f")
        assert "has no filter" in looking.frame(pilot.app)
        await looking.press(pilot, "escape", "slash")
        await pilot.press(*"class:GPT4")
        await looking.press(pilot, "enter", "g", "f")
        await pilot.press(*"answer")
        await looking.press(pilot, "enter", "f")
        assert "3 found" in looking.frame(pilot.app)

    driving(fake, steps, browse=browse)
    assert browse.asked[-1] == ("find", "answer | class:GPT4")


def test_a_search_that_was_typed_over_ends(fake, browse, driving, looking):
    async def steps(pilot):
        await looking.press(pilot, "ctrl+f")
        await pilot.press(*"answer")
        await pilot.press("enter", "slash", "x", "enter")
        await looking.settle(pilot)
        assert pilot.app.screen.wanted.text.startswith("x")
        assert len(pilot.app.screen.list.ids) == 3

    driving(fake, steps, browse=browse)
    assert browse.asked[-1] == ("find", "x")


def test_nothing_is_looked_for_while_one_judges_blind(fake, browse, driving, looking):
    async def steps(pilot):
        await looking.press(pilot, "b", "slash", "ctrl+f")
        shown = looking.frame(pilot.app)
        assert "Blind judging" in shown
        assert "Find" not in shown
        assert len(pilot.app.screen_stack) == 2

    driving(fake, steps, browse=browse)
    assert browse.asked == []


def test_screens_without_a_filter_of_their_own_find_by_a_slash(fake, browse, driving, looking):
    async def steps(pilot):
        await looking.press(pilot, "enter")
        assert "/ Find" in looking.frame(pilot.app)
        await looking.press(pilot, "slash")
        assert isinstance(pilot.app.screen, FindScreen)

    driving(fake, steps, browse=browse)
