"""`curate unfold`: conversations as prompts, turn by turn, each with its history (Xwin-LM, sections 4 and 5)."""

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from curate.choosing.selection import Choice, Scope
from store.errors import RequestError
from store.named_sql import named_sql

if TYPE_CHECKING:
    from store.db import Store


@dataclass(frozen=True, slots=True)
class UnfoldSettings:
    """What a user may ask of unfolding."""

    turns: int | None = None
    """Only the first so many of the user's turns (Xwin-LM, section 5: 3); None takes all."""
    with_unanswered: bool = False
    """Whether a turn that no answer follows is a prompt too."""
    scope: Scope = field(default_factory=Scope)

    def as_json(self) -> dict[str, object]:
        """The settings as a run keeps them."""
        return asdict(self)


def unfold(store: "Store", settings: UnfoldSettings) -> Choice:
    """The prompts, each once, with the part of the selection their conversation is in."""
    import polars as pl

    with store.read() as reading:
        asked = {**settings.scope.parameters(reading), "turns": settings.turns or 2**31 - 1}
        table = reading.arrow(named_sql("curate", "unfolded"), asked)
        version = reading.version
    rows = pl.from_arrow(table)
    assert isinstance(rows, pl.DataFrame)
    if not rows.height:
        raise RequestError("there is no user's turn to choose from")
    choice = Choice("prompts", rows, version)
    choice.drop("turns", pl.col("is_early"), "a later turn")
    if not settings.with_unanswered:
        choice.drop("answers", pl.col("is_answered"), "no answer follows")
    return choice
