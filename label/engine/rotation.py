"""Which of several equal servers is asked: each thing goes to the one its hash chooses, while that one answers.

A server that does not answer is left alone for a while; its share goes to the others.
"""

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

FAILURES_IN_A_ROW = 3
REST_S = 30.0
"""How long a server that does not answer is left alone before it gets a request again."""


@dataclass(slots=True)
class Server:
    """One server, and whether it has been answering."""

    url: str
    failures: int = 0
    rests_until: float = float("-inf")


class Rotation:
    """Servers by address."""

    def __init__(self, urls: Sequence[str]) -> None:
        self._servers = {url: Server(url) for url in urls}

    def choose(self, key: str) -> str:
        """The server with the highest hash of KEY and address that is not resting; if all are, of all."""
        now = asyncio.get_running_loop().time()
        awake = [server for server in self._servers.values() if server.rests_until <= now]
        chosen = max(awake or self._servers.values(), key=lambda server: _weight(key, server.url))
        if chosen.failures >= FAILURES_IN_A_ROW:
            chosen.rests_until = now + REST_S  # one request finds out whether it answers again
        return chosen.url

    def answered(self, url: str) -> None:
        """A server gave an answer."""
        server = self._servers[url]
        server.failures = 0
        server.rests_until = float("-inf")

    def fell_silent(self, url: str) -> None:
        """A server gave none."""
        server = self._servers[url]
        server.failures += 1
        if server.failures >= FAILURES_IN_A_ROW:
            server.rests_until = asyncio.get_running_loop().time() + REST_S


def _weight(key: str, url: str) -> bytes:
    return hashlib.sha256(f"{key} {url}".encode()).digest()
