import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from label.cli import cli
from store.console import run_command

CANARY = "sk-canary-77d1b2c9"


def judge(store, server, *options: str) -> int:
    return run_command(
        cli,
        [
            "judge",
            "--canaries",
            "0",
            "--model",
            "gpt-4",
            "--base-url",
            server.url,
            "--store",
            str(store.path),
            *options,
        ],
    )


def process(*arguments: str, key: str | None = None) -> subprocess.CompletedProcess[str]:
    import os

    env = {**os.environ, **({"OPENAI_API_KEY": key} if key else {})}
    code = "from label.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, env=env, check=False
    )


def test_judge_prints_counts_that_add_up(store, server, capsys) -> None:
    assert judge(store, server, "--json") == 0
    result = json.loads(capsys.readouterr().out)
    names = ("reused", "done", "unparsed", "refused", "blocked", "failed")
    assert result["requested"] == sum(result[name] for name in names) == 4
    assert sum(result["states"].values()) == 4
    assert result["cost_usd"] == pytest.approx(4 * (60 * 30 + 40 * 30 + 20 * 60) / 1e6)
    assert result["schema_version"] == 1
    assert [entry["name"] for entry in result["classes"]] == ["GPT3", "GPT4"]


def test_judge_tells_people_the_mean_of_each_class(store, server, capsys) -> None:
    assert judge(store, server) == 0
    shown = capsys.readouterr().out
    assert "4 ratings: 0 reused, 4 done" in shown
    assert "mean rating" in shown
    assert "GPT3" in shown


def test_a_dry_run_prints_calls_tokens_and_cost(store, server, capsys) -> None:
    assert judge(store, server, "--dry-run") == 0
    shown = capsys.readouterr().out
    assert "4 calls" in shown
    assert "$30 in, $60 out per million tokens, genai-prices" in shown
    assert judge(store, server, "--dry-run", "--json") == 0
    assert json.loads(capsys.readouterr().out)["calls"] == 4
    assert server.bodies == []


def test_a_stopped_provider_is_one_line_and_exit_3(store, server, reply, capsys) -> None:
    server.rule = lambda _body: reply(401, {"error": {"message": "bad key"}})
    assert judge(store, server) == 3
    shown = capsys.readouterr()
    counts = "4 ratings: 0 reused, 0 done, 0 unparsed, 0 refused, 0 blocked, 0 failed; $0.0000; 4 not done"
    assert shown.out.strip() == counts
    assert shown.err.strip().splitlines()[-1].startswith("error: the provider stopped the run: 401 bad key")


def test_a_stopped_run_tells_a_script_how_far_it_came(store, server, reply, capsys) -> None:
    server.script.extend([reply(), reply(429, {"error": {"message": "x", "code": "insufficient_quota"}})])
    server.rule = lambda _body: reply(401, {})
    assert judge(store, server, "--json", "--concurrency", "1") == 3
    shown = capsys.readouterr()
    counts = json.loads(shown.out)
    assert (counts["requested"], counts["done"], counts["remaining"]) == (4, 1, 3)
    assert counts["cost_usd"] > 0
    assert shown.err.startswith("error: ")


def test_when_every_request_failed_the_exit_code_says_so(store, server, reply, capsys) -> None:
    server.rule = lambda _body: reply(422, {"error": {"message": "cannot"}})
    assert judge(store, server, "--json") == 1
    shown = capsys.readouterr()
    assert json.loads(shown.out)["failed"] == 4
    assert "all 4 requests failed" in shown.err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--per", "class"], "--sample"),
        (["--price", "1", "--price-in", "2"], "--price stands for"),
        (["--price-in", "2"], "go together"),
        (["--temperature", "hot"], "--temperature"),
        (["--temperature", "nan"], "--temperature"),
        (["--limit", "0"], "limit"),
        (["--per", "model"], "per"),
    ],
)
def test_options_that_make_no_sense_are_exit_2(store, server, capsys, options, words) -> None:
    assert judge(store, server, *options) == 2
    assert words in capsys.readouterr().err
    assert server.bodies == []


def test_an_unknown_model_elsewhere_needs_a_price(store, capsys) -> None:
    arguments = [
        "judge",
        "--model",
        "my-judge",
        "--base-url",
        "https://judge.example/v1",
        "--store",
        str(store.path),
    ]
    assert run_command(cli, arguments) == 2
    assert "--price-in" in capsys.readouterr().err


def test_a_store_that_is_not_there_is_not_made(tmp_path, capsys) -> None:
    missing = tmp_path / "none.duckdb"
    assert run_command(cli, ["judge", "--model", "offline", "--store", str(missing)]) == 2
    assert "no store at" in capsys.readouterr().err
    assert not missing.exists()


def test_the_settings_file_gives_prices_and_limits(store, server, capsys, tmp_path, monkeypatch) -> None:
    config = tmp_path / "preferably.toml"
    config.write_text(
        '[prices."gpt-4"]\ninput = 0\noutput = 1\n[limits."gpt-4"]\nconcurrency = 2\nrpm = 60000\n'
    )
    monkeypatch.setenv("PREFERABLY_CONFIG", str(config))
    assert judge(store, server, "--json") == 0
    assert json.loads(capsys.readouterr().out)["cost_usd"] == pytest.approx(4 * 20 / 1e6)
    with store.read() as reading:
        settings = json.loads(reading.rows("SELECT settings FROM current_runs")[0][0])
    assert settings["limits"] == {"rpm": 60000, "tpm": None, "concurrency": 2}


def test_runs_lists_states_counts_and_cost(store, server, capsys) -> None:
    judge(store, server)
    capsys.readouterr()
    assert run_command(cli, ["runs", "--store", str(store.path), "--json"]) == 0
    (line,) = json.loads(capsys.readouterr().out)["runs"]
    assert (line["command"], line["state"], line["counts"]["done"]) == ("label judge", "finished", 4)
    assert run_command(cli, ["runs", "--store", str(store.path)]) == 0
    assert "4 requested" in capsys.readouterr().out


def test_a_run_whose_process_was_killed_shows_as_lost(store, server, reply, capsys) -> None:
    server.rule = lambda _body: reply(hangs=True)
    code = "from label.cli import main; main()"
    arguments = [
        "judge",
        "--canaries",
        "0",
        "--model",
        "gpt-4",
        "--base-url",
        server.url,
        "--store",
        str(store.path),
    ]
    child = subprocess.Popen([sys.executable, "-c", code, *arguments])
    while not server.bodies:
        assert child.poll() is None
    child.kill()
    child.wait()
    assert run_command(cli, ["runs", "--store", str(store.path), "--json"]) == 0
    assert [line["state"] for line in json.loads(capsys.readouterr().out)["runs"]] == ["lost"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_an_interrupted_run_says_so_and_the_same_command_continues(
    store, server, reply, capsys, number
) -> None:
    server.script.extend([reply(), reply(), reply(), reply(hangs=True)])
    code = "from label.cli import main; main()"
    arguments = [
        "judge",
        "--canaries",
        "0",
        "--model",
        "gpt-4",
        "--base-url",
        server.url,
        "--store",
        str(store.path),
    ]
    child = subprocess.Popen([sys.executable, "-c", code, *arguments], stderr=subprocess.PIPE, text=True)
    while not server.has_seen(4, within_s=1.0):
        assert child.poll() is None
    child.send_signal(number)
    _, said = child.communicate()
    assert child.returncode == 130
    assert said.strip() == "interrupted; the same command again continues"
    assert run_command(cli, ["runs", "--store", str(store.path), "--json"]) == 0
    assert [line["state"] for line in json.loads(capsys.readouterr().out)["runs"]] == ["interrupted"]
    assert judge(store, server, "--json") == 0
    result = json.loads(capsys.readouterr().out)
    assert result["reused"] >= 1
    assert result["reused"] + result["done"] == 4
    asked_again = len(server.bodies) - 4
    assert asked_again <= 2, "only what was under way"


def test_the_key_is_in_no_output_no_store_and_no_journal(store, server, reply) -> None:
    server.script.extend(
        [
            reply(500, {"error": {"message": f"who is {CANARY}?"}}),
            reply(200, f"<html>{CANARY}</html>"),
            reply(text=f"Your key is {CANARY}.\nRating: [[3]]"),
            reply(422, {"error": {"message": f"no, {CANARY}", "code": CANARY}}),
        ]
    )
    arguments = [
        "judge",
        "--canaries",
        "0",
        "--model",
        "gpt-4",
        "--base-url",
        server.url,
        "--store",
        str(store.path),
    ]
    first = process("--debug", *arguments, key=CANARY)
    server.rule = lambda _body: reply(401, {"error": {"message": f"bad key {CANARY}"}})
    second = process("--debug", *arguments, "--max-tokens", "9", key=CANARY)
    assert (first.returncode, second.returncode) == (0, 3), first.stderr + second.stderr
    assert f"Bearer {CANARY}" in server.authorizations
    for text in (first.stdout, first.stderr, second.stdout, second.stderr):
        assert CANARY not in text
    for path in Path(store.path.parent).rglob("*"):
        if path.is_file():
            assert CANARY.encode() not in path.read_bytes()
    with store.read() as reading:
        for table in ("completions", "ratings", "runs"):
            assert CANARY not in str(reading.rows(f"SELECT * FROM {table}"))


@pytest.mark.parametrize("command", [[], ["judge"], ["runs"]])
def test_help_is_light_and_ends_with_examples(command) -> None:
    code = (
        "import sys; from label.cli import cli; from store.console import run_command;"
        f"run_command(cli, {[*command, '--help']!r});"
        "heavy = {'openai', 'duckdb', 'pyarrow', 'polars', 'torch', 'pydantic', 'genai_prices'}"
        " & set(sys.modules);"
        "assert not heavy, heavy"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    examples = shown.split("Examples:")[1].strip().splitlines()
    assert all(line.strip().startswith("label ") for line in examples)
