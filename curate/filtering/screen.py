"""What one reading of the texts leaves in memory, for all filters of a run."""

from typing import TYPE_CHECKING

import numpy as np

from curate.filter import Filter
from store.rows import ROLES

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa
    from numpy.typing import NDArray


class Screen:
    """What is known of the messages: role and length of all, and what each filter noticed."""

    def __init__(self, n_messages: int, rules: dict[str, Filter], *, knows_same: bool) -> None:
        self.rules = rules
        self.same: list[pl.DataFrame] | None = [] if knows_same else None
        self.roles: NDArray[np.uint8] = np.zeros(n_messages, dtype=np.uint8)
        self.n_chars: NDArray[np.int32] = np.zeros(n_messages, dtype=np.int32)
        self.noticed: dict[str, list[pl.DataFrame]] = {}

    def take(self, texts: "pl.DataFrame") -> None:
        """Let every filter look at some messages."""
        import polars as pl

        rows = texts.get_column("row").to_numpy()
        codes = texts.get_column("role").cast(pl.Enum(ROLES)).to_physical()
        self.roles[rows] = codes.to_numpy()
        self.n_chars[rows] = texts.get_column("content").str.len_chars().to_numpy()
        if self.same is not None:
            answers = texts.filter(pl.col("role") == "assistant")
            content = pl.col("content")
            self.same.append(answers.select("row", words=content.hash(), n_bytes=content.str.len_bytes()))
        for name, rule in self.rules.items():
            found = rule.notice(texts)
            if found is not None:
                self.noticed.setdefault(name, []).append(found)

    def answers(self) -> "pa.Table | None":
        """Every answer by `row`, with the hash of its text (`words`) and its length (`n_bytes`); None if not kept."""
        import polars as pl

        return pl.concat(self.same).to_arrow() if self.same else None

    def turns(self, paths: "pl.DataFrame") -> "pl.DataFrame":
        """Role and length beside `conversation`, `position` and `row`."""
        import polars as pl

        rows = paths.get_column("row").to_numpy()
        roles = pl.Series("role", self.roles[rows])
        named = roles.replace_strict(list(range(len(ROLES))), list(ROLES), return_dtype=pl.String)
        return paths.with_columns(named, pl.Series("n_chars", self.n_chars[rows]).cast(pl.Int64))

    def marked(self, name: str, turns: "pl.DataFrame") -> "pl.DataFrame":
        """The turns as filter NAME is to see them."""
        import polars as pl

        if name not in self.noticed:
            empty = {"label": pl.String, "score": pl.Float64, "found": pl.String, "start": pl.Int64}
            return turns.with_columns(**{key: pl.lit(None, kind) for key, kind in empty.items()})
        noticed = pl.concat(self.noticed[name])
        hit = turns.join(noticed.select("row"), on="row", how="semi").select("conversation").unique()
        whole = turns.join(hit, on="conversation", how="semi")
        return whole.join(noticed, on="row", how="left", maintain_order="left")
