"""`label judge` killed at random moments: nothing is lost and nothing is bought twice."""

import json
import random
import subprocess
import sys
from collections import Counter

import pytest

KILLS = 50
CONCURRENCY = 8
TURNS = 2400
MOST_REQUESTS_IN_A_LIFE = 40


def start(store, server) -> subprocess.Popen[bytes]:
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
    code = "from label.cli import main; main()"
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments, "--concurrency", str(CONCURRENCY), "--wait", "120"],
        stdout=subprocess.DEVNULL,
    )


def has_seen(server, count: int):
    """Asks, for a fifth of a second, whether the server has got so many requests."""
    return lambda: server.has_seen(count, within_s=0.2)


def labels(store) -> list[tuple]:
    with store.read() as reading:
        return reading.rows(
            "SELECT response_id, labeler, template, value, explanation, state, request_key FROM ratings ORDER BY ALL"
        )


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_killed_fifty_times_the_store_ends_as_if_undisturbed_and_no_answer_is_paid_twice(
    tmp_path, server, write, killed_after
) -> None:
    conversations = [
        ("gpt-4", [("user", f"Question {n}"), ("assistant", f"Answer {n}")]) for n in range(TURNS)
    ]
    undisturbed = write(tmp_path / "undisturbed.duckdb", conversations)
    assert start(undisturbed, server).wait() == 0
    assert len(server.bodies) == TURNS
    server.bodies.clear()

    store = write(tmp_path / "killed.duckdb", conversations)
    chance = random.Random(20261121)
    kills = 0
    while kills < KILLS:
        seen = len(server.bodies) + chance.randrange(MOST_REQUESTS_IN_A_LIFE)
        child = start(store, server)
        assert killed_after(child, chance.uniform(0.0, 0.05), has_seen(server, seen)), "finished too early"
        kills += 1
    assert start(store, server).wait() == 0

    assert labels(store) == labels(undisturbed)
    asked = Counter(json.dumps(body, sort_keys=True) for body in server.bodies)
    assert len(asked) == TURNS
    assert asked.total() - len(asked) <= KILLS * CONCURRENCY
    with store.read() as reading:
        assert reading.rows("SELECT count(*) - count(DISTINCT request_key) FROM ratings") == [(0,)]
        assert reading.rows("SELECT count(*) - count(DISTINCT request_key) FROM completions") == [(0,)]
        lost = reading.rows("SELECT count(*) FROM current_runs WHERE state = 'lost'")
    print(f"{asked.total() - len(asked)} requests repeated after {kills} kills; {lost[0][0]} runs lost")


@pytest.mark.timeout(300)
def test_killed_once_nothing_is_lost_and_only_what_was_under_way_is_asked_again(
    tmp_path, server, write, killed_after
) -> None:
    conversations = [("gpt-4", [("user", f"Question {n}"), ("assistant", f"Answer {n}")]) for n in range(60)]
    store = write(tmp_path / "killed.duckdb", conversations)
    assert killed_after(start(store, server), 0.0, has_seen(server, 30))
    assert start(store, server).wait() == 0
    asked = Counter(json.dumps(body, sort_keys=True) for body in server.bodies)
    assert len(asked) == len(labels(store)) == 60
    assert asked.total() - 60 <= CONCURRENCY
