"""One browser page and the `review` process behind it."""

import asyncio
import contextlib
import json
from collections.abc import Sequence

from aiohttp import web
from textual_serve.app_service import AppService
from textual_serve.download_manager import DownloadManager

LEAVE_S = 20.0
"""How long a process may take to save and leave before it is ended."""


class Session(AppService):
    """textual-serve's side of a process, without a shell, downloads or addresses to open."""

    def __init__(self, words: Sequence[str], socket: web.WebSocketResponse) -> None:
        async def close() -> None:
            await socket.close()

        super().__init__(
            "",
            write_bytes=socket.send_bytes,
            write_str=socket.send_str,
            close=close,
            download_manager=DownloadManager(),
        )
        self._words = words
        self._ending = asyncio.Lock()

    async def _open_app_process(self, width: int = 80, height: int = 24) -> asyncio.subprocess.Process:
        pipe = asyncio.subprocess.PIPE
        environment = self._build_environment(width, height)
        self._process = process = await asyncio.create_subprocess_exec(
            *self._words, stdin=pipe, stdout=pipe, stderr=pipe, env=environment
        )
        self._stdin = process.stdin
        return process

    async def run(self) -> None:
        """Pass on what the process shows until it ends; then the page is told that it did."""
        await super().run()
        await self.remote_close()

    async def on_meta(self, data: bytes) -> None:
        """Hear that the app ended, and nothing else: it may not open addresses or send files."""
        if json.loads(data).get("type") == "exit":
            await self.remote_close()

    async def on_packed(self, payload: bytes) -> None:
        """Take no piece of a file."""

    async def stop(self) -> None:
        """Ask the process to leave, wait for what it saves, and end it if it does not; asked twice, once."""
        async with self._ending:
            if self._process is not None:
                await self._stop(self._process)

    async def _stop(self, process: asyncio.subprocess.Process) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(super().stop(), LEAVE_S)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), LEAVE_S)
        if process.returncode is None:
            process.kill()
            await process.wait()
