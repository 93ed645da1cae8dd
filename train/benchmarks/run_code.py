"""Runs a program that a model wrote: in a process of its own, bounded in time, memory and files.

This keeps accidents small; it is no wall against malice. Use a machine you can lose.
"""

import os
import secrets
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

CPU_S = 5
"""Of computing; a machine that is busy takes longer by the clock."""
TIMEOUT_S = 60.0
"""By the clock, for a program that sleeps."""
MEMORY_BYTES = 2 * 1024**3
FILE_BYTES = 1024**2


LAUNCH = """
import resource, sys
for kind, most in ((resource.RLIMIT_CPU, {cpu_s}), (resource.RLIMIT_AS, {memory}), (resource.RLIMIT_FSIZE, {file})):
    try:
        resource.setrlimit(kind, (most, most))
    except (ValueError, OSError):
        pass  # a system that does not know the limit goes without it
exec(compile(open("program.py", "rb").read(), "program", "exec"), {{"__name__": "__main__"}})
open(sys.argv[1], "w").close()
"""
"""What the child runs. It bounds itself: to do so between fork and exec crashes beside threads."""


def passes(program: str, cpu_s: int = CPU_S) -> bool:
    """Whether PROGRAM runs to its last line without an error; one that leaves early does not."""
    end = secrets.token_hex(8)
    launch = LAUNCH.format(cpu_s=cpu_s, memory=MEMORY_BYTES, file=FILE_BYTES)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "program.py").write_bytes(
            program.encode("utf-8", "replace")
        )  # any text a model writes
        child = subprocess.Popen(
            [sys.executable, "-I", "-c", launch, end],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={"PATH": os.environ.get("PATH", "")},
            start_new_session=True,
        )
        try:
            return child.wait(TIMEOUT_S) == 0 and (Path(folder) / end).exists()
        except subprocess.TimeoutExpired:
            return False
        finally:
            _end_all(child)


def _end_all(child: "subprocess.Popen[bytes]") -> None:
    """End the program and whatever it started."""
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()
