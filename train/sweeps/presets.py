"""Grids named after the papers' figures, and the values that only the store knows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from store.db import Reading
from store.errors import BadSettings, UnknownName
from store.named_sql import named_sql
from train.sweeps.grid import Axis
from train.sweeps.options import Assignment

OF_SOURCES = ("every source",)
"""Stands for the sources that have conversations, but for those that hold held-out prompts."""
OF_TURNS = ("eighth", "quarter", "half", "all")
"""Stand for shares of the turns that users took."""
SHARES = dict(zip(OF_TURNS, (0.125, 0.25, 0.5, 1.0), strict=True))
RANKS = tuple(str(2**power) for power in range(7))  # Xwin-LM: 64 responses a prompt
LIGHTEST = ("weight", "mix-class-ratio")
"""Axes whose values are written CLASS=NUMBER; a number alone is of the class that weighs least."""


@dataclass(frozen=True, slots=True)
class GridPreset:
    """One figure of a paper."""

    recipe: str
    axes: tuple[Axis, ...]
    origin: str
    baseline: Mapping[str, str] = field(default_factory=dict)
    given: tuple[Assignment, ...] = ()
    """Options that make it that figure; the user's own win."""


PRESETS: dict[str, GridPreset] = {
    "openchat-alpha": GridPreset(
        "crlft",
        (Axis("weight", ("0", "0.05", "0.1", "0.3", "1")),),
        "OpenChat, Figure 6: what the sub-optimal class weighs",
        {"weight": "0.1"},  # OpenChat, section 3
    ),
    "openchat-class-ratio": GridPreset(
        "crlft",
        (Axis("mix-class-ratio", ("0", "0.2", "0.4", "0.6", "0.8", "1")),),
        "OpenChat, Figure 6: how much of the sub-optimal class is there",
        {"mix-class-ratio": "1"},
    ),
    "openchat-positions": GridPreset(
        "crlft",
        (Axis("template", ("openchat", "openchat_assistant", "openchat_beginning")),),
        "OpenChat, Figure 7: where the condition stands",
    ),
    "camels-sources": GridPreset("sft", (Axis("source", OF_SOURCES),), "Camels, Table 3: one model a source"),
    "xwin-turns": GridPreset(
        "sft", (Axis("mix-turns", OF_TURNS),), "Xwin-LM, Figure 2: how many turns are trained on"
    ),
    "xwin-rank": GridPreset(
        "rsft", (Axis("rank", RANKS),), "Xwin-LM, Figure 6: RSFT on the response of rank k"
    ),
    "xwin-candidates": GridPreset(
        "rsft", (Axis("candidates", RANKS),), "Xwin-LM, Figure 6: RSFT on the best of N", {"candidates": "64"}
    ),
    "xwin-rejected-rank": GridPreset(
        "dpo",
        (Axis("pairs-rank", RANKS[1:]),),
        "Xwin-LM, Figure 9: the rank that DPO rejects",
        {"pairs-rank": "32"},  # Xwin-LM, section 6, 7B
        (("pairs-rule", "best-rank-k"),),
    ),
}


def preset_named(name: str) -> GridPreset:
    """The preset called NAME.

    Raises UnknownName if there is none.
    """
    if name not in PRESETS:
        raise UnknownName.of("grid", name, PRESETS)
    return PRESETS[name]


def with_own_axes(preset: GridPreset, own: Sequence[Axis]) -> tuple[Axis, ...]:
    """The preset's axes, with the values that the user gave for them, and the user's other axes behind."""
    mine = {axis.name: axis for axis in own}
    return (*(mine.pop(axis.name, axis) for axis in preset.axes), *mine.values())


def settled(axis: Axis, reading: Reading, prompts: str | None, given: Sequence[Assignment]) -> Axis:
    """AXIS with what its values stand for in this store; PROMPTS is the id of the held-out prompts.

    GIVEN is what is the same at every point: turns are counted in the sources it names.

    Raises BadSettings where the store cannot say.
    """
    if axis.values == OF_SOURCES:
        names = [name for (name,) in reading.rows(named_sql("train", "sweep_sources"), {"prompts": prompts})]
        if not names:
            raise BadSettings("no source has conversations that may be trained on; see: curate stats")
        return replace(axis, values=tuple(names))
    if axis.name == "mix-turns" and set(axis.values) <= set(SHARES):
        sources = [value for name, value in given if name == "mix-source"]
        ((turns,),) = reading.rows(named_sql("train", "sweep_turns"), {"sources": sources or None})
        counts = [str(max(1, int(SHARES[value] * turns))) for value in axis.values]
        return replace(axis, values=tuple(dict.fromkeys(counts)))
    if axis.name in LIGHTEST and not all("=" in value for value in axis.values):
        name = _lightest_class(reading)
        return replace(
            axis, values=tuple(value if "=" in value else f"{name}={value}" for value in axis.values)
        )
    return axis


def _lightest_class(reading: Reading) -> str:
    rows = reading.rows(
        "SELECT name, weight FROM current_classes WHERE weight IS NOT NULL ORDER BY weight, name"
    )
    if not rows or (len(rows) > 1 and rows[0][1] == rows[1][1]):
        raise BadSettings("no class weighs less than all others; write which one is meant: CLASS=NUMBER")
    return str(rows[0][0])
