"""What a loop has done so far: one file, written anew after every command, so that it can go on anywhere."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from store.errors import BadInput, BadSettings
from train.iterations import LoopStep

STATE_FILE = "iterate.json"


@dataclass
class LoopState:
    """The commands that ran to their end, in order, each with what it printed."""

    path: Path
    done: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def at(cls, out: Path) -> "LoopState":
        """The state of the loop in OUT; nothing is done where there is none.

        Raises BadInput if the file cannot be read.
        """
        path = out / STATE_FILE
        if not path.exists():
            return cls(path)
        try:
            return cls(path, json.loads(path.read_text(encoding="utf-8"))["steps"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BadInput(f"{path} is not the state of a loop: {error}") from error

    def outcome_of(self, step: LoopStep) -> Mapping[str, Any] | None:
        """What STEP printed, None if it has not run to its end.

        Raises BadSettings if it ran in other words.
        """
        for one in self.done:
            if (one["iteration"], one["step"]) == (step.iteration, step.name):
                if tuple(one["command"]) != step.words:
                    raise BadSettings(
                        f"{self.path} is of a loop with other settings: in iteration {step.iteration}"
                        f" {step.name} was made by another command; choose another --out"
                    )
                outcome: Mapping[str, Any] = one["outcome"]
                return outcome
        return None

    def add(self, step: LoopStep, outcome: Mapping[str, Any]) -> None:
        """Keep what STEP came to, durably and all at once."""
        self.done.append(
            {
                "iteration": step.iteration,
                "step": step.name,
                "command": list(step.words),
                "outcome": dict(outcome),
            }
        )
        self.path.parent.mkdir(parents=True, exist_ok=True)
        staging = self.path.with_suffix(".tmp")
        staging.write_text(json.dumps({"steps": self.done}, indent=1) + "\n", encoding="utf-8")
        staging.replace(self.path)
