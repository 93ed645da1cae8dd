"""The application: its screens, its themes and how it follows the store."""

import time
import traceback
from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.worker import WorkType

from tui.browse_data import BrowseData
from tui.desk import Desk
from tui.events import StoreChanged
from tui.query import Filter
from tui.review_data import News, ReviewData
from tui.screens.conversations import ConversationsScreen
from tui.screens.go import PLACES, GoScreen
from tui.screens.help import HelpScreen
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
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+q", "quit", "Quit", show=False, priority=True),
        Binding("ctrl+c", "quit", "Quit", show=False, priority=True),
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

    def get_default_screen(self) -> "Screen[None]":
        """The list of conversations."""
        return ConversationsScreen(self._store_name, self._wanted)

    def on_mount(self) -> None:
        """Begin to follow the store."""
        self.follow()
        self.set_interval(self._poll_s, self.follow)

    def follow(self) -> None:
        """Look for news, unless that is being done or was done at length just now."""
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

    def go_to(self, place: str) -> None:
        """Leave every screen but the first and open the one of a letter, if there is one."""
        if place not in PLACES:
            self.tell("there is no screen that shows more of this")
            return
        while len(self.screen_stack) > 1:
            self.pop_screen()
        if (make := PLACES[place].make) is not None:
            self.push_screen(make())

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
