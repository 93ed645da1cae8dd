"""Batches from the command line, against a server that has both interfaces."""

import json
from collections import Counter

import pytest

from label.batches.rows import batch_folder, batches_alone
from label.cli import cli
from store.console import run_command
from store.verify import verify

KINDS = ("openai", "anthropic")
MODELS = {"openai": "gpt-4", "anthropic": "claude-haiku-4-5"}
TURNS = 12


@pytest.fixture
def many(tmp_path, write):
    """Twelve conversations of one turn."""
    conversations = [
        ("gpt-4", [("user", f"Question {n}"), ("assistant", f"Answer {n}")]) for n in range(TURNS)
    ]
    return write(tmp_path / "many.duckdb", conversations)


class Shell:
    """Types commands about one store and one provider."""

    def __init__(self, store, provider, kind, capsys) -> None:
        self.store, self.provider, self.kind, self.capsys = store, provider, kind, capsys
        self.code = 0
        self.err = ""

    def label(self, *words: str) -> dict:
        """The JSON object a command prints."""
        self.code = run_command(cli, [*words, "--store", str(self.store.path), "--json"])
        shown = self.capsys.readouterr()
        self.err = shown.err
        return json.loads(shown.out) if shown.out else {}

    def judge(self, *options: str) -> dict:
        model = (
            "--model",
            MODELS[self.kind],
            "--base-url",
            self.provider.url_of(self.kind),
            "--canaries",
            "0",
        )
        return self.label("judge", *model, *options)

    def rows(self, sql: str) -> list[tuple]:
        with self.store.read() as reading:
            return reading.rows(sql)

    def is_sound(self) -> bool:
        return set(verify(self.store).problems) <= {"conversation_source"}  # the fixture's have none


@pytest.fixture(params=KINDS)
def shell(request, many, provider, capsys) -> Shell:
    return Shell(many, provider, request.param, capsys)


@pytest.fixture
def openai(many, provider, capsys) -> Shell:
    """Where the two interfaces make no difference."""
    return Shell(many, provider, "openai", capsys)


def asked_keys(provider) -> Counter[str]:
    """How often each request key was handed over in a batch."""
    return Counter(key for batch in provider.batches.values() for key in batch.keys)


def test_from_judge_by_batch_to_ratings_and_then_nothing_is_asked(shell, provider) -> None:
    provider.ends_at_once = False
    handed = shell.judge("--batch")
    assert (shell.code, handed["requested"], handed["asked"]) == (0, TURNS, TURNS)
    assert [batch["state"] for batch in handed["batches"]] == ["submitted"]

    (shown,) = shell.label("batch", "status")["batches"]
    assert (shown["state"], shown["requests"], shown["outcomes"]) == ("submitted", TURNS, {})
    early = shell.label("batch", "collect")
    assert (early["requests"], len(early["open"])) == (0, 1)

    provider.end_all()
    collected = shell.label("batch", "collect")
    assert (collected["requests"], collected["done"], collected["open"]) == (TURNS, TURNS, [])
    assert [one["done"] for one in collected["labels"]] == [TURNS]
    assert shell.rows("SELECT count(*), count(value) FROM current_ratings") == [(TURNS, TURNS)]

    again = shell.judge()
    assert (again["requested"], again["reused"], again["cost_usd"]) == (TURNS, TURNS, 0)
    assert provider.online == []
    assert shell.is_sound()


def test_a_batch_leaves_the_rows_that_asking_one_by_one_leaves(tmp_path, openai, provider, write) -> None:
    openai.judge("--batch")
    openai.label("batch", "collect")
    online = write(
        tmp_path / "online.duckdb",
        [("gpt-4", [("user", f"Question {n}"), ("assistant", f"Answer {n}")]) for n in range(TURNS)],
    )
    other = Shell(online, provider, openai.kind, openai.capsys)
    other.judge()
    ratings = (
        "SELECT response_id, labeler, template, scale, value, explanation, state, request_key"
        " FROM ratings ORDER BY ALL"
    )
    assert openai.rows(ratings) == other.rows(ratings)
    answers = (
        "SELECT request_key, provider, model, state, reply, finish_reason, prompt_tokens, completion_tokens"
        " FROM completions ORDER BY ALL"
    )
    assert openai.rows(answers) == other.rows(answers)
    requests = "SELECT * EXCLUDE (created_at, run_id, version) FROM requests ORDER BY ALL"
    assert openai.rows(requests) == other.rows(requests)
    costs = "SELECT sum(cost_usd) FROM completions"
    assert openai.rows(costs)[0][0] == pytest.approx(other.rows(costs)[0][0] / 2)


def test_every_way_to_end_is_counted_and_only_the_unanswered_are_asked_again(shell, provider) -> None:
    fates = ["done", "errored", "expired", "canceled", "missing", "overloaded", "garbage", "twice", "strange"]
    provider.fate = lambda number: fates[number] if number < len(fates) else "done"
    shell.judge("--batch")
    end = "expired" if shell.kind == "openai" else "completed"
    provider.end_all(end)
    collected = shell.label("batch", "collect")
    counts = {name: collected[name] for name in ("requests", "done", "failed", "again", "refused", "blocked")}
    assert counts == {"requests": 12, "done": 6, "failed": 1, "again": 5, "refused": 0, "blocked": 0}
    assert collected["unknown"] == 1
    assert len(collected["repeat"]) == 1
    reasons = dict(shell.rows("SELECT state, count(reason) FROM batch_outcomes GROUP BY state"))
    assert reasons == {"done": 0, "failed": 1, "again": 5}
    assert shell.rows("SELECT state, count(*) FROM completions GROUP BY ALL ORDER BY ALL") == [
        ("done", 6),
        ("failed", 1),
    ]
    (labels,) = collected["labels"]
    assert (labels["requested"], labels["done"]) == (6, 6)
    assert shell.is_sound()

    provider.fate = lambda _number: "done"
    again = shell.judge("--batch")
    assert (again["reused"], again["asked"]) == (6, 6)
    assert shell.label("batch", "collect")["done"] == 6
    assert shell.rows("SELECT count(*) FROM completions WHERE state = 'done'") == [(TURNS,)]
    assert shell.judge()["reused"] == TURNS
    assert shell.is_sound()


def test_collecting_twice_changes_nothing(openai) -> None:
    openai.judge("--batch")
    openai.label("batch", "collect")
    before = openai.rows("SELECT max(version) FROM versions")
    again = openai.label("batch", "collect")
    assert (openai.code, again["requests"], again["labels"]) == (0, 0, [])
    assert openai.rows("SELECT max(version) FROM versions") == before


def test_what_is_in_an_open_batch_is_asked_nowhere_else(openai, provider) -> None:
    provider.ends_at_once = False
    openai.judge("--batch", "--limit", "5")
    online = openai.judge()
    assert (online["requested"], online["done"], online["pending"]) == (TURNS - 5, TURNS - 5, 5)
    assert "5 turns left out: their requests are in an open batch" in openai.err
    assert openai.judge("--dry-run")["calls"] == 0
    second = openai.judge("--batch")
    assert (second["pending"], second["asked"], second["batches"]) == (5, 0, [])
    assert set(asked_keys(provider).values()) == {1}
    assert len(provider.online) == TURNS - 5


def test_an_unreadable_answer_is_repaired_online_by_the_next_ordinary_run(openai, provider) -> None:
    provider.fate = lambda number: "unparsed" if number == 3 else "done"
    openai.judge("--batch")
    collected = openai.label("batch", "collect")
    (labels,) = collected["labels"]
    assert (collected["done"], labels["done"], labels["unparsed"]) == (TURNS, TURNS - 1, 0)
    assert provider.online == []
    ordinary = openai.judge()
    assert (ordinary["reused"], ordinary["done"]) == (TURNS - 1, 1)
    assert len(provider.online) == 1
    assert len(provider.online[0]["messages"]) > 2


@pytest.mark.parametrize("fault", ["after 500", "500"])
def test_a_submission_that_fails_is_looked_for_before_it_is_sent_again(shell, provider, fault) -> None:
    provider.creating.extend([fault])
    handed = shell.judge("--batch", "--settle", "0")
    assert [batch["state"] for batch in handed["batches"]] == ["submitted"]
    assert set(asked_keys(provider).values()) == {1}
    assert shell.label("batch", "collect")["done"] == TURNS


def test_a_refused_submission_frees_its_requests(openai, provider) -> None:
    provider.creating.append("400")
    (batch,) = openai.judge("--batch")["batches"]
    assert (batch["state"], batch["reason"]) == ("rejected", "scripted 400")
    assert openai.judge()["done"] == TURNS


def test_an_empty_account_stops_at_once_and_submit_goes_on_later(openai, provider) -> None:
    provider.creating.append("402")
    openai.judge("--batch")
    assert openai.code == 3
    assert "the provider stopped the run: 402" in openai.err
    assert provider.batches == {}
    assert openai.judge("--dry-run")["pending"] == TURNS
    (batch,) = openai.label("batch", "submit")["batches"]
    assert batch["state"] == "submitted"
    assert set(asked_keys(provider).values()) == {1}


def test_calls_that_fail_on_the_way_are_tried_again(openai, provider) -> None:
    provider.faults.append(500)
    assert openai.judge("--batch")["batches"][0]["state"] == "submitted"
    provider.faults.append(503)
    assert openai.label("batch", "collect")["done"] == TURNS


def test_a_plan_is_split_where_the_provider_has_its_limits(openai, provider, monkeypatch) -> None:
    from label.batches.provider import BatchLimits
    from label.chat_models.anthropic_batches import AnthropicBatches
    from label.chat_models.openai_batches import OpenAIBatches

    for interface in (OpenAIBatches, AnthropicBatches):
        monkeypatch.setattr(interface, "limits", BatchLimits(requests=5, n_bytes=10**6))
    dry = openai.judge("--batch", "--dry-run")
    assert (dry["batches"], dry["calls"]) == (3, TURNS)
    assert provider.seen.total() == 0
    handed = openai.judge("--batch")
    assert [batch["requests"] for batch in handed["batches"]] == [5, 5, 2]
    assert set(asked_keys(provider).values()) == {1}
    assert openai.label("batch", "collect")["done"] == TURNS
    assert openai.is_sound()


def test_bytes_split_a_plan_too_and_a_batch_never_passes_them(openai, provider, monkeypatch) -> None:
    from label.batches.provider import BatchLimits
    from label.chat_models.anthropic_batches import AnthropicBatches
    from label.chat_models.openai_batches import OpenAIBatches

    for interface in (OpenAIBatches, AnthropicBatches):
        monkeypatch.setattr(interface, "limits", BatchLimits(requests=1000, n_bytes=12_000))
    handed = openai.judge("--batch")
    sizes = [batch["bytes"] for batch in handed["batches"]]
    assert len(sizes) > 1
    assert max(sizes) <= 12_000
    assert all(len(content) <= 12_000 for content in provider.files.values())
    assert openai.label("batch", "collect")["done"] == TURNS


def test_a_cap_that_the_worst_case_could_pass_lets_nothing_out(openai, provider) -> None:
    most = openai.judge("--batch", "--dry-run")["cost_usd_at_most"]
    openai.judge("--batch", "--max-cost", str(most * 0.99))
    assert openai.code == 3
    assert "nothing was handed over" in openai.err
    assert list(batch_folder(openai.store).iterdir()) == []
    assert provider.seen.total() == 0
    assert openai.judge("--batch", "--max-cost", str(most * 1.01))["asked"] == TURNS
    assert openai.label("batch", "collect")["cost_usd"] <= most


def test_what_a_batch_costs_can_be_said(openai) -> None:
    openai.judge("--batch", "--price", "10", "--batch-price-in", "1", "--batch-price-out", "2")
    assert openai.label("batch", "collect")["cost_usd"] == pytest.approx(TURNS * (100 * 1 + 20 * 2) / 1e6)


def test_waiting_collects_and_labels_in_one_command(openai) -> None:
    collected = openai.judge("--batch", "--wait-batch", "1")
    assert collected["done"] == TURNS
    assert [one["done"] for one in collected["labels"]] == [TURNS]


def test_a_batch_that_failed_as_a_whole_leaves_everything_to_be_asked(many, provider, capsys) -> None:
    shell = Shell(many, provider, "openai", capsys)
    provider.ends_at_once = False
    shell.judge("--batch")
    provider.end_all("failed")
    collected = shell.label("batch", "collect")
    assert (collected["again"], collected["done"]) == (TURNS, 0)
    assert "too many enqueued tokens" in shell.err
    assert shell.judge()["done"] == TURNS


def test_a_cancelled_batch_keeps_what_was_answered(shell, provider) -> None:
    provider.ends_at_once = False
    (batch,) = shell.judge("--batch")["batches"]
    fate = "cancelled" if shell.kind == "openai" else "canceled"
    provider.fate = lambda number: "done" if number < 4 else fate
    (cancelled,) = shell.label("batch", "cancel", batch["batch_id"])["batches"]
    assert cancelled["state"] == "submitted"
    collected = shell.label("batch", "collect")
    assert (collected["done"], collected["again"]) == (4, TURNS - 4)
    ordinary = shell.judge()
    assert (ordinary["reused"], ordinary["done"]) == (4, TURNS - 4)


def test_a_batch_that_never_arrived_can_be_given_up(openai, provider) -> None:
    provider.creating.append("402")
    openai.judge("--batch")
    (batch,) = openai.label("batch", "status", "--stored")["batches"]
    (given_up,) = openai.label("batch", "cancel", batch["batch_id"])["batches"]
    assert given_up["state"] == "abandoned"
    assert openai.judge()["done"] == TURNS
    assert provider.batches == {}


def test_a_batch_that_is_gone_keeps_no_other_from_being_collected_and_can_be_given_up(
    openai, provider
) -> None:
    (gone,) = openai.judge("--batch", "--limit", "3")["batches"]
    openai.judge("--batch")
    del provider.batches["batch_0"]
    collected = openai.label("batch", "collect")
    assert (openai.code, collected["done"]) == (3, TURNS - 3)
    assert f"error: {gone['batch_id']}: scripted 404" in openai.err
    (given_up,) = openai.label("batch", "cancel", gone["batch_id"])["batches"]
    assert given_up["state"] == "abandoned"
    assert openai.judge()["done"] == 3


def test_batches_of_the_same_size_are_told_apart_when_they_have_ended(many, provider, capsys) -> None:
    """Anthropic has no metadata: two batches under way look alike."""
    shell = Shell(many, provider, "anthropic", capsys)
    provider.ends_at_once = False
    provider.creating.append("after 500")
    shell.judge("--batch", "--settle", "0")
    (batch,) = shell.label("batch", "status", "--stored")["batches"]
    assert batch["state"] == "sending"
    assert batch["reason"] == "may be msgbatch_0, which shows when they have ended"
    assert shell.judge()["pending"] == TURNS
    assert provider.online == []
    provider.end_all()
    assert shell.label("batch", "collect")["done"] == TURNS
    assert set(asked_keys(provider).values()) == {1}


def test_models_without_batches_say_so(many, capsys) -> None:
    def judge(*words: str) -> int:
        return run_command(cli, ["judge", *words, "--batch", "--store", str(many.path)])

    assert judge("--model", "offline") == 2
    assert "offline has no batch interface; leave --batch out" in capsys.readouterr().err
    assert (
        judge("--model", "m", "--base-url", "http://127.0.0.1:1/v1", "--base-url", "http://127.0.0.1:2/v1")
        == 2
    )
    assert "no batch interface" in capsys.readouterr().err


def test_keys_come_from_the_environment_and_reach_no_row(shell, provider, monkeypatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary-1")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-canary-1")
    shell.judge("--batch")
    shell.label("batch", "collect")
    assert len(provider.authorizations) == 1
    assert all("sk-canary-1" in str(sent) for sent in provider.authorizations)
    for table in ("batches", "batch_outcomes", "completions", "requests", "runs"):
        assert "sk-canary" not in str(shell.rows(f"SELECT * FROM {table}"))


def test_canaries_are_no_part_of_a_batch_and_cannot_hold_one_back(openai) -> None:
    assert openai.judge("--canaries", "4", "--batch", "--dry-run")["calls"] == TURNS
    openai.judge("--batch", "--min-canaries", "0.5")
    assert openai.code == 2
    assert "--min-canaries cannot hold a batch back" in openai.err


def test_while_a_run_asks_online_no_batch_of_that_model_is_made(openai, provider) -> None:
    from store.runs import run_of

    settings = {"model": MODELS[openai.kind], "base_url": provider.url_of(openai.kind)}
    with run_of(openai.store, "label judge", settings):
        openai.judge("--batch")
        assert openai.code == 3
        assert "is asking" in openai.err
    assert provider.batches == {}
    assert openai.judge("--batch")["asked"] == TURNS


def test_commands_about_batches_take_turns(openai) -> None:
    with batches_alone(openai.store):
        openai.judge("--batch", "--wait", "0.05")
    assert openai.code == 3
    assert "another command has been working on the batches" in openai.err


def test_compare_goes_by_batch_too(tmp_path, provider, capsys, write) -> None:
    prompt = [("user", "Which is a prime?")]
    answers = ("Seven.", "Nine.", "Seven.", "Four, I think.")
    conversations = [(f"policy-{n}", [*prompt, ("assistant", text)]) for n, text in enumerate(answers)]
    shell = Shell(write(tmp_path / "pairs.duckdb", conversations), provider, "openai", capsys)
    model = ("--model", "gpt-4o", "--base-url", provider.openai_url, "--pairs", "all", "--canaries", "0")
    handed = shell.label("compare", *model, "--batch")
    assert handed["asked"] == 6
    collected = shell.label("batch", "collect")
    (labels,) = collected["labels"]
    assert (collected["done"], labels["requested"], labels["done"]) == (6, 6, 6)
    again = shell.label("compare", *model)
    assert (again["requested"], again["reused"]) == (6, 6)
    assert provider.online == []
    assert shell.is_sound()


def test_people_see_what_was_handed_over_and_what_to_do_next(many, provider, capsys) -> None:
    words = ["--store", str(many.path)]
    model = ["--model", "gpt-4", "--base-url", provider.openai_url]
    assert run_command(cli, ["judge", *model, "--batch", *words]) == 0
    shown = capsys.readouterr()
    assert (
        "12 requests: 0 labelled already, 0 answered, 0 in an open batch before; 12 handed over" in shown.out
    )
    assert "next: label batch status, and label batch collect once they have ended" in shown.err
    assert run_command(cli, ["batch", "collect", *words]) == 0
    shown = capsys.readouterr().out
    assert "12 requests: 12 done, 0 refused, 0 blocked, 0 failed, 0 again" in shown
    assert "labels by gpt-4: 0 reused, 12 done" in shown
    assert run_command(cli, ["batch", "status", *words]) == 0
    assert "labelled" in capsys.readouterr().out
