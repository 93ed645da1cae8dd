"""Measuring in a process of its own: what it takes goes with it, and screens keep their processor time.

Run as a module with the path of a store, a step's number and perhaps the version to look at, it writes the step's
figures to its output.
"""

import pickle
import subprocess
import sys
import threading
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from store.db import Store
from store.errors import NeedsMemory, StoreBusy, TryLater
from tui.answers.measures import StoreMeasures
from tui.browse_data import MeasureStep
from tui.figures import Figure, said

COMMAND = ("-m", __name__)
"""What the interpreter of a child is given before the path of the store and the number of the step."""


class Measuring:
    """The steps of StoreMeasures, each done by a child; safe to use from several threads."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._children: set[subprocess.Popen[bytes]] = set()

    def steps(self) -> list[MeasureStep]:
        """What is measured, one thing after the other."""
        return [
            MeasureStep(step.words, partial(self._figures, number, step.words))
            for number, step in enumerate(StoreMeasures(self._store).steps())
        ]

    def stop(self) -> None:
        """Stop what is being measured; nobody wants it any more."""
        with self._lock:
            for child in self._children:
                child.kill()
            self._children.clear()

    def _figures(self, number: int, words: str) -> Sequence[Figure]:
        command = [sys.executable, "-P", *COMMAND, str(self._store.path), str(number)]
        command += [self._store.at] if self._store.at is not None else []
        with self._lock:
            child = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
            self._children.add(child)
        out, complaint = child.communicate()
        with self._lock:
            was_stopped = child not in self._children
            self._children.discard(child)
        if was_stopped:
            return []
        if child.returncode != 0:
            last = complaint.decode(errors="replace").strip().rpartition("\n")[2]
            return [said(words.capitalize(), f"measuring ended with {child.returncode}: {last}")]
        answer: Sequence[Figure] | str = pickle.loads(out)
        if isinstance(answer, str):
            raise StoreBusy(answer)
        return answer


def main(path: str, number: str, at: str | None = None) -> None:
    """Write one step's figures, or why to ask later, to the output."""
    step = StoreMeasures(Store(Path(path), at=at)).steps()[int(number)]
    answer: Sequence[Figure] | str
    try:
        answer = list(step.measure())
    except TryLater as error:
        answer = str(error)
    except NeedsMemory as error:
        answer = [said(step.words.capitalize(), str(error))]
    sys.stdout.buffer.write(pickle.dumps(answer))


if __name__ == "__main__":
    main(*sys.argv[1:])
