"""Handing a text to a program of the user's, on a copy of it that is removed afterwards."""

import os
import shlex
import subprocess
import tempfile
from pathlib import Path


def page(text: str) -> str:
    """Open TEXT, which is clean, in $PAGER; returns what went wrong, if anything."""
    command = shlex.split(os.environ.get("PAGER") or "less")
    with tempfile.TemporaryDirectory(prefix="review-") as folder:
        path = Path(folder) / "text.txt"
        path.write_text(text, encoding="utf-8")
        try:
            subprocess.run([*command, str(path)], check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            return f"{command[0]}: {error}"
    return ""
