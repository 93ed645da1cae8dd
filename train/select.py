"""From the store to rows: which conversations a recipe takes at one version, in the order of their ids.

The store is held only while texts are copied to a staging file, a range of ids at a time; the slow
work (steps, tokens, files) runs afterwards, and others can write meanwhile.
"""

import math
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from store.db import Store
from store.errors import BadSettings, StoreDamaged, UnknownName
from store.named_sql import named_sql
from store.rows import UNKNOWN_CLASS
from train.recipes.crlft import CrlftSettings
from train.rows import Tally, TrainingRow

if TYPE_CHECKING:
    import pyarrow as pa

MESSAGES_PER_TURN = 2_000_000
"""Messages copied in one turn at the store; with more, the ids are taken in ranges."""
BATCH_ROWS = 20_000


@dataclass(frozen=True, slots=True)
class ClassCount:
    """A class as the store has it at one version."""

    name: str
    n_conversations: int
    n_messages: int
    condition: str | None
    weight: float | None

    @property
    def is_usable(self) -> bool:
        """Whether C-RLFT can take it: it has a condition and a weight."""
        return self.condition is not None and self.weight is not None

    @property
    def reason(self) -> str:
        """Why C-RLFT leaves it out when it is not usable."""
        return "class unknown" if self.name == UNKNOWN_CLASS else "class without condition or weight"


@dataclass(frozen=True, slots=True)
class SourceLicense:
    """A source's name and the license it came under, if it is known."""

    name: str
    license: str | None


@dataclass(frozen=True, slots=True)
class Selection:
    """The store at one version, as far as C-RLFT needs it."""

    store: Store
    """A handle fixed at the version."""
    at_version: int
    classes: tuple[ClassCount, ...]
    sources: tuple[SourceLicense, ...]


def look(store: Store) -> Selection:
    """What there is to choose from now, or at the version STORE is fixed at."""
    with store.read() as reading:
        classes = tuple(ClassCount(*row) for row in reading.rows(named_sql("train", "crlft_classes")))
        sources = tuple(
            SourceLicense(*row)
            for row in reading.rows("SELECT name, license FROM current_sources ORDER BY ALL")
        )
        newest = reading.version
    fixed = Store(store.path, at=f"v{newest}", wait_s=store.wait_s)
    return Selection(fixed, newest, classes, sources)


def choose(selection: Selection, settings: CrlftSettings, tally: Tally) -> dict[str, ClassCount]:
    """The classes the rows are taken from, by name; the conversations of all others are counted as dropped.

    Raises UnknownName for a class that does not exist, BadSettings where nothing is left to train on.
    """
    known = {one.name: one for one in selection.classes}
    for name in settings.only_classes:
        if name not in known:
            raise UnknownName.of("class", name, known)
    count = tally.of("class")
    chosen: dict[str, ClassCount] = {}
    for one in selection.classes:
        count.before += one.n_conversations
        if not one.is_usable:
            count.dropped[one.reason] += one.n_conversations
        elif settings.only_classes and one.name not in settings.only_classes:
            count.dropped["class not chosen"] += one.n_conversations
        else:
            chosen[one.name] = _checked(one)
    if not chosen:
        raise BadSettings(
            "no conversation has a class with a condition and a weight; set them with: curate classes"
        )
    return chosen


def _checked(one: ClassCount) -> ClassCount:
    weight = one.weight or 0.0
    if not math.isfinite(weight) or weight < 0:
        raise BadSettings(f"class {one.name!r} weighs {one.weight}; a weight is a number from 0 up")
    return one


def conditions_and_weights(
    chosen: dict[str, ClassCount], settings: CrlftSettings
) -> dict[str, tuple[str, float]]:
    """Class → (condition, weight), after the ablations."""
    heaviest = max(chosen.values(), key=lambda one: (one.weight or 0.0, one.name))
    return {
        name: (
            str(heaviest.condition if settings.no_condition else one.condition),
            1.0 if settings.no_reward else float(one.weight or 0.0),
        )
        for name, one in chosen.items()
    }


def id_ranges(pieces: int) -> list[tuple[str, str]]:
    """All ids cut into PIECES ranges, each as its first and last UUID."""
    size = 2**128
    bounds = [size * piece // pieces for piece in range(pieces + 1)]
    return [(str(uuid.UUID(int=low)), str(uuid.UUID(int=high - 1))) for low, high in pairwise(bounds)]


def stage_turns(selection: Selection, chosen: dict[str, ClassCount], path: Path) -> None:
    """Copy the chosen conversations' turns to an Arrow stream at PATH, ordered by conversation."""
    import pyarrow as pa

    n_messages = sum(one.n_messages for one in chosen.values())
    writer: pa.RecordBatchStreamWriter | None = None
    for low, high in id_ranges(max(1, math.ceil(n_messages / MESSAGES_PER_TURN))):
        parameters = {"classes": list(chosen), "low": low, "high": high}
        with selection.store.read() as reading:
            for batch in reading.batches(named_sql("train", "crlft_turns"), parameters, rows=BATCH_ROWS):
                writer = writer or pa.ipc.new_stream(path, batch.schema)
                writer.write_batch(batch)
    if writer is not None:
        writer.close()


def staged_rows(path: Path, meanings: dict[str, tuple[str, float]]) -> Iterator[TrainingRow]:
    """The conversations staged at PATH, one at a time."""
    if not path.exists():
        return
    import pyarrow as pa

    with pa.ipc.open_stream(path) as stream:
        pending: list[dict[str, Any]] = []
        for batch in stream:
            for turn in _turns(batch):
                if pending and pending[0]["conversation_id"] != turn["conversation_id"]:
                    yield _row(pending, meanings)
                    pending = []
                pending.append(turn)
        if pending:
            yield _row(pending, meanings)


def _turns(batch: "pa.RecordBatch") -> list[dict[str, Any]]:
    turns: list[dict[str, Any]] = batch.to_pylist()
    return turns


def _row(turns: Sequence[dict[str, Any]], meanings: dict[str, tuple[str, float]]) -> TrainingRow:
    first = turns[0]
    condition, weight = meanings[first["class"]]
    if any(turn["role"] is None for turn in turns):
        raise StoreDamaged(
            f"conversation {first['conversation_id']} names a message that is not there; see: curate verify"
        )
    return TrainingRow(
        conversation_id=first["conversation_id"],
        message_ids=tuple(turn["message_id"] for turn in turns),
        turns=tuple((turn["role"], turn["content"]) for turn in turns),
        condition=condition,
        weight=weight,
        turn_weights=tuple(weight if turn["role"] == "assistant" else 0.0 for turn in turns),
        source_class=first["class"],
        source=first["source"] or "",
    )
