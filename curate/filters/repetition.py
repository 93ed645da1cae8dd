"""Answers that go round in circles."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from curate.filtering.mojibake import FENCE
from curate.filtering.noticing import Noticed, any_turn, noticed_frame

if TYPE_CHECKING:
    import polars as pl

FENCED = re.compile(r"```.*?(?:```|\Z)", re.DOTALL)
WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[^\W\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+")
RUN = re.compile(r"([^\s\-=_*#.|~─]{1,12}?)\1{29,}")
"""The same few characters thirty times, unless they draw a line."""
UNBROKEN = re.compile(r"[^\s\-=_*#.|~─]{30,}")
"""Every such run lies within one of these, which are rare and quickly found."""

SHORTEST = 300
LONG_LINE = 20
"""Characters of a line whose repetition means something."""
GRAM_WORDS = 6
FEWEST_GRAMS = 20
TAIL_CHARS = 1_000
"""What is looked at for compression: circles do not end."""
SUSPECT_RATIO = 2.2
"""Text that LZ4 makes so many times smaller is looked at closely."""


def first_run(text: str) -> re.Match[str] | None:
    """The first place where a few characters come thirty times."""
    runs = (RUN.search(unbroken[0]) for unbroken in UNBROKEN.finditer(text))
    return next((run for run in runs if run is not None), None)


def repeated_lines(text: str) -> float:
    """The part of the long lines that were there before, by characters."""
    lines = [line.strip() for line in text.split("\n")]
    long = [line for line in lines if len(line) >= LONG_LINE]
    total = sum(map(len, long))
    again = total - sum(map(len, set(long)))
    return again / total if total else 0.0


def repeated_grams(text: str) -> float:
    """The part of the runs of six words that were there before; a character of Chinese or Japanese is a word."""
    words = WORD.findall(text.lower())
    total = len(words) - GRAM_WORDS + 1
    if total < FEWEST_GRAMS:
        return 0.0
    grams = set(zip(*(words[i:] for i in range(GRAM_WORDS)), strict=False))
    return (total - len(grams)) / total


@dataclass(frozen=True, slots=True)
class Repetition:
    """Answers whose lines or runs of six words come again and again; code between fences is not looked at."""

    rule_version: ClassVar[int] = 1

    max_lines: float = 0.5
    """The part of an answer's long lines that may be repeats."""
    max_grams: float = 0.5
    """The part of its runs of six words that may be repeats."""

    def notice(self, texts: "pl.DataFrame") -> "pl.DataFrame":
        """Answers that compress suspiciously well, judged one by one."""
        import polars as pl
        import pyarrow as pa

        codec = pa.Codec("lz4_raw")
        answers = texts.filter(
            (pl.col("role") == "assistant") & (pl.col("content").str.len_chars() >= SHORTEST)
        )
        tails = answers.get_column("content").str.tail(TAIL_CHARS).cast(pl.Binary).to_list()
        suspects = [
            i
            for i, tail in enumerate(tails)
            if len(tail) > SUSPECT_RATIO * len(codec.compress(tail, asbytes=True))
        ]
        picked = answers[suspects]
        rows = zip(picked.get_column("row").to_list(), picked.get_column("content").to_list(), strict=True)
        judged = ((row, self._judge(content)) for row, content in rows)
        return noticed_frame((row, noticed) for row, noticed in judged if noticed is not None)

    def _judge(self, text: str) -> Noticed | None:
        prose = FENCED.sub("\n", text) if FENCE in text else text
        run = first_run(prose[-TAIL_CHARS:])
        if run is not None:
            return "a few characters", float(len(run[0])), run[0], None
        if len(prose) < SHORTEST:
            return None
        lines = repeated_lines(prose)
        if lines > self.max_lines:
            return "lines", round(lines, 3), None, None
        grams = repeated_grams(prose)
        return ("words", round(grams, 3), None, None) if grams > self.max_grams else None

    def drops(self, turns: "pl.DataFrame") -> "pl.DataFrame":
        """By any answer."""
        return any_turn(turns)
