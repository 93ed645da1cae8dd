"""Nothing in the data steers a terminal: hostile text on every screen and in what commands print, under a real pty."""

import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import threading
import unicodedata
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path
from types import SimpleNamespace

import pytest

from store.console import visible
from store.db import Store
from store.ids import to_text
from tui.app import ReviewApp

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
ROOT = Path(__file__).resolve().parents[3]
WIDTH, HEIGHT = 400, 50

PAYLOADS = {
    "colours": "\x1b[95;105m",
    "clear the screen": "\x1b[2J",
    "report the cursor": "\x1b[6n",
    "window title": "\x1b]0;owned\x07",
    "clipboard": "\x1b]52;c;b3duZWQ=\x07",
    "link": "\x1b]8;;http://evil.example\x1b\\",
    "device control": "\x1bP$qm\x1b\\",
    "application command": "\x1b_Ga=T\x1b\\",
    "reset": "\x1bc",
    "line drawing": "\x1b(0",
    "shift out": "\x0e",
    "C1 sequence": "\x9b31m",
    "C1 title": "\x9d0;owned\x9c",
    "bell": "\x07",
    "backspaces": "\x08\x08",
    "carriage return": "\rroot#",
    "NUL": "\x00",
    "delete": "\x7f",
    "direction override": "\u202egnp\u202c",
    "direction isolate": "\u2066x\u2069",
    "zero width": "\u200b",
    "byte order mark": "\ufeff",
    "line separator": "\u2028",
    "tag character": "\U000e0041",
    "markup": "[/nope][bold]",
    "chat template": "[/INST]",
}
"""What a text may try, by name."""
HOSTILE = "".join(PAYLOADS.values())

SEQUENCE = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[P_^X][^\x1b]*\x1b\\|[ -/]*[0-Z\\-~])"
)
COLOURS = re.compile(r"\x1b\[((0|1|2|3|4|7|9|22|23|24|27|29|39|49|[34]8;2;\d+;\d+;\d+)(;|(?=m)))*m")
"""How the app colours; no payload does it like this."""
OWN = re.compile(
    r"\x1b\[\d+;\d+H"  # go to a place
    r"|\x1b\[\?(7|25|1000|1002|1003|1004|1006|1015|1016|1049|2004|2026|2031|2048)[hl]"  # modes
    r"|\x1b\[\?(2026|2048)\$p|\x1b\[>?\d*u|\x1b\[<u|\x1b\[=\d+;\d+u|\x1b\[\?u|\x1b\[\?996n"  # what the terminal can
    r"|\x1b\]22;\w+\x07|\x1b\[2t|\x1b\[1[46]t|\x1b\[0? q|\x1b\[c|\x1b\[\?12[hl]"
)
"""What Textual itself says to a terminal."""
PROGRESS = re.compile(r"\x1b\[(\?25[hl]|2K|1A|(?!95;105)[\d;]*m)")
"""What a progress bar says to one."""


def hostile(text: str) -> str:
    """TEXT after every payload; which comes first depends on the text, so that all of them stand in narrow columns."""
    start = int.from_bytes(blake2b(text.encode(), digest_size=4).digest()) % len(PAYLOADS)
    parts = list(PAYLOADS.values())
    return "".join((*parts[start:], *parts[:start], text))


class Terminal:
    """A pty of WIDTH by HEIGHT; every byte written to it is kept."""

    def __init__(self) -> None:
        self._master, self.child = pty.openpty()
        fcntl.ioctl(self.child, termios.TIOCSWINSZ, struct.pack("HHHH", HEIGHT, WIDTH, 0, 0))
        self._raw = bytearray()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        try:
            while found := os.read(self._master, 1 << 16):
                self._raw += found
        except OSError:
            pass  # Linux says so when the last writer has closed

    def said(self) -> str:
        """All that was written, once every writer has closed."""
        os.close(self.child)
        self._reader.join()
        os.close(self._master)
        return self._raw.decode()


def text_of(said: str) -> str:
    """What is left to see."""
    return SEQUENCE.sub("", said).replace("⟦", "").replace("⟧", "")


def leaks(said: str, own: Sequence[re.Pattern[str]]) -> list[str]:
    """Sequences that are none of OWN, and characters that steer a terminal or cannot be seen."""
    foreign = [
        match[0] for match in SEQUENCE.finditer(said) if not any(one.fullmatch(match[0]) for one in own)
    ]
    hidden = [
        char
        for char in SEQUENCE.sub("", said)
        if unicodedata.category(char) in ("Cc", "Cf", "Zl", "Zp", "Cs") and char not in "\r\n\t"
    ]
    return [repr(one) for one in (*foreign, *hidden)]


def shown_in(text: str) -> set[str]:
    """The payloads that can be read in a text."""
    flat = text.replace("\r", "").replace("\n", "")
    return {name for name, payload in PAYLOADS.items() if visible(payload) in flat}


def drive_in(terminal: Terminal, settle, patch: pytest.MonkeyPatch):
    """What runs the app with its real driver on a pty, pressing keys as `driving` does without one."""

    def drive(data, steps, *, size, browse, store_name) -> None:
        patch.setenv("TERM", "xterm-256color")
        patch.setenv("COLORTERM", "truecolor")
        app = ReviewApp(data, browse, store_name=store_name, poll_s=3600.0)

        async def press_on(pilot) -> None:
            await settle(pilot)
            await steps(pilot)
            app.exit()

        with os.fdopen(os.dup(terminal.child), "r") as keys, os.fdopen(os.dup(terminal.child), "w") as screen:
            patch.setattr(sys, "__stdin__", keys)
            patch.setattr(sys, "__stderr__", screen)
            patch.setattr(sys, "__stdout__", screen)
            patch.setenv("COLUMNS", str(size[0]))
            patch.setenv("LINES", str(size[1]))
            app.run(auto_pilot=press_on)
        assert app.return_code in (None, 0)

    return drive


WITHOUT_DATA = {
    *("go", "guidelines", "comment", "finished", "help", "sql-error", "reason"),
    *("exports", "faults", "measures"),
}
"""Screens that show nothing but our own words."""


@pytest.fixture
def on_pty(looking, monkeypatch) -> SimpleNamespace:
    """Runs the app on a pty, and says what it wrote there."""
    terminal = Terminal()
    return SimpleNamespace(drive=drive_in(terminal, looking.settle, monkeypatch), said=terminal.said)


@pytest.fixture
def report(record_property, capsys):
    """Puts the figures in the test's record, and prints them."""

    def say(what: str, shown: dict[str, set[str]], found: list[str]) -> None:
        tried, seen = len(PAYLOADS) * len(shown), sum(map(len, shown.values()))
        words = f"{len(PAYLOADS)} payloads × {len(shown)} {what}: {tried} tried, {seen} seen written out, "
        words += f"{len(found)} leaked"
        record_property("leaks", words)
        with capsys.disabled():
            print(f"\n{words}")

    return say


def test_no_payload_leaves_the_app_on_any_screen(visit, looking, tmp_path, on_pty, report):
    shown = {}

    async def see(pilot, stop) -> None:
        shown[stop.name] = shown_in(looking.frame(pilot.app))

    visit(tmp_path, see, size=(WIDTH, HEIGHT), spice=hostile, drive=on_pty.drive)
    said = on_pty.said()
    found = leaks(said, (COLOURS, OWN))
    report("screens", shown, found)
    assert len(said) > 100_000
    assert found == []
    assert {name for name, seen in shown.items() if not seen} <= WITHOUT_DATA
    assert set().union(*shown.values()) == PAYLOADS.keys()


TYPED = HOSTILE.replace("\x00", "")
"""What a person, or a script, may hand to a command: no argument can hold a NUL."""
COMMANDS = (
    *(
        ["curate", name]
        for name in ("stats", "classes", "log", "selections", "decisions", "verify", "formats")
    ),
    *(["curate", "show", one] for one in ("{conversation}", "{message}", TYPED)),
    ["curate", "show", "--diff", "{conversation}"],
    *(["curate", "trace", one] for one in ("{conversation}", "{message}", "exports/crlft:0", TYPED)),
    ["curate", "sql", "SELECT role, content FROM messages"],
    ["curate", "sql", "--json", "SELECT role, content FROM messages"],
    ["curate", "sql", f'SELECT 1 AS "{TYPED}"'],
    ["curate", "sql", f"SELECT {TYPED}"],
    ["curate", "diff", "v1", "v2"],
    ["curate", "diff", TYPED, "v2"],
    ["curate", "ingest", TYPED, "rows.json"],
    ["curate", "ingest", "sharegpt", TYPED],
    ["curate", "ingest", "sharegpt", "rows.json"],
    ["curate", "ingest", "auto", "rows.json", "--dry-run"],
    ["curate", "filter", TYPED],
    ["curate", "snapshot", TYPED],
    ["curate", "stats", "--at", TYPED],
    *(["label", name] for name in ("runs", "agree", "bias", "win-rates", "rank")),
    ["label", "calibrate", TYPED],
    ["label", "why-miss", TYPED],
    ["label", "judge", "--model", "offline", "--dry-run"],
    ["label", "judge", "--model", "offline"],
    ["label", "pairs", TYPED, "--dry-run"],
    ["train", "check", "exports/crlft", "--show", "3"],
    ["train", "check", TYPED],
    ["train", "export", TYPED],
    ["review", "--plain", "--annotator", TYPED],
    ["review", "--filter", f"clas:{TYPED}"],
    ["review", "--web", "--host", TYPED],
)
"""Commands that print what data, files or people say."""
RUN_ALL = """
import io, json, sys
from curate.cli import cli as curate
from label.cli import cli as label
from store.console import run_command
from train.cli import cli as train
from tui.cli import review
for words in json.load(open("commands.json")):
    sys.stdin = io.StringIO("uk1q")
    run_command({"curate": curate, "label": label, "train": train, "review": review}[words[0]], words[1:])
    sys.stderr.flush()
    print("<end>", flush=True)
"""


def test_no_payload_leaves_a_command(make_gallery, tmp_path, report):
    store = Store(make_gallery(tmp_path, hostile))
    with store.read() as reading:
        conversation, message = reading.rows(
            "SELECT CAST(conversation_id AS VARCHAR), CAST(leaf_id AS VARCHAR) FROM conversations LIMIT 1"
        )[0]
    ids = {"{conversation}": to_text("c1", conversation), "{message}": to_text("m1", message)}
    commands = [[ids.get(word, word) for word in words] for words in COMMANDS]
    (tmp_path / "commands.json").write_text(json.dumps(commands))
    records = [{"id": HOSTILE, "conversations": [{"from": HOSTILE, "value": HOSTILE}]}, HOSTILE]
    (tmp_path / "rows.json").write_text(json.dumps(records))
    terminal = Terminal()
    done = run_on(
        terminal, [sys.executable, "-P", "-c", RUN_ALL], tmp_path, PREFERABLY_STORE="gallery.duckdb"
    )
    said = terminal.said()
    parts = said.split("<end>")[:-1]
    found = leaks(said, (PROGRESS,))
    shown = {" ".join(words): shown_in(part) for words, part in zip(commands, parts, strict=True)}
    report("commands", shown, found)
    assert done == 0
    assert found == []
    assert all(part.strip() for part in parts)
    assert set().union(*shown.values()) == PAYLOADS.keys()


def run_on(terminal: Terminal, words: Sequence[str], folder: Path, **environment: str) -> int:
    """Run a program on a pty; returns its exit code."""
    own = {
        "TERM": "xterm-256color",
        "COLORTERM": "truecolor",
        "PYTHONPATH": str(ROOT),
        "HF_HUB_OFFLINE": "1",
        **environment,
    }
    return subprocess.run(
        words,
        stdin=terminal.child,
        stdout=terminal.child,
        stderr=terminal.child,
        cwd=folder,
        env={**os.environ, **own},
        check=False,
    ).returncode


BROKEN = """
import os
import tui.answers.store_review as data
def broken(self, wanted):
    key = os.environ["OPENAI_API_KEY"]
    raise RuntimeError("broken on purpose \\x1b[95;105m")
data.StoreReview.select = broken
from tui.cli import main
main()
"""


def test_a_crash_gives_the_terminal_back_without_a_key_and_ends_with_one(make_gallery, tmp_path):
    make_gallery(tmp_path)
    terminal = Terminal()
    key = "sk-canary-" + "0123456789" * 3
    words = [sys.executable, "-P", "-c", BROKEN, "--store", "gallery.duckdb", "--annotator", "kim"]
    code = run_on(terminal, words, tmp_path, OPENAI_API_KEY=key)
    said = terminal.said()
    assert code == 1
    assert "broken on purpose ⟨U+001B⟩[95;105m" in text_of(said)
    assert "canary" not in said
    assert leaks(said, (COLOURS, OWN, PROGRESS)) == [
        repr("\x07")
    ]  # the app rings once, and nothing else does
    before, _, after = said.rpartition("\x1b[?1049l")
    assert "\x1b[?1049h" in before
    assert "RuntimeError" in after


def test_the_docs_say_how_much_is_tried(tour, rewrite_golden):
    path = ROOT / "docs" / "review.md"
    wanted = [f"{len(PAYLOADS)} kinds", f"{len(tour)} screens", f"{len(COMMANDS)} commands"]
    if rewrite_golden:
        text = path.read_text(encoding="utf-8")
        for one in wanted:
            text = re.sub(rf"\b\d+ {one.split()[1]}\b", one, text)
        path.write_text(text, encoding="utf-8")
    assert all(one in path.read_text(encoding="utf-8") for one in wanted)
