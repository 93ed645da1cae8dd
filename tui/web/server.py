"""The server of `review --web`: textual-serve behind a guard, on this machine only."""

import asyncio
import contextlib
import io
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import aiohttp_jinja2
import click
import jinja2
from aiohttp import web
from textual_serve.server import Server, to_int

from store.console import note
from store.errors import BadSettings
from tui.web.guard import Guard, add_headers, guarding, loopback_host
from tui.web.session import Session

MOST_SESSIONS = 4
"""Pages open at once, each with a process of its own."""
FULL = f"{MOST_SESSIONS} pages are open already; close one and open this again.\r\n"
HERE = Path(__file__).parent


class ReviewServer(Server):
    """Serves `review`, run by WORDS, to pages that its guard lets in."""

    def __init__(self, words: Sequence[str], *, host: str, port: int, title: str) -> None:
        host = loopback_host(host)
        super().__init__("", host=host, port=port, title=title, templates_path=HERE)
        self.guard = Guard(port)
        self._words = words
        self._open: dict[web.WebSocketResponse, Session] = {}

    @property
    def address(self) -> str:
        """What to open in a browser."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}/?token={self.guard.token}"

    async def _make_app(self) -> web.Application:
        app = web.Application(middlewares=[guarding(self.guard)])
        aiohttp_jinja2.setup(app, loader=jinja2.FileSystemLoader(HERE), autoescape=True)
        path = self.guard.path
        app.add_routes(
            [
                web.get("/", self.guard.enter),
                web.get(path, self.handle_index),
                web.get(f"{path}page.js", _script),
                web.get(f"{path}ws", self.handle_websocket),
                web.static(f"{path}static", self.statics_path),
            ]
        )
        app.on_response_prepare.append(add_headers)
        app.on_shutdown.append(self.on_shutdown)
        return app

    async def handle_index(self, request: web.Request) -> web.Response:
        """The page; what it loads lies beside it."""
        context: dict[str, Any] = {
            "title": self.title,
            "socket": f"ws://{request.host}{self.guard.path}ws",
            "font_size": min(48, max(8, to_int(request.query.get("fontsize", ""), 16))),
        }
        return aiohttp_jinja2.render_template("index.html", request, context)

    async def handle_websocket(self, request: web.Request) -> web.WebSocketResponse:
        """A page's socket, with a process of its own as long as it is open."""
        page = web.WebSocketResponse(heartbeat=15)
        await page.prepare(request)
        if len(self._open) >= MOST_SESSIONS:
            await page.send_bytes(FULL.encode())
            await page.close()
            return page
        self._open[page] = session = Session(self._words, page)
        try:
            await session.start(_cells(request, "width", 80), _cells(request, "height", 24))
            await self._process_messages(page, session)
        finally:
            await asyncio.shield(self._end(page, session))
        return page

    async def _end(self, page: web.WebSocketResponse, session: Session) -> None:
        try:
            await session.stop()
        finally:
            self._open.pop(page, None)

    async def on_shutdown(self, app: web.Application) -> None:
        """End every page; its process saves and leaves."""
        sessions = list(self._open.items())
        await asyncio.gather(*(page.close() for page, _ in sessions))
        await asyncio.gather(*(session.stop() for _, session in sessions))


class Said(io.TextIOBase):
    """What processes said on stderr, which textual-serve writes to stdout: ours, made visible."""

    def write(self, text: str) -> int:
        """Say it."""
        if text.strip():
            note(text.strip("\n"))
        return len(text)


def serve(words: Sequence[str], *, host: str, port: int, title: str) -> None:
    """Serve the app that WORDS run until Ctrl+C.

    Raises BadSettings for a host that others could reach, and for a port that is taken.
    """
    server = ReviewServer(words, host=host, port=port, title=title)
    output = sys.stdout

    def say(_banner: str) -> None:
        click.echo(server.address, file=output)
        note(
            "only this machine can open it, and only with this address; from another one:"
            f" ssh -N -L {port}:{server.host}:{port} {socket.gethostname()}"
        )
        note("Ctrl+C ends it")

    try:
        with contextlib.redirect_stdout(Said()):
            web.run_app(
                server._make_app(),
                host=server.host,
                port=port,
                print=say,
                access_log=None,
                shutdown_timeout=5,
            )
    except OSError as error:
        raise BadSettings(
            f"port {port} cannot be used ({error.strerror}); give another with --port"
        ) from error


async def _script(_request: web.Request) -> web.FileResponse:
    return web.FileResponse(HERE / "page.js")


def _cells(request: web.Request, name: str, usual: int) -> int:
    return min(1000, max(1, to_int(request.query.get(name, ""), usual)))
