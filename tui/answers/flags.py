"""The queue of what rules flagged, read from a store."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from store.ids import to_uuid
from store.named_sql import named_sql
from tui.flags import Flag, evidence_blocks, flag_of
from tui.listing import Column, FewLines, Line, listing_of
from tui.response_set import marked
from tui.review_data import Turn
from tui.transcript_blocks import Block

if TYPE_CHECKING:
    from store.db import Store

COLUMNS = (
    Column("state", 8),
    Column("set or rule", 18),
    Column("method", 9),
    Column("score", 5, is_number=True),
    Column("found", 0),
)
MOST = 20_000
"""Flags that are listed."""

TurnsOf = Callable[[str], Sequence[Turn]]


class StoreFlags:
    """Flags that no person has decided about."""

    def __init__(self, store: "Store", turns_of: TurnsOf) -> None:
        self._store = store
        self._turns_of = turns_of
        self._flags: dict[str, Flag] = {}

    def flags(self, without: frozenset[str]) -> FewLines:
        """The queue, less what was decided in this session."""
        with self._store.read() as reading:
            rows = reading.rows(named_sql("tui", "flags"), {"most": MOST})
        flags = [flag for flag in map(flag_of, rows) if flag.conversation_id not in without]
        self._flags |= {flag.conversation_id: flag for flag in flags}
        lines = [
            Line(flag.conversation_id, flag.cells, "drop" if flag.verdict == "drop" else "") for flag in flags
        ]
        some = f"the first {MOST:,}" if len(rows) == MOST else f"{len(lines):,}"
        return listing_of(lines, COLUMNS, f"{some} to be looked at")

    def flag(self, conversation_id: str) -> Flag | None:
        """A flag that was listed."""
        return self._flags.get(conversation_id)

    def alike(self, conversation_id: str) -> list[str]:
        """The flagged conversations, this one first, that one line of an allow list would let go."""
        flag = self._flags[conversation_id]
        line = flag.allow_line
        with self._store.read() as reading:
            flags = [flag_of(row) for row in reading.rows(named_sql("tui", "flags"), {"most": MOST})]
        others = [one.conversation_id for one in flags if one.allow_line == line]
        return [conversation_id, *(one for one in others if one != conversation_id)]

    def evidence(self, conversation_id: str) -> list[Block]:
        """What was found, in its turn; of a duplicate both texts, with what differs between marks."""
        flag = self._flags.get(conversation_id)
        if flag is None:
            return []
        turns = self._turns_of(conversation_id)
        if flag.duplicate_of is None:
            return evidence_blocks(flag, turns)
        kept = self._turns_of(to_uuid(flag.duplicate_of))
        texts = marked(_whole(turns), _whole(kept))
        names = (f"this one · {flag.reason}", f"kept in its place · {flag.duplicate_of}")
        return [Block(name, text, "assistant") for name, text in zip(names, texts, strict=True)]


def _whole(turns: Sequence[Turn]) -> str:
    return "\n\n".join(f"{turn.role}: {turn.content}" for turn in turns)
