"""Ingest, judge and two readers on one store file at once, for a minute: every row is there at the end."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from store.db import Store
from store.verify import verify

SECONDS = 60
CONVERSATIONS_PER_FILE = 100

COMMAND = "import sys; from {module} import main; sys.argv[0] = {name!r}; main()"

INGEST = """
import json, sys, time
from pathlib import Path
from typing import Any
from curate.cli import cli
from store.console import run_command
store, folder, seconds, per_file = sys.argv[1], Path(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])
end, number = time.monotonic() + seconds, 0
while time.monotonic() < end:
    path = folder / f"part-{number}.jsonl"
    with path.open("w") as file:
        for i in range(per_file):
            turns = [{"from": "human", "value": f"Question {number} {i}"}, {"from": "gpt", "value": f"Answer {i}"}]
            file.write(json.dumps({"id": f"{number}-{i}", "model": "gpt-4", "conversations": turns}) + "\\n")
    code = run_command(cli, ["-q", "ingest", "sharegpt", str(path), "--store", store])
    assert code == 0, code
    number += 1
print(number, file=sys.stderr)
"""

READ = """
import json, sys, time
from pathlib import Path
from typing import Any
from store.db import Store
store, end = Store(Path(sys.argv[1])), time.monotonic() + float(sys.argv[2])
turns, seen, versions = [], 0, 0
while time.monotonic() < end:
    started = time.monotonic()
    with store.read() as reading:
        (count,) = reading.rows("SELECT count(*) FROM current_conversations")[0]
        assert count >= seen and reading.version >= versions
        seen, versions = count, reading.version
    turns.append(time.monotonic() - started)
turns.sort()
print(json.dumps({"reads": len(turns), "median": turns[len(turns) // 2], "longest": turns[-1]}))
"""


def python(code: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ended(process: subprocess.Popen[str]) -> tuple[str, str]:
    out, err = process.communicate(timeout=SECONDS + 120)
    assert process.returncode == 0, err
    return out, err


def judge(path: Path, url: str) -> dict[str, int]:
    """Judge what is there now; gives the counts."""
    arguments = [
        "judge",
        "--canaries",
        "0",
        "--model",
        "gpt-4",
        "--base-url",
        url,
        "--concurrency",
        "8",
        "--json",
        "--store",
        path,
    ]
    out, _ = ended(python(COMMAND.format(module="label.cli", name="label"), *arguments))
    counts: dict[str, int] = json.loads(out)
    return counts


@pytest.mark.slow
@pytest.mark.timeout(SECONDS + 240)
def test_ingest_judge_and_two_readers_share_one_store_for_a_minute(
    tmp_path: Path, server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    path = tmp_path / "shared.duckdb"
    store = Store(path)
    with store.write():
        pass
    ingest = python(INGEST, path, tmp_path, SECONDS, CONVERSATIONS_PER_FILE)
    readers = [python(READ, path, SECONDS) for _ in range(2)]
    asked = 0
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        asked += judge(path, server.url)["done"]
    n_files = int(ended(ingest)[1].split()[-1])
    reads = [json.loads(ended(reader)[0]) for reader in readers]
    asked += judge(path, server.url)["done"]

    expected = n_files * CONVERSATIONS_PER_FILE
    with store.read() as reading:
        assert reading.rows("SELECT count(*) FROM current_conversations") == [(expected,)]
        rated = reading.rows("SELECT count(*), count(DISTINCT response_id) FROM ratings WHERE state = 'done'")
        assert rated == [(expected, expected)]
        assert reading.rows("SELECT count(DISTINCT request_key) FROM completions") == [(expected,)]
        assert reading.rows("SELECT count(*) FROM current_runs WHERE state <> 'finished'") == [(0,)]
    assert asked == expected == len(server.bodies)
    assert verify(store).problems == {}
    for read in reads:
        assert read["reads"] > SECONDS
        assert read["longest"] < 10
    print(f"{expected} conversations, {asked} ratings, readers {reads}")
