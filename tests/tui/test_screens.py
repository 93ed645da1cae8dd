import re
from dataclasses import replace

import pytest
from textual.widgets import Input

from store.errors import StoreDamaged
from tui.desk import DeskScreen
from tui.review_data import Decision, Rating, Turn
from tui.screens.conversation import ConversationScreen
from tui.screens.conversations import ConversationsScreen
from tui.screens.help import HelpScreen
from tui.transcript_blocks import Block
from tui.widgets.transcript import Transcript


def test_the_list_shows_every_column(fake, driving, looking):
    async def steps(pilot):
        shown = looking.frame(pilot.app)
        assert "30 conversations" in shown
        assert re.search(r"▶ GPT4 +forum-dump-… +2 7\.0 +· open +question 0", shown)

    driving(fake, steps)


def test_a_partial_rating_says_of_how_many(fake, driving, looking):
    view = fake.conversations[0]
    more = (*view.turns, Turn("x", "user", "and?"), Turn("y", "assistant", "so"))
    fake.conversations[0] = replace(view, turns=more)

    async def steps(pilot):
        assert "7.0 1/2" in looking.frame(pilot.app)

    driving(fake, steps)


def test_moving_and_opening_and_going_back(fake, driving, looking):
    async def steps(pilot):
        await looking.press(pilot, "down", "down", "enter")
        assert "question 2" in looking.frame(pilot.app)
        assert "[7]" in looking.frame(pilot.app)
        assert "gpt-4, overall [7]: clear" in looking.frame(pilot.app)
        await looking.press(pilot, "n")
        assert "question 3" in looking.frame(pilot.app)
        await looking.press(pilot, "p", "p")
        assert "question 1" in looking.frame(pilot.app)
        await looking.press(pilot, "escape")
        assert isinstance(pilot.app.screen, ConversationsScreen)

    driving(fake, steps)


def test_the_last_row_is_reached_and_seen(fake, driving, looking):
    async def steps(pilot):
        await looking.press(pilot, "end")
        assert "▶" in looking.frame(pilot.app)
        assert re.search(r"▶ .*question 29", looking.frame(pilot.app))
        await looking.press(pilot, "home")
        assert re.search(r"▶ .*question 0", looking.frame(pilot.app))

    driving(fake, steps)


def test_a_filter_narrows_and_an_error_is_shown_in_place(fake, driving, looking):
    fake.conversations[7] = replace(
        fake.conversations[7], turns=(Turn("t", "user", "about zebras"), *fake.conversations[7].turns)
    )

    async def steps(pilot):
        await looking.press(pilot, "slash")
        await pilot.press(*"clas:x")
        await looking.press(pilot, "enter")
        assert "did you mean 'class'" in looking.frame(pilot.app)
        pilot.app.screen.query_one("#filter", Input).value = "zebras"
        await looking.press(pilot, "enter")
        assert "1 of 30 conversations" in looking.frame(pilot.app)
        assert "about zebras" in looking.frame(pilot.app)

    driving(fake, steps)


def test_keep_drop_reason_and_undo_are_saved_in_their_order(fake, driving, looking):
    one = fake.conversations[0].conversation_id

    async def steps(pilot):
        await looking.press(pilot, "k")
        assert "✓ keep" in looking.frame(pilot.app)
        await looking.press(pilot, "enter", "d")
        assert "✗ dropped by kim" in looking.frame(pilot.app)
        await looking.press(pilot, "r")
        await pilot.press(*"dull")
        await looking.press(pilot, "enter")
        assert "✗ dropped by kim: dull" in looking.frame(pilot.app)
        await looking.press(pilot, "u")
        await looking.press(pilot, "backspace")
        assert "✓ kept" in looking.frame(pilot.app)
        await looking.press(pilot, "escape", "u")
        assert "✓ keep" not in looking.frame(pilot.app)
        await looking.press(pilot, "u")
        assert "nothing to undo" in looking.frame(pilot.app)

    driving(fake, steps)
    assert fake.saved == [
        ("decide", one, "keep", ""),
        ("decide", one, "drop", ""),
        ("decide", one, "drop", "dull"),
        ("undo", one, "drop", ""),
        ("undo", one, "keep", ""),
        ("undo", one, None, ""),
    ]


def test_nothing_can_be_decided_about_the_past(fake, driving, looking):
    fake.is_read_only = True

    async def steps(pilot):
        await looking.press(pilot, "d")
        assert "nothing can be decided" in looking.frame(pilot.app)
        await looking.press(pilot, "b")
        assert "nothing can be judged" in looking.frame(pilot.app)

    driving(fake, steps)
    assert fake.saved == []


def test_a_busy_store_is_said_and_asked_again(fake, driving, looking, monkeypatch):
    monkeypatch.setattr("tui.desk.RETRY_S", 0)
    told = []
    monkeypatch.setattr(DeskScreen, "set_status", lambda _screen, words: told.append(words))

    async def steps(pilot):
        fake.busy_for = 3
        await looking.press(pilot, "enter")
        assert "question 0" in looking.frame(pilot.app)
        fake.busy_for = 2
        await looking.press(pilot, "k")

    driving(fake, steps)
    assert told.count("the store is busy; asking again …") == 2
    assert fake.saved[-1][2] == "keep"


def test_a_damaged_store_ends_the_app_with_its_error(fake, driving, looking):
    def damaged(_id):
        raise StoreDamaged("rows contradict each other")

    fake.conversation = damaged

    async def steps(pilot):
        await pilot.press("enter")
        await pilot.app.workers.wait_for_complete()

    app = driving(fake, steps)
    assert app.return_code == 1
    assert str(app.failure) == "rows contradict each other"


def test_leaving_waits_for_what_is_being_saved(fake, driving, looking, monkeypatch):
    monkeypatch.setattr("tui.desk.RETRY_S", 0)

    async def steps(pilot):
        fake.busy_for = 50
        await pilot.press("d")
        await pilot.press("q")
        await pilot.app.workers.wait_for_complete()

    app = driving(fake, steps)
    assert app.return_code == 0
    assert fake.saved[0][2] == "drop"


@pytest.mark.parametrize("size", [(80, 24), (60, 20), (140, 50)])
def test_every_size_shows_status_and_keys(fake, driving, looking, size):
    async def steps(pilot):
        for keys in ((), ("enter",), ("escape", "b")):
            await looking.press(pilot, *keys)
            shown = looking.frame(pilot.app).splitlines()
            assert len(shown) == size[1]
            assert all(len(line) == size[0] for line in shown)
            assert "? Help" in "\n".join(shown[-3:])

    driving(fake, steps, size=size)


def test_every_key_of_the_list_fits_in_eighty_columns(fake, driving, looking):
    async def steps(pilot):
        for keys, last in (((), "q Quit"), (("enter",), "esc Back"), (("escape", "b"), "esc Back")):
            await looking.press(pilot, *keys)
            assert last in looking.frame(pilot.app).splitlines()[-1]

    driving(fake, steps)


def test_resizing_keeps_the_cursor_in_view_and_the_turn_at_the_top(fake, driving, looking):
    fake.conversations[20] = replace(
        fake.conversations[20],
        turns=tuple(
            Turn(f"{n}", "user" if n % 2 else "assistant", f"turn {n} " + "word " * 100) for n in range(40)
        ),
    )

    async def steps(pilot):
        await looking.press(pilot, *["down"] * 20)
        await pilot.resize_terminal(100, 12)
        await looking.settle(pilot)
        assert re.search(r"▶ .*turn 0", looking.frame(pilot.app))
        await looking.press(pilot, "enter", *["right_square_bracket"] * 12)
        assert "13 assistant" in looking.frame(pilot.app)
        await pilot.resize_terminal(70, 30)
        await looking.settle(pilot)
        assert looking.frame(pilot.app).splitlines()[1].strip().startswith("13 assistant")

    driving(fake, steps)


def test_help_names_every_key_and_closes(fake, driving, looking):
    async def steps(pilot):
        await looking.press(pilot, "question_mark")
        assert isinstance(pilot.app.screen, HelpScreen)
        assert "Everywhere" in looking.frame(pilot.app)
        await looking.press(pilot, "escape")
        assert isinstance(pilot.app.screen, ConversationsScreen)

    driving(fake, steps)


def test_news_extends_the_list_and_leaves_the_cursor(fake, driving, looking, a_conversation):
    async def steps(pilot):
        await looking.press(pilot, "down", "down", "down")
        fake.conversations.append(a_conversation(99))
        fake.news = 1
        pilot.app.follow()
        await looking.settle(pilot)
        assert "31 conversations" in looking.frame(pilot.app)
        assert re.search(r"▶ .*question 3", looking.frame(pilot.app))

    driving(fake, steps)


def test_twenty_thousand_turns_and_a_turn_of_ten_megabytes_open_at_once(fake, driving, looking):
    many = tuple(Turn(f"{n}", "user", f"turn {n}") for n in range(20_000))
    huge = (Turn("h", "user", "wörd and more " * 750_000), Turn("i", "assistant", "fine"))
    fake.conversations[0] = replace(fake.conversations[0], turns=many)
    fake.conversations[1] = replace(fake.conversations[1], turns=huge)

    async def steps(pilot):
        await looking.press(pilot, "enter")
        assert "turn 0" in looking.frame(pilot.app)
        turns = pilot.app.screen.query_one(Transcript)
        assert turns.virtual_size.height < 1000
        await looking.press(pilot, "end")
        assert "turn 19999" in looking.frame(pilot.app)
        await looking.press(pilot, "n")
        assert turns.virtual_size.height < 1000
        await looking.press(pilot, "end")
        assert "more characters; press m for more" in looking.frame(pilot.app)
        assert "fine" in looking.frame(pilot.app)

    driving(fake, steps)


def test_states_without_a_value_are_shown(fake, driving, looking):
    view = fake.conversations[0]
    refused = Rating("gpt-4", "overall", "rating10", None, "refused", "will not")
    turn = replace(view.turns[1], ratings=(refused,))
    fake.conversations[0] = replace(view, turns=(view.turns[0], turn), decision=Decision("drop", "", "lee"))

    async def steps(pilot):
        await looking.press(pilot, "enter")
        assert "[refused]" in looking.frame(pilot.app)
        assert "✗ dropped by lee" in looking.frame(pilot.app)

    driving(fake, steps)


def test_a_very_long_block_is_laid_out_without_loss(fake, driving, looking):
    text = " ".join(f"w{n}" for n in range(30_000))

    async def steps(pilot):
        pilot.app.push_screen(ConversationScreen([fake.conversations[0].conversation_id], 0))
        await looking.settle(pilot)
        turns = pilot.app.screen.query_one(Transcript)
        turns.show_blocks([Block("one", text)])
        await looking.press(pilot, "end")
        words = " ".join(line.text for line in turns._lines).split()
        assert words[1:] == text.split()

    driving(fake, steps)
