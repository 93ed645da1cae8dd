"""Cleaning a store: new paths beside the old ones, once."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from curate import clean as clean_module
from curate.clean import CleanReport, CleanSettings, clean
from curate.cli import cli
from curate.ingesting.ingest import IngestSettings, ingest_files
from curate.looking.show_diff import show_diff
from store.console import run_command
from store.db import Store
from store.errors import RequestError, UnknownName
from store.ids import to_text
from store.verify import verify

PAGE = '<div class="markdown prose"><p>Use <code>x</code>.</p></div>'
TALKS = {
    "page": ["How?", PAGE, "And then?", "Then stop."],
    "shared": ["How?", PAGE, "Why?", "Because."],
    "plain": ["Hi", "Hello"],
    "dirty": ["Go onShare Prompt", "Fine.\r\nGood."],
}

Clean = Callable[..., CleanReport]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    records = [
        {
            "id": name,
            "model": "gpt-4",
            "conversations": [
                {"from": "gpt" if i % 2 else "human", "value": text} for i, text in enumerate(texts)
            ],
        }
        for name, texts in TALKS.items()
    ]
    path = tmp_path / "talks.json"
    path.write_text(json.dumps(records))
    store = Store(tmp_path / "s.duckdb", wait_s=20)
    ingest_files(store, "sharegpt", [path], IngestSettings())
    return store


def clean_all(store: Store, *steps: str, **wanted: Any) -> CleanReport:
    return clean(store, CleanSettings(steps or ("html", "unicode", "boilerplate"), **wanted))


def contents(store: Store) -> dict[str, list[str]]:
    with store.read() as reading:
        rows = reading.rows(
            "SELECT external_id, list(content ORDER BY depth) FROM ("
            " SELECT external_id, unnest(message_ids) AS message_id FROM current_conversations)"
            " JOIN messages USING (message_id) GROUP BY external_id"
        )
    return dict(rows)


def id_of(store: Store, name: str) -> str:
    with store.read() as reading:
        rows = reading.rows(
            "SELECT CAST(conversation_id AS VARCHAR) FROM conversations"
            " WHERE external_id = ? AND derived_from IS NULL",
            [name],
        )
    return str(rows[0][0])


def counted(store: Store) -> list[Any]:
    with store.read() as reading:
        return reading.rows("SELECT (SELECT count(*) FROM conversations), (SELECT count(*) FROM messages)")


def test_what_is_dirty_becomes_a_new_path_and_the_rest_stays(store: Store) -> None:
    report = clean_all(store)
    assert (report.seen, report.changed, report.new_conversations) == (4, 3, 3)
    assert report.messages_changed == 3
    assert report.by_step == {"html": 1, "boilerplate": 1, "unicode": 1}
    assert contents(store) == {
        "page": ["How?", "Use `x`.", "And then?", "Then stop."],
        "shared": ["How?", "Use `x`.", "Why?", "Because."],
        "plain": ["Hi", "Hello"],
        "dirty": ["Go on", "Fine.\nGood."],
    }
    assert verify(store).is_ok


def test_the_record_it_came_from_and_the_steps_stay_known(store: Store) -> None:
    clean_all(store)
    with store.read() as reading:
        rows = reading.rows(
            "SELECT external_id, source, model, record_numbers[1], derived_step, CAST(derived_from AS VARCHAR)"
            " FROM current_conversations WHERE derived_from IS NOT NULL ORDER BY external_id"
        )
    assert [row[:5] for row in rows] == [
        ("dirty", "talks.json", "gpt-4", 4, "clean unicode/1 boilerplate/1"),
        ("page", "talks.json", "gpt-4", 1, "clean html/1"),
        ("shared", "talks.json", "gpt-4", 2, "clean html/1"),
    ]
    assert [row[5] for row in rows] == [id_of(store, row[0]) for row in rows]


def test_cleaning_again_adds_nothing(store: Store) -> None:
    clean_all(store)
    before = counted(store)
    again = clean_all(store)
    assert (again.seen, again.changed, again.new_messages) == (4, 0, 0)
    assert counted(store) == before


def test_the_order_of_steps_is_the_users_and_recorded(store: Store) -> None:
    clean_all(store, "boilerplate", "unicode")
    with store.read() as reading:
        rows = reading.rows("SELECT derived_step FROM conversations WHERE derived_from IS NOT NULL")
    assert rows == [("clean boilerplate/1 unicode/1",)]


def test_cleaning_what_was_cleaned_makes_a_chain(store: Store) -> None:
    clean_all(store, "unicode")
    clean_all(store, "boilerplate")
    found = show_diff(store, to_text("c1", id_of(store, "dirty")))
    assert found.steps == ("clean unicode/1", "clean boilerplate/1")
    assert [turn.lines()[1:] for turn in found.turns] == [["-Go onShare Prompt", "+Go on"], []]
    assert contents(store)["dirty"] == ["Go on", "Fine.\nGood."]
    assert verify(store).is_ok


def test_a_cleaning_killed_between_pieces_is_completed_by_the_next(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clean_module, "PIECE_MESSAGES", 1)
    real, pieces = clean_module.write_piece, []

    def dies(*arguments: Any) -> tuple[int, int]:
        pieces.append(1)
        added = real(*arguments)
        if len(pieces) == 2:
            raise KeyboardInterrupt  # inside the turn: this piece is lost
        return added

    monkeypatch.setattr(clean_module, "write_piece", dies)
    with pytest.raises(KeyboardInterrupt):
        clean_all(store)
    monkeypatch.setattr(clean_module, "write_piece", real)
    assert clean_all(store).changed == 2
    assert contents(store)["page"][1] == contents(store)["shared"][1] == "Use `x`."
    assert verify(store).is_ok


def test_pieces_of_any_size_give_the_same_rows(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Store(tmp_path / "other.duckdb")
    other.path.write_bytes(store.path.read_bytes())
    clean_all(store)
    monkeypatch.setattr(clean_module, "PIECE_MESSAGES", 1)
    clean_all(other)
    query = "SELECT conversation_id, message_ids FROM conversations ORDER BY ALL"
    with store.read() as one, other.read() as two:
        assert one.rows(query) == two.rows(query)


def test_a_dry_run_counts_and_writes_nothing(store: Store) -> None:
    before = counted(store)
    report = clean_all(store, is_dry_run=True)
    assert (report.changed, report.new_conversations) == (3, 0)
    assert counted(store) == before


def test_what_a_person_keeps_is_kept_when_it_is_clean(store: Store) -> None:
    one = id_of(store, "dirty")
    row = {"target_kind": "conversation", "verdict": "keep", "reason": "good", "decided_by": "kim"}
    with store.write() as writing:
        writing.append("decisions", [{**row, "target_id": one, "decided_at": "2026-01-01"}])
    clean_all(store)
    with store.read() as reading:
        rows = reading.rows(
            "SELECT decisions.verdict, decided_by, evidence FROM decisions JOIN current_conversations"
            " ON target_id = conversation_id"
        )
    assert rows == [
        (
            "keep",
            "kim",
            json.dumps({"carried_from": to_text("c1", id_of(store, "dirty"))}, separators=(",", ":")),
        )
    ]


def test_a_dropped_conversation_is_left_alone(store: Store) -> None:
    one = id_of(store, "page")
    row = {"target_kind": "conversation", "verdict": "drop", "reason": "bad", "decided_by": "kim"}
    with store.write() as writing:
        writing.append("decisions", [{**row, "target_id": one, "decided_at": "2026-01-01"}])
    assert (clean_all(store).seen, "page" in contents(store)) == (3, False)


def test_ratings_stay_with_the_turns_they_were_given_and_can_be_found(store: Store) -> None:
    with store.write() as writing:
        writing.append_from(
            "ratings",
            "SELECT message_id AS response_id, 'j' AS labeler, 'judge' AS labeler_kind, 't' AS template,"
            " '1-10' AS scale, 'overall' AS aspect, 0 AS draw_index, 7.0 AS value, NULL AS explanation,"
            " 'done' AS state, NULL AS request_key,"
            " 1 AS parser_version, TIMESTAMP '2026-01-01' AS created_at, NULL AS run_id"
            " FROM messages WHERE content = $page",
            {"page": PAGE},
        )
    clean_all(store)
    with store.read() as reading:
        rated = (
            "SELECT count(*) FROM current_ratings WHERE response_id IN (SELECT unnest(message_ids) FROM {})"
        )
        assert reading.rows(rated.format("current_conversations")) == [(0,)]
        linked = reading.rows(
            "SELECT messages.content, value FROM message_origins JOIN current_ratings ON response_id = origin_id"
            " JOIN messages ON messages.message_id = message_origins.message_id"
        )
    assert linked == [("Use `x`.", 7.0)]
    (_, changed, *_) = show_diff(store, to_text("c1", id_of(store, "page"))).turns
    assert changed.before is not None
    assert changed.before.ratings == (("j", 7.0, "done"),)


def test_a_step_that_does_not_exist_or_comes_twice_is_refused(store: Store) -> None:
    with pytest.raises(UnknownName, match="did you mean 'unicode'"):
        clean_all(store, "unicod")
    with pytest.raises(RequestError, match="named twice"):
        clean_all(store, "html", "html")


def test_the_command_reports_counts_and_shows_what_changed(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(cli, ["clean", "--json", "--store", str(store.path)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["seen"] == found["changed"] + found["unchanged"] == 4
    assert found["by_step"] == {"html": 1, "unicode": 1, "boilerplate": 1}
    given = to_text("c1", id_of(store, "dirty"))
    assert run_command(cli, ["show", "--diff", given, "--store", str(store.path)]) == 0
    shown = capsys.readouterr().out
    assert "-Go onShare Prompt\n+Go on" in shown
    assert run_command(cli, ["show", given, "--store", str(store.path)]) == 0
    assert "superseded_by: c1-" in capsys.readouterr().out
    given = to_text("c1", id_of(store, "plain"))
    assert run_command(cli, ["show", "--diff", given, "--store", str(store.path)]) == 2
