"""Turns of any number and length, laid out only as far as they are looked at."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import ClassVar

from rich.segment import Segment
from textual import events as textual_events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from tui.events import TextTaken
from tui.text import clean, wrap
from tui.transcript_blocks import Block

SHOWN_CHARACTERS = 200_000
"""Characters of one turn laid out before `m` asks for more."""
PART = 8_000
LINES_AHEAD = 300
LINES_BEFORE = 3
"""Lines shown before a line that was looked for."""


@dataclass(frozen=True, slots=True)
class _Line:
    text: str
    kind: str
    block: int


class Transcript(ScrollView, can_focus=True):
    """Blocks one below the other; it scrolls with the usual keys."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("end", "bottom", show=False),
        Binding("right_square_bracket", "jump(1)", "Next turn", show=False),
        Binding("left_square_bracket", "jump(-1)", "Previous turn", show=False),
        Binding("m", "more", "More of a long turn", show=False),
        Binding("y", "take('copy')", "Copy", show=False),
        Binding("o", "take('page')", "Pager", show=False),
        Binding("e", "take('edit')", "Editor", show=False),
    ]
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "transcript--user",
        "transcript--assistant",
        "transcript--other",
        "transcript--note",
    }

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._blocks: Sequence[Block] = ()
        self._lines: list[_Line] = []
        self._starts: list[int] = []
        self._source: Iterator[_Line] = iter(())
        self._width = 0
        self._limit = SHOWN_CHARACTERS

    def show_blocks(self, blocks: Sequence[Block], *, keep_place: bool = False) -> None:
        """Show BLOCKS from the top, or from where the reader is."""
        self._blocks = blocks
        if not keep_place:
            self._limit = SHOWN_CHARACTERS
            self.scroll_to(y=0, animate=False, immediate=True)
        self._lay_out_anew()

    def _lay_out_anew(self) -> None:
        self._width = max(1, self.scrollable_content_region.width)
        self._lines, self._starts = [], []
        self._source = _lines_of(self._blocks, self._width, self._limit)
        self._lay_out_to(int(self.scroll_offset.y) + LINES_AHEAD)
        self.refresh()

    def _lay_out_to(self, line: int) -> None:
        """Lay out at least to LINE, if there is so much."""
        missing = line - len(self._lines)
        if missing > 0:
            self._take(islice(self._source, missing))

    def _take(self, lines: Iterator[_Line]) -> None:
        for line in lines:
            if line.block == len(self._starts):
                self._starts.append(len(self._lines))
            self._lines.append(line)
        self.virtual_size = Size(self._width, len(self._lines))

    def render_line(self, y: int) -> Strip:
        """One line of the window."""
        position = int(self.scroll_offset.y) + y
        width = self.size.width
        if position >= len(self._lines):
            return Strip.blank(width, self.rich_style)
        line = self._lines[position]
        style = self.get_component_rich_style(f"transcript--{line.kind}") if line.kind else self.rich_style
        return Strip([Segment(line.text, style)]).adjust_cell_length(width, self.rich_style)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Scrolling down lays out what comes next."""
        super().watch_scroll_y(old_value, new_value)
        self._lay_out_to(int(new_value) + LINES_AHEAD)

    def on_resize(self, _event: textual_events.Resize) -> None:
        """Another width breaks lines anew, keeping the block at the top in place."""
        if max(1, self.scrollable_content_region.width) == self._width:
            return
        block = self._block_at_top()
        self._lay_out_anew()
        self._jump_to(block)

    def go_to_block(self, block: int, words: str = "") -> None:
        """Bring a block to the top of the window, or its first line that holds WORDS."""
        self._jump_to(block)
        start = self._starts[block] if block < len(self._starts) else 0
        place = start
        while words and place < len(self._lines) and self._lines[place].block == block:
            if words in self._lines[place].text:
                self.scroll_to(y=max(start, place - LINES_BEFORE), animate=False, immediate=True)
                return
            place += 1
            self._lay_out_to(place + LINES_AHEAD)

    def _block_at_top(self) -> int:
        return max(0, bisect_right(self._starts, int(self.scroll_offset.y)) - 1)

    def _jump_to(self, block: int) -> None:
        block = max(0, min(block, len(self._blocks) - 1))
        while len(self._starts) <= block and self._blocks:
            self._lay_out_to(len(self._lines) + LINES_AHEAD)
        if self._starts:
            self._lay_out_to(self._starts[block] + LINES_AHEAD)
            self.scroll_to(y=self._starts[block], animate=False, immediate=True)

    def action_jump(self, blocks: int) -> None:
        """Go to the next or the previous turn."""
        self._jump_to(self._block_at_top() + blocks)

    def action_bottom(self) -> None:
        """Go to the end."""
        self._take(self._source)
        self.scroll_to(y=len(self._lines), animate=False, immediate=True)

    def action_take(self, use: str) -> None:
        """Copy the text at the top of the window, or open it in the pager or the editor."""
        if self._blocks:
            self.post_message(TextTaken(clean(self._blocks[self._block_at_top()].text), use))

    def action_more(self) -> None:
        """Show ten times as much of the long turns."""
        self._limit *= 10
        self._lay_out_anew()


def _lines_of(blocks: Sequence[Block], width: int, limit: int) -> Iterator[_Line]:
    for number, block in enumerate(blocks):
        if block.heading:
            yield from (_Line(line, block.kind, number) for line in wrap(block.heading, width))
        for part in _parts(block.text[:limit]):
            yield from (_Line(line, "", number) for line in wrap(part, width))
        hidden = len(block.text) - limit
        if hidden > 0:
            note = f"… {hidden:,} more characters; press m for more"
            yield from (_Line(line, "note", number) for line in wrap(note, width))
        for note in block.notes:
            yield from (_Line(line, "note", number) for line in wrap(note, width))
        yield _Line("", "", number)


def _parts(text: str) -> Iterator[str]:
    """TEXT in pieces of about PART characters, cut at line ends or spaces where there are any."""
    start = 0
    while len(text) - start > PART:
        end = text.rfind("\n", start, start + PART)
        if end <= start:
            end = text.rfind(" ", start, start + PART)
        if end <= start:
            yield text[start : start + PART]
            start += PART
        else:
            yield text[start:end]
            start = end + 1
    yield text[start:]
