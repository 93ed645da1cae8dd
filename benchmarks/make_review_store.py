"""A store for `review` to be measured on: conversations with ratings and decisions, response sets with rewards.

Run: python benchmarks/make_review_store.py PATH [--conversations 1000000] [--draws 6000000]
Made by set-based SQL. Ids are hashes of row numbers, not of the messages, which the screens do not mind and
`curate verify` would. A response has 1,250 characters on the mean, one line of them repeated, so that the
file is smaller than one of real texts. The last version holds a conversation of 10 MB and one of 20,000 turns.
"""

import argparse
import hashlib
import time
import uuid
from pathlib import Path

from store.db import Store, Writing

CONVERSATIONS_PER_VERSION = 20_480
"""About what a second of ingest writes."""
PROMPTS_PER_VERSION = 2_000
RESPONSES = 64  # Xwin-LM, section 5.1
ROUNDS = 3
LONG_TURN = 10_000_000
MANY_TURNS = 20_000
JUDGE = ("gpt-4", "judge", "openchat-appendix-g", "rating10", "overall")

MESSAGES = """
SELECT
    md5(concat(c, '-', d))::UUID AS message_id,
    if(d = 0, NULL, md5(concat(c, '-', d - 1)))::UUID AS parent_id,
    if(d % 2 = 0, 'user', 'assistant') AS role,
    concat('turn ', d, ' of conversation ', c, ': ', repeat(md5(concat(c, d)) || ' ', 1 + (hash(c, d) % 6)::INTEGER))
        AS content,
    d::INTEGER AS depth
FROM range($first::BIGINT, $last::BIGINT) AS numbers(c), range(2 * $rounds::BIGINT) AS depths(d)
"""

CONVERSATIONS = """
SELECT
    md5(concat('c', c))::UUID AS conversation_id,
    md5(concat(c, '-', 2 * $rounds::BIGINT - 1))::UUID AS leaf_id,
    list_transform(range(2 * $rounds::BIGINT), lambda d: md5(concat(c, '-', d))::UUID) AS message_ids,
    md5(if(c % 3 = 0, 'part_a', 'part_b'))::UUID AS source_id,
    [c] AS record_numbers,
    c AS line,
    c AS byte_offset,
    'sharegpt' AS reader,
    'g' || c AS external_id,
    ['gpt-4', 'gpt-3.5-turbo', 'Mixtral-8x7B', ''][1 + (hash(c) % 4)::INTEGER] AS model,
    0::INTEGER AS occurrence,
    NULL::VARCHAR AS source_class,
    NULL::VARCHAR AS language,
    NULL::VARCHAR AS metadata,
    NULL::UUID AS derived_from,
    NULL::VARCHAR AS derived_step
FROM range($first::BIGINT, $last::BIGINT) AS numbers(c)
"""

RATINGS = """
SELECT
    md5(concat(c, '-', d))::UUID AS response_id,
    $labeler AS labeler, $kind AS labeler_kind, $template AS template, $scale AS scale, $aspect AS aspect,
    0::INTEGER AS draw_index,
    (1 + hash(c, d, 'rating') % 10)::DOUBLE AS value,
    'short reason' AS explanation,
    'done' AS state,
    NULL::UUID AS request_key,
    '1' AS parser_version,
    TIMESTAMP '2026-11-01 00:00:00' AS created_at,
    NULL::VARCHAR AS run_id
FROM range($first::BIGINT, $last::BIGINT) AS numbers(c), range(1, 2 * $rounds::BIGINT, 2) AS depths(d)
WHERE hash(c, 'rated') % 10 < 9 OR d < 4
"""

DECISIONS = """
SELECT
    'conversation' AS target_kind,
    md5(concat('c', c))::UUID AS target_id,
    if(hash(c, 'verdict') % 20 = 0, 'drop', 'keep') AS verdict,
    'generated' AS reason,
    NULL::VARCHAR AS evidence,
    'filter:generated/1' AS decided_by,
    TIMESTAMP '2026-11-01 00:00:00' AS decided_at,
    NULL::VARCHAR AS run_id,
    'filter' AS decider_kind
FROM range($first::BIGINT, $last::BIGINT) AS numbers(c)
WHERE hash(c, 'verdict') % 10 = 0
"""

PROMPTS = """
SELECT
    md5(concat('p', p))::UUID AS message_id,
    NULL::UUID AS parent_id,
    'user' AS role,
    concat('prompt ', p, ': ', repeat(md5(concat('p', p)) || ' ', 3 + (hash(p) % 30)::INTEGER)) AS content,
    0::INTEGER AS depth
FROM range($first::BIGINT, $last::BIGINT) AS numbers(p)
"""

RESPONSE_TEXTS = """
SELECT
    md5(concat('r', p, '-', i))::UUID AS message_id,
    md5(concat('p', p))::UUID AS parent_id,
    'assistant' AS role,
    concat('response ', i, ' to prompt ', p, ': ', repeat(md5(concat(p, i)) || ' ', 1 + (hash(p, i) % 74)::INTEGER))
        AS content,
    1::INTEGER AS depth
FROM range($first::BIGINT, $last::BIGINT) AS numbers(p), range($responses::BIGINT) AS indexes(i)
"""

SAMPLES = """
SELECT
    md5(concat('p', p))::UUID AS prompt_id,
    md5(concat('r', p, '-', i))::UUID AS response_id,
    i::INTEGER AS sample_index,
    'sft-70b' AS policy,
    '{"max_tokens": 2048, "temperature": 0.7}' AS sampling,
    (p * 64 + i)::BIGINT AS seed,
    'stop' AS finish_reason,
    (100 + hash(p, i) % 700)::INTEGER AS n_tokens
FROM range($first::BIGINT, $last::BIGINT) AS numbers(p), range($responses::BIGINT) AS indexes(i)
"""

REWARDS = """
SELECT
    md5(concat('p', p))::UUID AS prompt_id,
    md5(concat('r', p, '-', i))::UUID AS response_id,
    'rm-70b' AS reward_model,
    'bench' AS revision,
    ((hash(p, i, 'reward') % 10000) / 1000 - 5)::FLOAT AS value,
    (100 + hash(p, i) % 700)::INTEGER AS n_tokens,
    FALSE AS is_truncated,
    'done' AS state
FROM range($first::BIGINT, $last::BIGINT) AS numbers(p), range($responses::BIGINT) AS indexes(i)
"""


def generate(store: Store, conversations: int, draws: int) -> None:
    """Write CONVERSATIONS of three rounds each, nine in ten wholly rated, and prompts with DRAWS in sets of 64."""
    with store.write() as writing:
        writing.append("sources", [_source("part_a"), _source("part_b")])
        writing.append("source_classes", [_class("GPT4", "gpt-4*"), _class("GPT3", "gpt-3.5*")])
    prompts = draws // RESPONSES
    for first in range(0, prompts, PROMPTS_PER_VERSION):
        with store.write() as writing:
            write_sets(writing, first, min(prompts, first + PROMPTS_PER_VERSION))
    for first in range(0, conversations, CONVERSATIONS_PER_VERSION):
        with store.write() as writing:
            write_conversations(writing, first, min(conversations, first + CONVERSATIONS_PER_VERSION))
    with store.write() as writing:
        write_one(writing, "one long turn", ["question", "long " * (LONG_TURN // 5)])
        write_one(writing, "many turns", [f"turn {turn}" for turn in range(MANY_TURNS)])


def write_conversations(writing: Writing, first: int, last: int) -> None:
    """Conversations FIRST up to LAST."""
    span: dict[str, object] = {"first": first, "last": last}
    rounds = {**span, "rounds": ROUNDS}
    writing.append_from("messages", MESSAGES, rounds)
    writing.append_from("conversations", CONVERSATIONS, rounds)
    write_ratings(writing, first, last)
    writing.append_from("decisions", DECISIONS, span)


def write_ratings(writing: Writing, first: int, last: int) -> None:
    """The judge's ratings of conversations FIRST up to LAST."""
    judge = dict(zip(("labeler", "kind", "template", "scale", "aspect"), JUDGE, strict=True))
    writing.append_from("ratings", RATINGS, {"first": first, "last": last, "rounds": ROUNDS, **judge})


def write_sets(writing: Writing, first: int, last: int) -> None:
    """Prompts FIRST up to LAST with their responses, draws and rewards."""
    span: dict[str, object] = {"first": first, "last": last}
    writing.append_from("messages", PROMPTS, span)
    for table, select in (("messages", RESPONSE_TEXTS), ("samples", SAMPLES), ("rewards", REWARDS)):
        writing.append_from(table, select, {**span, "responses": RESPONSES})


def write_one(writing: Writing, name: str, texts: list[str]) -> None:
    """One conversation of TEXTS, users and assistants in turn."""
    path = [_uuid(f"{name} {step}") for step in range(len(texts))]
    roles = ["user", "assistant"] * (len(texts) // 2 + 1)
    writing.append(
        "messages",
        [
            {"message_id": one, "parent_id": parent, "role": role, "content": text, "depth": depth}
            for depth, (one, parent, role, text) in enumerate(
                zip(path, [None, *path], roles, texts, strict=False)
            )
        ],
    )
    row = {
        "conversation_id": _uuid(name),
        "leaf_id": path[-1],
        "message_ids": path,
        "source_id": _uuid("part_b"),
        "record_numbers": [0],
        "line": 0,
        "byte_offset": 0,
        "reader": "sharegpt",
        "external_id": name,
        "model": "gpt-4",
        "occurrence": 0,
    }
    writing.append("conversations", [row])


def _uuid(name: str) -> str:
    return str(uuid.UUID(hashlib.md5(name.encode()).hexdigest()))


def _source(name: str) -> dict[str, object]:
    return {
        "source_id": _uuid(name),
        "name": name,
        "reader": "sharegpt",
        "path": f"{name}.json",
        "sha256": "0" * 64,
        "bytes": 0,
        "settings": "{}",
        "state": "finished",
        "records_read": 0,
        "records_kept": 0,
        "records_rejected": 0,
    }


def _class(name: str, pattern: str) -> dict[str, object]:
    return {"name": name, "condition": name, "weight": 1.0, "patterns": [pattern]}


def main() -> None:
    """Make the store."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("path", type=Path)
    parser.add_argument("--conversations", type=int, default=1_000_000)
    parser.add_argument("--draws", type=int, default=6_000_000)
    asked = parser.parse_args()
    started = time.perf_counter()
    generate(Store(asked.path), asked.conversations, asked.draws)
    print(f"made in {time.perf_counter() - started:.1f} s, {asked.path.stat().st_size / 1e6:,.0f} MB")


if __name__ == "__main__":
    main()
