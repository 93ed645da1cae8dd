"""Who may open `review --web`, and what becomes of its processes."""

import asyncio
import contextlib
import json
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

pytest.importorskip("textual_serve", reason="review --web needs textual-serve")
from aiohttp import ClientSession, CookieJar, WSMsgType, WSServerHandshakeError
from aiohttp.test_utils import TestServer

from store.console import run_command
from store.errors import BadSettings
from tui.cli import review
from tui.web import session as sessions
from tui.web.guard import loopback_host
from tui.web.server import MOST_SESSIONS, ReviewServer

PROGRAM = """
import json, os, sys, time
def packet(kind, payload): os.write(1, kind + len(payload).to_bytes(4, "big") + payload)
os.write(1, b"__GANGLION__\\n")
for meta in {metas!r}: packet(b"M", json.dumps(meta).encode())
packet(b"P", b"junk")
packet(b"D", f"hello from {{os.getpid()}} at {{os.environ['COLUMNS']}}".encode())
{rest}
"""
LEAVES_WHEN_ASKED = "os.read(0, 4096); packet(b'M', b'{\"type\": \"exit\"}')"
NEVER_LEAVES = "time.sleep(1000)"
OPENS_AND_SENDS = [
    {"type": "open_url", "url": "https://evil.example", "new_tab": True},
    {"type": "deliver_file_start", "key": "k", "path": "/etc/passwd", "open_method": "download"},
]


def browse(steps, metas=(), rest=LEAVES_WHEN_ASKED):
    """Serve a small program in place of `review`, and do STEPS as a browser on this machine."""

    async def run():
        words = [sys.executable, "-c", PROGRAM.format(metas=list(metas), rest=rest)]
        server = ReviewServer(words, host="127.0.0.1", port=8765, title="review <b>")
        async with (
            TestServer(await server._make_app(), host="127.0.0.1") as site,
            ClientSession(cookie_jar=CookieJar(unsafe=True)) as client,
        ):
            await steps(SimpleNamespace(client=client, guard=server.guard, server=server, site=site))

    asyncio.run(run())


def url(at, path="/"):
    return f"http://127.0.0.1:{at.site.port}{path}"


def origin(at):
    return {"Origin": f"http://127.0.0.1:{at.site.port}"}


async def enter(at):
    async with at.client.get(url(at, f"/?token={at.guard.token}")) as answer:
        assert answer.status == 200
        return await answer.text()


async def status(at, path, **headers):
    async with at.client.get(url(at, path), headers=headers, allow_redirects=False) as answer:
        return answer.status


async def open_page(at, **headers):
    return await at.client.ws_connect(
        url(at, f"{at.guard.path}ws?width=90&height=30"), headers={**origin(at), **headers}
    )


def test_only_the_token_opens_the_app():
    async def steps(at):
        for wrong in ("", "?token=", "?token=wrong", "?token=%ff%00é", f"?token={at.guard.token[:-1]}"):
            assert await status(at, f"/{wrong}") == 403
        for path in (at.guard.path, f"{at.guard.path}static/js/textual.js", f"{at.guard.path}ws", "/nowhere"):
            assert await status(at, path) == 403
        assert await status(at, f"/?token={at.guard.token}") == 303

    browse(steps)


def test_the_token_becomes_a_cookie_that_no_script_and_no_other_site_has():
    async def steps(at):
        async with at.client.get(url(at, f"/?token={at.guard.token}"), allow_redirects=False) as answer:
            cookie = answer.headers["Set-Cookie"]
            assert answer.headers["Location"] == at.guard.path
        assert at.guard.token not in cookie
        assert {"HttpOnly", "SameSite=Strict", f"Path={at.guard.path}"} <= set(cookie.split("; "))
        assert await status(at, at.guard.path) == 200
        for name in ("page.js", "static/js/textual.js", "static/css/xterm.css"):
            assert await status(at, at.guard.path + name) == 200
        assert await status(at, f"{at.guard.path}static/") == 403
        assert await status(at, f"{at.guard.path}download/k") == 404
        at.client.cookie_jar.clear()
        assert await status(at, at.guard.path, Cookie=f"{at.guard.cookie_name}=wrong") == 403

    browse(steps)


def test_the_page_loads_nothing_from_elsewhere():
    async def steps(at):
        page = await enter(at)
        assert "review &lt;b&gt;" in page
        assert page.replace(f"ws://127.0.0.1:{at.site.port}{at.guard.path}ws", "").count("//") == 0
        async with at.client.get(url(at, at.guard.path)) as answer:
            policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "sandbox allow-scripts allow-same-origin" in policy
        assert "allow-popups" not in policy
        assert "allow-downloads" not in policy

    browse(steps)


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8765", "127.0.0.1.evil.example", "10.0.0.1:8765", "localhost@evil", ""],
)
def test_another_name_for_this_machine_is_refused(host):
    async def steps(at):
        await enter(at)
        assert await status(at, f"/?token={at.guard.token}", Host=host) == 403
        assert await status(at, at.guard.path, Host=host) == 403

    browse(steps)


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:9000", "[::1]:8765", "127.0.0.1:1"])
def test_a_tunnel_may_end_at_any_port_of_the_other_machine(host):
    async def steps(at):
        assert await status(at, f"/?token={at.guard.token}", Host=host) == 303

    browse(steps)


@pytest.mark.parametrize(
    "given",
    [
        "http://evil.example",
        "null",
        "http://127.0.0.1:1",
        "https://127.0.0.1:{port}",
        "http://localhost:{port}",
    ],
)
def test_no_other_site_may_use_the_socket(given):
    async def steps(at):
        await enter(at)
        with pytest.raises(WSServerHandshakeError, match="403"):
            await open_page(at, Origin=given.format(port=at.site.port))
        assert await status(at, at.guard.path, Origin=given.format(port=at.site.port)) == 403

    browse(steps)


def test_a_socket_that_says_no_origin_is_refused():
    async def steps(at):
        await enter(at)
        with pytest.raises(WSServerHandshakeError, match="403"):
            await at.client.ws_connect(url(at, f"{at.guard.path}ws"))

    browse(steps)


def test_a_socket_without_the_cookie_is_refused():
    async def steps(at):
        with pytest.raises(WSServerHandshakeError, match="403"):
            await open_page(at)

    browse(steps)


def test_a_page_talks_to_a_process_of_its_own_which_ends_with_it():
    async def steps(at):
        await enter(at)
        first, second = await open_page(at), await open_page(at)
        told = [(await page.receive()).data.decode() for page in (first, second)]
        pids = [int(words.split()[2]) for words in told]
        assert pids[0] != pids[1]
        assert told[0].endswith("at 90")
        await first.close()
        await wait_until(lambda: not is_running(pids[0]))
        assert is_running(pids[1])
        await second.close()

    browse(steps)


def test_a_process_may_neither_open_addresses_nor_send_files():
    async def steps(at):
        await enter(at)
        page = await open_page(at)
        message = await page.receive()
        assert message.type == WSMsgType.BINARY
        assert message.data.startswith(b"hello")
        await page.close()

    browse(steps, metas=OPENS_AND_SENDS)


def test_the_page_after_the_last_is_told_so_and_starts_nothing():
    async def steps(at):
        await enter(at)
        pages = [await open_page(at) for _ in range(MOST_SESSIONS)]
        for page in pages:
            assert (await page.receive()).data.startswith(b"hello")
        late = await open_page(at)
        assert b"open already" in (await late.receive()).data
        assert (await late.receive()).type == WSMsgType.CLOSE
        await pages[0].close()
        await wait_until(lambda: len(at.server._open) < MOST_SESSIONS)
        again = await open_page(at)
        assert (await again.receive()).data.startswith(b"hello")

    browse(steps)


def test_a_process_that_fails_ends_its_page():
    async def steps(at):
        await enter(at)
        page = await open_page(at)
        assert (await page.receive()).data.startswith(b"hello")
        assert (await page.receive()).type == WSMsgType.CLOSE

    browse(steps, rest="sys.exit(1)")


def test_a_process_that_will_not_leave_is_ended(monkeypatch):
    monkeypatch.setattr(sessions, "LEAVE_S", 0.2)
    pids = []

    async def steps(at):
        await enter(at)
        page = await open_page(at)
        pids.append(int((await page.receive()).data.split()[2]))

    browse(steps, rest=NEVER_LEAVES)
    assert not is_running(pids[0])


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.4", "example.org", "", "127.0.0.1.nip.io"])
def test_a_host_that_others_can_reach_is_refused(host):
    with pytest.raises(BadSettings, match="ssh -L"):
        loopback_host(host)


@pytest.mark.parametrize(
    ("host", "address"), [("localhost", "127.0.0.1"), ("127.0.0.2", "127.0.0.2"), ("::1", "::1")]
)
def test_a_host_of_this_machine_is_taken(host, address):
    assert loopback_host(host) == address


def test_a_host_a_mode_and_a_port_that_cannot_be_are_said_in_one_line(store, capsys):
    given = ["--store", str(store.path), "--annotator", "kim", "--web"]
    assert run_command(review, [*given, "--host", "0.0.0.0"]) == 2
    assert "this machine only" in capsys.readouterr().err
    assert run_command(review, [*given, "--plain"]) == 2
    assert "one of the two" in capsys.readouterr().err
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert run_command(review, [*given, "--port", str(taken.getsockname()[1])]) == 2
    assert "another with --port" in capsys.readouterr().err


async def talk(address, steps):
    """Open the address as a browser would, and do STEPS with its page and the process behind it."""
    base, _, _ = address.partition("/?")
    async with ClientSession(cookie_jar=CookieJar(unsafe=True)) as client:
        async with client.get(address) as answer:
            path = answer.url.path
        page = await client.ws_connect(f"{base}{path}ws?width=80&height=24", headers={"Origin": base})
        screen = b""
        while b"one?" not in screen or b"Quit" not in screen:
            screen += (await page.receive(timeout=60)).data
        await steps(page)


def children(pid):
    found = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False
    )
    return [int(word) for word in found.stdout.split()]


@pytest.mark.slow
def test_control_c_ends_the_server_and_its_processes_and_no_log_holds_the_token(served):
    token = served.address.partition("token=")[2]
    seen = []

    async def steps(page):
        seen.extend(children(served.process.pid))
        await page.send_str(json.dumps(["stdin", "d"]))
        screen = b""
        while b"saved: drop" not in screen:
            screen += (await page.receive(timeout=60)).data
        for pid in seen:
            assert token.encode() not in Path(f"/proc/{pid}/cmdline").read_bytes()
            assert token.encode() not in Path(f"/proc/{pid}/environ").read_bytes()
        served.process.send_signal(signal.SIGINT)
        while not page.closed:
            await page.receive(timeout=60)

    asyncio.run(talk(served.address, steps))
    out, err = served.process.communicate(timeout=60)
    assert served.process.returncode == 0
    assert len(seen) == 1
    assert not is_running(seen[0])
    assert token not in out + err
    assert "ssh -N -L" in err
    assert "Traceback" not in err


@pytest.mark.slow
def test_a_process_whose_server_is_killed_leaves(served):
    seen = []

    async def steps(_page):
        seen.extend(children(served.process.pid))
        served.process.kill()
        await wait_until(lambda: not is_running(seen[0]))

    with contextlib.suppress(ConnectionError):
        asyncio.run(talk(served.address, steps))
    assert seen


async def wait_until(holds):
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        await asyncio.sleep(
            0.02
        )  # between two looks at another process, which cannot tell us when it is done


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return state.rpartition(")")[2].split()[0] != "Z"
