"""The commands that look at a store, run as a user would, on a small store."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from curate.cli import cli
from store.console import run_command

Run = Callable[..., Any]

RECORDS = [
    {
        "id": "a",
        "model": "gpt-4",
        "conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello"}],
    },
    {
        "id": "b",
        "model": "",
        "conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "\x1b[2JYo"}],
    },
    {"id": "c", "conversations": [{"from": "martian", "value": "Hi"}]},
]


@pytest.fixture
def curate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs `curate …` on one store; gives the parsed JSON with --json, else (exit code, stdout, stderr)."""

    def run(*arguments: str) -> Any:
        code = run_command(cli, [*arguments, "--store", str(tmp_path / "s.duckdb")])
        shown = capsys.readouterr()
        return json.loads(shown.out) if "--json" in arguments and code == 0 else (code, shown.out, shown.err)

    return run


@pytest.fixture
def taken(curate: Run, tmp_path: Path) -> Run:
    """The same, with three records read."""
    path = tmp_path / "chats.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in RECORDS))
    counts = curate("ingest", "sharegpt", str(path), "--json")
    assert (counts["read"], counts["kept"], counts["rejected"]) == (3, 2, 1)
    return curate


def first_id(taken: Run, external_id: str) -> str:
    query = f"SELECT conversation_id FROM conversations WHERE external_id = '{external_id}'"
    (row,) = taken("sql", query, "--json")["rows"]
    return "c1-" + row[0].replace("-", "")


def test_verify_finds_nothing_wrong(taken: Run) -> None:
    assert taken("verify", "--json") == {
        "schema_version": 1,
        "ok": True,
        "problems": {},
        "checked": {"messages": 3, "conversations": 2},
    }


def test_trace_goes_back_to_file_record_and_line(taken: Run, tmp_path: Path) -> None:
    found = taken("trace", first_id(taken, "b"), "--json")
    (conversation,) = found["conversations"]
    assert conversation["path"] == str(tmp_path / "chats.jsonl")
    assert (conversation["record_numbers"], conversation["line"]) == ([2], 2)
    text = (tmp_path / "chats.jsonl").read_bytes()[conversation["byte_offset"] :]
    assert json.loads(text.splitlines()[0])["id"] == "b"


def test_trace_of_a_shared_message_names_every_conversation_it_is_in(taken: Run) -> None:
    (row,) = taken("sql", "SELECT message_id FROM messages WHERE role = 'user'", "--json")["rows"]
    found = taken("trace", "m1-" + row[0].replace("-", ""), "--json")
    assert [one["external_id"] for one in found["conversations"]].count("a") == 1
    assert len(found["conversations"]) == 2


def test_show_takes_the_start_of_an_id_and_no_text_reaches_the_terminal_raw(taken: Run) -> None:
    whole = first_id(taken, "b")
    code, out, _ = taken("show", whole[:11])
    assert code == 0
    assert whole in out
    assert "⟨U+001B⟩[2JYo" in out
    assert "\x1b" not in out


def test_an_id_that_is_not_there_or_says_too_little_is_an_error(taken: Run) -> None:
    assert taken("show", "c1-ffffffff")[0] == 2
    assert "at least 4" in taken("show", "c1-ff")[2]
    assert "EXPORT:ROW" in taken("trace", "nowhere:x")[2]
    assert "no export" in taken("trace", "nowhere:3")[2]


def test_a_snapshot_shows_the_same_rows_whatever_comes_later(taken: Run, tmp_path: Path) -> None:
    taken("snapshot", "raw")
    more = tmp_path / "more.jsonl"
    more.write_text(json.dumps({**RECORDS[0], "id": "d"}) + "\n")
    taken("ingest", "sharegpt", str(more), "--json")
    count = "SELECT count(*) FROM current_conversations"
    assert taken("sql", count, "--json")["rows"] == [[3]]
    assert taken("sql", count, "--at", "raw", "--json")["rows"] == [[2]]
    changed = taken("diff", "raw", "v99999")
    assert changed[0] == 2
    now = taken("log", "--json")["versions"][0]["version"]
    assert taken("diff", "raw", f"v{now}", "--json")["conversations_by_source"] == {"more.jsonl": 1}


def test_sql_only_reads(taken: Run, tmp_path: Path) -> None:
    out = tmp_path / "leak.csv"
    for query in (
        f"COPY messages TO '{out}'",
        "SET threads = 1",
        "SELECT 1; SELECT 2",
        "DROP TABLE main.messages",
    ):
        code, _, said = taken("sql", query)
        assert (code, "only one SELECT" in said) == (2, True)
    code, _, said = taken("sql", f"SELECT * FROM read_text('{tmp_path / 'chats.jsonl'}')")
    assert (code, "disabled" in said) == (2, True)
    assert not out.exists()
    assert taken("verify")[0] == 0


def test_sql_says_when_rows_are_left_out(taken: Run) -> None:
    assert taken("sql", "FROM range(10)", "--limit", "3", "--json")["is_cut"] is True
    assert len(taken("sql", "FROM range(200)", "--limit", "0", "--json")["rows"]) == 200


def test_decisions_lists_the_one_in_force(taken: Run, tmp_path: Path) -> None:
    from store.db import Store
    from store.ids import to_uuid

    row = {
        "target_kind": "conversation",
        "target_id": to_uuid(first_id(taken, "a"), "c1"),
        "decided_by": "ann",
    }
    for verdict, reason in (("drop", "too short"), ("keep", "fine after all")):
        with Store(tmp_path / "s.duckdb").write() as writing:
            writing.append(
                "decisions", [{**row, "verdict": verdict, "reason": reason, "decided_at": "2026-01-01"}]
            )
    (decision,) = taken("decisions", "--json")["decisions"]
    assert (decision["verdict"], decision["reason"]) == ("keep", "fine after all")
    assert taken("decisions", "--verdict", "drop", "--json")["decisions"] == []


def test_doctor_answers_with_and_without_a_store(curate: Run, taken: Run) -> None:
    subjects = {row["subject"] for row in curate("doctor", "--json")["findings"]}
    assert {"python", "core", "store", "version", "free disk"} <= subjects
