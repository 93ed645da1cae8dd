"""The grid of a sweep: its axes, the points they span, and what each point is called."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from store.errors import BadSettings
from train.sweeps.options import Assignment, Options

SEED = "seed"
"""The axis over which means are taken."""
LONGEST = 60
"""Characters of a slug."""


@dataclass(frozen=True, slots=True)
class Axis:
    """An option and the values it takes."""

    name: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Point:
    """One choice of a value for each axis."""

    values: tuple[Assignment, ...]

    @property
    def label(self) -> str:
        """What people read."""
        return label_of(self.values)

    @property
    def slug(self) -> str:
        """What files and draws are called after."""
        return slug_of(self.values)

    @property
    def group(self) -> tuple[Assignment, ...]:
        """The values but for the seed: points of one group differ by nothing else."""
        return tuple(one for one in self.values if one[0] != SEED)


def label_of(values: Sequence[Assignment]) -> str:
    """Options and values as people read them."""
    return " ".join(f"{name}={value}" for name, value in values) or "all"


def slug_of(values: Sequence[Assignment]) -> str:
    """Options and values as a part of a file's name; what cannot stand there is told apart by a hash."""
    plain = "-".join(f"{name}-{value}" for name, value in values).replace("=", "-") or "all"
    safe = re.sub(r"[^A-Za-z0-9._+-]+", "_", plain)
    if safe == plain and len(safe) <= LONGEST:
        return safe
    return f"{safe[:LONGEST]}-{hashlib.sha256(plain.encode()).hexdigest()[:8]}"


def parse_axes(texts: Sequence[str]) -> list[Axis]:
    """The axes, each written NAME=VALUE,VALUE.

    Raises BadSettings for one that is written otherwise, comes twice, or names a value twice.
    """
    axes: list[Axis] = []
    for text in texts:
        name, _, values = text.removeprefix("--").partition("=")
        listed = tuple(value.strip() for value in values.split(","))
        if not name or not all(listed):
            raise BadSettings(f"--grid is written NAME=VALUE,VALUE, not {text!r}")
        if len(set(listed)) < len(listed):
            raise BadSettings(f"--grid {text} names a value twice")
        if name in {axis.name for axis in axes}:
            raise BadSettings(f"--grid {name} is given twice; list all values in one")
        axes.append(Axis(name, listed))
    return axes


def checked(axes: Sequence[Axis], given: Sequence[Assignment], options: Options) -> None:
    """Raise BadSettings or UnknownName for an axis that no command takes, or that is fixed as well."""
    for axis in axes:
        takers = options.named(axis.name)
        for value in axis.values:
            options.check(axis.name, value)
        if axis.name in {name for name, _ in given} and not any(taken.is_repeatable for taken in takers):
            raise BadSettings(f"--{axis.name} varies over the grid; take it out of the options behind --")


def points_of(axes: Sequence[Axis]) -> list[Point]:
    """Every point of the grid, the last axis the fastest.

    Raises BadSettings if there is no axis, or two points cannot be told apart by their files.
    """
    if not axes:
        raise BadSettings("name what varies: --grid NAME=VALUE,VALUE, or a --preset")
    points = [
        Point(tuple(zip((axis.name for axis in axes), chosen, strict=True)))
        for chosen in product(*(axis.values for axis in axes))
    ]
    if len({point.slug for point in points}) < len(points):
        raise BadSettings("two points of the grid would have files of one name; write their values otherwise")
    return points


def baseline_of(axes: Sequence[Axis], wanted: Mapping[str, str]) -> tuple[Assignment, ...]:
    """The group others are compared with: the WANTED values, and the first of every other axis."""
    return tuple(
        (axis.name, _value_of(axis, wanted.get(axis.name)) or axis.values[0])
        for axis in axes
        if axis.name != SEED
    )


def parse_baseline(texts: Sequence[str], axes: Sequence[Axis]) -> dict[str, str]:
    """The baseline's values, each written NAME=VALUE.

    Raises BadSettings for one that is not on the grid.
    """
    wanted = {}
    for text in texts:
        name, _, value = text.removeprefix("--").partition("=")
        if not any(axis.name == name != SEED and _value_of(axis, value) for axis in axes):
            raise BadSettings(
                f"--baseline {text} is not on the grid; write NAME=VALUE with a value of --grid"
            )
        wanted[name] = value
    return wanted


def _value_of(axis: Axis, wanted: str | None) -> str | None:
    """The axis's value that WANTED means: itself, or the number of CLASS=NUMBER."""
    return next((value for value in axis.values if wanted in (value, value.rpartition("=")[2])), None)
