"""Reading and saving without ever blocking the screen; every screen works at this desk."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import ClassVar, NoReturn, TypeVar, cast

from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.message import Message as Event
from textual.screen import Screen
from textual.widgets import Static
from textual.worker import WorkType

from store.engines import be_thrifty
from store.errors import NeedsMemory, PreferablyError, TryLater
from tui.browse_data import BrowseData
from tui.events import DecisionSaved
from tui.review_data import Decided, Decision, ReviewData
from tui.text import one_line
from tui.widgets.key_lines import KeyLines

RETRY_S = 0.5
"""Pause before a busy store is asked again."""

Result = TypeVar("Result")


class Desk(App[None]):
    """An app that reads and saves in threads, and waits for a busy store."""

    def __init__(self, data: ReviewData, browse: BrowseData) -> None:
        super().__init__()
        self.data = data
        self.browse = browse
        self.failure: PreferablyError | None = None
        """Why the app had to close, if it had to."""
        self._saving = asyncio.Lock()
        self._unsaved = 0
        self._n_waiting = 0
        self._is_leaving = False

    def read(
        self,
        target: "DeskScreen",
        job: Callable[[], Result],
        event: Callable[[Result], Event],
        group: str,
    ) -> None:
        """Do JOB in a thread and post its result to TARGET; a later job of the same GROUP replaces it."""

        async def deliver() -> None:
            result = await self.patiently(job)
            target.post_message(event(result))

        work: WorkType[None] = deliver
        target.run_worker(work, group=group, exclusive=True)

    def save(self, job: Callable[[], Result], done: Callable[[Result], object]) -> None:
        """Do JOB in a thread after every earlier save, then call DONE; leaving waits for it."""
        self._unsaved += 1
        self.tell("saving …")
        work: WorkType[None] = partial(self._save, job, done)
        self.run_worker(work, group="saving")

    async def _save(self, job: Callable[[], Result], done: Callable[[Result], object]) -> None:
        try:
            async with self._saving:
                result = await self.patiently(job)
        finally:
            self._unsaved -= 1
        done(result)
        if self._is_leaving and not self._unsaved:
            self.exit()

    async def patiently(self, job: Callable[[], Result]) -> Result:
        """The result of JOB, asked for again while the store is busy, and with more memory where that is scarce."""
        is_waiting = False
        try:
            while True:
                try:
                    return await asyncio.to_thread(job)
                except TryLater:
                    self._wait_shown(0 if is_waiting else 1)
                    is_waiting = True
                    await asyncio.sleep(RETRY_S)
                except NeedsMemory as error:
                    if be_thrifty(None) is None:
                        self._give_up(error)
                except PreferablyError as error:
                    self._give_up(error)
        finally:
            self._wait_shown(-1 if is_waiting else 0)

    def _give_up(self, error: PreferablyError) -> NoReturn:
        self.failure = error
        self.exit(return_code=error.exit_code)
        raise asyncio.CancelledError from error

    def _wait_shown(self, more: int) -> None:
        """Say that the store is busy as long as any job waits for it."""
        was_waiting = self._n_waiting > 0
        self._n_waiting += more
        if (self._n_waiting > 0) != was_waiting:
            self.tell("" if was_waiting else "the store is busy; asking again …")

    def tell(self, words: str) -> None:
        """Show WORDS on the status line of the screen in front."""
        for screen in reversed(self.screen_stack):
            if isinstance(screen, DeskScreen):
                screen.set_status(words)
                return

    def decide(self, conversation_id: str, decision: Decision) -> None:
        """Save a decision about a conversation."""
        if self.data.is_read_only:
            self.tell("looking at the past with --at: nothing can be decided")
            return
        job = partial(self.data.decide, conversation_id, decision)
        self.save(job, lambda _: self._decision_saved(conversation_id, f"✓ saved: {decision.verdict}"))

    def undo_decision(self) -> None:
        """Take the annotator's last decision back."""
        self._change(self.data.undo_decision, "undone", "nothing to undo")

    def redo_decision(self) -> None:
        """Decide again what was taken back last."""
        self._change(self.data.redo_decision, "redone", "nothing to redo")

    def _change(self, job: Callable[[], Decided | None], words: str, nothing: str) -> None:
        def done(decided: Decided | None) -> None:
            if decided is None:
                self.tell(nothing)
                return
            verdict = decided.decision.verdict
            now = f"{verdict} again" if verdict else "open again"
            self._decision_saved(decided.conversation_id, f"✓ {words}: {now}")

        if self.data.is_read_only:
            self.tell(nothing)
        else:
            self.save(job, done)

    def _decision_saved(self, conversation_id: str, words: str) -> None:
        self.tell(words)
        for screen in self.screen_stack:
            screen.post_message(DecisionSaved(conversation_id))

    def go_to(self, place: str) -> None:
        """Leave every screen but the first and open the one of a letter, if there is one."""
        raise NotImplementedError

    async def action_quit(self) -> None:
        """Leave once everything is saved; asked twice, leave at once."""
        if self._unsaved and not self._is_leaving:
            self._is_leaving = True
            self.tell("saving before leaving …")
        else:
            self.exit()


class DeskScreen(Screen[None]):
    """A screen with a title line, a status line and the keys at the bottom."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("question_mark", "app.help", "Help"),
        Binding("slash", "app.find", "Find"),
        Binding("ctrl+f", "app.find", show=False),
        Binding("t", "app.toggle_theme", "Theme", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._title = Static("", id="title", markup=False)
        self._status = Static("", id="status", markup=False)

    @property
    def desk(self) -> Desk:
        """The app, as what it is."""
        return cast(Desk, self.app)

    @property
    def data(self) -> ReviewData:
        """Where the screen's contents come from."""
        return self.desk.data

    @property
    def browse(self) -> BrowseData:
        """Where the contents of the screens beside conversations and judging come from."""
        return self.desk.browse

    def compose(self) -> ComposeResult:
        """Title, the screen's own widgets, status, keys."""
        yield self._title
        yield from self.compose_body()
        yield self._status
        yield KeyLines(show_command_palette=False)

    def compose_body(self) -> ComposeResult:
        """The screen's own widgets."""
        yield from ()

    def set_title(self, words: str) -> None:
        """Say where we are."""
        self._title.update(one_line(words))

    def set_status(self, words: str) -> None:
        """Say what just happened."""
        self._status.update(one_line(words))

    @property
    def status(self) -> str:
        """The words on the status line."""
        return str(self._status.content)
