"""Texts that lost characters on their way."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from curate.filtering.mojibake import FENCE, MOJIBAKE_MARKS
from curate.filtering.noticing import Noticed, any_turn, look_at
from curate.filters.byte_scan import texts_with_controls

if TYPE_CHECKING:
    import polars as pl

REPLACEMENT = "\ufffd"
CONTROLS = [chr(code) for code in (*range(9), 11, 12, *range(14, 32), 127)]
MARKS = "|".join(map(re.escape, (REPLACEMENT, *MOJIBAKE_MARKS)))
"""All of them hold a character beyond ASCII."""
_MOJIBAKE = re.compile("|".join(map(re.escape, MOJIBAKE_MARKS)))
_CONTROL = re.compile("[" + "".join(map(re.escape, CONTROLS)) + "]")


@dataclass(frozen=True, slots=True)
class EncodingDamage:
    """Replacement characters, text decoded twice, control characters; what `curate clean unicode` left."""

    rule_version: ClassVar[int] = 1

    min_count: int = 1
    """Damaged places in one message."""
    control_characters: bool = True
    """Whether they count."""

    def notice(self, texts: "pl.DataFrame") -> "pl.DataFrame":
        """Messages with such places outside of fenced code."""
        import polars as pl

        content = pl.col("content")
        foreign = texts.filter(content.str.len_bytes() != content.str.len_chars())
        picked = foreign.filter(content.str.contains(MARKS))
        if self.control_characters:
            controls = texts[texts_with_controls(texts.get_column("content"))]
            picked = pl.concat([picked, controls]).unique("row", maintain_order=True)
        return look_at(picked, None, self._judge)

    def _judge(self, text: str) -> Noticed | None:
        prose = "".join(text.split(FENCE)[::2])
        kinds = {
            "replacement characters": [match.start() for match in re.finditer(REPLACEMENT, prose)],
            "decoded twice": [match.start() for match in _MOJIBAKE.finditer(prose)],
            "control characters": [match.start() for match in _CONTROL.finditer(prose)],
        }
        if not self.control_characters:
            del kinds["control characters"]
        places = sorted(place for found in kinds.values() for place in found)
        if len(places) < self.min_count:
            return None
        label = max(kinds, key=lambda kind: len(kinds[kind]))
        first = min(kinds[label])
        return label, float(len(places)), prose[max(0, first - 20) : first + 20], first

    def drops(self, turns: "pl.DataFrame") -> "pl.DataFrame":
        """By any message."""
        return any_turn(turns)
