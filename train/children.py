"""Our own commands as child processes: each printed, run to its end, and read by its JSON."""

import json
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from store.console import note
from store.errors import PreferablyError, RequestError, TryLater
from train.launch import environment

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
    note(f"$ {shlex.join(words)}")
    name, *arguments = words
    child = subprocess.Popen([*program(name), *arguments], stdout=subprocess.PIPE, env=environment())
    try:
        output, _ = child.communicate()
    finally:
        _end(child)
    if child.returncode != 0:
        raise _failure(child.returncode, f"{name} {arguments[0]}")
    printed: Mapping[str, Any] = json.loads(output)
    return printed


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


def _failure(code: int, words: str) -> BaseException:
    if code == 130:
        return KeyboardInterrupt()
    said = (
        f"{words} ended with {code}; what it said stands above, and the same command again goes on from there"
    )
    return {2: RequestError, 3: TryLater}.get(code, PreferablyError)(said)
