"""The application: its screens, its themes and how it follows the store."""

import os
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import SuspendNotSupported
from textual.binding import Binding, BindingType
from textual.command import Provider
from textual.events import AppBlur
from textual.screen import Screen
from textual.worker import WorkType

from store.runs import utc_now
from tui.browse_data import BrowseData
from tui.commands import PlaceCommands
from tui.desk import Desk
from tui.events import StoreChanged, TextTaken
from tui.outside import edit, page
from tui.query import Filter
from tui.review_data import News, ReviewData
from tui.screens.conversations import ConversationsScreen
from tui.screens.find import FindScreen
from tui.screens.go import PLACES, GoScreen
from tui.screens.help import HelpScreen
from tui.screens.judge import JudgeScreen
from tui.text import clean
from tui.themes import DARK, LIGHT

POLL_S = 1.0
"""How often the store is asked for what is new."""
REST = 10
"""Following the store takes at most one part in this many of the time."""


class ReviewApp(Desk):
    """`review`, given its data."""

    CSS_PATH = Path(__file__).with_name("app.tcss")
    TITLE = "review"
    COMMANDS: ClassVar[set[type[Provider] | Callable[[], type[Provider]]]] = {PlaceCommands}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+q", "quit", "Quit", show=False, priority=True),
        Binding("ctrl+c", "quit", "Quit", show=False, priority=True),
        Binding("ctrl+s", "save_picture", "Screenshot", show=False),
    ]

    def __init__(
        self,
        data: ReviewData,
        browse: BrowseData,
        *,
        store_name: str = "store",
        wanted: Filter | None = None,
        poll_s: float = POLL_S,
    ) -> None:
        super().__init__(data, browse)
        self.register_theme(DARK)
        self.register_theme(LIGHT)
        self.theme = DARK.name
        self._store_name = store_name
        self._wanted = wanted or Filter()
        self._poll_s = poll_s
        self._is_following = False
        self._next_look = 0.0
        self._parent_pid = os.getppid()

    def get_default_screen(self) -> "Screen[None]":
        """The list of conversations."""
        return ConversationsScreen(self._store_name, self._wanted)

    def on_mount(self) -> None:
        """Begin to follow the store."""
        self.follow()
        self.set_interval(self._poll_s, self.follow)

    def on_app_blur(self, event: AppBlur) -> None:
        """Look the same in a window that others are in front of; in a browser the keys would be missing."""
        event.prevent_default()

    def follow(self) -> None:
        """Look for news, unless that is being done or was done at length just now; leave a lost server."""
        if self.is_web and os.getppid() != self._parent_pid:
            self.exit()
        if not self._is_following and time.monotonic() >= self._next_look:
            self._is_following = True
            work: WorkType[None] = self._follow
            self.run_worker(work, group="follow")

    async def _follow(self) -> None:
        started = time.monotonic()
        try:
            news: News = "more"
            while news == "more":
                news = await self.patiently(self.data.refresh)
                if news != "none":
                    self._tell_screens()
        finally:
            self._is_following = False
        self._next_look = time.monotonic() + (REST - 1) * (time.monotonic() - started)

    def _tell_screens(self) -> None:
        for screen in self.screen_stack:
            screen.post_message(StoreChanged())

    def action_go(self) -> None:
        """Ask where to, and go there; only the list of conversations stays underneath."""

        def answered(place: str | None) -> None:
            if place is not None:
                self.go_to(place)

        self.push_screen(GoScreen(), answered)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Nothing is looked for while one judges blind: what is found may tell who wrote an answer."""
        return not (action == "find" and self.is_judging)

    @property
    def is_judging(self) -> bool:
        """Whether a screen of blind judging is open."""
        return any(isinstance(screen, JudgeScreen) for screen in self.screen_stack)

    def action_find(self) -> None:
        """Look for words in all texts."""
        self.push_screen(FindScreen())

    def go_to(self, place: str) -> None:
        """Leave every screen but the first and open the one of a letter, if there is one."""
        if place not in PLACES:
            self.tell("there is no screen that shows more of this")
            return
        while len(self.screen_stack) > 1:
            self.pop_screen()
        if (make := PLACES[place].make) is not None:
            self.push_screen(make())

    @on(TextTaken)
    def take_text(self, event: TextTaken) -> None:
        """Copy a text by OSC 52, or open it in the pager or the editor."""
        if event.use == "copy":
            self.copy_to_clipboard(event.text)
            self.tell(f"✓ {len(event.text):,} characters copied, if the terminal takes them")
            return
        try:
            with self.suspend():
                fault = edit(event.text) if event.use == "edit" else page(event.text)
        except SuspendNotSupported:
            fault = "this terminal cannot be handed to another program"
        self.tell(f"✗ {fault}" if fault else "")

    def action_save_picture(self) -> None:
        """Save the screen as an SVG file in the working directory."""
        name = f"review-{utc_now():%Y%m%dT%H%M%S}.svg"
        try:
            self.save_screenshot(name, path=".")
        except OSError as error:
            self.tell(f"✗ {error}")
        else:
            self.tell(f"✓ saved as {name}")

    def action_help(self) -> None:
        """Show what the keys do."""
        self.push_screen(HelpScreen())

    def action_toggle_theme(self) -> None:
        """Change between dark and light."""
        self.theme = LIGHT.name if self.theme == DARK.name else DARK.name

    def _fatal_error(self) -> None:
        """Leave with the traceback, without the values of its variables: they may hold a key."""
        self.bell()
        self._exit_renderables.append(Text(clean(traceback.format_exc())))
        self._close_messages_no_wait()
