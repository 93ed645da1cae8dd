"""What a step of `curate clean` is, and the steps there are."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from store.extensions import ExtensionPoint

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True, slots=True)
class Turn:
    """One message, with what came before it."""

    role: str
    content: str
    before: str
    """The content of the message it answers, or empty."""


class CleaningStep(Protocol):
    """Makes one kind of dirt go away; what has none of it stays as it is, to the byte."""

    step_version: int
    """Grows when the step cleans otherwise; it is recorded with what it made."""

    def may_change(self) -> "pl.Expr":
        """True where a message (columns `role`, `content`) may hold such dirt: a cheap question, asked of all."""
        ...

    def clean(self, turn: Turn) -> str:
        """The content without it; asked only where it may change."""
        ...


CLEANING_STEPS: ExtensionPoint[CleaningStep] = ExtensionPoint(
    kind="cleaning step",
    group="curate.steps",
    built_in={
        "html": "curate.steps.html_page:HTML",
        "unicode": "curate.steps.unicode_repair:UNICODE",
        "boilerplate": "curate.steps.boilerplate:BOILERPLATE",
        "disclaimers": "curate.steps.disclaimers:DISCLAIMERS",
    },
)

DEFAULT_STEPS = ("html", "unicode", "boilerplate")
"""What is done where no step is named, in this order."""
