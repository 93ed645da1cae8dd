"""Rows made of a selection of pairs (reward and preference models, DPO, KTO), in the order of their ids."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from store.chat_format import ChatFormat
from store.db import Store
from store.errors import BadSettings, StoreDamaged
from store.ids import id_ranges
from store.named_sql import named_sql
from store.selections import selection_named
from train.checking.pair_tokens import PairTokens, pair_tokens
from train.exporter import ExportRow
from train.exporting.conversations import check_part, licenses
from train.exporting.measured import supervised
from train.exporting.rows import PairRow, Tally
from train.exporting.staging import stage, staged_batches
from train.exporting.steps import Step
from train.recipe import SourceLicense
from train.recipes.pairs import PairSettings, labelled, steps_of
from train.recipes.pm import PmSettings, as_contest

PAIRS_PER_TURN = 50_000
"""Pairs whose texts are copied in one turn at the store."""
BATCH = 128
"""Pairs tokenised at a time."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """A selection of pairs at one version of the store."""

    store: Store
    """A handle fixed at the version."""
    at_version: int
    sources: tuple[SourceLicense, ...]
    """Only those that hold one of the prompts."""
    recipe: str
    settings: PairSettings | PmSettings
    selection_id: str
    n_pairs: int
    n_all: int
    """Pairs of the whole selection, whatever the part."""

    @property
    def facts(self) -> dict[str, Any]:
        """Nothing more."""
        return {}

    @property
    def query(self) -> str:
        """The SQL that chooses."""
        return named_sql("train", "pair_texts")

    def stage(self, path: Path, tally: Tally) -> None:
        """Copy the pairs' texts to an Arrow stream at PATH, ordered by ids.

        Raises BadSettings where there is no pair.
        """
        count = tally.of("selection")
        count.before = self.n_all
        if self.n_all > self.n_pairs:
            count.dropped["another part of the selection"] = self.n_all - self.n_pairs
        if self.n_pairs == 0:
            raise BadSettings(f"selection {self.settings.pairs!r} holds no pair to train on")
        common = {"selection": self.selection_id, "part": self.settings.part}
        ranges = id_ranges(math.ceil(self.n_pairs / PAIRS_PER_TURN))
        stage(self.store, path, self.query, ({**common, "low": low, "high": high} for low, high in ranges))

    def rows(self, path: Path) -> Iterator[PairRow]:
        """The staged pairs, one at a time."""
        return (_row(record) for batch in staged_batches(path) for record in batch.to_pylist())

    def steps(self, control_tokens: tuple[str, ...]) -> dict[str, Step[PairRow]]:
        """The steps of the recipe."""
        return steps_of(control_tokens if self.settings.control_tokens == "drop" else ())

    def measured(
        self, rows: Iterator[PairRow], chat: ChatFormat | None, max_length: int, tally: Tally
    ) -> Iterator[ExportRow]:
        """Pairs with their tokens; those the trainer would lose by their length are dropped.

        TRL's reward trainer leaves out a pair with a side longer than max_length. Its DPO and KTO trainers
        leave out a prompt that alone reaches max_length, and cut answers at their end.
        """
        if isinstance(self.settings, PmSettings):
            seed = self.settings.seed
            yield from supervised((as_contest(row, seed) for row in rows), chat, max_length, tally)
            return
        for row, tokens in self._with_tokens(rows, chat):
            if tokens is not None and not self._fits(tokens, max_length, tally):
                continue
            if self.recipe == "kto":
                yield from (ExportRow(one, tokens) for one in labelled(row))
            else:
                yield ExportRow(row, tokens)

    def _with_tokens(
        self, rows: Iterator[PairRow], chat: ChatFormat | None
    ) -> Iterator[tuple[PairRow, PairTokens | None]]:
        if chat is None:
            yield from ((row, None) for row in rows)
            return
        while batch := list(islice(rows, BATCH)):
            yield from zip(batch, pair_tokens(chat, batch), strict=True)

    def _fits(self, tokens: PairTokens, max_length: int, tally: Tally) -> bool:
        count = tally.of("length")
        count.before += 1
        is_long = tokens.longest > max_length
        if self.recipe == "rm":
            if is_long:
                count.dropped["longer than max length"] += 1
            return not is_long
        if tokens.prompt >= max_length:
            count.dropped["prompt reaches max length"] += 1
            return False
        count.changed += is_long
        return True


def look_at_pairs(store: Store, recipe: str, settings: PairSettings | PmSettings) -> Pairs:
    """The selection as it is now, or at the version STORE is fixed at.

    Raises UnknownName for a selection or a part that does not exist.
    """
    with store.read() as reading:
        selection = selection_named(reading, settings.pairs, "pairs")
        check_part(reading, selection.selection_id, "selection_pairs", settings.part)
        named = {"selection": selection.selection_id, "part": settings.part}
        ((n_pairs,),) = reading.rows(
            "SELECT count(*) FROM selection_pairs"
            " WHERE selection_id = CAST($selection AS UUID) AND ($part IS NULL OR part = $part)",
            named,
        )
        used = {name for name, _ in reading.rows(named_sql("train", "pair_sources"), named)}
        sources = tuple(source for source in licenses(reading) if source.name in used)
        version = reading.version
    return Pairs(
        store=store.at_version(version),
        at_version=version,
        sources=sources,
        recipe=recipe,
        settings=settings,
        selection_id=selection.selection_id,
        n_pairs=n_pairs,
        n_all=selection.row_count,
    )


def _row(record: dict[str, Any]) -> PairRow:
    if record["roles"] is None or record["chosen"] is None or record["rejected"] is None:
        raise StoreDamaged(
            f"a pair of prompt {record['prompt_id']} names a message that is not there; see: curate verify"
        )
    scores = ("score_chosen", "score_rejected", "score_gap", "rank_chosen", "rank_rejected", "strength")
    return PairRow(
        prompt_id=record["prompt_id"],
        chosen_id=record["chosen_id"],
        rejected_id=record["rejected_id"],
        prompt_message_ids=tuple(record["message_ids"]),
        prompt=tuple(zip(record["roles"], record["contents"], strict=True)),
        chosen=record["chosen"],
        rejected=record["rejected"],
        **{name: record[name] for name in scores},
    )
