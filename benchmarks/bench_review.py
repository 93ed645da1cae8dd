"""A generated store for `review`, and how long its list takes to open, to filter and to page.

Run: python benchmarks/bench_review.py PATH [--conversations 1000000]
The store is made by set-based SQL and kept at PATH, so a second run only measures. Its ids are hashes
of row numbers, not of the messages, which the list does not mind and `curate verify` would.
"""

import argparse
import resource
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from store.db import Store, Writing

PIECE = 20_480
"""Conversations per version: about what a second of ingest writes."""
ROUNDS = 3
JUDGE = ("gpt-4", "judge", "openchat-appendix-g", "rating10", "overall")
FILTERS = (
    "",
    "class:GPT4",
    "rating<5",
    "class:GPT3 rating>=7 verdict:none",
    "source:part_b turns>4",
    "verdict:drop",
)

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


def generate(store: Store, conversations: int) -> None:
    """Write CONVERSATIONS conversations of three rounds each, nine in ten wholly rated."""
    with store.write() as writing:
        writing.append("sources", [_source("part_a"), _source("part_b")])
        writing.append("source_classes", [_class("GPT4", "gpt-4*"), _class("GPT3", "gpt-3.5*")])
    for first in range(0, conversations, PIECE):
        with store.write() as writing:
            _piece(writing, first, min(conversations, first + PIECE))


def _piece(writing: Writing, first: int, last: int) -> None:
    span: dict[str, object] = {"first": first, "last": last}
    rounds = {**span, "rounds": ROUNDS}
    judge = dict(zip(("labeler", "kind", "template", "scale", "aspect"), JUDGE, strict=True))
    writing.append_from("messages", MESSAGES, rounds)
    writing.append_from("conversations", CONVERSATIONS, rounds)
    writing.append_from("ratings", RATINGS, {**rounds, **judge})
    writing.append_from("decisions", DECISIONS, span)


def _source(name: str) -> dict[str, object]:
    import hashlib
    import uuid

    return {
        "source_id": str(uuid.UUID(hashlib.md5(name.encode()).hexdigest())),
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


def measure(path: Path) -> None:
    """Print how long the parts of the list take, each as a person meets it."""
    from tui.query import parse_filter
    from tui.store_data import StoreReview

    data = StoreReview(Store(path), "bench")
    _timed("first rows", lambda: (data.refresh(), data.rows(data.select(parse_filter("")).ids[:50])))
    _timed("whole table", lambda: _drain(data.refresh))
    for text in FILTERS:
        _timed(f"filter {text!r}", lambda text=text: data.select(parse_filter(text)))
    everything = data.select(parse_filter("")).ids
    starts = [(number * 7_919_777) % max(1, len(everything) - 60) for number in range(100)]
    pages = sorted(
        _seconds(lambda start=start: data.rows(everything[start : start + 60])) for start in starts
    )
    print(f"page of 60: median {statistics.median(pages):.3f} s, 95th percentile {pages[94]:.3f} s")
    _timed("one conversation", lambda: data.conversation(everything[len(everything) // 2]))
    _timed("queue of pairs", data.queue)
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


def _drain(step: Callable[[], str]) -> None:
    while step() != "none":
        pass


def _seconds(job: Callable[[], object]) -> float:
    started = time.perf_counter()
    job()
    return time.perf_counter() - started


def _timed(what: str, job: Callable[[], object]) -> None:
    print(f"{what}: {_seconds(job):.3f} s", flush=True)


def main() -> None:
    """Generate the store unless it is there, then measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("path", type=Path)
    parser.add_argument("--conversations", type=int, default=1_000_000)
    arguments = parser.parse_args()
    if not arguments.path.exists():
        _timed("generate", lambda: generate(Store(arguments.path), arguments.conversations))
    measure(arguments.path)


if __name__ == "__main__":
    main()
