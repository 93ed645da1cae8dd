"""The screens beside conversations and judging, over data in memory."""

import pytest

from tui.screens.conversation import ConversationScreen
from tui.screens.conversations import ConversationsScreen
from tui.screens.go import PLACES


def test_every_place_opens_by_its_letter_with_its_keys_in_eighty_columns(fake, browse, driving, looking):
    async def steps(pilot):
        for letter, place in PLACES.items():
            await looking.press(pilot, "g")
            assert place.words in looking.frame(pilot.app)
            await looking.press(pilot, letter)
            if place.make is None:
                assert isinstance(pilot.app.screen, ConversationsScreen)
                continue
            assert len(pilot.app.screen_stack) == 2
            shown = looking.frame(pilot.app).splitlines()
            assert "esc Back" in "\n".join(shown[-3:])
            assert all(len(line) == 80 for line in shown)
            await looking.press(pilot, "escape")

    driving(fake, steps, browse=browse)


def test_home_goes_to_the_screen_that_shows_more(fake, browse, driving, looking):
    async def steps(pilot):
        await looking.press(pilot, "g", "h", "down", "enter")
        assert "no screen that shows more" in looking.frame(pilot.app)
        await looking.press(pilot, "up", "enter")
        assert "Prompts · 2 prompts" in looking.frame(pilot.app)

    driving(fake, steps, browse=browse)


def test_a_pair_is_read_side_by_side_and_pairs_are_filtered(fake, browse, driving, looking):
    async def steps(pilot):
        await looking.press(pilot, "g", "a", "down", "enter")
        shown = looking.frame(pilot.app)
        assert "asked" in shown
        assert "⟦good⟧" in shown
        assert "⟦bad⟧" in shown
        await looking.press(pilot, "escape", "slash")
        await pilot.press(*"state:conflict")
        await looking.press(pilot, "enter")
        await looking.press(pilot, "slash", "end")
        await pilot.press(*" zebra")
        await looking.press(pilot, "enter")
        assert "no text to search" in looking.frame(pilot.app)

    driving(fake, steps, browse=browse)
    assert browse.asked == [("pairs", ""), ("texts", "two"), ("pairs", "state:conflict")]


def test_what_a_rule_dropped_is_opened_and_brought_back(fake, browse, driving, looking):
    one = fake.conversations[0].conversation_id

    async def steps(pilot):
        await looking.press(pilot, "g", "d", "enter", "enter")
        assert isinstance(pilot.app.screen, ConversationScreen)
        await looking.press(pilot, "escape", "u")
        await looking.press(pilot, "backspace", "down", "u")
        assert "only conversations" in looking.frame(pilot.app)
        await looking.press(pilot, "enter")
        assert "single message" in looking.frame(pilot.app)

    driving(fake, steps, browse=browse)
    assert fake.saved == [("decide", one, "keep", "brought back"), ("undo", one, None, "")]


def test_sql_is_typed_and_a_row_is_read_whole(fake, browse, driving, looking):
    async def steps(pilot):
        await looking.press(pilot, "g", "s", "slash")
        await pilot.press(*"SELECT 1")
        await looking.press(pilot, "enter")
        assert "SQL · sql" in looking.frame(pilot.app)
        await looking.press(pilot, "enter")
        assert "column 0" in looking.frame(pilot.app)

    driving(fake, steps, browse=browse)
    assert browse.asked[-1] == ("sql", "SELECT 1")


@pytest.mark.parametrize("keys", [("g", "x", "f"), ("g", "x", "enter", "f")])
def test_faults_of_an_export_are_one_key_away(fake, browse, driving, looking, keys):
    async def steps(pilot):
        await looking.press(pilot, *keys)
        assert "Faults · faults" in looking.frame(pilot.app)

    driving(fake, steps, browse=browse)


def test_there_is_no_way_to_other_screens_from_blind_judging(fake, browse, driving, looking):
    async def steps(pilot):
        await looking.press(pilot, "b", "g")
        assert "Blind judging" in looking.frame(pilot.app)
        assert len(pilot.app.screen_stack) == 2
        await looking.press(pilot, "p")
        assert len(pilot.app.screen_stack) == 2

    driving(fake, steps, browse=browse)
