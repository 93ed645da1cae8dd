"""`label sample` killed at random moments: no draw is lost and none is made twice."""

import random
import subprocess
import sys
from functools import partial

import pytest

from store.verify import verify

KILLS = 20
PROMPTS = 150
N = 16
CONCURRENCY = 4
MOST_REQUESTS_IN_A_LIFE = 30


def rule_of(reply):
    def rule(body):
        if "n" not in body:  # the question what the server's template writes
            return reply(status=404, body={})
        asked = body["messages"][-1]["content"]
        choices = [
            {
                "index": i,
                "finish_reason": "stop",
                "token_ids": [1, 2],
                # every fourth draw of a prompt says the same, so that responses are shared
                "message": {"content": f"{asked} {(body['seed'] + i) % 4}"},
            }
            for i in range(body["n"])
        ]
        return reply(
            body={"choices": choices, "usage": {"prompt_tokens": 5, "completion_tokens": 2 * body["n"]}}
        )

    return rule


def start(store, server) -> subprocess.Popen[bytes]:
    arguments = ["sample", "--model", f"vllm:{server.url}#p", "--n", str(N), "--store", str(store.path)]
    more = ["--draws-per-request", "3", "--concurrency", str(CONCURRENCY), "--wait", "120"]
    code = "from label.cli import main; main()"
    return subprocess.Popen([sys.executable, "-c", code, *arguments, *more], stdout=subprocess.DEVNULL)


def rows_of(store) -> list[tuple]:
    with store.read() as reading:
        return reading.rows(
            "SELECT prompt_id, response_id, sample_index, policy, sampling, seed, finish_reason, n_tokens"
            " FROM samples ORDER BY ALL"
        )


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_killed_twenty_times_every_prompt_ends_with_exactly_its_draws(
    tmp_path, server, reply, write, killed_after
) -> None:
    server.rule = rule_of(reply)
    conversations = [("m", [("user", f"Question {n}"), ("assistant", f"Answer {n}")]) for n in range(PROMPTS)]
    undisturbed = write(tmp_path / "undisturbed.duckdb", conversations)
    assert start(undisturbed, server).wait() == 0
    assert len(rows_of(undisturbed)) == PROMPTS * N
    server.bodies.clear()

    store = write(tmp_path / "killed.duckdb", conversations)
    chance = random.Random(20261126)
    for _ in range(KILLS):
        seen = len(server.bodies) + 1 + chance.randrange(MOST_REQUESTS_IN_A_LIFE)
        is_time = partial(server.has_seen, seen, within_s=0.2)
        assert killed_after(start(store, server), chance.uniform(0.0, 0.05), is_time), "finished too early"
    assert start(store, server).wait() == 0

    assert rows_of(store) == rows_of(undisturbed)
    problems = verify(store).problems
    assert {name for name in problems if name != "conversation_source"} == set()
    drawn = sum(body.get("n", 0) for body in server.bodies)
    assert drawn - PROMPTS * N <= KILLS * CONCURRENCY * 3
    print(f"{drawn - PROMPTS * N} of {PROMPTS * N} draws made again after {KILLS} kills")
