"""The preference sets of a store, by source or by file: the columns of RLHF Workflow, Table 5 (arXiv 2405.07863)."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from curate.reporting.stats import Unit, measure_texts
from store.named_sql import named_sql

if TYPE_CHECKING:
    from store.db import Store


@dataclass(frozen=True, slots=True)
class PreferenceSet:
    """The pairs of one source, decided by a verdict or by two ratings that differ."""

    name: str
    prompts: int
    """Prompts that have a pair."""
    mean_prompt: float | None
    """Mean length of their turns together."""
    mean_preferred: float | None
    """Mean over the pairs."""
    mean_rejected: float | None
    completers: list[str]
    """Who wrote the answers, as far as the source says."""
    annotators: list[str]
    annotator_kinds: list[str]
    pairs: int
    files: int = 1
    """How many files were taken in under this name."""
    path: str | None = None
    """The file, where every file has its line."""


@dataclass(frozen=True, slots=True)
class PreferenceStats:
    """One line a source or a file, and what the lengths count."""

    unit: Unit
    sources: list[PreferenceSet]


def measure_preferences(
    store: "Store", tokenizer: Path | None = None, *, by_file: bool = False
) -> PreferenceStats:
    """The preference sets, in tokens of the tokenizer saved at TOKENIZER or in words.

    Answers of one source's files are paired with one another, unless each file has its own line.
    Raises MissingExtra without transformers, BadInput where there is no tokenizer.
    """
    with store.read() as reading:
        unit = measure_texts(reading, tokenizer)
        rows = reading.dicts(named_sql("curate", "preferences"), {"by_file": by_file})
    sources = [PreferenceSet(**row) for row in rows]
    return PreferenceStats(unit, sources)
