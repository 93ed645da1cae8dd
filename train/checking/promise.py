"""What a manifest says of an export's rows, as far as each row can be held against it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from train.recipes.crlft import is_refusal


@dataclass(frozen=True)
class ClassPromise:
    """What all rows of one class have in common."""

    condition: str | None
    weight: float | None
    """None where rows differ."""
    rows: int
    tokens: int


@dataclass(frozen=True)
class Promise:
    """What the rows of an export ought to be."""

    recipe: str = ""
    trains_all: bool = False
    """Whether every answer is trained on, refusals perhaps aside."""
    trains_last: bool = False
    """Whether the last answer alone is."""
    refusals_are_context: bool = False
    has_equal_weights: bool = False
    """Whether all classes are meant to weigh the same."""
    classes: Mapping[str, ClassPromise] = field(default_factory=dict)
    turns: Mapping[str, int] | None = None
    """Role → turns in all rows together."""

    def wants(self, answer: str) -> bool:
        """Whether an answer ought to be trained on."""
        return self.trains_all and not (self.refusals_are_context and is_refusal(answer))


def promise_of(manifest: Mapping[str, Any] | None) -> Promise:
    """What MANIFEST promises; nothing without one."""
    if manifest is None:
        return Promise()
    recipe = str(manifest.get("recipe", ""))
    own: Mapping[str, Any] = (manifest.get("settings") or {}).get("recipe") or {}
    is_last = recipe in ("rsft", "pm") or own.get("turns") == "last"
    by_turn = own.get("weight_by_rating") is not None and own.get("rating_of") == "turn"
    return Promise(
        recipe,
        trains_all=recipe in ("crlft", "sft") and not is_last and not by_turn,
        trains_last=is_last,
        refusals_are_context=recipe == "crlft" and own.get("refusals", "zero") == "zero",
        has_equal_weights=bool(own.get("no_reward")),
        classes={
            name: _class(total, is_alike=not by_turn)
            for name, total in (manifest.get("classes") or {}).items()
        },
        turns=manifest.get("turns"),
    )


def _class(total: Mapping[str, Any], *, is_alike: bool) -> ClassPromise:
    weight = total.get("weight") if is_alike else None
    return ClassPromise(
        total.get("condition"), weight, int(total.get("rows", 0)), int(total.get("tokens", 0))
    )
