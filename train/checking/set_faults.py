"""The faults of an export as a whole: rows that repeat, classes that weigh alike, turns that are missing."""

import hashlib
import json
from array import array
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from train.checking.token_faults import has_head, untrained_answers

if TYPE_CHECKING:
    from train.checking.faults import Rules, Sight

MAX_REPEATED_SHARE = 0.5
"""The share of rows that say what an earlier one says from which on an export is not good: a file written twice."""
MANY = 0.5
"""Of the rows that a fault of a whole file would be in; what only a few have may be their own text."""


class Sum(Protocol):
    """What a class adds up to."""

    rows: int
    tokens: int


@dataclass
class SetLook:
    """What is noted of every row; eight bytes a row, and sums."""

    rows: int = 0
    digests: "array[int]" = field(default_factory=lambda: array("Q"))
    turns: Counter[str] = field(default_factory=Counter)
    weights: dict[str, set[float]] = field(default_factory=dict)
    """Class → its weights, the first two of them."""
    templated: int = 0
    """Rows with a turn that the template was put around before."""
    of_many_answers: int = 0
    """Rows of tokens with answers that ought to be trained on, and are not all."""
    untrained: int = 0
    has_conditions: bool = False
    other_prompts: int = 0
    """Rows that ask another question under the prompt id of the row before."""
    _last: tuple[str, object] | None = None

    def add(self, sights: "tuple[Sight, ...]", rules: "Rules") -> None:
        """Note a row: one sight, or the two sides of a pair."""
        self.rows += 1
        self.digests.append(digest_of(sights))
        for sight in sights:
            self._add_sight(sight, rules)
        row = sights[0].row
        if row.turns is not None and row.prompt_id is not None:
            asked = (row.prompt_id, row.turns[:-1])
            self.other_prompts += (
                self._last is not None and self._last[0] == asked[0] and self._last[1] != asked[1]
            )
            self._last = asked

    def _add_sight(self, sight: "Sight", rules: "Rules") -> None:
        row = sight.row
        self.turns.update(role for role, _ in row.turns or ())
        self.has_conditions |= bool(row.condition)
        weights = row.turn_weights or (sight.tokens.loss_weights if sight.tokens else ())
        found = self.weights.setdefault(row.source_class, set())
        if len(found) < 2:
            found.update(weight for weight in weights if weight)
        if rules.chat is not None and row.turns:
            wording = rules.wording(rules.chat, row.condition)
            heads = wording.heads() if wording else ()
            self.templated += any(has_head(content, heads) for _, content in row.turns)
        if rules.promise.trains_all and row.turns is None:
            self._add_answers(sight, rules)

    def _add_answers(self, sight: "Sight", rules: "Rules") -> None:
        missing = [one for one in untrained_answers(sight, rules) if rules.promise.wants(one)]
        self.untrained += bool(missing)
        self.of_many_answers += bool(missing) or len(sight.trained_runs) > 1

    def repeated(self) -> int:
        """Rows that say what an earlier one says."""
        import numpy as np

        return len(self.digests) - len(np.unique(np.frombuffer(self.digests, dtype=np.uint64)))

    def faults(self, rules: "Rules", max_repeated_share: float) -> Iterator[tuple[str, int]]:
        """The faults of the whole, each with how many rows or turns it is about."""
        repeated = self.repeated()
        if repeated and repeated >= max_repeated_share * self.rows:
            yield "too many rows repeat an earlier one", repeated
        if self.templated > MANY * self.rows:
            yield "content already templated", self.templated
        if self.untrained > MANY * self.of_many_answers:
            yield "answer not trained on", self.untrained
        if self.other_prompts:
            yield "one prompt id, different prompts", self.other_prompts
        if rules.needs_condition and not rules.promise.has_equal_weights and self._weighs_alike():
            yield "all classes weigh the same", len(self.weights)
        yield from self._missing_turns(rules)

    def _weighs_alike(self) -> bool:
        known = [found for found in self.weights.values() if found]
        return len(known) > 1 and len(set().union(*known)) == 1

    def _missing_turns(self, rules: "Rules") -> Iterator[tuple[str, int]]:
        promised = rules.promise.turns
        if promised is None or not self.turns:
            return
        for role in sorted(promised.keys() | self.turns.keys()):
            missing = promised.get(role, 0) - self.turns[role]
            if missing > 0:
                yield f"{role} turns lost", missing
            elif missing < 0:
                yield f"{role} turns that the manifest does not have", -missing


def class_faults(
    classes: Mapping[str, Sum], rules: "Rules", *, has_tokens: bool
) -> Iterator[tuple[str, int]]:
    """Where the classes' rows, or their tokens, are not as many as the manifest says."""
    for name, known in rules.promise.classes.items():
        found = classes.get(name or "none")
        rows, tokens = (found.rows, found.tokens) if found else (0, 0)
        if rows != known.rows:
            yield "rows of a class not those of the manifest", abs(rows - known.rows)
        elif has_tokens and known.tokens and tokens != known.tokens:
            yield "tokens of a class not those of the manifest", abs(tokens - known.tokens)


def digest_of(sights: "tuple[Sight, ...]") -> int:
    """Eight bytes that stand for what a row says."""
    found = hashlib.blake2b(digest_size=8)
    for sight in sights:
        row = sight.row
        said = row.turns if row.turns is not None else sight.tokens and sight.tokens.input_ids
        found.update(json.dumps([said, row.condition, row.label]).encode())
    return int.from_bytes(found.digest(), "little")
