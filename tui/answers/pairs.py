"""Pairs of responses, those that labelers decided and those that selections hold, read from a store."""

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from label.comparing.scales import SCALES
from store.errors import UnknownName
from store.named_sql import named_sql
from tui.answers.message_texts import contents, path_to
from tui.answers.sheet import Sheet
from tui.listing import Column, Line, ManyLines, number
from tui.query import Filter
from tui.response_set import Text, TextsView

if TYPE_CHECKING:
    from store.db import Reading, Store

COLUMNS = (
    Column("state", 8),
    Column("strength", 14),
    Column("gap", 6, is_number=True),
    Column("by", 14),
    Column("prompt", 0),
)
SHEET = (
    "id UUID, prompt_id UUID, chosen_id UUID, rejected_id UUID, selection VARCHAR, labeler VARCHAR,"
    " state VARCHAR, scale VARCHAR, gap DOUBLE, strength VARCHAR, part VARCHAR,"
    " score_chosen DOUBLE, score_rejected DOUBLE"
)
CHOSEN = ("win", "weak", "chosen")
"""States in which the first response is the better one."""
ORDER = "selection NULLS LAST, labeler, prompt_id, id"


class StorePairs:
    """The pairs of a store, followed by newer versions only."""

    def __init__(self, store: "Store") -> None:
        self._store = store
        self._lock = threading.Lock()
        self._sheet = Sheet(SHEET, ORDER)
        self._followed_to = -1

    def close(self) -> None:
        """Give the memory back."""
        self._sheet.close()

    def pairs(self, wanted: Filter) -> ManyLines:
        """The pairs a filter keeps."""
        with self._lock:
            self._follow()
        ids = self._sheet.select(wanted)
        some = f"{len(ids):,} of " if wanted.text else ""
        return ManyLines(ids, COLUMNS, f"{some}{len(self._sheet):,} pairs", self._lines)

    def members(self, wanted: Filter) -> list[tuple[str, str, str]]:
        """Prompt, chosen and rejected of the pairs a filter keeps."""
        ids = self.pairs(wanted).keys
        rows = self._sheet.rows(list(ids))
        found = (rows[one] for one in ids)
        return [(str(row["prompt_id"]), str(row["chosen_id"]), str(row["rejected_id"])) for row in found]

    def decided(self, key: str) -> tuple[str, str, str] | None:
        """Prompt, chosen and rejected of a pair; None where nobody chose."""
        self.pairs(Filter())
        row = self._sheet.rows([key]).get(key)
        if row is None or row["state"] not in CHOSEN:
            return None
        return str(row["prompt_id"]), str(row["chosen_id"]), str(row["rejected_id"])

    def _follow(self) -> None:
        after = {"after": self._followed_to}
        with self._store.read() as reading:
            if reading.version == self._followed_to:
                return
            changed = reading.arrow(
                "SELECT DISTINCT CAST(prompt_id AS BLOB) AS id FROM comparisons WHERE version > $after", after
            )
            compared = reading.arrow(named_sql("tui", "pairs_compared"), after)
            selected = reading.arrow(named_sql("tui", "pairs_selected"), after)
            newest = reading.version
        self._sheet.forget("prompt_id", changed, "selection IS NULL")
        self._sheet.put(compared)
        self._sheet.put(selected)
        self._sheet.change(STRENGTHS)
        self._followed_to = newest

    def _lines(self, ids: Sequence[str]) -> list[Line]:
        rows = self._sheet.rows(ids)
        prompts = sorted({str(row["prompt_id"]) for row in rows.values()})
        with self._store.read() as reading:
            found = contents(reading, prompts, reading.version)
        texts = {one: turn.content for one, turn in found.items()}
        return [_line(rows[one], texts.get(str(rows[one]["prompt_id"]), "")) for one in ids if one in rows]

    def pair(self, key: str) -> TextsView:
        """A pair with its texts."""
        self.pairs(Filter())
        row = self._sheet.rows([key]).get(key)
        if row is None:
            raise UnknownName(f"no pair {key}")
        sides = [str(row["chosen_id"]), str(row["rejected_id"])]
        with self._store.read() as reading:
            prompt = _prompt_path(reading, str(row["prompt_id"]), sides[0])
            found = contents(reading, [*prompt, *sides], reading.version)
            rewards = {one: _rewards(reading, one) for one in sides}
        names = ("chosen", "rejected") if row["state"] in CHOSEN else ("first", "second")
        scores = (row["score_chosen"], row["score_rejected"])
        return TextsView(
            " · ".join(filter(None, _said(row))),
            tuple(found[step] for step in prompt if step in found),
            tuple(
                Text(
                    " · ".join([name, *([f"score {score:.4f}"] if score is not None else []), *rewards[one]]),
                    found[one].content if one in found else "",
                )
                for name, score, one in zip(names, scores, sides, strict=True)
            ),
        )


def _strengths() -> str:
    """The SQL that names the strength of a gap by its scale, as `label compare` does."""
    cases = [
        f"WHEN scale = '{scale.name}' AND gap >= {size} THEN '{name}'"
        for scale in SCALES.values()
        for name, size in scale.strengths
    ]
    cases += [f"WHEN scale = '{scale.name}' THEN '{scale.strengths[-1][0]}'" for scale in SCALES.values()]
    return (
        f"UPDATE sheet SET strength = CASE {' '.join(cases)} END"
        " WHERE strength IS NULL AND selection IS NULL AND state IN ('win', 'weak')"
    )


STRENGTHS = _strengths()


def _said(row: dict[str, Any]) -> list[str]:
    return [
        row["state"],
        row["strength"] or "",
        f"gap {row['gap']:.3f}" if row["gap"] is not None else "",
        row["labeler"] or f"selection {row['selection']}",
        row["part"] or "",
        row["scale"] or "",
    ]


def _line(row: dict[str, Any], text: str) -> Line:
    who = row["labeler"] or row["selection"]
    return Line(row["id"], (row["state"], row["strength"] or "–", number(row["gap"], ".2f"), who, text))


def _prompt_path(reading: "Reading", prompt_id: str, response_id: str) -> list[str]:
    """The turns before the responses; a verdict on whole conversations has those of the first one."""
    known = reading.rows("SELECT 1 FROM messages WHERE message_id = CAST(? AS UUID)", [prompt_id])
    return path_to(reading, prompt_id) if known else path_to(reading, response_id)[:-1]


def _rewards(reading: "Reading", response_id: str) -> list[str]:
    rows = reading.rows(
        "SELECT reward_model, value FROM current_rewards"
        " WHERE response_id = CAST(? AS UUID) AND value IS NOT NULL ORDER BY reward_model",
        [response_id],
    )
    return [f"{model} {value:.4f}" for model, value in rows]
