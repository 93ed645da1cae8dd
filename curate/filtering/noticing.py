"""What filters share: the frame of what was noticed, and the usual ways from turns to drops."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

Noticed = tuple[str, float | None, str | None, int | None]
"""Label, score, found, start."""

LONGEST_FOUND = 120
"""Characters of a text that evidence quotes at most."""


def noticed_frame(rows: Iterable[tuple[int, Noticed]]) -> "pl.DataFrame":
    """What `Filter.notice` gives, from (row, what was noticed)."""
    import polars as pl

    schema = {
        "row": pl.Int64,
        "label": pl.String,
        "score": pl.Float64,
        "found": pl.String,
        "start": pl.Int64,
    }
    cut = [
        (row, label, score, found[:LONGEST_FOUND] if found else found, start)
        for row, (label, score, found, start) in rows
    ]
    return pl.DataFrame(cut, schema=schema, orient="row")


def look_at(
    texts: "pl.DataFrame",
    candidates: "pl.Expr | None",
    judge: "Callable[[str], Noticed | None]",
    then: "pl.Expr | None" = None,
) -> "pl.DataFrame":
    """Judge, one by one, the texts that a cheap question picks (None: all), and of those the ones THEN picks."""
    picked = texts if candidates is None else texts.filter(candidates)
    if then is not None:
        picked = picked.filter(then)
    rows = zip(picked.get_column("row").to_list(), picked.get_column("content").to_list(), strict=True)
    judged = ((row, judge(content)) for row, content in rows)
    return noticed_frame((row, noticed) for row, noticed in judged if noticed is not None)


EVIDENCE = ("label", "position", "score", "found", "start")


def any_turn(turns: "pl.DataFrame") -> "pl.DataFrame":
    """Drop where anything was noticed; the first turn is the evidence."""
    import polars as pl

    marked = turns.filter(pl.col("label").is_not_null()).sort("conversation", "position")
    return marked.unique("conversation", keep="first", maintain_order=True).select("conversation", *EVIDENCE)


def share_of_answers(turns: "pl.DataFrame", share: float) -> "pl.DataFrame":
    """Drop where at least SHARE of the answers were noticed, and at least one."""
    import polars as pl

    shares = (
        turns.filter(pl.col("role") == "assistant")
        .group_by("conversation")
        .agg((pl.col("label").is_not_null().sum() / pl.len()).alias("share"))
        .filter((pl.col("share") >= share) & (pl.col("share") > 0))
    )
    return any_turn(turns.join(shares, on="conversation", how="semi"))
