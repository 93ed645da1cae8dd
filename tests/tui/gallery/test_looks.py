"""How every screen looks: as recorded at two sizes and in both themes, in the docs, and with enough contrast.

`pytest tests/tui/gallery --rewrite-golden` writes them anew; the diff is the review.
"""

import inspect
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from itertools import groupby
from pathlib import Path
from pkgutil import iter_modules

import pytest
from rich.cells import cell_len
from rich.style import Style
from textual.color import Color
from textual.filter import monochrome_style
from textual.screen import Screen
from textual.strip import Strip
from textual.theme import Theme
from textual.widgets import Input

from tui import screens
from tui.themes import DARK, LIGHT

GOLDEN = Path(__file__).parent / "golden"
PICTURES = Path(__file__).resolve().parents[3] / "docs" / "images"
SMALL, LARGE = (80, 24), (100, 28)
BARS = " ▁▂▃▄▅▆▇█"
SHOWN_IN_DOCS = {
    "conversations": DARK,
    "conversation": LIGHT,
    "responses": DARK,
    "compare": LIGHT,
    "judging": DARK,
    "voted": DARK,
    "export-rows": DARK,
}
"""The stops of which the docs hold a picture, and its theme."""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@dataclass(frozen=True, slots=True)
class Album:
    """What one visit to every screen looked like."""

    texts: dict[str, str]
    pictures: dict[str, str]
    screens: set[type[Screen]]
    colors: dict[str, set[tuple[str, str]]]
    """By theme, every colour of a text with what it stands on."""


@pytest.fixture(scope="module")
def album(visit, looking, tmp_path_factory) -> Album:
    """Visits every screen once."""
    album = Album({}, {}, set(), {DARK.name: set(), LIGHT.name: set()})

    async def see(pilot, stop) -> None:
        app = pilot.app
        album.screens.add(type(app.screen))
        for line in app.screen.query(Input):
            line.cursor_blink = False
        small = {}
        for theme in (LIGHT, DARK):
            app.theme = theme.name
            await looking.settle(pilot)
            small[theme.name] = looking.strips(app)
            album.colors[theme.name] |= set(colors_of(small[theme.name]))
        await pilot.resize_terminal(*LARGE)
        await looking.settle(pilot)
        large = looking.strips(app)
        if stop.name in SHOWN_IN_DOCS:
            app.theme = SHOWN_IN_DOCS[stop.name].name
            await looking.settle(pilot)
            album.pictures[stop.name] = picture(app.export_screenshot(title="review"))
            app.theme = DARK.name
        await pilot.resize_terminal(*SMALL)
        await looking.settle(pilot)
        album.texts[stop.name] = "\n".join(
            [*described(small[DARK.name], small[LIGHT.name]), "", *page(large)]
        )

    visit(tmp_path_factory.mktemp("album"), see, size=SMALL)
    return album


def page(strips: Sequence[Strip]) -> list[str]:
    """The text of a screen under its size."""
    return [f"at {LARGE[0]} × {LARGE[1]}", *(strip.text.rstrip() for strip in strips)]


def described(dark: Sequence[Strip], light: Sequence[Strip]) -> list[str]:
    """The text of a screen, and in which style each run of cells is, by theme."""
    names: dict[tuple[str, str], str] = {}
    runs = []
    for strip_dark, strip_light in zip(dark, light, strict=True):
        assert strip_dark.text == strip_light.text
        pairs = zip(cells(strip_dark), cells(strip_light), strict=True)
        named = [names.setdefault(pair, letters(len(names))) for pair in pairs]
        runs.append(" ".join(f"{name}{len(list(run))}" for name, run in groupby(named)))
    styles = [f"{name}  {dark}  |  {light}" for (dark, light), name in names.items()]
    texts = [f"at {SMALL[0]} × {SMALL[1]}", *(strip.text.rstrip() for strip in dark)]
    return [*texts, "", "styles, dark | light", *styles, "", "rows", *numbered(runs)]


def letters(number: int) -> str:
    return chr(ord("a") + number % 26) * (1 + number // 26)


def cells(strip: Strip) -> list[str]:
    """The style of every cell."""
    return [named(segment.style) for segment in strip for _ in range(cell_len(segment.text))]


def named(style: Style | None) -> str:
    """A style as words, without what is no look of it."""
    assert style is not None
    words = [name for name in ("bold", "underline", "reverse", "italic", "dim") if getattr(style, name)]
    color = style.color.get_truecolor().hex if style.color else "none"
    ground = style.bgcolor.get_truecolor().hex if style.bgcolor else "none"
    return " ".join([f"{color} on {ground}", *words])


def colors_of(strips: Sequence[Strip]) -> Iterator[tuple[str, str]]:
    """The colours of what is neither empty nor a part of a bar, each with its ground."""
    for strip in strips:
        for segment in strip:
            style = segment.style
            if segment.text.strip(BARS) and style and style.color and style.bgcolor:
                yield style.color.get_truecolor().hex, style.bgcolor.get_truecolor().hex


def numbered(rows: Iterable[str]) -> list[str]:
    """Rows under their numbers, equal neighbours once."""
    lines, number = [], 1
    for row, equal in groupby(rows):
        n = len(list(equal))
        lines.append(f"{number}-{number + n - 1}  {row}" if n > 1 else f"{number}  {row}")
        number += n
    return lines


def picture(svg: str) -> str:
    """A screenshot that loads nothing from elsewhere."""
    svg = re.sub(r"\s*@font-face \{.*?\}", "", svg, flags=re.DOTALL)
    svg = re.sub(r"\s*<!--.*?-->", "", svg, flags=re.DOTALL)
    svg = svg.replace("Fira Code", "DejaVu Sans Mono, Menlo, Consolas")
    return "\n".join(line.rstrip() for line in svg.splitlines()) + "\n"


def test_every_screen_is_visited(album):
    made = set()
    for module in iter_modules(screens.__path__, "tui.screens."):
        for _, one in inspect.getmembers(import_module(module.name), inspect.isclass):
            if issubclass(one, Screen) and one.__module__ == module.name and not one.__subclasses__():
                made.add(one)
    assert made - album.screens == set()


def test_every_screen_is_the_recorded_one(album, rewrite_golden):
    if rewrite_golden:
        GOLDEN.mkdir(exist_ok=True)
        for path in GOLDEN.glob("*.txt"):
            path.unlink()
        for name, text in album.texts.items():
            (GOLDEN / f"{name}.txt").write_text(text + "\n", encoding="utf-8")
    recorded = {path.stem: path.read_text(encoding="utf-8") for path in GOLDEN.glob("*.txt")}
    assert recorded.keys() == album.texts.keys()
    for name, text in album.texts.items():
        assert text + "\n" == recorded[name], name


def test_the_pictures_in_the_docs_are_of_the_app_as_it_is(album, rewrite_golden):
    paths = {name: PICTURES / f"review-{name}.svg" for name in album.pictures}
    if rewrite_golden:
        PICTURES.mkdir(exist_ok=True)
        for name, path in paths.items():
            path.write_text(album.pictures[name], encoding="utf-8")
    assert set(PICTURES.glob("review-*.svg")) == set(paths.values())
    docs = PICTURES.parent
    shown = (docs / "review.md").read_text(encoding="utf-8")
    for name, path in paths.items():
        assert path.read_text(encoding="utf-8") == album.pictures[name], name
        assert f"](images/{path.name})" in shown
        assert "http" not in album.pictures[name].replace("http://www.w3.org/2000/svg", "")


TEXTS = {
    "text": "text",
    "note": "headings, borders, notes",
    "warning": "status",
    "user": "user, cursor of a list",
    "assistant": "assistant, kept",
    "other": "other roles",
    "error": "dropped, faults",
}
"""The colours that text may have, and what for."""
GROUNDS = ("background", "surface", "panel")
SMALLEST = 4.5
"""WCAG 2.2, level AA, text of the usual size."""


def colors(theme: Theme) -> dict[str, str]:
    """The named colours of a theme, as Textual rounds them."""
    return {**theme.to_color_system().generate(), **theme.variables}


def pairs_of(theme: Theme) -> dict[tuple[str, str], tuple[str, str]]:
    """Every text on every ground by name, and the two of the cursor."""
    known = colors(theme)
    named = [(text, ground) for text in TEXTS for ground in GROUNDS]
    named += [
        ("footer-key-foreground", "panel"),
        ("cursor-text", "cursor-ground"),
        ("input-cursor-foreground", "input-cursor-background"),
    ]
    return {pair: (known[pair[0]].lower(), known[pair[1]].lower()) for pair in named}


def contrast(text: str, ground: str) -> float:
    """The contrast of two colours as WCAG 2.2 defines it."""
    low, high = sorted((luminance(text), luminance(ground)))
    return (high + 0.05) / (low + 0.05)


def luminance(color: str) -> float:
    def linear(value: int) -> float:
        part = value / 255
        return part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4

    red, green, blue = (linear(value) for value in Color.parse(color).rgb)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast_table() -> list[str]:
    """The table of the docs."""
    both = [pairs_of(theme) for theme in (DARK, LIGHT)]
    lines = ["| text | on | dark | light |", "|---|---|---|---|"]
    for pair in both[0]:
        ratios = " | ".join(f"{contrast(*named[pair]):.1f}" for named in both)
        lines.append(
            f"| {TEXTS.get(pair[0], pair[0].replace('-', ' '))} | {pair[1].replace('-', ' ')} | {ratios} |"
        )
    return lines


@pytest.mark.parametrize("theme", [DARK, LIGHT], ids=lambda theme: theme.name)
def test_every_text_on_every_ground_has_enough_contrast(theme):
    poor = {pair: contrast(*colors) for pair, colors in pairs_of(theme).items()}
    assert {pair: ratio for pair, ratio in poor.items() if ratio < SMALLEST} == {}


@pytest.mark.parametrize("theme", [DARK, LIGHT], ids=lambda theme: theme.name)
def test_every_screen_shows_only_colours_of_the_table(album, theme):
    assert len(album.colors[theme.name]) > 10
    assert album.colors[theme.name] - set(pairs_of(theme).values()) == set()


@pytest.mark.parametrize("theme", [DARK, LIGHT], ids=lambda theme: theme.name)
def test_without_colours_the_contrast_is_enough_too(theme):
    """With NO_COLOR set, Textual shows shades of grey."""
    for text, ground in pairs_of(theme).values():
        style = monochrome_style(Style(color=text, bgcolor=ground))
        assert style.color is not None
        assert style.bgcolor is not None
        ratio = contrast(style.color.get_truecolor().hex, style.bgcolor.get_truecolor().hex)
        assert ratio >= SMALLEST, (text, ground)


def test_the_table_in_the_docs_is_that_of_the_themes(rewrite_golden):
    path = PICTURES.parent / "review.md"
    before, table, after = re.split(
        r"(?<=<!-- contrast -->\n)(.*?)(?=<!-- end -->)",
        path.read_text(encoding="utf-8"),
        maxsplit=1,
        flags=re.DOTALL,
    )
    wanted = "\n".join(contrast_table()) + "\n"
    if rewrite_golden:
        path.write_text(before + wanted + after, encoding="utf-8")
        table = wanted
    assert table == wanted


def without_colours(strips: Sequence[Strip]) -> list[tuple[str, list[str]]]:
    """What is left of a screen where no colour can be told from another."""
    return [(segment.text, named(segment.style).split()[3:]) for strip in strips for segment in strip]


@pytest.mark.parametrize(
    "keys",
    [
        ("slash",),
        ("down",),
        ("d",),
        ("enter", "k"),
        ("b", "tab"),
        ("b", "tab", "tab"),
        ("b", "u"),
        ("g", "p", "enter", "space"),
        ("g", "p", "enter", "space", "down", "w", "tab"),
        ("g", "p", "enter", "space", "down", "w", "w"),
    ],
    ids=" ".join,
)
def test_nothing_is_said_by_colour_alone(fake, browse, driving, looking, keys):
    """The last of KEYS changes more than colours, above the line that says what was saved."""

    async def steps(pilot):
        await looking.press(pilot, *keys[:-1])
        before = without_colours(looking.strips(pilot.app)[:-2])
        await looking.press(pilot, keys[-1])
        assert without_colours(looking.strips(pilot.app)[:-2]) != before

    driving(fake, steps, browse=browse)
