"""How many votes a minute `review` takes from keys that come as fast as it answers, each vote on disk.

Run: python benchmarks/bench_votes.py [--votes 200]
Three ways over one generated store: the real command in a terminal (`1`, wait for *saved*, Enter, wait for the next
two answers), the app through Textual's pilot, and `--plain`. The command in the terminal is killed with
SIGKILL at the end, and what the store then holds is counted.
"""

import argparse
import asyncio
import fcntl
import os
import pty
import resource
import select
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path

from store.db import Store
from store.ids import digest_of, path_digests, uuid_text

MARK = "answers:"
"""What every answer begins with, so that its arrival can be seen."""
WAIT_S = 60.0
AGAIN_S = 0.25


def generate(store: Store, prompts: int) -> None:
    """Prompts with two answers each, every one in a conversation."""
    messages, conversations = [], []
    for number in range(prompts):
        for side in ("left", "right"):
            turns = [("user", f"question {number}?"), ("assistant", f"{MARK} {side} of {number} " * 20)]
            path = [uuid_text(digest) for digest in path_digests(turns)]
            messages += [
                {
                    "message_id": one,
                    "parent_id": path[0] if depth else None,
                    "role": role,
                    "content": text,
                    "depth": depth,
                }
                for depth, (one, (role, text)) in enumerate(zip(path, turns, strict=True))
                if depth or side == "left"
            ]
            conversations.append(
                {
                    "conversation_id": uuid_text(digest_of("c1", path[1])),
                    "leaf_id": path[1],
                    "message_ids": path,
                    "source_id": uuid_text(digest_of("s1", "made")),
                    "record_numbers": [number],
                    "line": number,
                    "byte_offset": number,
                    "reader": "sharegpt",
                    "external_id": f"{number}-{side}",
                    "model": side,
                    "occurrence": 0,
                }
            )
    with store.write() as writing:
        writing.append("messages", messages)
        writing.append("conversations", conversations)


class Terminal:
    """A command in a pseudo-terminal of 80 by 24."""

    def __init__(self, command: list[str]) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.process = subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, env={**os.environ, "TERM": "xterm-256color"}
        )
        os.close(slave)
        self._unread = b""

    def press(self, keys: str) -> None:
        """Type KEYS."""
        os.write(self._master, keys.encode())

    def wait_for(self, words: str, seconds: float = WAIT_S) -> bool:
        """Read what the command shows up to the next WORDS; whether they came within SECONDS."""
        deadline = time.monotonic() + seconds
        while words.encode() not in self._unread:
            if not select.select([self._master], [], [], max(0.0, deadline - time.monotonic()))[0]:
                return False
            self._unread += os.read(self._master, 65_536)
        self._unread = self._unread.partition(words.encode())[2]
        return True

    def must_show(self, words: str) -> None:
        """Wait for WORDS, which have to come."""
        if not self.wait_for(words):
            raise TimeoutError(f"{words!r} never came; last seen: {self._unread[-2000:]!r}")

    def kill(self) -> None:
        """End the command without a chance to say goodbye."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        os.close(self._master)


def review_command(path: Path, annotator: str) -> list[str]:
    """The real command."""
    program = "from tui.cli import main; main()"
    return [sys.executable, "-P", "-c", program, "--store", str(path), "--annotator", annotator]


def in_terminal(path: Path, votes: int) -> int:
    """Votes in a pseudo-terminal, the session killed after the last; returns how many the store then holds."""
    terminal = Terminal(review_command(path, "terminal"))
    terminal.must_show("conversations")
    terminal.press("b")
    terminal.must_show("pair 1 of")
    terminal.must_show(MARK)
    started, cpu = time.perf_counter(), _cpu_of(terminal.process.pid)
    for number in range(1, votes + 1):
        terminal.press("1")
        while not terminal.wait_for(f" {number} voted", AGAIN_S):
            terminal.press("1")  # it came before the answers, and did nothing
        terminal.must_show("saved")
        terminal.press("\r")
        terminal.must_show(f"pair {number + 1} of")
        terminal.must_show(MARK)
    elapsed = time.perf_counter() - started
    _say("in a terminal", votes, elapsed, _cpu_of(terminal.process.pid) - cpu)
    terminal.kill()
    with Store(path).write() as writing:
        found = writing.rows("SELECT count(*) FROM main.comparisons WHERE labeler = 'terminal'")[0][0]
    print(f"killed after {votes} votes: {found} found", flush=True)
    return int(found)


def _cpu_of(pid: int) -> float:
    """Seconds that a process has used so far, where the system says so."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return float("nan")
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def through_pilot(path: Path, votes: int) -> None:
    """Votes through the app without a terminal."""
    from textual.pilot import Pilot

    from tui.answers.browse import StoreBrowse
    from tui.answers.store_review import StoreReview
    from tui.app import ReviewApp
    from tui.screens.judge import JudgeScreen

    data = StoreReview(Store(path), "pilot")
    browse = StoreBrowse(data)

    async def until(pilot: Pilot[None], state: str) -> None:
        while not (isinstance(pilot.app.screen, JudgeScreen) and pilot.app.screen.state == state):
            await pilot.pause()

    async def run() -> None:
        async with ReviewApp(data, browse).run_test(size=(80, 24)) as pilot:
            await pilot.press("b")
            await until(pilot, "judging")
            started, cpu = time.perf_counter(), time.process_time()
            for _ in range(votes):
                await pilot.press("1")
                while pilot.app.screen.query_one("#status").content != "✓ saved":
                    await pilot.pause()
                await pilot.press("enter")
                await until(pilot, "judging")
            _say("through the pilot", votes, time.perf_counter() - started, time.process_time() - cpu)

    asyncio.run(run())
    browse.close()
    data.close()


def plainly(path: Path, votes: int) -> None:
    """Votes line by line."""
    command = [*review_command(path, "plain"), "--plain"]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    subprocess.run(command, input="1" * votes, text=True, stdout=subprocess.DEVNULL, check=True)
    elapsed = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    _say("line by line, start and end of the command included", votes, elapsed, cpu)


def _say(how: str, votes: int, seconds: float, cpu: float | None = None) -> None:
    spent = f", {1000 * cpu / votes:.0f} ms of processor time each" if cpu is not None else ""
    print(
        f"{how}: {60 * votes / seconds:,.0f} votes a minute, {1000 * seconds / votes:.0f} ms each{spent}",
        flush=True,
    )


def main() -> None:
    """Vote in the three ways."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--votes", type=int, default=200)
    votes = parser.parse_args().votes
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "votes.duckdb"
        generate(Store(path), votes + 1)
        print(f"load beside: {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
        in_terminal(path, votes)
        through_pilot(path, votes)
        plainly(path, votes)


if __name__ == "__main__":
    main()
