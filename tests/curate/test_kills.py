"""Curation killed at random moments: repeated, each command ends with the store it would have left undisturbed."""

import json
import random
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from curate.ingesting.ingest import IngestSettings, ingest_files
from store.db import Store
from store.verify import verify

KILLS = 5
FAMILIES = 12
QUESTION = (
    "A baker puts seven loaves into each of nine baskets and gives two away; how many loaves does he keep?"
)

IN_SMALL_PIECES = """
import sys
import numpy as np
from curate import clean
from curate import deciding
from curate.filtering import filter_run
from curate.duplicates import near
from curate import part_texts
from curate.duplicates import sketching
from curate.encoder import Encoder
from curate.cli import main

clean.PIECE_MESSAGES = filter_run.PIECE_MESSAGES = 24
deciding.PIECE_ROWS = 8
filter_run.PIECE_TURNS = part_texts.PIECE_TURNS = 24
near.PAIRS_AT_ONCE = 16
part_texts.PIECE_CONVERSATIONS = sketching.PIECE_ROWS = 12

def encode(self, texts):  # one number a letter, so that equal words lie near
    counts = np.array([[text.count(chr(97 + i)) for i in range(16)] for text in texts], dtype=np.float32)
    return counts / np.maximum(np.linalg.norm(counts, axis=1, keepdims=True), 1)

Encoder.encode, Encoder.digest = encode, "letters"
print("going", flush=True)
sys.argv = ["curate", *sys.argv[1:]]
main()
"""


def talks(chance: random.Random) -> list[dict[str, Any]]:
    """Near and exact duplicates, refusals, pages of HTML, and questions of a test set."""
    words = ["".join(chance.choices("abcdefghijklmnop", k=5)) for _ in range(300)]
    found = []
    for family in range(FAMILIES):
        text = " ".join(chance.choices(words, k=60))
        answers = [
            text,
            text.replace(" ", "  ", 2),
            " ".join([*text.split()[:-1], "other"]),
            "I'm sorry, but I can't help with that.",
            f"<p>{text[:80]}</p><ul><li>one</li></ul>",
            f"Gladly: {QUESTION}" if family % 4 == 0 else text[:90],
        ]
        found += [
            {
                "id": f"{family}-{place}",
                "conversations": [
                    {"from": "human", "value": f"Question {family}?"},
                    {"from": "gpt", "value": answer},
                ],
            }
            for place, answer in enumerate(answers)
        ]
    return found


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store before any curation, with a test set beside it."""
    folder = tmp_path_factory.mktemp("filled")
    (folder / "talks.json").write_text(json.dumps(talks(random.Random(4))))
    (folder / "tests.jsonl").write_text(json.dumps({"task_id": "0", "question": QUESTION}) + "\n")
    ingest_files(Store(folder / "s.duckdb"), "sharegpt", [folder / "talks.json"], IngestSettings())
    return folder / "s.duckdb"


COMMANDS = {
    "near duplicates": ("dedup", "--near", "--threshold", "0.7", "--on", "answers"),
    "semantic duplicates": (
        *("dedup", "--semantic", "--encoder", "FOLDER", "--on", "answers", "--threshold", "0.98"),
    ),
    "filters": ("filter", "refusal", "repetition", "same-answer"),
    "cleaning": ("clean",),
    "contamination, dropped": ("decontaminate", "--against", "FOLDER/tests.jsonl", "--drop"),
    "contamination, flagged": ("decontaminate", "--against", "FOLDER/tests.jsonl"),
}
SURE = ("dedup", "filter", "decontaminate")
"""Commands that ask before they drop much."""


def state_of(store: Store) -> dict[str, list[Any]]:
    """Everything curation writes but when, by whom and in which version."""
    queries = {
        "decisions": "SELECT target_id, verdict, reason, evidence, decided_by FROM decisions ORDER BY ALL",
        "current": "SELECT conversation_id, message_ids FROM current_conversations ORDER BY ALL",
        "sketches": "SELECT * EXCLUDE (version) FROM sketches ORDER BY ALL",
        "compared": "SELECT * EXCLUDE (version) FROM compared_texts ORDER BY ALL",
        "messages": "SELECT message_id, content FROM messages ORDER BY ALL",
    }
    with store.read() as reading:
        return {name: reading.rows(sql) for name, sql in queries.items()}


def wal_of(store: Store) -> Path:
    return store.path.with_name(store.path.name + ".wal")


def is_finished(store: Store) -> bool:
    with store.read() as reading:
        rows = reading.rows("SELECT count(*) FROM current_runs WHERE state = 'finished'")
    return bool(rows[0][0] > 1)  # the ingest is the first


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", COMMANDS)
def test_killed_and_repeated_a_command_ends_as_if_undisturbed(
    name: str,
    filled: Path,
    tmp_path: Path,
    started: Callable[..., subprocess.Popen[bytes]],
    killed_after: Callable[..., bool],
) -> None:
    undisturbed, killed = Store(tmp_path / "one.duckdb"), Store(tmp_path / "two.duckdb")
    for store in (undisturbed, killed):
        shutil.copy(filled, store.path)
    words = [word.replace("FOLDER", str(filled.parent)) for word in COMMANDS[name]]
    words += ["--yes"] if words[0] in SURE else []

    def start(store: Store) -> subprocess.Popen[bytes]:
        return started(IN_SMALL_PIECES, *words, "--store", store.path, "--wait", 120)

    child, begun = start(undisturbed), time.monotonic()
    assert not killed_after(child, 120)
    lasts_s = time.monotonic() - begun
    assert child.returncode == 0
    before = state_of(Store(filled))
    assert state_of(undisturbed) != before, "it has nothing to do"

    chance = random.Random(20261126)
    n_killed = 0
    for _ in range(KILLS):
        n_killed += killed_after(start(killed), chance.uniform(0.0, lasts_s))
        if is_finished(killed):  # so that every kill meets a command at work
            wal_of(killed).unlink(missing_ok=True)  # one killed after its last commit leaves it
            shutil.copy(filled, killed.path)
    assert n_killed >= KILLS // 2
    for _ in range(2):  # the second time there is nothing to do
        child = start(killed)
        assert not killed_after(child, 120)
        assert child.returncode == 0
        assert state_of(killed) == state_of(undisturbed)
    assert verify(killed).is_ok
