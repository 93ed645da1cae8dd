"""`label sample` against a server on the loopback device."""

import json
from collections import Counter
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from label.cli import cli
from label.sampler import Sampling, seed_of
from label.sampling.sample import only_run_of
from label.sampling.sampling_plan import Draws, asks_of
from store.console import run_command
from store.selections import write_selection
from store.verify import verify

COLUMNS = "prompt_id, sample_index, policy, sampling, seed, finish_reason, n_tokens"


def is_probe(body) -> bool:
    """Whether it is the question what the server's template writes."""
    return "n" not in body


def asks(server) -> list[dict]:
    return [body for body in server.bodies if not is_probe(body)]


@dataclass
class Policy:
    """A made-up policy behind the server: what it says follows from the prompt and the seed."""

    reply: type
    gives_at_most: int = 1000
    texts: dict[str, str] = field(default_factory=dict)
    """The last turn's text → what is always answered to it."""
    longest: int = 10_000

    def __call__(self, body):
        if is_probe(body):
            return self.reply(status=404, body={"error": "no such page"})
        asked = body["messages"][-1]["content"] if "messages" in body else str(body["prompt"])
        if len(asked) > self.longest:
            message = f"This model's maximum context length is {self.longest} tokens."
            return self.reply(status=400, body={"error": {"message": message, "code": 400}})
        choices = [self.choice(asked, body, i) for i in range(min(body.get("n", 1), self.gives_at_most))]
        usage = {"prompt_tokens": 7, "completion_tokens": 5 * len(choices)}
        return self.reply(body={"model": body["model"], "choices": choices[::-1], "usage": usage})

    def choice(self, asked, body, index):
        text = self.texts.get(asked, f"{asked} {body['seed'] + index} at {body['temperature']}")
        said = {"message": {"content": text}} if "messages" in body else {"text": text}
        return {"index": index, "finish_reason": "stop", "token_ids": [1, 2, 3, 4, 5], **said}


@pytest.fixture
def policy(server, reply):
    made = Policy(reply)
    server.rule = made
    return made


def sample(store, server, *options: str, model: str = "vllm:p") -> int:
    where = ["--base-url", server.url] if server else []
    return run_command(cli, ["sample", "--model", model, *where, "--store", str(store.path), *options])


def draws(store, columns: str = COLUMNS, more: str = "") -> list[tuple]:
    with store.read() as reading:
        return reading.rows(
            f"SELECT {columns} FROM samples JOIN messages ON message_id = response_id {more} ORDER BY ALL"
        )


def printed(capsys) -> dict:
    return json.loads(capsys.readouterr().out)


def problems_of(store) -> dict[str, int]:
    """What is wrong with a store, besides the source that these tests never write."""
    return {name: n for name, n in verify(store).problems.items() if name != "conversation_source"}


def adds_up(counts: dict) -> bool:
    states = ("reused", "done", "unparsed", "refused", "blocked", "failed")
    return counts["requested"] == sum(counts[name] for name in states)


def test_every_prompt_gets_its_draws_with_all_that_made_them(store, server, policy, capsys) -> None:
    assert sample(store, server, "--n", "3", "--json") == 0
    counts = printed(capsys)
    assert (counts["requested"], counts["done"], counts["prompts"]) == (12, 12, 4)
    assert adds_up(counts)
    rows = draws(store, f"{COLUMNS}, content, depth")
    assert len(rows) == 12
    for prompt_id, index, name, sampling, seed, reason, n_tokens, content, _ in rows:
        assert seed == seed_of(str(prompt_id), index, 0)
        assert content.endswith(f"{seed} at 0.7")
        assert (name, reason, n_tokens) == ("p", "stop", 5)
        assert json.loads(sampling) == {
            "max_new_tokens": 2048,
            "temperature": 0.7,
            "top_k": 0,
            "top_p": 1.0,
        }
    assert problems_of(store) == {}
    body = asks(server)[0]
    assert {"temperature", "top_p", "top_k", "min_p", "repetition_penalty", "seed", "n"} <= set(body)


def test_a_later_turn_is_asked_with_its_history(store, server, policy) -> None:
    assert sample(store, server, "--n", "1") == 0
    (asked,) = [body["messages"] for body in asks(server) if len(body["messages"]) > 1]
    assert [(turn["role"], turn["content"]) for turn in asked] == [
        ("user", "Hello"),
        ("assistant", "Hi! How can I help?"),
        ("user", "Sort 3, 1, 2."),
    ]
    (response,) = draws(store, "depth, content", "WHERE content LIKE 'Sort%'")
    assert response[0] == 3


def test_repeating_asks_nothing_and_topping_up_asks_for_the_rest_with_the_same_seeds(
    store, server, policy, write, capsys
) -> None:
    assert sample(store, server, "--n", "2") == 0
    asked = len(asks(server))
    capsys.readouterr()
    assert sample(store, server, "--n", "2", "--json") == 0
    counts = printed(capsys)
    assert (counts["reused"], counts["done"], len(asks(server))) == (8, 0, asked)
    assert sample(store, server, "--n", "5", "--json") == 0
    counts = printed(capsys)
    assert (counts["requested"], counts["reused"], counts["done"]) == (20, 8, 12)
    assert {body["n"] for body in asks(server)[asked:]} == {3}

    at_once = write(store.path.with_name("once.duckdb"), CONVERSATIONS)
    assert sample(at_once, server, "--n", "5") == 0
    assert draws(at_once, f"{COLUMNS}, content") == draws(store, f"{COLUMNS}, content")


CONVERSATIONS = [
    ("gpt-4", [("user", "What is a fjord?"), ("assistant", "A long sea inlet between cliffs.")]),
    ("gpt-4", [("user", "Name a prime."), ("assistant", "Seven.")]),
    (
        "gpt-3.5-turbo",
        [
            ("user", "Hello"),
            ("assistant", "Hi! How can I help?"),
            ("user", "Sort 3, 1, 2."),
            ("assistant", "1, 2, 3"),
        ],
    ),
]


def test_a_lost_draw_is_the_only_one_made_again(store, server, policy) -> None:
    """A gap in the middle, as a killed run leaves it, is one request of its own."""
    assert sample(store, server, "--n", "4") == 0
    before = draws(store)
    with store.write() as writing:
        writing.con.execute("DELETE FROM main.samples WHERE sample_index = 2")
        writing.con.execute("UPDATE main.versions SET rows_by_table = replace(rows_by_table, '16', '12')")
    server.bodies.clear()
    assert sample(store, server, "--n", "4") == 0
    assert [body["n"] for body in asks(server)] == [1] * 4
    assert draws(store) == before


def test_several_temperatures_take_turns(store, server, policy) -> None:
    assert sample(store, server, "--preset", "xwin-pair") == 0
    found = Counter(
        (index, json.loads(sampling)["temperature"])
        for index, sampling in draws(store, "sample_index, sampling")
    )
    assert found == {(0, 0.7): 4, (1, 0.3): 4}
    assert sample(store, server, "--preset", "rlhf-workflow", "--policy", "other") == 0
    found = Counter(
        (index % 2, json.loads(sampling)["temperature"])
        for index, sampling in draws(store, "sample_index, sampling", "WHERE policy = 'other'")
    )
    assert found == {(0, 1.0): 16, (1, 0.7): 16}


def test_other_parameters_are_other_draws(store, server, policy, capsys) -> None:
    assert sample(store, server, "--n", "2") == 0
    capsys.readouterr()
    assert sample(store, server, "--n", "2", "--top-p", "0.9", "--json") == 0
    assert printed(capsys)["reused"] == 0
    assert len(draws(store)) == 16


def test_a_prompt_that_is_too_long_is_counted_kept_with_its_reason_and_asked_about_once(
    store, server, policy, capsys
) -> None:
    policy.longest = 14
    options = ("--n", "32", "--concurrency", "1", "--json")
    assert sample(store, server, *options) == 0
    counts = printed(capsys)
    assert (counts["done"], counts["failed"]) == (96, 32)
    assert adds_up(counts)
    long_asks = [body for body in asks(server) if body["messages"][-1]["content"] == "What is a fjord?"]
    assert len(long_asks) == 1
    assert sample(store, server, *options) == 0
    assert printed(capsys)["reused"] == 96
    with store.read() as reading:
        rows = reading.rows("SELECT policy, state, reason FROM sample_rejects")
    assert len(rows) == 1
    assert rows[0][:2] == ("p", "failed")
    assert "maximum context length is 14" in rows[0][2]
    assert problems_of(store) == {}


def test_when_every_draw_fails_the_command_says_so(store, server, policy, capsys) -> None:
    policy.longest = 1
    assert sample(store, server, "--n", "2") == 1
    assert "all 8 draws failed" in capsys.readouterr().err


def test_a_server_that_gives_fewer_than_asked_for_is_asked_again(store, server, policy) -> None:
    policy.gives_at_most = 3
    assert sample(store, server, "--n", "8") == 0
    rows = draws(store, "prompt_id, sample_index, seed")
    assert Counter(index for _, index, _ in rows) == dict.fromkeys(range(8), 4)
    assert all(seed == seed_of(str(prompt_id), index, 0) for prompt_id, index, seed in rows)


def test_held_back_and_declined_answers_are_counted_and_are_no_responses(
    store, server, reply, capsys
) -> None:
    def rule(body):
        asked = body["messages"][-1]["content"]
        choice = {"index": 0, "finish_reason": "stop", "message": {"content": "Yes."}}
        if asked == "Hello":
            choice["finish_reason"] = "content_filter"
        if asked == "Name a prime.":
            choice["message"] = {"content": None, "refusal": "I would rather not."}
        return reply(body={"choices": [choice], "usage": {"prompt_tokens": 1, "completion_tokens": 2}})

    server.rule = rule
    assert sample(store, server, "--n", "1", "--json", model="any-model") == 0
    counts = printed(capsys)
    assert (counts["done"], counts["blocked"], counts["refused"]) == (2, 1, 1)
    assert adds_up(counts)
    assert [n_tokens for (n_tokens,) in draws(store, "n_tokens")] == [2, 2]
    with store.read() as reading:
        states = reading.rows("SELECT state, reason FROM sample_rejects ORDER BY ALL")
    assert [state for state, _ in states] == ["blocked", "refused"]
    assert states[1][1] == "I would rather not."


def test_the_share_of_a_dead_server_is_taken_over(store, server, policy, capsys) -> None:
    dead = "http://127.0.0.1:9/v1"
    assert sample(store, server, "--base-url", dead, "--n", "4", "--concurrency", "2", "--json") == 0
    counts = printed(capsys)
    assert (counts["done"], counts["failed"]) == (16, 0)


def test_equal_texts_share_a_response_and_stay_separate_draws(store, server, policy) -> None:
    """One of them is an answer that the store has had from the start."""
    policy.texts = {"Name a prime.": "Seven.", "Hello": "Hi there."}
    assert sample(store, server, "--n", "6") == 0
    rows = draws(store, "content, count(*), count(DISTINCT response_id)", "GROUP BY content")
    assert [row for row in rows if row[1] > 1] == [("Hi there.", 6, 1), ("Seven.", 6, 1)]
    assert problems_of(store) == {}


def test_a_selection_a_part_a_source_and_a_draw_choose_the_prompts(store, server, policy, capsys) -> None:
    with store.write() as writing:
        chosen = (
            "SELECT message_id AS prompt_id, if(content = 'Hello', 'train', 'rest') AS part FROM messages"
        )
        where = "WHERE role = 'user' AND content <> 'Name a prime.'"
        write_selection(writing, "mine", "prompts", f"{chosen} {where}", settings={}, steps={}, run_id=None)

    def prompts_of(*options: str) -> int:
        assert sample(store, server, "--n", "1", "--dry-run", "--json", *options) == 0
        return printed(capsys)["prompts"]

    assert prompts_of("--prompts", "mine") == 3
    assert prompts_of("--prompts", "mine", "--part", "train") == 1
    assert prompts_of("--limit", "2") == 2
    assert prompts_of("--sample", "3") == 3
    assert server.bodies == []
    assert sample(store, server, "--prompts", "mine", "--part", "train", "--n", "1") == 0
    assert [body["messages"][-1]["content"] for body in asks(server)] == ["Hello"]
    for options in (
        ["--prompts", "min"],
        ["--prompts", "mine", "--part", "trian"],
        ["--source", "nowhere"],
        ["--part", "train"],
        ["--prompts", "mine", "--source", "x"],
        ["--temperature", "9"],
    ):
        assert sample(store, server, *options) == 2
    assert "did you mean 'train'" in capsys.readouterr().err


def test_a_draw_of_prompts_depends_on_the_seed_only(store, server, policy) -> None:
    def drawn(seed: str, name: str) -> list[tuple]:
        assert sample(store, server, "--sample", "2", "--n", "1", "--seed", seed, "--policy", name) == 0
        return draws(store, "DISTINCT prompt_id", f"WHERE policy = '{name}'")

    picks = [drawn("1", "a"), drawn("1", "b"), drawn("2", "c"), drawn("3", "d"), drawn("4", "e")]
    assert picks[0] == picks[1]
    assert len({tuple(pick) for pick in picks}) > 1


def test_another_seed_draws_other_responses_from_a_store_that_has_none(
    store, server, policy, write, tmp_path
) -> None:
    other = write(tmp_path / "other.duckdb", CONVERSATIONS)
    assert sample(store, server, "--n", "2", "--seed", "1") == 0
    assert sample(other, server, "--n", "2", "--seed", "2") == 0
    assert {row[4] for row in draws(store)}.isdisjoint({row[4] for row in draws(other)})


def test_two_runs_never_draw_from_the_same_policy_at_once(store, server, policy, capsys) -> None:
    with only_run_of(store, "p"):
        assert sample(store, server, "--n", "1") == 3
        assert sample(store, server, "--n", "1", "--policy", "q") == 0
    assert "another run draws from 'p'" in capsys.readouterr().err
    assert sample(store, server, "--n", "1") == 0


def test_what_a_draw_could_cost_never_passes_the_cap(store, server, policy, capsys) -> None:
    price = ["--price-in", "0", "--price-out", "1000000"]
    options = ["--n", "1", "--max-new-tokens", "10", "--concurrency", "1", "--json", *price]
    assert sample(store, server, *options, "--max-cost", "16") == 3
    stopped = printed(capsys)
    assert (stopped["done"], stopped["cost_usd"], stopped["remaining"]) == (2, 10.0, 2)
    assert sample(store, server, *options) == 0
    assert printed(capsys)["reused"] == 2


def test_a_wrong_key_stops_the_run_with_its_own_exit_code(store, server, reply, capsys) -> None:
    server.rule = lambda _body: reply(status=401, body={"error": {"message": "no such key"}})
    assert sample(store, server, "--n", "1", "--concurrency", "1") == 3
    assert len(asks(server)) == 1
    assert "no such key" in capsys.readouterr().err


def test_the_key_is_in_no_error_and_in_no_row(store, server, reply, capsys, monkeypatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary-4711")
    server.rule = lambda _body: reply(status=400, body={"error": {"message": "bad sk-canary-4711"}})
    assert sample(store, server, "--n", "1", "--concurrency", "1") == 1
    assert server.authorizations[0] == "Bearer sk-canary-4711"
    with store.read() as reading:
        rows = reading.rows("SELECT reason FROM sample_rejects")
    assert "canary" not in str(rows) + str(capsys.readouterr())


def test_an_answer_that_is_no_completion_is_tried_again_and_then_given_up(
    store, server, reply, capsys, monkeypatch
) -> None:
    monkeypatch.setattr("label.sampling.draw_calls.backoff_s", lambda *_: 0.0)
    server.rule = lambda _body: reply(body="<html>gateway</html>")
    assert sample(store, server, "--n", "1", "--limit", "1") == 1
    assert len(asks(server)) == 6
    assert "not a completion" in capsys.readouterr().err


indexes = st.integers(0, 30)


@given(n=st.integers(1, 30), known=st.sets(indexes), per_ask=st.integers(1, 9), kinds=st.integers(1, 3))
def test_the_asks_cover_what_is_missing_and_nothing_else(n, known, per_ask, kinds) -> None:
    plan = Draws(n, tuple(Sampling(temperature=kind) for kind in range(kinds)), seed=5)
    asked = list(asks_of("p", (("user", "?"),), plan, known, per_ask))
    covered = [index for ask in asked for index in range(ask.first_index, ask.first_index + ask.n)]
    assert covered == [index for index in range(n) if index not in known]
    for ask in asked:
        assert 1 <= ask.n <= per_ask
        for number in range(ask.n):
            assert plan.sampling_of(ask.first_index + number) == ask.sampling
            assert ask.first_seed + number == seed_of("p", ask.first_index + number, 5)


def test_a_template_that_writes_a_space_is_found_out_from_the_server(store, server, policy) -> None:
    """The server tells what it shows the policy: the question's tokens, then those of the answer as well."""

    def tokens(body):
        if "tokens" in body:
            return policy.reply(body={"prompt": " X</s>"})
        shown = [1, 2, 3] if body["add_generation_prompt"] else [1, 2, 3, 4, 5]
        return policy.reply(body={"tokens": shown, "count": len(shown)})

    server.rule = lambda body: tokens(body) if is_probe(body) else policy(body)
    policy.texts = {"Hello": " Hi", "Name a prime.": "  Two", "What is a fjord?": "Water"}
    assert sample(store, server, "--n", "1") == 0
    assert {"Hi", " Two", "Water"} <= {content for (content,) in draws(store, "content")}
    assert sum(map(is_probe, server.bodies)) == 3


def test_a_server_that_is_down_is_not_taken_for_one_without_a_space(store, server, policy) -> None:
    """The first server asked does not answer; what the second says counts."""
    calls = []

    def rule(body):
        calls.append(is_probe(body))
        if is_probe(body) and len(calls) == 1:
            return policy.reply(status=503, body={"error": {"message": "starting"}})
        if "tokens" in body:
            return policy.reply(body={"prompt": " X"})
        if is_probe(body):
            return policy.reply(body={"tokens": [1] if body["add_generation_prompt"] else [1, 2]})
        return policy(body)

    server.rule = rule
    policy.texts = {"Hello": " Hi"}
    assert sample(store, server, "--n", "1", "--concurrency", "1") == 0
    assert "Hi" in {content for (content,) in draws(store, "content")}


def test_a_server_that_answers_draws_only_is_one_without_a_space(store, server, policy) -> None:
    server.rule = lambda body: policy.reply(resets=True) if is_probe(body) else policy(body)
    policy.texts = {"Hello": " Hi"}
    assert sample(store, server, "--n", "1") == 0
    assert " Hi" in {content for (content,) in draws(store, "content")}
