"""Our own commands as child processes: each printed, run to its end, and read by its JSON."""

import json
import os
import shlex
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from store.console import TIED_TO, note
from store.errors import PreferablyError, RequestError, TryLater
from train.running.launch import environment

ERROR = "error: "
"""What the line begins with that a command ends with where it fails."""
PATIENCE_S = 60.0
"""How long a command that is asked to end may take to put its work down."""


def program(name: str) -> list[str]:
    """How to start one of our commands: its console script beside this Python, else its entry point."""
    script = Path(sys.executable).with_name(name)
    if script.exists():
        return [sys.executable, "-P", str(script)]
    start = f"import sys; sys.argv[0] = {name!r}; from {name}.cli import main; main()"
    return [sys.executable, "-P", "-c", start]


def run_child(words: Sequence[str]) -> Mapping[str, Any]:
    """Run a command of ours that ends with `--json` and return what it prints; its words go to stderr.

    Raises KeyboardInterrupt, TryLater, RequestError or PreferablyError as the command's exit code says.
    """
    return Children().run(words)


@dataclass
class Children:
    """Commands under way, from several threads at once, so that all of them can be ended together."""

    kept_open: tuple[int, ...] = ()
    """File descriptors that every command inherits, such as a lock's: it is held while one of them lives."""
    _live: list["subprocess.Popen[bytes]"] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _is_ended: bool = False

    def run(
        self, words: Sequence[str], *, log: Path | None = None, device: str | None = None
    ) -> Mapping[str, Any]:
        """The same as `run_child`; the command's own words go to the end of LOG, and it sees this GPU only.

        An error then repeats the last one of the log.
        """
        note(f"$ {shlex.join(words)}")
        name, *arguments = words
        seen = {} if device is None else {"CUDA_VISIBLE_DEVICES": device}
        begins = log.stat().st_size if log is not None and log.exists() else 0
        with _opened(log) as stderr, _tie() as tie:
            variables = {**environment(), **seen, TIED_TO: str(tie)}
            child = self._start([*program(name), *arguments], stderr, variables, tie)
            try:
                output, _ = child.communicate()
            finally:
                _end(child)
                with self._lock:
                    self._live.remove(child)
        if child.returncode != 0:
            said = None if log is None else last_words(log, begins)
            raise _failure(child.returncode, f"{name} {arguments[0]}", said)
        printed: Mapping[str, Any] = json.loads(output)
        return printed

    def end(self) -> None:
        """End every command that is under way, and start no other; whoever waits for one is told."""
        with self._lock:
            self._is_ended = True
            live = list(self._live)
        for child in live:
            child.terminate()

    def _start(
        self, command: Sequence[str], stderr: IO[bytes] | None, variables: Mapping[str, str], tie: int
    ) -> "subprocess.Popen[bytes]":
        with self._lock:
            if self._is_ended:
                raise KeyboardInterrupt
            child = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=stderr, env=variables, pass_fds=(tie, *self.kept_open)
            )
            self._live.append(child)
            return child


@contextmanager
def _tie() -> Iterator[int]:
    """The end of a pipe that a child reads: the other end is ours alone, and closes with us even if we are killed."""
    theirs, ours = os.pipe()
    try:
        yield theirs
    finally:
        os.close(theirs)
        os.close(ours)


@contextmanager
def _opened(log: Path | None) -> Iterator[IO[bytes] | None]:
    if log is None:
        yield None
        return
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as file:
        yield file


def _end(child: "subprocess.Popen[bytes]") -> None:
    """See that the child is gone, gently first."""
    if child.poll() is not None:
        return
    child.terminate()
    try:
        child.wait(timeout=PATIENCE_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def _failure(code: int, words: str, said: str | None) -> BaseException:
    if code == 130:
        return KeyboardInterrupt()
    said = said or (
        f"ended with {code}; what it said stands above, and the same command again goes on from there"
    )
    return {2: RequestError, 3: TryLater}.get(code, PreferablyError)(f"{words}: {said}")


def last_words(log: Path, begins: int = 0) -> str:
    """The last error in a log from a place on, else its last line; libraries may say more after an error."""
    with log.open("rb") as file:
        file.seek(begins)
        lines = [line.strip() for line in file.read().decode("utf-8", "replace").splitlines()]
    errors = [line.removeprefix(ERROR) for line in lines if line.startswith(ERROR)]
    return (errors or [line for line in lines if line] or ["no reason given"])[-1]
