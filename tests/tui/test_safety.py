import unicodedata
from dataclasses import replace

import pytest
from rich.color import Color, ColorType

from tui.review_data import Decision, PairAuthors
from tui.themes import DARK, LIGHT

MARKUP = ("[/nope]", "[citation]", "[/INST]", "[bold]not bold[/bold]")


@pytest.fixture
def poisoned(fake, nasty, a_conversation):
    """The store of `fake`, with text made to break a screen in every field."""
    one = replace(
        a_conversation(0, nasty),
        source_class=nasty,
        source=nasty,
        model=nasty,
        external_id=nasty,
        decision=Decision("drop", nasty, nasty),
    )
    fake.conversations[0] = one
    fake.texts = {key: f"{nasty} {text}" for key, text in fake.texts.items()}
    fake.pair_authors = lambda _pair: PairAuthors(nasty, nasty, nasty)
    return fake


@pytest.fixture
def poisoned_browse(browse, nasty, a_response_set):
    """The store of `browse`, with text made to break a screen in every field."""
    browse.text = nasty
    browse.sets = {key: a_response_set(900, nasty) for key in browse.sets}
    return browse


TOUR = (
    ("g", "p"),
    ("enter",),
    ("end", "up"),
    ("r",),
    ("space", "home", "w"),
    ("w",),
    ("escape", "p"),
    ("escape", "g", "h"),
    ("g", "a"),
    ("enter",),
    ("escape", "g", "d"),
    ("enter",),
    ("e",),
    ("escape", "g", "r"),
    ("enter",),
    ("escape", "g", "s"),
    ("enter",),
    ("escape", "g", "f", "a", "b", "c", "enter"),
    ("escape", "g", "w"),
    ("escape", "g", "d", "enter", "enter", "c"),
    ("c",),
    ("escape", "escape", "escape", "g", "k"),
    ("escape", "g", "m"),
    ("n",),
    ("escape", "g", "x"),
    ("enter",),
    ("enter",),
    ("escape", "f"),
    ("g",),
)
"""Keys that show every screen beside conversations and judging, one after the other."""


async def visit_every_screen(pilot, looking):
    press = looking.press
    for keys in TOUR:
        await press(pilot, *keys)
        shown = looking.frame(pilot.app).replace("⟦", "").replace("⟧", "")
        assert keys[-1] == "g" or all(piece in shown for piece in MARKUP), keys
    await press(pilot, "c")
    await press(pilot, "enter", "down", "r", "escape", "end", "escape", "b", "c", "escape", "2", "escape")
    await press(pilot, "question_mark", "escape", "slash")
    await pilot.press(*"[/nope]")
    await press(pilot, "enter")


@pytest.mark.slow
def test_no_control_character_reaches_the_terminal_on_any_screen(poisoned, poisoned_browse, driving, looking):
    async def steps(pilot):
        await visit_every_screen(pilot, looking)

    app = driving(poisoned, steps, size=(200, 30), browse=poisoned_browse)
    assert len(app.frames) > 10
    for frame in app.frames:
        for char in "".join(frame):
            assert unicodedata.category(char) != "Cc"
            assert char not in "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
    shown = "".join("".join(frame) for frame in app.frames)
    assert "⟨U+001B⟩" in shown
    assert "⟨U+202E⟩" in shown
    assert "⟨U+009B⟩" in shown


def test_markup_in_data_is_shown_as_it_is(poisoned, driving, looking):
    async def steps(pilot):
        await looking.press(pilot, "enter")
        shown = looking.frame(pilot.app)
        assert all(piece in shown for piece in MARKUP)
        await looking.press(pilot, "escape", "b")
        shown = looking.frame(pilot.app)
        assert all(piece in shown for piece in MARKUP)

    driving(poisoned, steps, size=(200, 40))


def luminance(color: tuple[int, int, int]) -> float:
    def linear(value: int) -> float:
        part = value / 255
        return part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4

    red, green, blue = map(linear, color)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(first: tuple[int, int, int], second: tuple[int, int, int]) -> float:
    high, low = sorted((luminance(first), luminance(second)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def rgb(color: Color) -> tuple[int, int, int]:
    assert color.type == ColorType.TRUECOLOR
    return tuple(color.triplet)


def poor_pairs(strips) -> set[tuple[str, float]]:
    poor = set()
    for strip in strips:
        for segment in strip:
            if segment.text.strip() and segment.style and segment.style.color and segment.style.bgcolor:
                colors = [rgb(segment.style.color), rgb(segment.style.bgcolor)]
                ratio = contrast(*colors)
                if ratio < 4.5 and not set(segment.text) <= set("▁▂▃▄▅▆▇█ "):
                    poor.add((segment.text.strip(), round(ratio, 2)))
    return poor


@pytest.mark.slow
def test_every_text_on_every_screen_has_enough_contrast_in_both_themes(fake, browse, driving, looking):
    fake.conversations[1] = replace(fake.conversations[1], decision=Decision("drop", "", "lee"))
    fake.conversations[2] = replace(fake.conversations[2], decision=Decision("keep", "", "lee"))
    here = [(), ("enter",), ("r",), ("d", "r"), ("escape", "escape", "b"), ("2",), ("question_mark",)]

    async def steps(pilot):
        for keys in (*here, ("escape", "escape", "slash"), ("escape",), *TOUR):
            await looking.press(pilot, *keys)
            for theme in (LIGHT, DARK):
                pilot.app.theme = theme.name
                await looking.settle(pilot)
                assert poor_pairs(looking.strips(pilot.app)) == set(), (keys, theme.name)

    driving(fake, steps, browse=browse)


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_the_palette_has_enough_contrast(fake, driving, looking, theme):
    async def steps(pilot):
        pilot.app.theme = theme.name
        await looking.press(pilot, "ctrl+p")
        for keys in ((), ("down",), ("p", "r", "o")):
            await looking.press(pilot, *keys)
            for _ in range(5):
                await pilot.pause(0.1)
            assert "Prompts" in looking.frame(pilot.app)
            assert poor_pairs(looking.strips(pilot.app)) == set(), keys

    driving(fake, steps)


def test_a_key_changes_between_dark_and_light(fake, driving, looking):
    async def steps(pilot):
        await looking.press(pilot, "t")
        assert pilot.app.theme == LIGHT.name
        await looking.press(pilot, "t")
        assert pilot.app.theme == DARK.name

    driving(fake, steps)


def test_a_crash_ends_with_code_one_and_shows_no_variables(fake, driving, looking, capsys):
    def broken(_id):
        api_key = "sk-canary-0123456789"
        raise RuntimeError(f"bug of length {len(api_key)} \x1b[31m")

    fake.conversation = broken
    seen = {}

    async def steps(pilot):
        seen["app"] = pilot.app
        await pilot.press("enter")
        await pilot.app.workers.wait_for_complete()

    with pytest.raises(BaseException, match="bug of length"):
        driving(fake, steps)
    printed = capsys.readouterr()
    assert seen["app"].return_code == 1
    assert "sk-canary" not in printed.out.replace("\n", "") + printed.err.replace("\n", "").replace(
        'api_key = "sk-canary-0123456789"', ""
    )
    assert "RuntimeError" in printed.err
    assert "\x1b[31m" not in printed.err.split("RuntimeError")[-1]
