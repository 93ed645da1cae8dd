"""`curate split`: disjoint parts of conversations that never share a prompt (Xwin-LM, Table 1: parts I, II, III).

Conversations with the same first question, upper and lower case and white space aside, go to the same part,
and so do all the prompts on their paths. A hash of the question decides, so that new conversations join
the parts without moving the old ones.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from curate.choosing.selection import Choice, Scope, read_pool
from store.errors import BadSettings

if TYPE_CHECKING:
    from store.db import Store


@dataclass(frozen=True, slots=True)
class SplitSettings:
    """What a user may ask of a split."""

    parts: tuple[tuple[str, float], ...]
    """(name, share) of each part; what the shares leave over is left out."""
    scope: Scope = field(default_factory=Scope)
    seed: int = 0

    def __post_init__(self) -> None:
        names = [name for name, _ in self.parts]
        shares = [share for _, share in self.parts]
        if not names or len(set(names)) < len(names) or not all(names):
            raise BadSettings("--parts names each part once, such as I=0.4,II=0.3,III=0.3")
        if not all(math.isfinite(share) and share > 0 for share in shares) or sum(shares) > 1 + 1e-9:
            raise BadSettings("the shares of --parts are above 0 and add up to 1 at most")

    def as_json(self) -> dict[str, object]:
        """The settings as a run keeps them."""
        return asdict(self)


def parse_parts(text: str) -> tuple[tuple[str, float], ...]:
    """The parts of `I=0.4,II=0.3,III=0.3`.

    Raises BadSettings for anything else.
    """
    try:
        pairs = [part.split("=") for part in text.split(",")]
        return tuple((name.strip(), float(share)) for name, share in pairs)
    except ValueError as error:
        raise BadSettings(f"--parts is written I=0.4,II=0.3,III=0.3, not {text!r}") from error


def split(store: "Store", settings: SplitSettings) -> Choice:
    """The conversations with their parts."""
    import polars as pl

    choice = read_pool(store, settings.scope, settings.seed)
    reached, part = 0.0, pl.lit(None, dtype=pl.String)
    bounds: list[tuple[str, float, float]] = []
    for name, share in settings.parts:
        bounds.append((name, reached, reached + share))
        reached += share
    for name, low, high in bounds:
        is_last = math.isclose(high, 1.0)
        within = (pl.col("question_chance") >= low) & (is_last | (pl.col("question_chance") < high))
        part = pl.when(within).then(pl.lit(name)).otherwise(part)
    choice.rows = choice.rows.with_columns(part.alias("part"))
    choice.drop("parts", pl.col("part").is_not_null(), "in no part")
    return choice


def part_sizes(choice: Choice) -> Mapping[str, tuple[int, int]]:
    """Part → (conversations, user turns)."""
    import polars as pl

    grouped = choice.rows.group_by("part").agg(pl.len().alias("rows"), pl.col("n_turns").sum()).sort("part")
    return {part: (rows, turns) for part, rows, turns in grouped.iter_rows()}
