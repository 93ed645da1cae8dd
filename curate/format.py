"""What a format says of itself: a line, an example row, and how it is told from others.

A detector looks at the first records of a file and says how sure it is that they are of its format:
about 0.9 where they hold what no other format has, 0.6 where they hold what is usual for it, 0.3 where
they could be. It reads nothing itself.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

Container = Literal["json", "csv", "tsv", "sheet", "parquet", "arrow"]
"""How the records lie in the file."""


@dataclass(frozen=True, slots=True)
class Sample:
    """The beginning of a file."""

    path: Path
    container: Container
    records: tuple[dict[str, Any], ...]
    """The first records that could be read, by field."""
    lines: tuple[str, ...] = ()
    """The first lines, where they are text."""

    def share(self, *keys: str) -> float:
        """The share of records that have all of KEYS."""
        if not self.records:
            return 0.0
        return sum(all(key in record for key in keys) for record in self.records) / len(self.records)


class Match(NamedTuple):
    """A format that a file may be of."""

    confidence: float
    why: str


Detector = Callable[[Sample], Match | None]


@dataclass(frozen=True, slots=True)
class Format:
    """What `curate formats` and `curate ingest auto` know of a reader."""

    summary: str
    """One line."""
    example: str
    """One record as it stands in a file."""
    detect: Detector
    ending: str = ".jsonl"
    """What a file with that record would be called."""


def has_keys(*keys: str, confidence: float = 0.9, without: tuple[str, ...] = ()) -> Detector:
    """A detector of records that have all of KEYS and none of WITHOUT."""

    def detect(sample: Sample) -> Match | None:
        share = sample.share(*keys)
        if not share or any(key in record for record in sample.records for key in without):
            return None
        return Match(confidence * share, f"records have {listed(keys)}")

    return detect


def listed(names: tuple[str, ...] | list[str]) -> str:
    """NAMES as a phrase: `a`, `b` and `c`."""
    quoted = [f"`{name}`" for name in names]
    return " and ".join(filter(None, (", ".join(quoted[:-1]), quoted[-1])))


def first_of(*detectors: Detector) -> Detector:
    """A detector that is as sure as the surest of DETECTORS."""

    def detect(sample: Sample) -> Match | None:
        found = [match for one in detectors if (match := one(sample))]
        return max(found, key=lambda match: match.confidence, default=None)

    return detect
