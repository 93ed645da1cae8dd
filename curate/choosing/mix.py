"""`curate mix`: one training mixture out of several sources (Camels, section 3), by share, number, cap or temperature.

Every draw goes by a hash of the conversation's id and the seed: a larger mixture holds the smaller one.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from curate.choosing.presets import members_among, preset_named
from curate.choosing.selection import Choice, Scope, read_pool, read_preference_pool
from store.errors import BadSettings, UnknownName

if TYPE_CHECKING:
    from store.db import Store


@dataclass(frozen=True, slots=True)
class MixSettings:
    """What a user may ask of a mixture."""

    takes: tuple[tuple[str, float | None], ...] = ()
    """(pattern of source names, share or number); None takes as the rest of the settings say. Empty takes all."""
    total: int | None = None
    """Conversations of the mixture; without it the most that the shares allow."""
    cap: int | None = None
    """At most so many conversations of a source."""
    temperature: float | None = None
    """Sources weigh as their size to the power 1/T: 1 keeps proportions, larger evens them out."""
    class_ratios: tuple[tuple[str, float], ...] = ()
    """(class, share of it that stays): OpenChat, Figure 6."""
    turns: int | None = None
    """At most so many of the user's turns altogether: Xwin-LM, Figure 2."""
    scope: Scope = field(default_factory=Scope)
    seed: int = 0
    preset: str | None = None
    """A mixture of a paper, whose sets are found by the names of sources."""
    skips_missing: bool = False
    """Whether sets of the preset that are not there are left out."""

    def __post_init__(self) -> None:
        if self.preset is not None and self.takes:
            raise BadSettings("--preset says which sources to take; give it or --take")
        if self.skips_missing and self.preset is None:
            raise BadSettings("--skip-missing leaves sets of a --preset out; name one")
        if self.preset is not None and preset_named(self.preset).is_of_prompts and self.class_ratios:
            raise BadSettings(
                f"mixture {self.preset} is made of prompts, which have no class: leave --class-ratio out"
            )
        amounts = [amount for _, amount in self.takes if amount is not None]
        if any(not math.isfinite(amount) or amount <= 0 for amount in amounts):
            raise BadSettings("what --take asks of a source is a number or a share above 0")
        if self.temperature is not None and not self.temperature > 0:
            raise BadSettings("--temperature is above 0")
        if any(not 0 <= ratio <= 1 for _, ratio in self.class_ratios):
            raise BadSettings("--class-ratio lies between 0 and 1")
        if self.temperature is not None and amounts:
            raise BadSettings("give shares with --take or let --temperature find them, not both")

    def as_json(self) -> dict[str, object]:
        """The settings as a run keeps them."""
        return asdict(self)


def mix(store: "Store", settings: MixSettings) -> Choice:
    """The conversations of the mixture; of a preset of preferences its prompts.

    Raises UnknownName for a pattern that no source matches, a set that is missing, or a class that does not exist.
    """
    if settings.preset is not None and preset_named(settings.preset).is_of_prompts:
        return _mix_prompts(store, settings)
    import polars as pl

    choice = read_pool(store, settings.scope, settings.seed)
    takes = _takes(choice, settings)
    if settings.takes or settings.preset:
        choice.drop("sources", pl.col("source").is_in(list(takes)), "source not in the mixture")
    _thin_classes(choice, settings)
    _take_shares(choice, settings, takes)
    _stop_at_turns(choice, settings)
    choice.rows = choice.rows.with_columns(pl.lit(None, dtype=pl.String).alias("part"))
    return choice


def _mix_prompts(store: "Store", settings: MixSettings) -> Choice:
    """The prompts that the sets of a preset prefer answers to, each once, though two sets may have it."""
    import polars as pl

    choice = read_preference_pool(store, settings.scope, settings.seed)
    takes = _takes(choice, settings)
    choice.drop("sources", pl.col("source").is_in(list(takes)), "source not in the mixture")
    choice.drop("conversations", pl.col("is_current"), "on no conversation in force")
    _take_shares(choice, settings, takes)
    choice.asked["label_sources"] = choice.rows.get_column("source").unique().sort().to_list()
    choice.drop("prompts", pl.col("prompt_id").is_first_distinct(), "in another source too")
    _stop_at_turns(choice, settings)
    choice.rows = choice.rows.with_columns(pl.lit(None, dtype=pl.String).alias("part"))
    return choice


def _takes(choice: Choice, settings: MixSettings) -> dict[str, float | None]:
    """Source → what is asked of it."""
    sources = choice.rows.get_column("source").unique().sort().to_list()
    if settings.preset is None:
        return matched(settings.takes, sources)
    found = members_among(settings.preset, sources, skips_missing=settings.skips_missing)
    choice.asked["members"] = found
    return dict.fromkeys(found)


def _stop_at_turns(choice: Choice, settings: MixSettings) -> None:
    if settings.turns is not None:
        reached = choice.rows.get_column("n_turns").cum_sum()
        choice.drop("turns", reached <= settings.turns, "over the number of turns")


def matched(takes: Sequence[tuple[str, float | None]], sources: Sequence[str]) -> dict[str, float | None]:
    """Source → what is asked of it; the first pattern that fits decides.

    Raises UnknownName for a pattern that fits none.
    """
    found: dict[str, float | None] = {}
    for pattern, amount in takes:
        fitting = [source for source in sources if fnmatchcase(source.lower(), pattern.lower())]
        if not fitting:
            raise UnknownName.of("source", pattern, sources)
        for source in fitting:
            found.setdefault(source, amount)
    return found or dict.fromkeys(sources)


def _thin_classes(choice: Choice, settings: MixSettings) -> None:
    import polars as pl

    known = choice.rows.get_column("class").unique().to_list()
    for name, ratio in settings.class_ratios:
        if name not in known:
            raise UnknownName.of("class", name, known)
        place = pl.int_range(pl.len()).over("class")
        kept = math.floor(ratio * choice.rows.filter(pl.col("class") == name).height + 0.5)
        stays = (pl.col("class") != name) | (place < kept)
        choice.drop(f"class {name}", stays, "over the class's ratio")


def _take_shares(choice: Choice, settings: MixSettings, takes: Mapping[str, float | None]) -> None:
    """So many of each source, the first by chance."""
    import polars as pl

    sizes = dict(choice.rows.group_by("source").agg(pl.len()).iter_rows())
    wanted = targets(sizes, settings, takes)
    if all(wanted[source] >= size for source, size in sizes.items()):
        return
    bound = pl.col("source").replace_strict(wanted, return_dtype=pl.Int64)
    place = pl.int_range(pl.len()).over("source")
    choice.drop("shares", place < bound, "over the source's share")


def targets(
    sizes: Mapping[str, int], settings: MixSettings, takes: Mapping[str, float | None]
) -> dict[str, int]:
    """How many conversations of each source the mixture has."""
    capped = {source: min(size, settings.cap or size) for source, size in sizes.items()}
    amounts = {source: takes.get(source) for source in sizes}
    if all(amount is not None and amount > 1 for amount in amounts.values()):
        return {source: min(capped[source], round(amount or 0)) for source, amount in amounts.items()}
    if any(amount is not None and amount > 1 for amount in amounts.values()):
        raise BadSettings("--take asks of every source a number, or of every source a share")
    if settings.temperature is None and settings.total is None and not any(amounts.values()):
        return capped
    weights = _weights(capped, settings, amounts)
    total = min(capped[source] / weight for source, weight in weights.items() if weight > 0)
    if settings.total is not None:
        if settings.total > total + 1e-6:
            short = min(weights, key=lambda source: capped[source] / weights[source])
            raise BadSettings(
                f"--total {settings.total} at these shares asks {settings.total * weights[short]:.0f} of {short}, which"
                f" has {capped[short]}; {math.floor(total)} is the most"
            )
        total = settings.total
    return {source: round(total * weight) for source, weight in weights.items()}


def _weights(
    sizes: Mapping[str, int], settings: MixSettings, amounts: Mapping[str, float | None]
) -> dict[str, float]:
    """What share of the mixture each source is; together 1."""
    if any(amount is not None for amount in amounts.values()):
        if not all(amount is not None for amount in amounts.values()):
            raise BadSettings("--take gives a share to every source or to none")
        raw = {source: amount or 0.0 for source, amount in amounts.items()}
    else:
        raw = {source: size ** (1 / (settings.temperature or 1.0)) for source, size in sizes.items()}
    total = sum(raw.values())
    return {source: weight / total for source, weight in raw.items()}
