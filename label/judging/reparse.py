"""Stored answers read again with today's parsers: free, and a label that stays the same stays as it is."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import UUID

from label.comparing.scales import LOGPROB, scale_of
from label.comparing.verdict import VERDICT_PARSER, opinion_of
from label.engine.calls import Completion, stored_first_token
from label.judging.outcome import outcome_of
from label.judging.parse import PARSER_VERSION
from label.judging.rating_scales import known_scale
from store.errors import UnknownName
from store.named_sql import named_sql
from store.runs import run_of, utc_now

if TYPE_CHECKING:
    from store.db import Store

LABELS_AT_ONCE = 20_000
"""Labels that are in memory together with their answers."""

ANSWER_COLUMNS = ("first_", "repair_")
"""How the columns begin that come from the answers, not from the label."""

Row = dict[str, Any]
Fresh = dict[str, Any]
"""The columns of a label that a parser decides."""


@dataclass(slots=True)
class Reparsed:
    """What reading again came to, over ratings and comparisons."""

    read: int = 0
    changed: int = 0
    """Labels that say something else now."""
    confirmed: int = 0
    """Labels of an older parser that say the same; stored anew under today's version."""
    unknown: int = 0
    """Labels on a scale that is not ours, or whose repair was not kept: left as they are."""
    changes: Counter[str] = field(default_factory=Counter)
    """From what to what."""

    def counts(self) -> dict[str, object]:
        """The counts that a script reads."""
        same = self.read - self.changed - self.confirmed - self.unknown
        return {
            "read": self.read,
            "unchanged": same,
            "changed": self.changed,
            "confirmed": self.confirmed,
            "unknown": self.unknown,
            "changes": dict(self.changes.most_common()),
        }


@dataclass(frozen=True, slots=True)
class Kind:
    """A table of labels that were read from answers."""

    table: str
    query: str
    parser_version: str
    parse: Callable[[Row, Completion], Fresh | None]
    """What an answer says, on the scale of a row; None for a scale that is not ours."""
    verdict: str
    """The column that is compared first in the words of a report."""


def reparse_store(store: "Store", labeler: str | None = None) -> Reparsed:
    """Read the answers behind every judge's labels again, or behind one's.

    Raises UnknownName for a labeler without labels.
    """
    buckets = _buckets(store, labeler)
    found = Reparsed()
    with run_of(
        store, "label reparse", {"labeler": labeler, "parsers": [kind.parser_version for kind in KINDS]}
    ) as run:
        for kind in KINDS:
            for bucket in range(buckets):
                rows = _changed_rows(
                    store, kind, found, {"labeler": labeler, "buckets": buckets, "bucket": bucket}
                )
                if rows:
                    stamped = {"created_at": utc_now().isoformat(), "run_id": run.run_id}
                    with store.write(run.run_id) as writing:
                        writing.append(kind.table, [{**row, **stamped} for row in rows])
        run.finish(found.counts())
    return found


def count_reparse(store: "Store", labeler: str | None = None) -> Reparsed:
    """What `reparse_store` would come to; nothing is written."""
    buckets = _buckets(store, labeler)
    found = Reparsed()
    for kind in KINDS:
        for bucket in range(buckets):
            _changed_rows(store, kind, found, {"labeler": labeler, "buckets": buckets, "bucket": bucket})
    return found


def _buckets(store: "Store", labeler: str | None) -> int:
    with store.read() as reading:
        if labeler is not None:
            names = [name for (name,) in reading.rows(named_sql("label", "judges"))]
            if labeler not in names:
                raise UnknownName.of("judge", labeler, names)
        ((labels,),) = reading.rows(named_sql("label", "reparse_size"))
    return 1 + int(labels) // LABELS_AT_ONCE


def _changed_rows(store: "Store", kind: Kind, found: Reparsed, params: Mapping[str, object]) -> list[Row]:
    with store.read() as reading:
        rows = reading.dicts(named_sql("label", kind.query), params)
    return [fresh for row in rows if (fresh := _read_again(kind, row, found)) is not None]


def _read_again(kind: Kind, row: Row, found: Reparsed) -> Row | None:
    """The row that replaces ROW, if one has to."""
    found.read += 1
    first, repair = (_completion(row, name) for name in ("first", "repair"))
    stored = {name: _plain(value) for name, value in row.items() if not name.startswith(ANSWER_COLUMNS)}
    fresh = kind.parse(row, first) if first else None
    if fresh is not None and fresh["state"] == "unparsed" and repair is not None:
        fresh = kind.parse(row, repair)
    elif fresh is not None and fresh["state"] == "unparsed" != row["state"] and _is_repaired(row):
        fresh = None  # a repair decided it that was not kept
    if fresh is None:
        found.unknown += 1
        return None
    return _replacement(kind, stored, fresh, found)


def _is_repaired(row: Row) -> bool:
    """Whether an answer that cannot be read is asked for once more: probabilities are not."""
    return bool(row["scale"] != LOGPROB.name)


def _replacement(kind: Kind, stored: Row, fresh: Fresh, found: Reparsed) -> Row | None:
    if any(stored[name] != value for name, value in fresh.items() if name != "explanation"):
        found.changed += 1
        found.changes[f"{_said(kind, stored)} → {_said(kind, fresh)}"] += 1
    elif stored["parser_version"] != kind.parser_version:
        found.confirmed += 1
    else:
        return None
    return {**stored, **fresh, "parser_version": kind.parser_version}


def _said(kind: Kind, row: Mapping[str, Any]) -> str:
    value = row[kind.verdict]
    return str(row["state"]) if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, UUID) else value


def _completion(row: Row, name: str) -> Completion | None:
    state = row[f"{name}_state"]
    if state is None:
        return None
    tokens = stored_first_token(row.get(f"{name}_logprobs"))
    return Completion("", state, row[f"{name}_reply"], row[f"{name}_error"], tokens)


def _parse_rating(row: Row, completion: Completion) -> Fresh | None:
    scale = known_scale(row["template"], row["scale"], row["aspect"])
    if scale is None:
        return None
    outcome = outcome_of(completion, scale)
    value = None if outcome.value is None else float(outcome.value)
    return {"value": value, "state": outcome.state, "explanation": outcome.explanation}


def _parse_comparison(row: Row, completion: Completion) -> Fresh | None:
    try:
        scale = scale_of(row["scale"])
    except UnknownName:
        return None
    opinion = opinion_of(completion, scale)
    return {
        "native_label": opinion.native_label,
        "signed_margin": opinion.signed_margin,
        "state": opinion.state,
        "explanation": opinion.explanation,
    }


KINDS = (
    Kind("ratings", "reparse_ratings", PARSER_VERSION, _parse_rating, "value"),
    Kind("comparisons", "reparse_comparisons", VERDICT_PARSER, _parse_comparison, "native_label"),
)
