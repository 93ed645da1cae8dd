"""Noticing that a provider is down, or that every request is wrong, before money and hours go into it."""

from label.engine.clock import Clock
from store.errors import ProviderStopped

FAILURES_IN_A_ROW = 20
MIN_OUTAGE_S = 10.0
"""A server that restarts fails twenty parallel requests at once; only a longer silence is an outage."""


class Breaker:
    """Counts failures since the last success."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._passing = 0
        self._first_at = 0.0
        self._lasting = 0

    def succeeded(self) -> None:
        """An answer came."""
        self._passing = self._lasting = 0

    def failed(self, reason: str) -> None:
        """An attempt failed in a way that passes.

        Raises ProviderStopped when that happened twenty times in a row, over more than a moment.
        """
        now = self._clock.time()
        if self._passing == 0:
            self._first_at = now
        self._passing += 1
        if self._passing >= FAILURES_IN_A_ROW and now - self._first_at >= MIN_OUTAGE_S:
            raise ProviderStopped(_message(self._passing, reason))

    def gave_up(self, reason: str) -> None:
        """A request was turned down for good, for no reason of its own.

        Raises ProviderStopped when that happened twenty times in a row.
        """
        self._lasting += 1
        if self._lasting >= FAILURES_IN_A_ROW:
            raise ProviderStopped(_message(self._lasting, reason))


def _message(count: int, reason: str) -> str:
    return f"{count} failures in a row, the last: {reason}; the same command again continues once it answers"
