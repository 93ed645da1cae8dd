import unicodedata

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from tui.text import clean, fit, one_line, wrap

ODD = st.text(
    alphabet=st.one_of(
        st.characters(), st.sampled_from("\x1b\x9b\x07\r\n\t\u202e\u2066漢字🙂é\u0301 [/nope]")
    )
)


def is_safe(text: str) -> bool:
    return all(unicodedata.category(char) != "Cc" and not "\u202a" <= char <= "\u202e" for char in text)


@given(ODD)
def test_cleaned_text_steers_no_terminal(text: str) -> None:
    assert is_safe(clean(text).replace("\n", "").replace("\t", ""))


def test_an_escape_is_shown_by_its_number() -> None:
    assert clean("\x1b[31m\u202e") == "⟨U+001B⟩[31m⟨U+202E⟩"


@given(ODD, st.integers(2, 40))
def test_wrapped_lines_fit_and_hold_no_control_characters(text: str, width: int) -> None:
    for line in wrap(text, width):
        assert cell_len(line) <= width
        assert is_safe(line)


@given(st.text(alphabet="ab漢 \n"), st.integers(2, 20))
def test_wrapping_loses_nothing_but_spaces(text: str, width: int) -> None:
    assert "".join(wrap(text, width)).replace(" ", "") == text.replace(" ", "").replace("\n", "")


@given(ODD, st.integers(2, 60))
def test_fitted_text_has_exactly_its_width(text: str, width: int) -> None:
    assert cell_len(fit(one_line(text), width)) == width


def test_a_long_line_breaks_at_spaces() -> None:
    assert wrap("one two three", 8) == ["one two", "three"]


def test_one_line_shows_newlines() -> None:
    assert one_line("a\nb\tc") == "a ⏎ b c"
