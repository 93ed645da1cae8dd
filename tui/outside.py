"""Handing a text to a program of the user's, on a copy of it that only they can read and that is removed."""

import os
import shlex
import subprocess
import tempfile
from pathlib import Path

READ_ONLY = {
    "vi": "-R",
    "vim": "-R",
    "nvim": "-R",
    "view": "-R",
    "gvim": "-R",
    "nano": "-v",
    "pico": "-v",
    "micro": "-readonly=true",
    "kak": "-ro",
}
"""How editors are told not to write; with others what is changed is thrown away with the copy."""


def page(text: str) -> str:
    """Open TEXT, which is clean, in $PAGER; returns what went wrong, if anything."""
    return _open(shlex.split(os.environ.get("PAGER") or "less"), text)


def edit(text: str) -> str:
    """Open TEXT, which is clean, in $VISUAL or $EDITOR, to read only; returns what went wrong, if anything."""
    command = shlex.split(os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi")
    option = READ_ONLY.get(Path(command[0]).name) if command else None
    return _open([*command, *([option] if option else [])], text)


def _open(command: list[str], text: str) -> str:
    if not command:
        return "no program is named"
    with tempfile.TemporaryDirectory(prefix="review-") as folder:
        path = Path(folder) / "text.txt"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        try:
            subprocess.run([*command, str(path)], check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            return f"{command[0]}: {error}"
    return ""
