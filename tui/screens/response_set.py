"""The responses of one prompt: by rank, with a window into the one under the cursor."""

from functools import partial
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Static

from tui.events import PageWanted, ResponseSetArrived, RowChosen, RowReached, StoreChanged
from tui.listing import Column, Line, heading_of, number
from tui.response_set import Ranked, ResponseSet, ranked, text_of
from tui.screens.bookmarking import STAR, BookmarkScreen
from tui.screens.reading import ReadingScreen
from tui.text import one_line
from tui.transcript_blocks import Block
from tui.widgets.line_list import LineList
from tui.widgets.transcript import Transcript

COLUMNS = (
    Column("rank", 5, is_number=True),
    Column("reward", 8, is_number=True),
    Column("rating", 6, is_number=True),
    Column("length", 7, is_number=True),
    Column("draws", 5, is_number=True),
    Column("policy", 14),
    Column("response", 0),
)
MARK = "●"


class ResponseSetScreen(BookmarkScreen):
    """One prompt's responses; a marked one is read beside another."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "mark", "Mark"),
        Binding("w", "read_two", "Compare"),
        Binding("r", "next_model", "Model"),
        Binding("p", "read_prompt", "Prompt"),
        Binding("g", "app.go", "Go to"),
        Binding("escape,q", "app.pop_screen", "Back"),
    ]

    def __init__(self, prompt_id: str) -> None:
        super().__init__()
        self._prompt_id = prompt_id
        self._set: ResponseSet | None = None
        self._ranked: list[Ranked] = []
        self._model: str | None = None
        self._marked: str | None = None
        self.list = LineList(id="list")
        self.list.columns = COLUMNS
        self._heading = Static("", id="heading", markup=False)
        self._prompt = Static("", id="prompt-line", markup=False)
        self._text = Transcript(id="response-text")

    bookmarks = "prompt"

    def bookmark_target(self) -> str | None:
        """The prompt."""
        return self._prompt_id

    def show_bookmarks(self) -> None:
        """Put a star before the prompt if it is bookmarked."""
        if self._set is not None:
            star = f"{STAR} " if self._prompt_id in self.bookmarked else ""
            self._prompt.update(f"{star}prompt: {one_line(self._set.prompt[-1].content)}")

    def compose_body(self) -> ComposeResult:
        """The prompt in a line, the responses, and the one under the cursor."""
        yield self._prompt
        yield self._heading
        yield self.list
        yield self._text

    def on_mount(self) -> None:
        """Read the responses."""
        self.list.focus()
        self.set_title("Responses · reading …")
        self._read()

    def _read(self) -> None:
        job = partial(self.browse.response_set, self._prompt_id)
        self.desk.read(self, job, ResponseSetArrived, "responses")

    @on(StoreChanged)
    def take_news(self) -> None:
        """Show what is new."""
        self._read()

    @on(ResponseSetArrived)
    def show_set(self, event: ResponseSetArrived) -> None:
        """Show the responses in their order."""
        current = self.list.current_id
        self._set = event.response_set
        models = self._set.models
        if self._model not in models:
            self._model = models[0] if models else None
        self.show_bookmarks()
        self._show(current)

    def _show(self, current: str | None) -> None:
        assert self._set is not None
        self._ranked = ranked(self._set.responses, self._model)
        ids = [one.response.response_id for one in self._ranked]
        by = f"by {self._model}" if self._model else "by mean rating" if self._set.labelers else "not scored"
        n_draws = sum(one.n_draws for one in self._set.responses)
        self.set_title(f"{len(ids):,} responses, {n_draws:,} draws · {by}")
        self.list.show_ids(ids, ids.index(current) if current in ids else 0)
        self._fill()
        self._show_heading()
        self._show_text()

    def _fill(self) -> None:
        self.list.fill(0, [self._line(one) for one in self._ranked])

    def _line(self, one: Ranked) -> Line:
        response = one.response
        ratings = [value for _, value in response.ratings]
        rank = "–" if one.rank is None else f"{one.rank}{'=' if one.is_tied else ''}"
        return Line(
            response.response_id,
            (
                f"{MARK if response.response_id == self._marked else ''}{rank}",
                number(response.reward_of(self._model) if self._model else None),
                number(sum(ratings) / len(ratings) if ratings else None, ".1f"),
                f"{len(response.text):,}",
                f"{response.n_draws:,}",
                response.policies,
                response.text,
            ),
        )

    def on_resize(self) -> None:
        """Columns follow the width."""
        self._show_heading()

    def _show_heading(self) -> None:
        self._heading.update(heading_of(COLUMNS, self.size.width - 1))

    @on(PageWanted)
    def refill(self, event: PageWanted) -> None:
        """Every line is here already."""
        event.stop()
        self._fill()

    @on(RowReached)
    def _show_text(self) -> None:
        """Show the text of the response under the cursor."""
        if self._ranked:
            text = text_of(self._ranked[self.list.cursor])
            self._text.show_blocks([Block(text.heading, text.text or "(empty)", "assistant")])

    def action_mark(self) -> None:
        """Mark the response under the cursor, or take the mark away."""
        current = self.list.current_id
        self._marked = None if current == self._marked else current
        self._fill()
        self.set_status(
            f"{MARK} marked; move on and press w to read the two side by side" if self._marked else ""
        )

    @on(RowChosen)
    def read_one(self) -> None:
        """Read the response under the cursor on the whole screen."""
        if self._set is not None and self._ranked:
            self._read_texts(self._ranked[self.list.cursor])

    def action_read_two(self) -> None:
        """Read the marked response, or else the best one, beside the one under the cursor."""
        if self._set is None or len(self._ranked) < 2:
            self.set_status("there is only one response")
            return
        current = self._ranked[self.list.cursor]
        other = next(
            (one for one in self._ranked if one.response.response_id == self._marked), self._ranked[0]
        )
        if other is current:
            self.set_status("this one is marked, or the best: move to another to read them side by side")
            return
        self._read_texts(other, current)

    def action_read_prompt(self) -> None:
        """Read the prompt on the whole screen."""
        if self._set is not None:
            self._read_texts()

    def _read_texts(self, *chosen: Ranked) -> None:
        assert self._set is not None
        title = ("The prompt", "A response", "Two responses")[len(chosen)]
        self.app.push_screen(ReadingScreen(title, self._set.prompt, [text_of(one) for one in chosen]))

    def action_next_model(self) -> None:
        """Rank by the next reward model."""
        models = self._set.models if self._set else []
        if self._model is None or len(models) < 2:
            self.set_status("no other reward model scored these")
            return
        self._model = models[(models.index(self._model) + 1) % len(models)]
        self._show(self.list.current_id)
