"""The command palette: every screen, and what can be done on any of them."""

from collections.abc import Iterator
from functools import partial
from typing import cast

from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.types import IgnoreReturnCallbackType

from tui.desk import Desk
from tui.screens.go import PLACES
from tui.screens.judge import JudgeScreen


class PlaceCommands(Provider):
    """Going to a screen; while one judges blind there is nowhere to go."""

    def _commands(self) -> Iterator[tuple[str, IgnoreReturnCallbackType]]:
        app = cast(Desk, self.app)
        if not any(isinstance(screen, JudgeScreen) for screen in app.screen_stack):
            for place in PLACES.values():
                yield f"Go to {place.words}", partial(app.go_to, place.key)
        for words, action in (
            ("Help", "help"),
            ("Dark or light", "toggle_theme"),
            ("Save a screenshot", "save_picture"),
            ("Quit", "quit"),
        ):
            yield words, partial(app.run_action, action)

    async def discover(self) -> Hits:
        """Every command."""
        for words, command in self._commands():
            yield DiscoveryHit(words, command)

    async def search(self, query: str) -> Hits:
        """The commands that match what was typed."""
        matcher = self.matcher(query)
        for words, command in self._commands():
            if (score := matcher.match(words)) > 0:
                yield Hit(score, matcher.highlight(words), command)
