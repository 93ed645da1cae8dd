"""The numbers of `curate report`, all counted in the store: what is there, and what was left out and why."""

from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curate.reporting.class_ratings import ratings_by_class
from curate.reporting.stats import BY_CLASS, BY_SOURCE, MODELS_BY_CLASS, MODELS_BY_SOURCE, groups, prepare

if TYPE_CHECKING:
    from store.db import Store

EXAMPLES_PER_RULE = 3
EXCERPT = 300
"""Characters shown of a text."""
MOST_TURNS = 20
"""Conversations with more stand in the last bar."""

CONVERSATIONS = """
SELECT
    count(*) AS "all",
    count(*) FILTER (is_current) AS current,
    count(*) FILTER (NOT is_current AND verdict IS NOT DISTINCT FROM 'drop') AS dropped,
    count(*) FILTER (NOT is_current AND verdict IS DISTINCT FROM 'drop') AS superseded
FROM all_conversations
"""

SOURCES = """
SELECT name, reader, path, license, sha256, records_read, records_kept, records_rejected
FROM current_sources
ORDER BY name, path
"""

REJECTS = """
SELECT sources.name AS source, rejects.reason AS reason, count(*) AS records, min(rejects.excerpt) AS example
FROM rejects
JOIN current_sources AS sources ON sources.source_id = rejects.source_id
GROUP BY ALL
ORDER BY records DESC, source, reason
LIMIT 200
"""

LANGUAGES = """
SELECT coalesce(language, 'not said') AS language, count(*) AS conversations
FROM current_conversations
GROUP BY ALL
ORDER BY conversations DESC, language
"""

TURNS = f"""
SELECT class, least(coalesce(measured.prompts, 0), {MOST_TURNS}) AS turns, count(*) AS conversations
FROM current_conversations AS conversations
LEFT JOIN measured ON measured.conversation_id = conversations.conversation_id
GROUP BY ALL
ORDER BY ALL
"""

LENGTHS = """
SELECT
    class,
    CAST(pow(2, floor(log2(greatest(1, coalesce(prompt_length, 0) + coalesce(completion_length, 0))))) AS BIGINT)
        AS at_least,
    count(*) AS conversations
FROM current_conversations AS conversations
LEFT JOIN measured ON measured.conversation_id = conversations.conversation_id
GROUP BY ALL
ORDER BY ALL
"""

DECISIONS = """
SELECT decided_by, decider_kind, verdict, reason, count(*) AS conversations
FROM latest_decisions
WHERE verdict <> 'undecided' AND target_kind = 'conversation'
GROUP BY ALL
ORDER BY verdict, conversations DESC, decided_by, reason
"""

STEPS = """
SELECT split_part(split_part(derived_step, ':', 1), ',', 1) AS step, count(*) AS conversations
FROM conversations
WHERE derived_step IS NOT NULL
GROUP BY ALL
ORDER BY conversations DESC, step
"""

DROPPED_EXAMPLES = f"""
WITH chosen AS (
    SELECT target_id, decided_by, reason, evidence
    FROM latest_decisions
    WHERE verdict = 'drop' AND target_kind = 'conversation'
    QUALIFY row_number() OVER (PARTITION BY decided_by ORDER BY md5(CAST(target_id AS VARCHAR)))
        <= {EXAMPLES_PER_RULE}
),
turns AS (
    SELECT
        conversations.conversation_id,
        unnest(conversations.message_ids) AS message_id,
        generate_subscripts(conversations.message_ids, 1) AS position
    FROM conversations
    JOIN chosen ON chosen.target_id = conversations.conversation_id
),
texts AS (
    SELECT
        turns.conversation_id,
        list({{'role': messages.role, 'text': left(messages.content, {EXCERPT})}} ORDER BY turns.position)[:4] AS said
    FROM turns
    JOIN messages ON messages.message_id = turns.message_id
    GROUP BY turns.conversation_id
)
SELECT
    chosen.decided_by AS decided_by,
    'c1-' || replace(CAST(chosen.target_id AS VARCHAR), '-', '') AS conversation,
    chosen.reason AS reason,
    chosen.evidence AS evidence,
    texts.said AS said
FROM chosen
JOIN texts ON texts.conversation_id = chosen.target_id
ORDER BY chosen.decided_by, conversation
"""


def gather(store: "Store", tokenizer: Path | None) -> dict[str, Any]:
    """All numbers of the report, as plain values; lengths in tokens of the tokenizer at TOKENIZER or in words."""
    with store.read() as reading:
        unit = prepare(reading, tokenizer)
        decisions = reading.dicts(DECISIONS)
        return {
            "at_version": reading.version,
            "unit": unit,
            "conversations": reading.dicts(CONVERSATIONS)[0],
            "sources": reading.dicts(SOURCES),
            "by_source": [asdict(one) for one in groups(reading, BY_SOURCE, MODELS_BY_SOURCE)],
            "by_class": [asdict(one) for one in groups(reading, BY_CLASS, MODELS_BY_CLASS)],
            "turns": reading.dicts(TURNS),
            "lengths": reading.dicts(LENGTHS),
            "ratings": ratings_by_class(lambda: nullcontext(reading)),
            "languages": reading.dicts(LANGUAGES),
            "steps": reading.dicts(STEPS),
            "duplicates": [one for one in decisions if _is_about(one, "dedup")],
            "contamination": [one for one in decisions if _is_about(one, "decontaminat")],
            "decisions": decisions,
            "examples": reading.dicts(DROPPED_EXAMPLES),
            "rejects": reading.dicts(REJECTS),
        }


def _is_about(decision: dict[str, Any], rule: str) -> bool:
    return decision["decider_kind"] is not None and str(decision["decided_by"]).startswith(rule)
