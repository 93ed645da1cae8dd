"""`label reward --import`: numbers from elsewhere, joined by id, each row taken or named."""

import gzip
import json

import polars as pl
import pytest

from label.cli import cli
from label.local.model_folder import name_of
from store.console import run_command
from store.ids import path_digests, to_text, uuid_text
from store.verify import verify

TURNS = [("user", "Name a prime."), ("assistant", "Seven.")]


def ids(store) -> list[str]:
    with store.read() as reading:
        rows = reading.rows(
            "SELECT CAST(message_id AS VARCHAR) FROM messages WHERE role = 'assistant' ORDER BY 1"
        )
    return [one for (one,) in rows]


def rewards(store) -> list[tuple]:
    with store.read() as reading:
        return reading.rows(
            "SELECT CAST(response_id AS VARCHAR), value, n_tokens, revision FROM current_rewards"
            " WHERE reward_model = 'rm-70b' ORDER BY 1"
        )


def run(store, path, *options: str) -> int:
    return run_command(
        cli,
        ["reward", "--import", str(path), "--reward-model", "rm-70b", "--store", str(store.path), *options],
    )


def result_of(capsys) -> dict:
    result = json.loads(capsys.readouterr().out)
    assert result["requested"] == result["reused"] + result["done"] + result["failed"]
    return result


def test_numbers_are_joined_by_id_and_bad_rows_are_named(store, tmp_path, capsys) -> None:
    first, second, third, _ = ids(store)
    prompt = uuid_text(path_digests(TURNS)[0])
    rows = [
        {"response_id": first, "reward": 1.5, "n_tokens": 7},
        {"response_id": to_text("m1", second), "score": -2, "is_truncated": True},
        {"response_id": prompt, "reward": 1.0},
        {"response_id": "0" * 32, "reward": 1.0},
        {"response_id": "nonsense", "reward": 1.0},
        {"response_id": third, "reward": "high"},
        {"response_id": third, "reward": 1.0, "prompt_id": first},
    ]
    path = tmp_path / "scores.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)) + "\n{broken\n")
    assert run(store, path, "--json") == 0
    result = result_of(capsys)
    assert (result["requested"], result["done"], result["failed"], result["revision"]) == (
        8,
        2,
        6,
        "imported",
    )
    assert rewards(store) == [(first, 1.5, 7, "imported"), (second, -2.0, None, "imported")]
    assert "reward_message" not in verify(store).problems


def test_again_nothing_is_stored_and_another_number_is_the_newer_one(store, tmp_path, capsys) -> None:
    rows = [{"response_id": one, "reward": number / 4} for number, one in enumerate(ids(store))]
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress("\n".join(map(json.dumps, rows)).encode()))
    pl.DataFrame(rows).write_parquet(tmp_path / "b.parquet")
    assert run(store, tmp_path / "a.jsonl.gz", "--json") == 0
    assert result_of(capsys)["done"] == 4
    assert run(store, tmp_path / "b.parquet", "--json") == 0
    assert result_of(capsys)["reused"] == 4
    rows[0]["reward"] = 9.0
    (tmp_path / "c.jsonl").write_text("\n".join(map(json.dumps, [{**rows[0], "reward": 8.0}, *rows])))
    assert run(store, tmp_path / "c.jsonl", "--json") == 0
    result = result_of(capsys)
    assert (result["done"], result["reused"]) == (2, 3)
    assert rewards(store)[0][1] == 9.0
    with store.read() as reading:
        assert reading.rows("SELECT count(*) FROM rewards") == [(5,)]


@pytest.mark.parametrize(
    ("name", "text", "code", "message"),
    [
        ("a.csv", "x", 2, "neither .jsonl nor .parquet"),
        ("a.parquet", "x", 2, "is no Parquet file"),
        ("a.jsonl", '{"reward": 1}', 1, "none of the 1 rows"),
    ],
)
def test_what_cannot_be_taken_is_refused(store, tmp_path, capsys, name, text, code, message) -> None:  # noqa: PLR0917
    path = tmp_path / name
    path.write_text(text)
    assert run(store, path) == code
    assert message in capsys.readouterr().err


def test_a_model_and_a_file_exclude_each_other(store, tmp_path, capsys) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("{}")
    assert run(store, path, "--model", "offline") == 2
    assert "no --model" in capsys.readouterr().err


def test_a_dry_run_of_a_file_is_refused_and_takes_nothing_in(store, tmp_path, capsys) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({"response_id": ids(store)[0], "reward": 1.0}))
    assert run(store, path, "--dry-run") == 2
    assert "--import has no --dry-run" in capsys.readouterr().err
    assert rewards(store) == []


def test_a_model_is_called_by_its_run_where_its_folder_is_called_model(tmp_path) -> None:
    assert name_of(tmp_path / "rm-7b" / "model") == "rm-7b"
    assert name_of(tmp_path / "rm-7b") == "rm-7b"
