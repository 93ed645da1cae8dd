"""What a sequence of commands has done so far: one file, written after every command, so that it can go on."""

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from store.errors import BadInput, BadSettings


class Step(Protocol):
    """One command of a sequence."""

    @property
    def place(self) -> int | str:
        """Where in the sequence it stands: an iteration, a point."""

    @property
    def name(self) -> str:
        """What it is called there."""

    @property
    def words(self) -> tuple[str, ...]:
        """The command line."""


@dataclass
class StepState:
    """The commands that ran to their end, in order, each with what it printed."""

    path: Path
    kind: str
    """What the sequence is called in errors: `loop`, `sweep`."""
    place: str
    """What a place in it is called: `iteration`, `point`."""
    done: list[dict[str, Any]] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    """What was found out once and holds throughout, by name."""
    _writing: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def at(cls, path: Path, *, kind: str, place: str) -> "StepState":
        """The state kept at PATH; nothing is done where there is none.

        Raises BadInput if the file cannot be read.
        """
        if not path.exists():
            return cls(path, kind, place)
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            return cls(path, kind, place, list(content["steps"]), dict(content.get("facts", {})))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BadInput(f"{path} is not the state of a {kind}: {error}") from error

    def outcome_of(self, step: Step) -> Mapping[str, Any] | None:
        """What STEP printed, None if it has not run to its end.

        Raises BadSettings if it ran in other words.
        """
        for one in self.done:
            if (one[self.place], one["step"]) == (step.place, step.name):
                if tuple(one["command"]) != step.words:
                    raise BadSettings(
                        f"{self.path} is of a {self.kind} with other settings: in {self.place} {step.place}"
                        f" {step.name} was made by another command; choose another --out"
                    )
                outcome: Mapping[str, Any] = one["outcome"]
                return outcome
        return None

    def add(self, step: Step, outcome: Mapping[str, Any]) -> None:
        """Keep what STEP came to, durably and all at once."""
        with self._writing:
            self.done.append(
                {
                    self.place: step.place,
                    "step": step.name,
                    "command": list(step.words),
                    "outcome": dict(outcome),
                }
            )
            self._write()

    def keep(self, name: str, value: object) -> None:
        """Keep a fact, likewise."""
        with self._writing:
            self.facts[name] = value
            self._write()

    def _write(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        staging = self.path.with_suffix(".tmp")
        content = {**({"facts": self.facts} if self.facts else {}), "steps": self.done}
        staging.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        staging.replace(self.path)
