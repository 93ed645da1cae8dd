"""`curate doctor`: what is installed, what the store looks like from outside, and what is in the way."""

import platform
import shutil
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from store.db import Store
from store.errors import PreferablyError
from store.journal import is_held, journal_folder
from store.turns import holders

EXTRAS = {
    "core": ("click", "duckdb", "polars", "pyarrow", "msgspec"),
    "judge": ("openai", "anthropic", "genai-prices"),
    "train": ("torch", "transformers", "trl", "datasets", "accelerate"),
    "tui": ("textual",),
}
"""Extra → the libraries it brings."""


def findings(store: Store) -> Iterator[tuple[str, str]]:
    """(subject, what was found), in the order to print."""
    yield "python", f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    for extra, libraries in EXTRAS.items():
        yield extra, ", ".join(f"{name} {_installed(name)}" for name in libraries)
    yield "free disk", f"{shutil.disk_usage(_existing(store.path)).free / 1e9:.1f} GB beside the store"
    if not store.path.exists():
        yield "store", f"none at {store.path}"
        return
    yield "store", f"{store.path}, {store.path.stat().st_size / 1e6:.1f} MB"
    for holder in holders(store.path):
        yield "in use", f"process {holder.pid} ({holder.command}) to {holder.mode}"
    yield from _journals(store.path)
    yield from _content(store)


def _installed(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return "missing"


def _existing(path: Path) -> Path:
    return next(folder for folder in (path, *path.absolute().parents) if folder.exists())


def _journals(path: Path) -> Iterator[tuple[str, str]]:
    for journal in sorted(journal_folder(path).glob("*.jsonl")):
        state = (
            "being written"
            if is_held(path, journal.stem)
            else "left by a process that died; the next write takes it in"
        )
        yield "journal", f"{journal.name}, {journal.stat().st_size} bytes, {state}"


def _content(store: Store) -> Iterator[tuple[str, str]]:
    try:
        with store.read() as reading:
            (conversations,) = reading.rows("SELECT count(*) FROM conversations")[0]
            yield "version", f"{reading.version}, {conversations} conversations"
    except PreferablyError as error:
        yield "store", f"cannot be read: {error}"
