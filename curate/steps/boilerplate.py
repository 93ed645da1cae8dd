"""What the page around a chat left in its texts: words of its buttons, counters of its pages."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from curate.cleaning import Turn

if TYPE_CHECKING:
    import polars as pl

BUTTON_LINE = re.compile(
    r"^[ \t]*(?:Regenerate response|Share Prompt|Copy code|Copy\d+ chars / \d+ words)[ \t]*(?:\n|\Z)",
    re.MULTILINE,
)
"""A button that stands alone on its line."""

BUTTON_END = re.compile(r"\s*(?:Share Prompt|Regenerate response)\s*\Z")
"""A button glued to the end of what a person wrote."""

COUNTER_START = re.compile(r"\A\s*(\d{1,3}) / (\d{1,3})\s*(?:\n+|\Z)")
COUNTER_END = re.compile(r"\n\s*(\d{1,3}) / (\d{1,3})\s*\Z")
"""`2 / 2`: which of several answers was shown."""

BUTTONS = ("Share Prompt", "Regenerate response", "Copy code", " chars / ")


def strip_page(turn: Turn) -> str:
    """The text without them; fenced code is not looked into."""
    text = turn.content
    if "```" not in text:
        text = BUTTON_LINE.sub("", text)
    if turn.role == "user":
        text = BUTTON_END.sub("", text)
    for counter in (COUNTER_START, COUNTER_END):
        found = counter.search(text)
        if found and 1 <= int(found[1]) <= int(found[2]):
            text = text[: found.start()] + text[found.end() :]
    return text if text == turn.content else text.strip()


@dataclass(frozen=True, slots=True)
class BoilerplateStep:
    """The step `boilerplate`."""

    step_version: int = 1

    def may_change(self) -> "pl.Expr":
        """A button's words anywhere, or ` / ` near the beginning or the end."""
        import polars as pl

        text = pl.col("content")
        ends = text.str.head(24) + text.str.tail(24)
        return text.str.contains_any(list(BUTTONS)) | ends.str.contains(" / ", literal=True)

    def clean(self, turn: Turn) -> str:
        """The text without the page."""
        return strip_page(turn)


BOILERPLATE = BoilerplateStep()
