"""A conversation before and after its cleaning, as `curate show --diff` tells it."""

from typing import TYPE_CHECKING

from curate.looking.show_diff import TurnDiff, show_diff
from store.errors import NeedsMemory, PreferablyError, TryLater
from store.ids import to_text
from tui.browse_data import CleanedTurn, Cleaning

if TYPE_CHECKING:
    from store.db import Store


def cleaning_of(store: "Store", conversation_id: str) -> Cleaning:
    """What became of a conversation, or why there is nothing to show."""
    try:
        diff = show_diff(store, to_text("c1", conversation_id))
    except (TryLater, NeedsMemory):
        raise
    except PreferablyError as error:
        return Cleaning((), (), str(error))
    return Cleaning(diff.steps, tuple(map(_turn, diff.turns)))


def _turn(turn: TurnDiff) -> CleanedTurn:
    return CleanedTurn(
        turn.position,
        turn.role,
        turn.before.content if turn.before else "",
        turn.after.content if turn.after else "",
        turn.is_changed,
        "\n".join(turn.lines()) if turn.is_changed else "",
    )
