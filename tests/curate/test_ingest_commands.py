import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from curate.cli import cli
from store.console import run_command

RECORDS = [
    {
        "id": "1",
        "model": "gpt-4",
        "conversations": [{"from": "human", "value": "a b"}, {"from": "gpt", "value": "c"}],
    },
    {"id": "2"},
]


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    path = tmp_path / "a.json"
    path.write_text(json.dumps(RECORDS))
    return path


@pytest.fixture
def curate(tmp_path, capsys):
    """Runs `curate WORDS… --store …`; returns its exit code, stdout and stderr."""

    def run(*words: object) -> tuple[int, str, str]:
        code = run_command(cli, [*map(str, words), "--store", str(tmp_path / "store.duckdb")])
        return code, *capsys.readouterr()

    return run


def test_ingest_prints_one_line_a_file_and_says_why_records_were_rejected(curate, corpus):
    code, out, err = curate("ingest", "sharegpt", corpus)
    assert code == 0
    assert out == "a.json: 2 read, 1 kept, 1 rejected; 1 new conversations, 2 new messages\n"
    assert "1 rejected: no list of turns" in err
    assert "taken before" in curate("ingest", "sharegpt", corpus)[1]


def test_ingest_prints_json(curate, corpus):
    found = json.loads(curate("ingest", "sharegpt", corpus, "--json")[1])
    assert [found[key] for key in ("read", "kept", "rejected", "new_conversations", "new_messages")] == [
        2,
        1,
        1,
        1,
        2,
    ]
    assert found["schema_version"] == 1
    assert found["files"][0]["source_id"].startswith("s1-")


def test_a_dry_run_says_what_would_be_added(curate, corpus, tmp_path):
    assert "would add 1 new conversations" in curate("ingest", "sharegpt", corpus, "--dry-run")[1]
    assert not (tmp_path / "store.duckdb").exists()


def test_a_file_that_is_no_json_is_one_line_and_exit_code_2(curate, tmp_path):
    path = tmp_path / "b.json"
    path.write_text("version https://git-lfs.github.com/spec/v1\n")
    code, out, err = curate("ingest", "sharegpt", path)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert "git lfs pull" in err


def test_stats_prints_both_tables_with_the_unit_in_the_heading(curate, corpus):
    curate("ingest", "sharegpt", corpus)
    out = curate("stats")[1]
    assert "prompt (words)" in out
    found = json.loads(curate("stats", "--json")[1])
    expected = {
        **{"conversations": 1, "rounds": 1.0, "mean_prompt_tokens": 2.0, "mean_completion_tokens": 1.0},
        **{"turns": 1.0, "mean_conversation_tokens": 3.0},
        "sourced_from": [{"model": "gpt-4", "conversations": 1}],
    }
    assert found["sources"] == [{"name": "a.json", "files": 1, **expected}]
    assert found["classes"] == [{"name": "GPT4", **expected}]
    assert found["unit"] == "words"


def test_classes_are_shown_and_set(curate, corpus):
    curate("ingest", "sharegpt", corpus)
    code, out, _ = curate("classes", "set", "Mine", "--condition", "X", "--weight", "0.5", "--match", "gpt-4")
    assert code == 2
    code, out, _ = curate(
        "classes", "set", "Mine", "--condition", "X", "--weight", "0.5", "--match", "mine-*"
    )
    assert (code, out) == (0, "class Mine: condition X, weight 0.5, matches mine-*\n")
    assert "Mine" in curate("classes")[1]
    found = json.loads(curate("classes", "--json")[1])
    assert [one["name"] for one in found["classes"]] == ["GPT3", "GPT4", "Mine"]


def test_options_of_classes_before_its_subcommand_are_refused(tmp_path):
    path = tmp_path / "other.duckdb"
    result = CliRunner().invoke(cli, ["classes", "--store", str(path), "set", "X", "--weight", "1"])
    assert result.exit_code == 2
    assert "after 'set'" in result.output
