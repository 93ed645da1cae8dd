"""The keys at the bottom are all readable, on as many lines as they need."""

from tui.widgets.key_lines import lines_for


def test_keys_take_one_line_as_long_as_they_fit_and_more_where_they_do_not():
    assert lines_for([8] * 10, 80) == 1
    assert lines_for([8] * 9 + [9], 80) == 1
    assert lines_for([8] * 11, 80) == 2
    assert lines_for([16] * 6, 50) == 2
    assert lines_for([16] * 7, 40) == 4


def test_every_key_of_a_conversation_is_on_screen_in_sixty_columns(fake, driving, looking):
    async def steps(pilot):
        await looking.press(pilot, "enter")
        shown = "\n".join(looking.frame(pilot.app).splitlines()[-4:])
        words = ("Help", "Find", "Keep", "Drop", "Reason", "Undo", "Next", "Previous", "esc Back")
        assert all(word in shown for word in words)

    driving(fake, steps, size=(60, 20))
