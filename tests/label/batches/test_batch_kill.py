"""Commands about batches killed at random moments: nothing is lost, and no request is handed over twice."""

import random
import subprocess
import sys
import time
from collections import Counter

import pytest

from store.db import Store
from store.verify import verify

KILLS = 30
TURNS = 24
REQUESTS_IN_A_BATCH = 5
MODELS = {"openai": "gpt-4", "anthropic": "claude-haiku-4-5"}

COMMAND = f"""
from label.batches.provider import BatchLimits
from label.chat_models.anthropic_batches import AnthropicBatches
from label.chat_models.openai_batches import OpenAIBatches
for interface in (AnthropicBatches, OpenAIBatches):
    interface.limits = BatchLimits(requests={REQUESTS_IN_A_BATCH}, n_bytes=10**6)
from label.cli import main
main()
"""


def start(store: Store, *words: str) -> subprocess.Popen[bytes]:
    arguments = [*words, "--store", str(store.path), "--wait", "120", "--settle", "1"]
    return subprocess.Popen(
        [sys.executable, "-c", COMMAND, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def judge(provider, kind: str) -> list[str]:
    return ["judge", "--model", MODELS[kind], "--base-url", provider.url_of(kind), "--batch"]


def has_more_calls(provider, calls: int):
    """Asks, for a fifth of a second, whether the provider has got so many more calls."""
    seen = provider.seen.total() + calls
    return lambda: provider.has_seen(seen, within_s=0.2)


def rows(store: Store, sql: str) -> list[tuple]:
    with store.read() as reading:
        return reading.rows(sql)


def check(store: Store, provider, kind: str) -> None:
    """Every batch of the provider is known here, and a request was handed over again only if it came back."""
    known = rows(store, "SELECT provider_batch_id FROM current_batches WHERE provider_batch_id IS NOT NULL")
    there = {batch.batch_id for batch in provider.batches.values() if batch.kind == kind}
    assert Counter(batch_id for (batch_id,) in known) == dict.fromkeys(there, 1)

    handed = Counter(key for name in there for key in provider.batches[name].keys)
    again = Counter(
        str(key).replace("-", "")
        for (key,) in rows(store, "SELECT request_key FROM batch_outcomes WHERE state = 'again'")
    )
    assert len(handed) == TURNS
    assert handed == {key: 1 + again[key] for key in handed}

    done = "SELECT count(*), count(DISTINCT request_key) FROM completions"
    assert rows(store, done) == [(TURNS, TURNS)]
    assert rows(store, "SELECT count(*), count(DISTINCT response_id) FROM ratings WHERE state = 'done'") == [
        (TURNS, TURNS)
    ]
    assert set(verify(store).problems) <= {"conversation_source"}


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_killed_thirty_times_every_request_is_handed_over_once_and_answered_once(
    tmp_path, provider, write, killed_after
) -> None:
    chance = random.Random(20261126)
    provider.delay = lambda: time.sleep(chance.uniform(0.0, 0.03))
    kills = rounds = 0
    killed: Counter[str] = Counter()
    while kills < KILLS:
        kind = ("openai", "anthropic")[rounds % 2]
        rounds += 1
        provider.batches.clear()
        conversations = [
            ("gpt-4", [("user", f"Question {rounds} {n}"), ("assistant", f"Answer {n}")])
            for n in range(TURNS)
        ]
        store = write(tmp_path / f"round-{rounds}.duckdb", conversations)
        handing_over = [judge(provider, kind), ["batch", "submit"]]
        for fate in ("expired", "done"):  # the second of each batch, the first time
            provider.fate = lambda number, fate=fate: fate if number == 1 else "done"
            for lives, most_calls in ((handing_over, 3), ([["batch", "collect"]], 15)):
                words, calls = lives[0], chance.randint(1, most_calls)
                while kills < KILLS and killed_after(
                    start(store, *words), chance.uniform(0.0, 0.2), has_more_calls(provider, calls)
                ):
                    kills += 1
                    killed[" ".join(words[:2])] += 1
                    words, calls = chance.choice(lives), chance.randint(1, most_calls)
                assert start(store, *lives[0]).wait() == 0
        check(store, provider, kind)
    print(f"{kills} kills in {rounds} rounds: {dict(killed)}")


@pytest.mark.timeout(120)
def test_killed_while_the_provider_takes_a_batch_the_next_command_adopts_it(
    tmp_path, provider, write
) -> None:
    conversations = [("gpt-4", [("user", f"Question {n}"), ("assistant", "An answer")]) for n in range(4)]
    store = write(tmp_path / "killed.duckdb", conversations)
    child = start(store, *judge(provider, "openai"))

    def kill_when_it_is_taken() -> None:
        child.kill()
        child.wait()

    provider.taken = kill_when_it_is_taken
    child.wait()
    assert rows(store, "SELECT state, provider_batch_id FROM current_batches") == [("sending", None)]
    provider.taken = lambda: None
    assert start(store, "batch", "collect").wait() == 0
    assert rows(store, "SELECT state, provider_batch_id FROM current_batches") == [("labelled", "batch_0")]
    assert len(provider.batches) == 1
    assert rows(store, "SELECT count(*) FROM ratings WHERE state = 'done'") == [(4,)]
