"""Rows made of conversations (C-RLFT, SFT): which ones a recipe takes at one version, in the order of their ids.

The store is held only while texts are copied to a staging file, a range of ids at a time; the slow
work (steps, tokens, files) runs afterwards, and others can write meanwhile.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from store.chat_format import ChatFormat
from store.db import Reading, Store
from store.errors import BadSettings, StoreDamaged, UnknownName
from store.ids import id_ranges
from store.named_sql import named_sql
from store.rows import UNKNOWN_CLASS
from store.selections import selection_named
from train.exporter import ExportRow
from train.exporting.measured import supervised
from train.exporting.rated import Rated, rated_by
from train.exporting.rows import Tally, TrainingRow
from train.exporting.staging import stage, staged_batches
from train.exporting.steps import Step
from train.recipe import SourceLicense
from train.recipes import crlft, sft
from train.recipes.crlft import CrlftSettings
from train.recipes.sft import SftSettings

if TYPE_CHECKING:
    import pyarrow as pa

MESSAGES_PER_TURN = 2_000_000
"""Messages copied in one turn at the store; with more, the ids are taken in ranges."""

Meanings = dict[str, tuple[str | None, float]]
"""Class → (condition, weight)."""


@dataclass(frozen=True, slots=True)
class ClassCount:
    """Conversations of one class as the store has them at one version."""

    name: str
    left_out: str | None
    """Why the caller's choice of sources or of a selection leaves these out, None if it does not."""
    n_conversations: int
    n_messages: int
    condition: str | None
    weight: float | None
    reward: float | None

    def reason_against(self, settings: CrlftSettings) -> str | None:
        """Why C-RLFT leaves the class out, None if it can take it: it has a condition and a weight or a reward."""
        if settings.class_by_rating is not None:
            return None
        if settings.weight_by_rating is not None:
            return None if self.condition is not None else self._without("condition")
        if self.name in dict(settings.weights) and self.condition is not None:
            return None
        if settings.beta is not None and self.reward is None:
            return self._without("a reward")
        if self.condition is not None and (self.weight is not None or settings.beta is not None):
            return None
        return self._without("condition or weight")

    def _without(self, what: str) -> str:
        return "class unknown" if self.name == UNKNOWN_CLASS else f"class without {what}"


def weights_of(chosen: Mapping[str, ClassCount], settings: CrlftSettings) -> dict[str, float]:
    """Class → weight: what the settings give it, exp(reward / beta), or the store's.

    Only ratios matter to the loss, so that the largest exp(reward / beta) is made 1.
    """
    given = dict(settings.weights)
    highest = max((one.reward for one in chosen.values() if one.reward is not None), default=0.0)
    return {
        name: given[name] if name in given else _weight(one, settings.beta, highest)
        for name, one in chosen.items()
    }


def _weight(one: ClassCount, beta: float | None, highest: float) -> float:
    if beta is None:
        return one.weight or 0.0
    return math.exp(((one.reward or 0.0) - highest) / beta)


@dataclass(frozen=True, slots=True)
class Conversations:
    """The store at one version, as far as one of these recipes needs it."""

    store: Store
    """A handle fixed at the version."""
    at_version: int
    sources: tuple[SourceLicense, ...]
    classes: tuple[ClassCount, ...]
    settings: CrlftSettings | SftSettings
    selection_id: str | None
    rated: Rated | None = None
    """What ratings decide, where they decide anything."""

    @property
    def facts(self) -> dict[str, Any]:
        """What ratings were made into."""
        return {} if self.rated is None else {"ratings": self.rated.as_json()}

    @property
    def query(self) -> str:
        """The SQL that chooses."""
        return named_sql("train", "conversation_turns")

    def stage(self, path: Path, tally: Tally) -> None:
        """Copy the chosen conversations' turns to an Arrow stream at PATH, ordered by conversation.

        Raises UnknownName for a class that does not exist, BadSettings where nothing is left to train on.
        """
        chosen = self._choose(tally)
        n_messages = sum(one.n_messages for one in chosen.values())
        ratings = None if self.rated is None else self.rated.ratings
        common = {
            "classes": list(chosen),
            "labeler": None if ratings is None else ratings.labeler,
            "scale": None if ratings is None else ratings.scale,
            **_scope(self.settings, self.selection_id),
        }
        ranges = id_ranges(max(1, math.ceil(n_messages / MESSAGES_PER_TURN)))
        stage(self.store, path, self.query, ({**common, "low": low, "high": high} for low, high in ranges))

    def rows(self, path: Path) -> Iterator[TrainingRow]:
        """The staged conversations, one at a time."""
        meanings = self._meanings(self._choose(Tally()))
        pending: list[dict[str, Any]] = []
        for turn in (turn for batch in staged_batches(path) for turn in _turns(batch)):
            if pending and pending[0]["conversation_id"] != turn["conversation_id"]:
                yield _row(pending, meanings)
                pending = []
            pending.append(turn)
        if pending:
            yield _row(pending, meanings)

    def steps(self, control_tokens: tuple[str, ...]) -> dict[str, Step[TrainingRow]]:
        """The steps of the recipe."""
        if isinstance(self.settings, CrlftSettings):
            by_rating = None if self.rated is None else self.rated.steps()
            return crlft.steps_of(self.settings, control_tokens, by_rating)
        return sft.steps_of(self.settings, control_tokens)

    def measured(
        self, rows: Iterator[TrainingRow], chat: ChatFormat | None, max_length: int, tally: Tally
    ) -> Iterator[ExportRow]:
        """Rows with their tokens; those left without a trained token by the cut are dropped."""
        return supervised(rows, chat, max_length, tally)

    def _choose(self, tally: Tally) -> dict[str, ClassCount]:
        """The classes the rows are taken from, by name; all other conversations are counted as dropped."""
        known = {one.name for one in self.classes}
        given: dict[str, float] = {}
        if isinstance(self.settings, CrlftSettings) and not self.settings.class_by_rating:
            given = dict(self.settings.weights)
        for name in (*self.settings.only_classes, *given):
            if name not in known:
                raise UnknownName.of("class", name, known)
        count = tally.of("class")
        chosen: dict[str, ClassCount] = {}
        for one in self.classes:
            count.before += one.n_conversations
            reason = self._reason_against(one)
            if reason is not None:
                count.dropped[reason] += one.n_conversations
            else:
                chosen[one.name] = one
        if not chosen:
            raise BadSettings(_nothing_left(self.settings))
        return chosen

    def _reason_against(self, one: ClassCount) -> str | None:
        if one.left_out is not None:
            return one.left_out
        if isinstance(self.settings, CrlftSettings) and (reason := one.reason_against(self.settings)):
            return reason
        if self.settings.only_classes and one.name not in self.settings.only_classes:
            return "class not chosen"
        return None

    def _meanings(self, chosen: dict[str, ClassCount]) -> Meanings:
        """Class → (condition, weight), after C-RLFT's ablations."""
        settings = self.settings
        if not isinstance(settings, CrlftSettings):
            return dict.fromkeys(chosen, (None, 1.0))
        if settings.class_by_rating is not None:
            return dict.fromkeys(chosen, (None, 1.0))  # the step gives both
        weights = weights_of(chosen, settings)
        for name, weight in weights.items():
            if not math.isfinite(weight) or weight < 0:
                raise BadSettings(f"class {name!r} weighs {weight}; a weight is a number from 0 up")
        heaviest = chosen[max(weights, key=lambda name: (weights[name], name))]
        return {
            name: (
                heaviest.condition if settings.no_condition else one.condition,
                1.0 if settings.no_reward or settings.weight_by_rating else weights[name],
            )
            for name, one in chosen.items()
        }


def look_at_conversations(store: Store, settings: CrlftSettings | SftSettings) -> Conversations:
    """What there is to choose from now, or at the version STORE is fixed at.

    Raises UnknownName for a source or a selection that does not exist.
    """
    if isinstance(settings, CrlftSettings) and settings.beta is not None and not settings.beta > 0:
        raise BadSettings("--beta is above 0")
    if settings.part is not None and settings.selection is None:
        raise BadSettings(f"--part {settings.part} is a part of a selection; name it with --selection")
    with store.read() as reading:
        sources = licenses(reading)
        for name in settings.only_sources:
            if name not in {source.name for source in sources}:
                raise UnknownName.of("source", name, {source.name for source in sources})
        selection_id = _selection_id(reading, settings)
        scope = _scope(settings, selection_id)
        classes = tuple(
            ClassCount(*row) for row in reading.rows(named_sql("train", "conversation_classes"), scope)
        )
        rated = rated_by(reading, settings) if isinstance(settings, CrlftSettings) else None
        version = reading.version
    fixed = store.at_version(version)
    return Conversations(fixed, version, sources, classes, settings, selection_id, rated)


def licenses(reading: Reading) -> tuple[SourceLicense, ...]:
    """Every source with its license."""
    rows = reading.rows("SELECT name, license FROM current_sources ORDER BY ALL")
    return tuple(SourceLicense(*row) for row in rows)


def _selection_id(reading: Reading, settings: CrlftSettings | SftSettings) -> str | None:
    if settings.selection is None:
        return None
    selection = selection_named(reading, settings.selection, "conversations")
    check_part(reading, selection.selection_id, "selection_conversations", settings.part)
    return selection.selection_id


def check_part(reading: Reading, selection_id: str, table: str, part: str | None) -> None:
    """Raise UnknownName if a selection has no part called PART."""
    if part is None:
        return
    rows = reading.rows(
        f"SELECT DISTINCT part FROM {table} WHERE selection_id = CAST(? AS UUID) AND part IS NOT NULL",
        [selection_id],
    )
    if part not in {row[0] for row in rows}:
        raise UnknownName.of("part", part, [row[0] for row in rows])


def _scope(settings: CrlftSettings | SftSettings, selection_id: str | None) -> dict[str, object]:
    return {
        "sources": list(settings.only_sources) or None,
        "selection": selection_id,
        "part": settings.part,
    }


def _nothing_left(settings: CrlftSettings | SftSettings) -> str:
    if settings.selection or settings.only_sources or settings.only_classes:
        return "no conversation is left by --selection, --source and --only-class together"
    if isinstance(settings, CrlftSettings):
        return "no conversation has a class with a condition and a weight; set them with: curate classes"
    return "the store holds no conversation; take some in with: curate ingest FORMAT PATH"


def _turns(batch: "pa.RecordBatch") -> list[dict[str, Any]]:
    turns: list[dict[str, Any]] = batch.to_pylist()
    return turns


def _row(turns: Sequence[dict[str, Any]], meanings: Meanings) -> TrainingRow:
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
        turn_ratings=tuple(turn["rating"] for turn in turns),
    )
