"""`curate trace`: from any thing back to the record it came from, and forward to all it reached."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from curate.looking.finding import Found, find, find_export_row
from curate.looking.trace_row import TracedRow, trace_row
from store.db import Reading, Store
from store.errors import RequestError
from store.ids import to_text


@dataclass(frozen=True, slots=True)
class Trace:
    """Where a thing came from and what it led to; every entry is one row by column name."""

    of: str
    """The id that was asked for."""
    conversations: tuple[Mapping[str, Any], ...]
    """Back: the records, each with its source's file, sha256, record numbers, line and byte offset."""
    ratings: tuple[Mapping[str, Any], ...]
    comparisons: tuple[Mapping[str, Any], ...]
    decisions: tuple[Mapping[str, Any], ...]
    export_rows: tuple[Mapping[str, Any], ...]
    """Forward: training rows it is part of."""
    samples: tuple[Mapping[str, Any], ...] = ()
    """Draws of a policy that one of its messages is."""
    rewards: tuple[Mapping[str, Any], ...] = ()
    row: TracedRow | None = None
    """Of a row of an export: what each of its messages was to it."""


def trace(store: Store, given: str) -> Trace:
    """Follow a conversation, a message or one row of an export.

    Raises RequestError if GIVEN names nothing in the store.
    """
    with store.read() as reading:
        if ":" not in given:
            return _gather(reading, given, *_of_id(reading, find(reading, given)))
        export, row = find_export_row(reading, given)
        back = _of_export_row(reading, export, row)
        return replace(_gather(reading, given, *back), row=trace_row(reading, export, row))


def _of_export_row(reading: Reading, export: str, row: int) -> tuple[list[str], list[str]]:
    rows = reading.rows(
        "SELECT CAST(conversation_id AS VARCHAR), CAST(message_ids AS VARCHAR[]) FROM export_rows"
        " WHERE export_id = CAST(? AS UUID) AND row_number = ?",
        [export, row],
    )
    if not rows:
        raise RequestError(f"export {to_text('x1', export)} has no row {row}")
    conversation, messages = rows[0]
    if conversation is None:  # a pair: whatever record brought one of its messages
        return _conversations_with(reading, messages), list(messages)
    return [conversation], list(messages)


def _conversations_with(reading: Reading, messages: list[str]) -> list[str]:
    sql = (
        "SELECT CAST(conversation_id AS VARCHAR) FROM conversations"
        " WHERE list_has_any(message_ids, CAST(? AS UUID[])) ORDER BY 1"
    )
    return [row[0] for row in reading.rows(sql, [messages])]


def _of_id(reading: Reading, found: Found) -> tuple[list[str], list[str]]:
    if found.tag == "x1":
        raise RequestError(f"which row of {found.text}? say {found.text}:0 for the first")
    if found.tag == "m1":
        return _conversations_with(reading, [found.uuid]), [found.uuid]
    sql = "SELECT CAST(message_ids AS VARCHAR[]) FROM conversations WHERE conversation_id = CAST(? AS UUID)"
    return [found.uuid], list(reading.rows(sql, [found.uuid])[0][0])


CONVERSATIONS = """
SELECT
    'c1-' || replace(CAST(conversation_id AS VARCHAR), '-', '') AS conversation,
    source,
    current_sources.path AS path,
    current_sources.sha256 AS sha256,
    current_sources.license AS license,
    all_conversations.reader AS reader,
    external_id,
    model,
    class,
    record_numbers,
    line,
    byte_offset,
    verdict,
    all_conversations.version AS version
FROM all_conversations
LEFT JOIN current_sources
    ON all_conversations.source_id = current_sources.source_id
WHERE list_contains($conversations, CAST(conversation_id AS VARCHAR))
ORDER BY conversation
"""

RATINGS = """
SELECT
    'm1-' || replace(CAST(response_id AS VARCHAR), '-', '') AS message,
    labeler, template, scale, aspect, draw_index, value, current_ratings.state AS state, run_id,
    sources.path AS path, record_number
FROM current_ratings
LEFT JOIN current_sources AS sources
    ON sources.source_id = current_ratings.source_id
WHERE list_contains($messages, CAST(response_id AS VARCHAR))
ORDER BY ALL
"""

COMPARISONS = """
SELECT
    'p1-' || replace(CAST(comparison_id AS VARCHAR), '-', '') AS comparison,
    labeler, labeler_kind, scale, native_label, signed_margin, current_comparisons.state AS state,
    sources.path AS path, record_number
FROM current_comparisons
LEFT JOIN current_sources AS sources
    ON sources.source_id = current_comparisons.source_id
WHERE list_contains($messages, CAST(response_a_id AS VARCHAR))
    OR list_contains($messages, CAST(response_b_id AS VARCHAR))
ORDER BY ALL
"""

SAMPLES = """
SELECT
    'm1-' || replace(CAST(response_id AS VARCHAR), '-', '') AS message,
    policy, sample_index, sampling, finish_reason, run_id
FROM samples
WHERE list_contains($messages, CAST(response_id AS VARCHAR))
ORDER BY ALL
"""

REWARDS = """
SELECT
    'm1-' || replace(CAST(response_id AS VARCHAR), '-', '') AS message,
    reward_model, revision, value, state
FROM current_rewards
WHERE list_contains($messages, CAST(response_id AS VARCHAR))
ORDER BY ALL
"""

DECISIONS = """
SELECT target_kind, verdict, reason, decided_by, decided_at, version
FROM decisions
WHERE list_contains($conversations, CAST(target_id AS VARCHAR))
    OR list_contains($messages, CAST(target_id AS VARCHAR))
ORDER BY version, seq
"""

EXPORT_ROWS = """
SELECT
    'x1-' || replace(CAST(exports.export_id AS VARCHAR), '-', '') AS export,
    exports.recipe AS recipe,
    exports.layout AS layout,
    exports.path AS path,
    export_rows.row_number AS row_number,
    export_rows.source_class AS source_class,
    exports.at_version AS at_version
FROM export_rows
JOIN exports
    ON export_rows.export_id = exports.export_id
WHERE list_contains($conversations, CAST(export_rows.conversation_id AS VARCHAR))
    OR (
        export_rows.conversation_id IS NULL
        AND list_has_any(CAST(export_rows.message_ids AS VARCHAR[]), $messages)
    )
ORDER BY exports.version, export_rows.row_number
"""


def _gather(reading: Reading, given: str, conversations: list[str], messages: list[str]) -> Trace:
    def rows(sql: str) -> tuple[Mapping[str, Any], ...]:
        named = {"conversations": conversations, "messages": messages}
        return tuple(reading.dicts(sql, {name: value for name, value in named.items() if f"${name}" in sql}))

    return Trace(
        given,
        rows(CONVERSATIONS),
        rows(RATINGS),
        rows(COMPARISONS),
        rows(DECISIONS),
        rows(EXPORT_ROWS),
        rows(SAMPLES),
        rows(REWARDS),
    )
