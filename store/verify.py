"""`curate verify`: re-derive every hash and check every reference of a store."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

from store.db import Reading, Store
from store.ids import ROOT, conversation_digest, derived_digest, message_digest

BATCH_ROWS = 20_000

REFERENCES = {
    "message_parent": """
        SELECT count(*) FROM messages WHERE parent_id IS NOT NULL
        AND parent_id NOT IN (SELECT message_id FROM messages)""",
    "message_twice": "SELECT count(*) - count(DISTINCT message_id) FROM messages",
    "conversation_twice": "SELECT count(*) - count(DISTINCT conversation_id) FROM conversations",
    "conversation_leaf": "SELECT count(*) FROM conversations WHERE message_ids[-1] IS DISTINCT FROM leaf_id",
    "conversation_source": """
        SELECT count(*) FROM conversations WHERE source_id NOT IN (SELECT source_id FROM sources)""",
    "conversation_derived_from": """
        SELECT count(*) FROM conversations WHERE derived_from IS NOT NULL
        AND derived_from NOT IN (SELECT conversation_id FROM conversations)""",
    "conversation_path": """
        SELECT count(*)
        FROM (
            SELECT
                unnest(message_ids) AS message_id,
                unnest(list_prepend(NULL, message_ids[:-2])) AS parent_id,
                generate_subscripts(message_ids, 1) - 1 AS depth
            FROM conversations
        ) AS steps
        LEFT JOIN messages
            ON steps.message_id = messages.message_id
        WHERE messages.message_id IS NULL
            OR messages.parent_id IS DISTINCT FROM steps.parent_id
            OR messages.depth <> steps.depth""",
    "rating_message": "SELECT count(*) FROM ratings WHERE response_id NOT IN (SELECT message_id FROM messages)",
    "rating_completion": """
        SELECT count(*) FROM ratings WHERE request_key IS NOT NULL
        AND request_key NOT IN (SELECT request_key FROM completions)""",
    "comparison_message": """
        SELECT count(*) FROM comparisons WHERE prompt_id NOT IN (SELECT message_id FROM messages)
        OR response_a_id NOT IN (SELECT message_id FROM messages)
        OR response_b_id NOT IN (SELECT message_id FROM messages)""",
    "comparison_completion": """
        SELECT count(*) FROM comparisons WHERE request_key IS NOT NULL
        AND request_key NOT IN (SELECT request_key FROM completions)""",
    "canary_completion": """
        SELECT count(*) FROM canaries WHERE request_key NOT IN (SELECT request_key FROM completions)""",
    "sample_message": """
        SELECT count(*) FROM samples WHERE prompt_id NOT IN (SELECT message_id FROM messages)
        OR response_id NOT IN (SELECT message_id FROM messages)""",
    "sample_twice": """
        SELECT count(*) - count(DISTINCT (prompt_id, policy, sampling, sample_index))
        FROM samples WHERE source_id IS NULL""",
    "sample_reject_prompt": """
        SELECT count(*) FROM sample_rejects WHERE prompt_id NOT IN (SELECT message_id FROM messages)""",
    "decision_target": """
        SELECT count(*) FROM decisions WHERE target_kind = 'conversation'
        AND target_id NOT IN (SELECT conversation_id FROM conversations)""",
    "decision_verdict": "SELECT count(*) FROM decisions WHERE verdict NOT IN ('keep', 'drop', 'undecided')",
    "bookmark_target": """
        SELECT count(*) FROM marks WHERE mark IN ('bookmark', 'unbookmark')
        AND (target_kind = 'conversation' AND target_id NOT IN (SELECT conversation_id FROM conversations)
        OR target_kind = 'prompt' AND target_id NOT IN (SELECT message_id FROM messages))""",
    "screening_counts": """
        SELECT count(*) FROM screenings WHERE seen <> kept + dropped OR to_version >= version""",
    "sketch_conversation": """
        SELECT count(*) FROM sketches WHERE conversation_id NOT IN (SELECT conversation_id FROM conversations)""",
    "sketch_twice": "SELECT count(*) - count(DISTINCT (conversation_id, part, method)) FROM sketches",
    "compared_twice": "SELECT count(*) - count(DISTINCT (method, text_hash_a, text_hash_b)) FROM compared_texts",
    "reward_message": """
        SELECT count(*) FROM rewards WHERE prompt_id NOT IN (SELECT message_id FROM messages)
        OR response_id NOT IN (SELECT message_id FROM messages)""",
    "selection_row_count": """
        SELECT count(*) FROM selections WHERE row_count <>
        (SELECT count(*) FROM selection_prompts AS rows WHERE rows.selection_id = selections.selection_id)
        + (SELECT count(*) FROM selection_conversations AS rows WHERE rows.selection_id = selections.selection_id)
        + (SELECT count(*) FROM selection_pairs AS rows WHERE rows.selection_id = selections.selection_id)""",
    "selection_conversation": """
        SELECT count(*) FROM selection_conversations
        WHERE conversation_id NOT IN (SELECT conversation_id FROM conversations)""",
    "selection_prompt": """
        SELECT count(*) FROM selection_prompts WHERE prompt_id NOT IN (SELECT message_id FROM messages)""",
    "selection_pair": """
        SELECT count(*) FROM selection_pairs WHERE prompt_id NOT IN (SELECT message_id FROM messages)
        OR chosen_id NOT IN (SELECT message_id FROM messages) OR rejected_id NOT IN (SELECT message_id FROM messages)
        OR chosen_id = rejected_id""",
    "label_source": """
        SELECT count(*)
        FROM (
            SELECT source_id FROM comparisons
            UNION ALL SELECT source_id FROM ratings
            UNION ALL SELECT source_id FROM samples
            UNION ALL SELECT source_id FROM rewards
        ) AS labels
        WHERE source_id IS NOT NULL AND source_id NOT IN (SELECT source_id FROM sources)""",
    "batch_request_batch": """
        SELECT count(*) FROM batch_requests WHERE batch_id NOT IN (SELECT batch_id FROM batches)""",
    "batch_size": """
        SELECT count(*) FROM current_batches WHERE n_requests <>
        (SELECT count(*) FROM batch_requests WHERE batch_requests.batch_id = current_batches.batch_id)""",
    "batch_outcome_request": """
        SELECT count(*) FROM batch_outcomes AS outcomes
        ANTI JOIN batch_requests AS requests USING (batch_id, request_key)""",
    "batch_outcome_twice": "SELECT count(*) - count(DISTINCT (batch_id, request_key)) FROM batch_outcomes",
    "batch_outcome_completion": """
        SELECT count(*) FROM batch_outcomes WHERE state <> 'again'
        AND request_key NOT IN (SELECT request_key FROM completions)""",
    "batch_collected": """
        SELECT count(*) FROM current_batches WHERE state IN ('collected', 'labelled') AND n_requests <>
        (SELECT count(*) FROM batch_outcomes WHERE batch_outcomes.batch_id = current_batches.batch_id)""",
    "request_in_two_open_batches": "SELECT count(*) - count(DISTINCT request_key) FROM open_batch_requests",
    "reject_source": "SELECT count(*) FROM rejects WHERE source_id NOT IN (SELECT source_id FROM sources)",
    "reject_twice": "SELECT count(*) - count(DISTINCT (source_id, record_number)) FROM rejects",
    "source_counts": """
        SELECT count(*) FROM current_sources WHERE state = 'finished'
        AND records_read <> records_kept + records_rejected""",
    "source_rejects": """
        SELECT count(*) FROM current_sources WHERE state = 'finished' AND records_rejected <>
        (SELECT count(*) FROM rejects WHERE rejects.source_id = current_sources.source_id)""",
    "export_conversation": """
        SELECT count(*) FROM export_rows WHERE conversation_id NOT IN (SELECT conversation_id FROM conversations)""",
    "export_row_count": """
        SELECT count(*) FROM exports WHERE row_count <>
        (SELECT count(*) FROM export_rows WHERE export_rows.export_id = exports.export_id)""",
    "version_gap": "SELECT coalesce(max(version), 0) - count(DISTINCT version) FROM versions",
}
"""Problem → a query that counts it; each must give 0."""


@dataclass(frozen=True, slots=True)
class Verification:
    """What was checked and what is wrong."""

    checked: dict[str, int]
    """Table → rows whose hash was re-derived."""
    problems: dict[str, int]
    """Name of a problem → how often; empty when all is well."""

    @property
    def is_ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


def verify(store: Store) -> Verification:
    """Check the whole store at the handle's version."""
    with store.read() as reading:
        problems = {name: int(reading.rows(query)[0][0]) for name, query in REFERENCES.items()}
        problems |= dict(_miscounted_versions(reading))
        messages, wrong_messages = _count_wrong(_message_hashes(reading))
        conversations, wrong_conversations = _count_wrong(_conversation_hashes(reading))
    problems |= {"message_hash": wrong_messages, "conversation_hash": wrong_conversations}
    return Verification(
        {"messages": messages, "conversations": conversations},
        {name: count for name, count in sorted(problems.items()) if count},
    )


def _count_wrong(checks: Iterator[bool]) -> tuple[int, int]:
    checked = wrong = 0
    for is_right in checks:
        checked += 1
        wrong += not is_right
    return checked, wrong


def _message_hashes(reading: Reading) -> Iterator[bool]:
    sql = """
        SELECT CAST(message_id AS VARCHAR) AS id, CAST(parent_id AS VARCHAR) AS parent, role, content
        FROM messages"""
    for batch in reading.batches(sql, rows=BATCH_ROWS):
        columns = [batch.column(i).to_pylist() for i in range(4)]
        for message_id, parent, role, content in zip(*columns, strict=True):
            yield message_digest(_bytes(parent) if parent else ROOT, role, content) == _bytes(message_id)


def _conversation_hashes(reading: Reading) -> Iterator[bool]:
    sql = """
        SELECT
            CAST(conversation_id AS VARCHAR) AS id, reader, external_id,
            CAST(leaf_id AS VARCHAR) AS leaf, model, occurrence,
            CAST(derived_from AS VARCHAR) AS derived_from, derived_step
        FROM conversations"""
    for batch in reading.batches(sql, rows=BATCH_ROWS):
        columns = [batch.column(i).to_pylist() for i in range(8)]
        for conversation_id, *record, derived_from, step in zip(*columns, strict=True):
            reader, external_id, leaf, model, occurrence = record
            if derived_from is None:
                digest = conversation_digest(reader, external_id, _bytes(leaf), model, occurrence)
            else:
                digest = derived_digest(_bytes(derived_from), step or "", _bytes(leaf))
            yield digest == _bytes(conversation_id)


def _bytes(uuid: str) -> bytes:
    return bytes.fromhex(uuid.replace("-", ""))


def _miscounted_versions(reading: Reading) -> Iterator[tuple[str, int]]:
    """Versions whose note of rows by table differs from what the tables hold."""
    noted: dict[str, int] = {}
    for (rows,) in reading.rows("SELECT rows_by_table FROM versions"):
        for table, count in json.loads(rows).items():
            noted[table] = noted.get(table, 0) + count
    for table, count in noted.items():
        (held,) = reading.rows(f"SELECT count(*) FROM {_plain_name(table)} WHERE version > 0")[0]
        if held != count:
            yield f"rows_of_{table}", abs(held - count)


def _plain_name(table: str) -> str:
    if not table.replace("_", "").isalnum():
        raise ValueError(table)
    return table
