"""The tables of the store and their columns, for docs/store.md, made from the migrations themselves."""

import tempfile
from pathlib import Path

import cog
import duckdb

MEANING = {
    "canaries": "a question with a known answer that was put to a judge beside the real ones",
    "batch_outcomes": "what became of a request of a batch",
    "batch_requests": "a request that was put into a batch",
    "batches": "requests handed to a provider together; a later state is a new row",
    "compared_texts": "two texts that were compared in full, and how like they are",
    "comparisons": "a verdict on two responses to one prompt, in the order they were shown",
    "completions": "an answer of a chat model, under the hash of the exact request",
    "conversations": "a record of a source: the path of messages it is, and where in which file it stood",
    "decisions": "keep or drop, by whom and why",
    "export_rows": "which conversation and messages a row of a training file was made from",
    "exports": "a training file that was written",
    "journal_drains": "how far a journal was taken in",
    "marks": "a skip, a flag, a comment or a bookmark",
    "messages": "a node of the tree",
    "ratings": "a number given to one response",
    "rejects": "a record that was not taken, and why",
    "requests": "what was asked of a chat model: every field of the key, the texts as hashes",
    "rewards": "a reward model's number for one response",
    "runs": "one execution of a command; a later state is a new row",
    "sample_rejects": "why a policy made no draw under a prompt",
    "samples": "one draw of a policy under a prompt",
    "screenings": "how far a filter or another rule has looked, with what settings, and what came of it",
    "selection_conversations": "a conversation of a selection",
    "selection_pairs": "a pair of a selection, the better response first",
    "selection_prompts": "a prompt of a selection",
    "selections": "a named choice of prompts, conversations or pairs, with the rule that made it",
    "sketches": "what duplicates of a conversation, or of one side of it, are found by",
    "snapshots": "a name for a version",
    "source_classes": "what a source class means",
    "sources": "a file that was taken in",
    "versions": "one committed write",
}
"""Table → what one row of it is."""


def write() -> None:
    """Print one line a table."""
    from store.db import Store

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "s.duckdb"
        with Store(path).write():
            pass
        con = duckdb.connect(str(path), read_only=True)
        rows = con.execute(
            "SELECT table_name, string_agg('`' || column_name || '`', ' ' ORDER BY column_index) FROM duckdb_columns()"
            " WHERE schema_name = 'main' AND table_name NOT LIKE 'schema_%' AND NOT internal GROUP BY ALL ORDER BY ALL"
        ).fetchall()
        con.close()
    cog.outl("| table | one row is | columns |\n|---|---|---|")
    for table, columns in rows:
        cog.outl(f"| `{table}` | {MEANING[table]} | {columns} |")
