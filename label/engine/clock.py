"""Time as the engine sees it: passed in, so that a test can make a minute pass at once."""

import asyncio
from typing import Protocol


class Clock(Protocol):
    """Seconds that only grow, and waiting for them."""

    def time(self) -> float:
        """Seconds since some moment."""

    async def sleep(self, seconds: float) -> None:
        """Return after that many seconds."""


class LoopClock:
    """The running event loop's own time, real or simulated."""

    def time(self) -> float:
        """The loop's seconds."""
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        """Let the loop run on for that long."""
        await asyncio.sleep(seconds)
