"""`preferably.toml`: choices a user does not want to repeat.

Looked for in the working folder, or named by PREFERABLY_CONFIG. Unknown keys are refused with the
nearest known one. Keys and secrets never live here; they come from the environment.

    [prices."my-model"]            # USD per million tokens
    input = 0.5
    output = 1.5
    batch_input = 0.25           # half of them unless it is said
    batch_output = 0.75

    [limits."gpt-4"]
    rpm = 500
    tpm = 300000
    concurrency = 32

    [[pipeline]]                   # `curate filter --pipeline`, in this order
    filter = "refusal"
    share = 0.5
"""

import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from store.errors import BadSettings, UnknownName

CONFIG_FILE = "preferably.toml"


@dataclass(frozen=True, slots=True)
class Price:
    """What a model costs, in USD per million tokens."""

    input: float
    output: float
    cached: float | None = None
    """None: as `input`."""
    batch_input: float | None = None
    """Of a prompt in a batch; None: half of `input`."""
    batch_output: float | None = None
    """Of a reply in a batch; None: half of `output`."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How fast a model may be asked."""

    rpm: float | None = None
    """Requests a minute."""
    tpm: float | None = None
    """Tokens a minute, prompt and completion together."""
    concurrency: int | None = None
    """Most requests under way at once."""


@dataclass(frozen=True, slots=True)
class Config:
    """What the file says; empty without a file."""

    prices: Mapping[str, Price] = field(default_factory=dict)
    """Model name → price, before the built-in price table."""
    limits: Mapping[str, Limits] = field(default_factory=dict)
    """Model name → limits."""
    pipeline: Sequence[Mapping[str, Any]] = ()
    """Filters in the order they run: `filter`, and its options beside it; the filters know which."""


Section = TypeVar("Section")


def config_path() -> Path:
    """Where the settings are, if there are any: PREFERABLY_CONFIG, else ./preferably.toml."""
    return Path(os.environ.get("PREFERABLY_CONFIG", CONFIG_FILE))


def load_config(path: Path | None = None) -> Config:
    """The settings in PATH, else in PREFERABLY_CONFIG, else in ./preferably.toml if there is one.

    Raises BadSettings, naming the file, for anything it does not understand.
    """
    file = path or config_path()
    is_named = path is not None or "PREFERABLY_CONFIG" in os.environ
    if not is_named and not file.exists():
        return Config()
    try:
        content = tomllib.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise BadSettings(f"{file} cannot be read: {error}") from error
    known = {entry.name for entry in fields(Config)}
    for key in content:
        _refuse_unknown(file, key, known)
    return Config(
        prices={
            name: _section(file, f"prices.{name}", Price, body)
            for name, body in content.get("prices", {}).items()
        },
        limits={
            name: _section(file, f"limits.{name}", Limits, body)
            for name, body in content.get("limits", {}).items()
        },
        pipeline=_tables(file, "pipeline", content.get("pipeline", [])),
    )


def _tables(file: Path, where: str, content: Any) -> Sequence[Mapping[str, Any]]:
    """A list of tables, checked no further."""
    if not isinstance(content, list) or not all(isinstance(entry, dict) for entry in content):
        raise BadSettings(f"{file}: {where} must be written as [[{where}]] tables")
    return tuple(content)


def _section(file: Path, where: str, kind: type[Section], body: Any) -> Section:
    if not isinstance(body, dict):
        raise BadSettings(f"{file}: [{where}] must be a table")
    known = {entry.name for entry in fields(kind)}  # type: ignore[arg-type]  # only dataclasses are passed
    for key, value in body.items():
        _refuse_unknown(file, key, known)
        if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
            raise BadSettings(f"{file}: {where}.{key} must be a number of 0 or more, not {value!r}")
    try:
        return kind(**body)
    except TypeError as error:
        raise BadSettings(f"{file}: [{where}] is incomplete: {error}") from error


def _refuse_unknown(file: Path, key: str, known: set[str]) -> None:
    if key not in known:
        raise BadSettings(f"{file}: {UnknownName.of('setting', key, known)}")
