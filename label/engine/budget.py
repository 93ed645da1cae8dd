"""Money: reserved before a request is sent, settled by what it used, never past the cap."""

import asyncio
from collections import deque

from store.errors import BudgetReached

ROUNDING_USD = 1e-12


class Budget:
    """What a run has spent and may still have to pay, in USD."""

    def __init__(self, cap_usd: float | None = None) -> None:
        self.cap_usd = cap_usd
        self.spent_usd = 0.0
        self.reserved_usd = 0.0
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def reserve(self, cost_usd: float) -> None:
        """Set COST_USD aside, waiting for requests under way if only they stand in the way.

        Raises BudgetReached if it would pass the cap.
        """
        while not self._fits(cost_usd):
            if self.reserved_usd <= 0:
                raise BudgetReached(self._message(cost_usd))
            place = asyncio.get_running_loop().create_future()
            self._waiting.append(place)
            await place
        self.reserved_usd += cost_usd

    def settle(self, reserved_usd: float, cost_usd: float) -> None:
        """Let a reservation go and book what was really paid."""
        self.reserved_usd = max(0.0, self.reserved_usd - reserved_usd)
        if self.reserved_usd < ROUNDING_USD:
            self.reserved_usd = 0.0
        self.spent_usd += cost_usd
        while self._waiting:
            place = self._waiting.popleft()
            if not place.done():
                place.set_result(None)

    def _fits(self, cost_usd: float) -> bool:
        return self.cap_usd is None or self.spent_usd + self.reserved_usd + cost_usd <= self.cap_usd

    def _message(self, cost_usd: float) -> str:
        return (
            f"${self.spent_usd:.4f} spent, and the next request could cost ${cost_usd:.4f}: that would pass"
            f" --max-cost {self.cap_usd:g}; raise it and repeat the command to continue"
        )
