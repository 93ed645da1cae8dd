"""Which pairs of a store there are to judge: by chance, where opinions differ, or where nothing is certain.

A large store is read in short turns, a range of prompts each, and what they give is held in columns: a third
of what Python's strings take.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from store.ids import id_ranges
from store.named_sql import named_sql
from tui.answers.memory_tables import MemoryTables
from tui.answers.pairs import StorePairs
from tui.judging.blind import BlindPair
from tui.judging.queue import QueueSettings, Triple, is_shared, pairs_of_sets, pairs_of_triples

if TYPE_CHECKING:
    import pyarrow as pa

    from store.db import Reading, Store

MESSAGES_PER_TURN = 1_500_000
"""About a second's work, in the memory that `review` allows itself."""
GAPS = "CREATE TABLE gaps (prompt_id UUID, first_id UUID, second_id UUID, kind VARCHAR, gap DOUBLE)"
SMALLEST_GAPS = """
SELECT CAST(prompt_id AS VARCHAR), CAST(first_id AS VARCHAR), CAST(second_id AS VARCHAR)
FROM (SELECT *, percent_rank() OVER (PARTITION BY kind ORDER BY gap) AS place FROM gaps)
ORDER BY place, gap, prompt_id, first_id, second_id
"""
"""Gaps of different kinds are compared by their place among their kind."""


class Candidates:
    """The pairs an annotator could judge, in the order of their queue; judged ones may be among them."""

    def __init__(self, store: "Store", annotator: str, settings: QueueSettings) -> None:
        self._store = store
        self._annotator = annotator
        self._settings = settings

    def pairs(self) -> list[BlindPair]:
        """All of them."""
        if self._settings.pairs is not None:
            return self._sided(self._members())
        if self._settings.kind == "random":
            return self._random()
        if self._settings.kind == "uncertain":
            return self._sided(self._uncertain())
        return sorted(self._sided(self._disputed()), key=lambda pair: pair.comparison_id)

    def _sided(self, found: list[Triple]) -> list[BlindPair]:
        return pairs_of_triples(found, self._annotator, self._settings.protocol)

    def _members(self) -> list[Triple]:
        """The pairs that a filter of the screen of pairs keeps."""
        assert self._settings.pairs is not None
        pairs = StorePairs(self._store)
        try:
            return pairs.members(self._settings.pairs)
        finally:
            pairs.close()

    def _random(self) -> list[BlindPair]:
        who = {"annotator": self._annotator, "scale": self._settings.protocol.scale}
        with self._store.read() as reading:
            judged = ids_of(reading, "judged_prompts", who)
            others = ids_of(reading, "judged_by_others", who)
        double = self._settings.double or 0.0
        sets = (
            (prompt_id, shared if is_shared(prompt_id, double) else own)
            for prompt_id, own, shared in self._prompts_to_judge()
            if prompt_id not in judged
        )
        return pairs_of_sets(sets, self._annotator, self._settings, others)

    def _prompts_to_judge(self) -> Iterator[tuple[str, list[str], list[str]]]:
        """Each prompt and two of its answers, drawn for the annotator and for everybody.

        Everything is read before the first is handed out: by then the store's engine has given its memory back.
        """
        pieces = list(self._by_range("prompts_to_judge", {"annotator": self._annotator}))
        while pieces:
            columns = [column.to_pylist() for column in pieces.pop().columns]
            yield from zip(*columns, strict=True)

    def _uncertain(self) -> list[Triple]:
        """Where gaps are smallest: the two best responses of a prompt by a reward model, and the verdicts of models."""
        gaps = MemoryTables(GAPS)
        try:
            for piece in self._by_range("closest_rewards", {}):
                _add_gaps(gaps, piece)
            with self._store.read() as reading:
                _add_gaps(gaps, reading.arrow(named_sql("tui", "verdict_gaps")))
            return [(prompt, first, second) for prompt, first, second in gaps.rows(SMALLEST_GAPS)]
        finally:
            gaps.close()

    def _disputed(self) -> list[Triple]:
        """Pairs about which there are two opinions; the annotator's own is not among them."""
        with self._store.read() as reading:
            opinions = reading.arrow(named_sql("tui", "opinions"), {"annotator": self._annotator})
        found: list[Triple] = []
        if opinions.num_rows:
            for piece in self._by_range("disagreements", {}, opinions=opinions):
                found += zip(*(column.to_pylist() for column in piece.columns), strict=True)
        return found

    def _by_range(self, query: str, params: dict[str, object], **tables: "pa.Table") -> Iterator["pa.Table"]:
        """What a named query gives for each range of prompts, in a turn of its own; it sees TABLES."""
        for low, high in prompt_ranges(self._store):
            with self._store.read() as reading:
                for name, table in tables.items():
                    reading.con.register(name, table)
                yield reading.arrow(named_sql("tui", query), {**params, "low": low, "high": high})


def _add_gaps(gaps: MemoryTables, found: "pa.Table") -> None:
    with gaps.cursor() as con:
        con.register("found", found)
        con.execute(
            "INSERT INTO gaps SELECT CAST(prompt_id AS UUID), CAST(first_id AS UUID), CAST(second_id AS UUID), kind,"
            " gap FROM found"
        )


def ids_of(reading: "Reading", query: str, params: dict[str, Any]) -> set[str]:
    """The ids that a named query gives in its first column."""
    return {str(row[0]) for row in reading.rows(named_sql("tui", query), params)}


def prompt_ranges(store: "Store") -> list[tuple[str, str]]:
    """All ids in as many ranges as the store's messages need, so that no turn is long and none needs much memory."""
    with store.read() as reading:
        n_messages = int(reading.rows("SELECT count(*) FROM messages")[0][0])
    return id_ranges(1 + n_messages // MESSAGES_PER_TURN)
