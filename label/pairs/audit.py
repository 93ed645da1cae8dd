"""What pairs are like, measured before anything is written."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from label.id_columns import uuid_column
from label.pairs.rules import Pairs
from store.named_sql import named_sql

if TYPE_CHECKING:
    from store.db import Reading

QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)


@dataclass(frozen=True, slots=True)
class Texts:
    """What was read of the pairs' texts."""

    chosen: NDArray[np.int64]
    """Characters; -1 where the store does not hold the text."""
    rejected: NDArray[np.int64]
    is_equal: NDArray[np.bool_]
    """Whether the two say the same, white space at the ends aside."""
    keys: NDArray[np.float64]
    """A hash of the chosen text, NaN without one."""

    def only(self, keep: NDArray[np.bool_]) -> "Texts":
        """Those of some pairs."""
        return Texts(self.chosen[keep], self.rejected[keep], self.is_equal[keep], self.keys[keep])


def read_texts(reading: "Reading", pairs: Pairs) -> Texts:
    """Lengths and hashes of the texts, read only for these pairs."""
    import pyarrow as pa

    reading.con.execute("SET arrow_lossless_conversion = true")  # UUIDs as 16 bytes instead of text
    asked = {
        "number": pa.array(np.arange(len(pairs))),
        "chosen_id": uuid_column(pairs.chosen),
        "rejected_id": uuid_column(pairs.rejected),
    }
    reading.con.register("asked_pairs", pa.table(asked))
    try:
        table = reading.arrow(named_sql("label", "pair_texts"))
    finally:
        reading.con.unregister("asked_pairs")
    return Texts(
        table.column("characters_chosen").to_numpy(),
        table.column("characters_rejected").to_numpy(),
        np.asarray(table.column("is_equal").to_numpy(), dtype=np.bool_),
        table.column("text_chosen").to_numpy().astype(np.float64),
    )


@dataclass(frozen=True, slots=True)
class Audit:
    """The pairs in figures."""

    pairs: int
    prompts: int
    most_per_prompt: int
    score_gap: Mapping[str, float]
    """Quantile → gap between the two scores; empty where pairs have none."""
    strengths: Mapping[str, int]
    """Strength → pairs, where somebody judged them."""
    characters_chosen: float | None
    """Mean."""
    characters_rejected: float | None
    chosen_longer: float | None
    """The share of pairs whose chosen text is the longer one."""
    length_gap: Mapping[str, float]
    """Quantile → characters of the chosen text more than of the rejected."""
    shared_texts: int
    """Pairs whose chosen text was chosen under another prompt too."""
    without_text: int
    """Pairs of which the store does not hold both texts."""

    def as_json(self) -> dict[str, object]:
        """Every figure by name."""
        return asdict(self)

    def lines(self) -> list[tuple[str, str]]:
        """(figure, value) to print."""
        rows = [
            ("pairs", f"{self.pairs:,}"),
            ("prompts", f"{self.prompts:,}, at most {self.most_per_prompt} pairs of one"),
        ]
        if self.score_gap:
            rows.append(("score gap", _quantiles_in_words(self.score_gap, "{:.3f}")))
        if self.strengths:
            rows.append(
                ("strengths", ", ".join(f"{count:,} {name}" for name, count in self.strengths.items()))
            )
        if self.length_gap:
            rows += [
                (
                    "mean characters",
                    f"{self.characters_chosen:.0f} chosen, {self.characters_rejected:.0f} rejected",
                ),
                ("length gap", _quantiles_in_words(self.length_gap, "{:.0f}")),
                ("chosen is longer", f"{self.chosen_longer:.1%}"),
                ("chosen text under several prompts", f"{self.shared_texts:,}"),
            ]
        if self.without_text:
            rows.append(("without texts in the store", f"{self.without_text:,} (see: curate verify)"))
        return rows


def _quantiles_in_words(quantiles: Mapping[str, float], form: str) -> str:
    return ", ".join(f"{name} {form.format(value)}" for name, value in quantiles.items())


def audit_of(pairs: Pairs, texts: Texts) -> Audit:
    """The figures of PAIRS, which are in the order of their prompts."""
    per_prompt = _runs(pairs)
    gaps = pairs.score_chosen - pairs.score_rejected
    has_text = (texts.chosen >= 0) & (texts.rejected >= 0)
    chosen, rejected = texts.chosen[has_text], texts.rejected[has_text]
    return Audit(
        pairs=len(pairs),
        prompts=len(per_prompt),
        most_per_prompt=int(per_prompt.max(initial=0)),
        score_gap=_quantiles(gaps[~np.isnan(gaps)]),
        strengths=_strengths(pairs),
        characters_chosen=_mean(chosen),
        characters_rejected=_mean(rejected),
        chosen_longer=_mean(chosen > rejected),
        length_gap=_quantiles((chosen - rejected).astype(np.float64)),
        shared_texts=_shared(pairs, texts.keys),
        without_text=int((~has_text).sum()),
    )


def _runs(pairs: Pairs) -> NDArray[np.intp]:
    """How many pairs each prompt has."""
    if not len(pairs):
        return np.empty(0, dtype=np.intp)
    is_new = (pairs.prompts[1:] != pairs.prompts[:-1]).any(axis=1)
    return np.diff(np.concatenate([[0], np.flatnonzero(is_new) + 1, [len(pairs)]]))


def _quantiles(values: NDArray[np.float64]) -> dict[str, float]:
    if not len(values):
        return {}
    found = np.quantile(values, QUANTILES)
    names = ("least", "5 %", "25 %", "half", "75 %", "95 %", "most")
    return {name: float(value) for name, value in zip(names, found, strict=True)}


def _mean(values: NDArray[np.int64] | NDArray[np.bool_]) -> float | None:
    return float(values.mean()) if len(values) else None


def _strengths(pairs: Pairs) -> dict[str, int]:
    if pairs.strength is None:
        return {}
    named = pairs.strength[pairs.strength != None]  # noqa: E711 - elementwise; rated pairs have no strength
    names, counts = np.unique(named.astype(str), return_counts=True)
    return {str(name): int(count) for name, count in zip(names, counts, strict=True)}


def _shared(pairs: Pairs, keys: NDArray[np.float64]) -> int:
    """Pairs whose chosen text is chosen under more than one prompt."""
    known = ~np.isnan(keys)
    texts, prompts = keys[known], pairs.prompts[known]
    order = np.lexsort((prompts[:, 1], prompts[:, 0], texts))
    texts, prompts = texts[order], prompts[order]
    is_new_text = np.ones(len(texts), dtype=np.bool_)
    is_new_text[1:] = texts[1:] != texts[:-1]
    is_new_prompt = is_new_text.copy()
    is_new_prompt[1:] |= (prompts[1:] != prompts[:-1]).any(axis=1)
    groups = np.cumsum(is_new_text) - 1
    prompts_of = np.bincount(groups, weights=is_new_prompt) if len(groups) else np.empty(0)
    return int((prompts_of[groups] > 1).sum()) if len(groups) else 0
