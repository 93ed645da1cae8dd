"""What becomes of every file of a folder: taken in by the format that is found, then looked at by the filters.

    python benchmarks/real_files.py DATA --store new.duckdb

Prints a table as Markdown: records read, kept and rejected, conversations that came into the store from them, and how
many of these the usual pipeline drops, with the most frequent reasons (each conversation under the first filter that
drops it). Files of one folder and format stand in one line; in Super-NaturalInstructions all tasks. Then what was not
taken, with the reason. A store that is there already is looked at as it is.
"""

import argparse
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from curate.deciding import Caution
from curate.filtering.filter_options import choose
from curate.filtering.filter_run import FilterSettings, filter_store
from curate.ingesting.ingest import IngestSettings, ingest_files
from store.db import Store

FOLDERS = ("conversations", "instructions", "preferences", "response_sets")
PIPELINE = (
    *("turns", "length", "language", "encoding", "control-tokens", "refusal"),
    *("truncated", "repetition", "pii", "secrets", "same-answer"),
)
MOST_REASONS = 3

SOURCES = """
SELECT source_id, reader, path, records_read, records_kept, records_rejected
FROM current_sources
ORDER BY path
"""

REASONS = """
SELECT source_id, coalesce(reason, '') AS reason, count(*) AS conversations
FROM (
    SELECT
        conversations.conversation_id,
        any_value(conversations.source_id) AS source_id,
        arg_min(verdicts.reason, list_position($pipeline, split_part(verdicts.decided_by, '/', 1))) AS reason
    FROM conversations
    LEFT JOIN decider_verdicts AS verdicts
        ON verdicts.target_id = conversations.conversation_id AND verdicts.verdict = 'drop'
        AND verdicts.decider_kind = 'filter'
    GROUP BY conversations.conversation_id
)
GROUP BY ALL
"""


@dataclass
class Line:
    """One folder's files of one format."""

    files: list[str] = field(default_factory=list)
    read: int = 0
    kept: int = 0
    rejected: int = 0
    conversations: int = 0
    reasons: Counter[str] = field(default_factory=Counter)


def main() -> None:
    """Take everything in, filter it, print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--store", type=Path, required=True)
    asked = parser.parse_args()
    store = Store(asked.store, wait_s=60)
    refused: list[str] = []
    if not asked.store.exists():
        folders = [asked.data / name for name in FOLDERS]
        settings = IngestSettings(skip_refused=True)
        report = ingest_files(store, "auto", [folder for folder in folders if folder.is_dir()], settings)
        refused = [str(one) for one in report.refused]
    filter_store(store, choose(PIPELINE, ()), FilterSettings(Caution(is_sure=True)))
    for line in table(store, asked.data):
        print(line)
    for one in refused:
        print(f"- {one.removeprefix(f'{asked.data}/').split(';')[0]}")


def table(store: Store, data: Path) -> Iterator[str]:
    """The table's lines."""
    with store.read() as reading:
        sources = reading.rows(SOURCES)
        reasons = reading.rows(REASONS, {"pipeline": [f"filter:{name}" for name in PIPELINE]})
    lines: dict[tuple[str, str], Line] = {}
    by_source: dict[object, Line] = {}
    for source, reader, path, read, kept, rejected in sources:
        line = lines.setdefault((_folder(Path(path), data), reader), Line())
        line.files.append(Path(path).name)
        line.read, line.kept, line.rejected = line.read + read, line.kept + kept, line.rejected + rejected
        by_source[source] = line
    for source, reason, conversations in reasons:
        by_source[source].conversations += conversations
        if reason:
            by_source[source].reasons[reason] += conversations
    yield "| files | format | read | kept | rejected | conversations | dropped | most frequent reasons |"
    yield "|---|---|---|---|---|---|---|---|"
    for (folder, reader), line in lines.items():
        where = f"{folder}/{line.files[0]}" if len(line.files) == 1 else f"{folder} ({len(line.files)} files)"
        most = sorted(line.reasons.items(), key=lambda one: (-one[1], one[0]))[:MOST_REASONS]
        why = ", ".join(f"{name} {count:,}" for name, count in most)
        yield (
            f"| {where} | `{reader}` | {line.read:,} | {line.kept:,} | {line.rejected:,} |"
            f" {line.conversations:,} | {line.reasons.total():,} | {why} |"
        )


def _folder(path: Path, data: Path) -> str:
    folder = path.parent.relative_to(data).as_posix() if path.is_relative_to(data) else path.parent.as_posix()
    return re.sub(r"(SuperNI)/.*", r"\1", folder)


if __name__ == "__main__":
    main()
