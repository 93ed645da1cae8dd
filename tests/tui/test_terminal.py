"""The real command in a real terminal, driven as a person would."""

import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from store.db import Store

TMUX = shutil.which("tmux")
pytestmark = pytest.mark.skipif(TMUX is None, reason="tmux is not installed")
ROOT = Path(__file__).resolve().parents[2]


class Terminal:
    """A tmux session of its own server with one program in it."""

    def __init__(self, folder: Path) -> None:
        self._socket = str(folder / "tmux.socket")

    def _tmux(self, *arguments: str) -> str:
        done = subprocess.run(
            [str(TMUX), "-S", self._socket, "-f", os.devnull, *arguments],
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout

    def start(self, command: list[str]) -> None:
        line = f"cd {shlex.quote(str(ROOT))} && {shlex.join(command)}; echo code=$?; exec sleep 1000"
        self._tmux(
            "new-session", "-d", "-x", "80", "-y", "24", f"TERM=xterm-256color sh -c {shlex.quote(line)}"
        )

    def press(self, *keys: str) -> None:
        for key in keys:
            self._tmux("send-keys", key)

    def screen(self, *, escapes: bool = False) -> str:
        return self._tmux("capture-pane", "-p", *(["-e"] if escapes else []))

    def wait_for(self, words: str) -> str:
        deadline = time.monotonic() + 60
        while words not in (shown := self.screen()):
            assert time.monotonic() < deadline, f"{words!r} never came; the screen shows:\n{shown}"
            time.sleep(0.05)  # between two looks at another process, which cannot tell us when it is done
        return shown

    def stop(self) -> None:
        subprocess.run([str(TMUX), "-S", self._socket, "kill-server"], capture_output=True, check=False)


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    """A terminal of 80 by 24."""
    terminal = Terminal(tmp_path)
    yield terminal
    terminal.stop()


def review_command(store: Store) -> list[str]:
    program = "from tui.cli import main; main()"
    return [sys.executable, "-c", program, "--store", str(store.path), "--annotator", "kim"]


def test_a_person_looks_decides_judges_and_leaves(terminal, store, review_pairs):
    terminal.start(review_command(store))
    terminal.wait_for("3 conversations")
    terminal.wait_for("one?")
    terminal.press("Enter")
    terminal.wait_for("first answer")
    terminal.press("d")
    terminal.wait_for("✗ dropped by kim")
    terminal.press("u")
    terminal.wait_for("open again")
    terminal.press("d")
    terminal.wait_for("✗ dropped by kim")
    terminal.press("q")
    terminal.wait_for("q Quit")
    terminal.press("b")
    before = terminal.wait_for("pair 1 of 1")
    assert "gpt-" not in before
    terminal.wait_for("second answer")
    terminal.press("u", "k", "1")
    terminal.wait_for("gpt-3.5-turbo")
    terminal.press("q")
    terminal.wait_for("q Quit")
    terminal.press("q")
    terminal.wait_for("code=0")
    assert review_pairs() == [("a-is-better", True, False, "camels5-blind")]
    with store.read() as reading:
        decided = reading.rows("SELECT verdict FROM decisions ORDER BY version, seq")
    assert [row[0] for row in decided] == ["drop", "undecided", "drop"]


def test_escape_sequences_in_the_data_do_not_reach_the_terminal(terminal, store, store_rows, nasty):
    store_rows.write_talks(store, [("\x1b]0;owned\x07", "", [("user", f"ZZ {nasty}"), ("assistant", nasty)])])
    terminal.start(review_command(store))
    terminal.wait_for("4 conversations")
    terminal.press("End")
    terminal.wait_for("ZZ")
    terminal.press("Enter")
    shown = terminal.wait_for("1 user")
    assert "⟨U+001B⟩[31mred" in shown
    title = terminal._tmux("display-message", "-p", "#{pane_title}")
    assert "title" not in title
    assert "owned" not in title


def test_a_killed_session_loses_no_vote(terminal, store, review_pairs):
    terminal.start(review_command(store))
    terminal.wait_for("q Quit")
    terminal.press("b")
    terminal.wait_for("pair 1 of 1")
    terminal.wait_for("second answer")
    terminal.press("3")
    terminal.wait_for("✓ saved")
    with store.read() as reading:
        pid = reading.rows("SELECT pid FROM current_runs WHERE state = 'running'")[0][0]
    os.kill(pid, signal.SIGKILL)
    terminal.wait_for("code=137")
    with store.write():
        pass  # whoever writes next takes in what the lost session left
    assert [row[0] for row in review_pairs()] == ["tie"]


def test_a_crash_is_an_exit_code_of_one_without_variables(terminal, store):
    program = (
        "import tui.answers.store_review as d\n"
        "def broken(self, one):\n"
        "    secret = 'canary-' + 'value'\n"
        "    raise RuntimeError('broken on purpose')\n"
        "d.StoreReview.conversation = broken\n"
        "from tui.cli import main; main()"
    )
    terminal.start([sys.executable, "-c", program, "--store", str(store.path)])
    terminal.wait_for("one?")
    terminal.press("Enter")
    shown = terminal.wait_for("code=1")
    assert "broken on purpose" in shown
    assert "canary-value" not in shown


def test_a_session_whose_terminal_goes_away_ends(terminal, store):
    terminal.start(review_command(store))
    terminal.wait_for("q Quit")
    terminal.press("b")
    terminal.wait_for("second answer")
    with store.read() as reading:
        pid = reading.rows("SELECT pid FROM current_runs WHERE state = 'running'")[0][0]
    terminal.stop()
    deadline = time.monotonic() + 60
    while is_running(pid):
        assert time.monotonic() < deadline
        time.sleep(0.05)  # the process cannot tell us that it is gone


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
