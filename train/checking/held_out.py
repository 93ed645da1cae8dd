"""Prompts that are held out, and whether a row of training data answers one of them."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from train.checking.promise_faults import digests_of

if TYPE_CHECKING:
    from store.chat_format import Turn
    from train.checking.faults import Rules, Sight

Tokens = tuple[int, ...]


@dataclass
class HeldOut:
    """The prompts of a file of held-out rows, as turns and as tokens."""

    paths: set[bytes] = field(default_factory=set)
    prompts: "set[tuple[Turn, ...]]" = field(default_factory=set)
    tokens: set[Tokens] = field(default_factory=set)
    """Of rows that hold tokens only."""
    _rendered: dict[str | None, set[Tokens]] = field(default_factory=dict)

    def add(self, sight: "Sight") -> None:
        """Hold out whatever SIGHT's row answers."""
        turns = sight.row.turns
        if turns is None:
            self.tokens.update(prompts_in_tokens(sight))
            return
        self.paths.update(prompts_in_turns(turns))
        self.prompts.update(turns[:place] for place, (role, _) in enumerate(turns) if role == "assistant")

    def holds(self, sight: "Sight", rules: "Rules") -> bool:
        """Whether SIGHT's row answers one of the prompts."""
        if sight.row.turns is not None and not self.paths.isdisjoint(prompts_in_turns(sight.row.turns)):
            return True
        if sight.tokens is None or (sight.row.turns is not None and not self.tokens):
            return False
        asked = set(prompts_in_tokens(sight))
        if not self.tokens.isdisjoint(asked):
            return True
        return sight.row.turns is None and not self._under(sight.row.condition, rules).isdisjoint(asked)

    def _under(self, condition: str | None, rules: "Rules") -> set[Tokens]:
        """The prompts as tokens under a condition."""
        if rules.chat is None:
            return set()
        if condition not in self._rendered:
            encoded = rules.chat.encode_prompts(sorted(self.prompts), condition)
            self._rendered[condition] = {tuple(ids) for ids in encoded}
        return self._rendered[condition]


def prompts_in_turns(turns: "tuple[Turn, ...]") -> Iterator[bytes]:
    """The id of what comes before each answer."""
    digests = digests_of(turns)
    return (
        digests[place - 1]
        for place, (role, _) in enumerate(turns)
        if place and digests and role == "assistant"
    )


def prompts_in_tokens(sight: "Sight") -> Iterator[Tokens]:
    """What comes before each stretch that is trained on."""
    if sight.tokens is not None:
        for start, _ in sight.trained_runs:
            yield tuple(sight.tokens.input_ids[:start])
