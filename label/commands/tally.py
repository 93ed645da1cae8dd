"""What a run that labels came to, in the words and the JSON that every such command has in common."""

from typing import Protocol

from store.console import echo, echo_json
from store.errors import PreferablyError

COUNTED = ("reused", "done", "unparsed", "refused", "blocked", "failed")
"""What `requested` is made of at the end of a finished run."""


class Tally(Protocol):
    """What a run has come to so far."""

    requested: int

    @property
    def remaining(self) -> int:
        """How many it has not come to."""

    def counts(self) -> dict[str, object]:
        """The counts that a script reads."""


def counted_in_words(tally: Tally) -> str:
    """What became of what was requested."""
    counts = tally.counts()
    return ", ".join(f"{counts[name]} {name}" for name in COUNTED if name in counts)


def echo_stopped(tally: Tally, words: str, *, as_json: bool) -> None:
    """What a run came to that could not go on, before its error is printed."""
    if tally.requested == 0:
        return
    if as_json:
        echo_json({**tally.counts(), "remaining": tally.remaining})
    else:
        echo(f"{words}; {tally.remaining} not done")


def check_any_worked(failed: int, asked: int, what: str) -> None:
    """Raise PreferablyError if something was asked for and nothing came of it."""
    if asked == failed > 0:
        raise PreferablyError(f"all {failed} {what} failed; the same command tries again")
