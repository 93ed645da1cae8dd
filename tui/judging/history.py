"""What a person did and took back. Nothing is ever deleted: doing, undoing and redoing each leave a row,
and the history is told again from those rows, also in a later session.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Act = TypeVar("Act")


@dataclass
class History(Generic[Act]):
    """Acts that stand and acts that were taken back, the latest last."""

    done: list[Act] = field(default_factory=list)
    undone: list[Act] = field(default_factory=list)

    def do(self, act: Act) -> None:
        """Note an act; what was taken back before it can no longer be done again."""
        self.done.append(act)
        self.undone.clear()

    def undo(self, is_meant: Callable[[Act], bool] = lambda _: True) -> Act | None:
        """Take back the last act that IS_MEANT; returns it, or None if there is none."""
        return _move(self.done, self.undone, is_meant)

    def redo(self, is_meant: Callable[[Act], bool] = lambda _: True) -> Act | None:
        """Do again what was taken back last and IS_MEANT; returns it, or None if there is none."""
        return _move(self.undone, self.done, is_meant)


def _move(source: list[Act], target: list[Act], is_meant: Callable[[Act], bool]) -> Act | None:
    for place in range(len(source) - 1, -1, -1):
        if is_meant(source[place]):
            target.append(source.pop(place))
            return target[-1]
    return None
