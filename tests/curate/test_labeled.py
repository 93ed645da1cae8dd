"""Ratings, draws, rewards and verdicts of a file on their way into the store."""

import contextlib
import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from curate.ingesting import intake
from curate.ingesting.ingest import IngestSettings, ingest_files
from curate.ingesting.ingest_report import Item
from curate.reader import READERS, Answer, Draw, Labeled, Rating, ReaderSettings, Reject, Reward, Verdict
from store.db import Store
from store.verify import verify

STATE = {
    "messages": "SELECT message_id, parent_id, role, content, depth FROM messages ORDER BY ALL",
    "conversations": "SELECT * EXCLUDE (version) FROM conversations ORDER BY ALL",
    "comparisons": "SELECT * EXCLUDE (version, seq, run_id) FROM comparisons ORDER BY ALL",
    "ratings": "SELECT * EXCLUDE (version, seq, run_id) FROM ratings ORDER BY ALL",
    "samples": "SELECT * EXCLUDE (version, run_id) FROM samples ORDER BY ALL",
    "rewards": "SELECT * EXCLUDE (version, seq, run_id) FROM rewards ORDER BY ALL",
    "rejects": "SELECT * EXCLUDE (version) FROM rejects ORDER BY ALL",
}


def read_toy(path: Path, settings: ReaderSettings) -> Iterator[Labeled | Reject]:
    """Lines `{"prompt", "answers", "best"?}`: each answer is drawn, rated by its length and scored."""
    del settings
    offset = 0
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        fields = json.loads(line)
        if fields["answers"]:
            yield labeled(number, offset, **fields)
        else:
            yield Reject(number, number, offset, "no answers", line[:20])
        offset += len(line) + 1


def labeled(number: int, offset: int, prompt: str, answers: list[str], best: int | None = None) -> Labeled:
    return Labeled(
        number,
        number,
        offset,
        f"r{number}",
        (("user", prompt),),
        tuple(answer(text, place) for place, text in enumerate(answers)),
        () if best is None else (verdict(best, (best + 1) % len(answers)),),
    )


def answer(text: str, place: int) -> Answer:
    return Answer(
        text,
        "policy",
        draws=(Draw("policy", place, '{"temperature":1.0}'),),
        ratings=(Rating("counter", "judge", "toy", "characters", float(len(text)), draw_index=place),),
        rewards=(Reward("rm", len(text) / 3),),
    )


def verdict(a: int, b: int, *, margin: float = 1.0, kind: str = "person") -> Verdict:
    return Verdict(a, b, "someone", kind, "toy", "binary", margin, "win", is_order_known=False)


@pytest.fixture(autouse=True)
def toy_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(READERS.built_in, "toy", f"{__name__}:read_toy")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "s.duckdb")


def state_of(store: Store) -> dict[str, list[tuple[object, ...]]]:
    with store.read() as reading:
        return {name: reading.rows(sql) for name, sql in STATE.items()}


def written(path: Path, records: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(one) + "\n" for one in records))
    return path


def record(prompt: str, *answers: str, **more: object) -> dict[str, object]:
    return {"prompt": prompt, "answers": answers, **more}


def many(count: int) -> list[dict[str, object]]:
    """Records with prompts, answers and whole records in common, and rejects."""
    found = [
        record(f"prompt {i % 17}", *(f"answer {(i * k) % 23}" for k in range(1, 1 + i % 4)))
        for i in range(count)
    ]
    for i, one in enumerate(found):
        if i % 3 == 0 and len(one["answers"]) > 1:  # type: ignore[arg-type]
            one["best"] = i % len(one["answers"])  # type: ignore[arg-type]
    return [*found, *found[::5]]


def take(store: Store, *paths: Path, **asked: object) -> dict[str, int]:
    return ingest_files(store, "toy", list(paths), IngestSettings(**asked)).total()  # type: ignore[arg-type]


def test_a_record_is_its_prompt_its_answers_and_every_label(store: Store, tmp_path: Path) -> None:
    counts = take(store, written(tmp_path / "a.jsonl", [record("Name a prime.", "Seven.", "Nine!", best=0)]))
    assert counts == {
        "read": 1,
        "kept": 1,
        "rejected": 0,
        "new_conversations": 1,
        "new_messages": 3,
        "new_comparisons": 1,
        "new_ratings": 2,
        "new_samples": 2,
        "new_rewards": 2,
    }
    with store.read() as reading:
        assert reading.rows(
            "SELECT content, sample_index, policy, sampling FROM samples JOIN messages ON message_id = response_id"
            " ORDER BY sample_index"
        ) == [
            ("Seven.", 0, "policy", '{"temperature":1.0}'),
            ("Nine!", 1, "policy", '{"temperature":1.0}'),
        ]
        assert reading.rows(
            "SELECT reward_model, revision, value, state FROM current_rewards ORDER BY value"
        ) == [
            ("rm", "imported", pytest.approx(5 / 3), "done"),
            ("rm", "imported", 2.0, "done"),
        ]
        assert reading.rows(
            "SELECT value, record_number, parser_version FROM current_ratings ORDER BY value"
        ) == [
            (5.0, 1, "toy"),
            (6.0, 1, "toy"),
        ]
    assert verify(store).is_ok


def test_the_conversation_of_a_record_is_its_prompt_so_that_no_bad_answer_is_learned(
    store: Store, tmp_path: Path
) -> None:
    take(store, written(tmp_path / "a.jsonl", [record("Name a prime.", "Seven.", "Nine!", best=0)]))
    with store.read() as reading:
        rows = reading.rows(
            "SELECT role, content, len(message_ids) FROM conversations JOIN messages ON message_id = leaf_id"
        )
    assert rows == [("user", "Name a prime.", 1)]


def test_a_verdict_whose_order_is_unknown_stands_in_an_order_that_no_verdict_decides(
    store: Store, tmp_path: Path
) -> None:
    records = [record(f"prompt {i}", "good", "bad", best=0) for i in range(40)]
    take(store, written(tmp_path / "a.jsonl", records))
    with store.read() as reading:
        rows = reading.rows(
            "SELECT native_label, signed_margin, content FROM comparisons"
            " JOIN messages ON message_id = if(signed_margin > 0, response_a_id, response_b_id)"
        )
        chosen = reading.rows(
            "SELECT DISTINCT content FROM merged_comparisons JOIN messages ON message_id = chosen_id"
        )
    assert {row[2] for row in rows} == {"good"} == {row[0] for row in chosen}
    n_first = sum(row[:2] == ("A", 1.0) for row in rows)
    assert 8 < n_first < 32
    assert len(rows) - n_first == sum(row[:2] == ("B", -1.0) for row in rows)


@pytest.mark.parametrize("piece_labels", [1, 20_000])
def test_two_verdicts_that_contradict_each_other_are_kept_and_the_later_new_one_is_in_force(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, piece_labels: int
) -> None:
    monkeypatch.setattr(intake, "PIECE_LABELS", piece_labels)
    records = [record("prompt", "x", "y", best=best) for best in (0, 1, 0)]
    assert take(store, written(tmp_path / "a.jsonl", records))["new_comparisons"] == 2
    with store.read() as reading:
        (row,) = reading.rows(
            "SELECT content FROM merged_comparisons JOIN messages ON message_id = chosen_id"
        )
    assert row == ("y",)


def test_turns_between_the_prompt_and_an_answer_are_stored_and_drawn_from_the_last(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = Answer("second", "p", before=(("assistant", "first"), ("user", "go on")), draws=(Draw("p", 0),))
    item = Labeled(1, 1, 0, "q", (("user", "begin"),), (deep,), ending=0)
    monkeypatch.setattr(f"{__name__}.read_toy", lambda _path, _settings: iter([item]))
    take(store, written(tmp_path / "a.jsonl", [record("unused", "unused")]))
    with store.read() as reading:
        drawn = reading.rows("SELECT content, depth FROM samples JOIN messages ON message_id = prompt_id")
        (conversation,) = reading.rows("SELECT model, len(message_ids) FROM conversations")
    assert drawn == [("go on", 2)]
    assert conversation == ("p", 4)
    assert verify(store).is_ok


def test_ingesting_twice_or_from_a_copy_adds_no_label(store: Store, tmp_path: Path) -> None:
    path = written(tmp_path / "a.jsonl", many(60))
    first = take(store, path)
    assert min(first.values()) > 0
    before = state_of(store)
    assert all(count == 0 for name, count in take(store, path).items() if name.startswith("new_"))
    copy = written(tmp_path / "b.jsonl", [*many(60), record("one more", "answer")])
    more = take(store, copy)
    assert (more["new_ratings"], more["new_samples"], more["new_rewards"], more["new_comparisons"]) == (
        1,
        1,
        1,
        0,
    )
    assert {name: rows for name, rows in state_of(store).items() if name == "comparisons"} == {
        "comparisons": before["comparisons"]
    }


def test_pieces_do_not_change_what_comes_out(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path / "a.jsonl", many(30))
    take(store, path)
    for rows, labels in ((9, 20_000), (20_480, 20)):
        monkeypatch.setattr(intake, "GROUP_ROWS", rows)
        monkeypatch.setattr(intake, "PIECE_LABELS", labels)
        other = Store(tmp_path / f"pieces{rows}.duckdb")
        take(other, path)
        assert state_of(other) == state_of(store)


def test_a_dry_run_foretells_every_count_and_writes_nothing(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "GROUP_ROWS", 7)
    path = written(tmp_path / "a.jsonl", many(40))
    foretold = take(store, path, is_dry_run=True)
    assert not store.path.exists()
    assert foretold == take(store, path)
    more = written(tmp_path / "b.jsonl", many(50))
    assert take(store, more, is_dry_run=True) == take(store, more)


class Stopped(Exception):
    """Stands for a crash between two records."""


@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 30), st.integers(10, 30))
def test_a_run_that_stops_anywhere_is_continued_by_the_same_command(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, stop_at: int, rows: int
) -> None:
    folder = tmp_path_factory.mktemp("stopped")
    monkeypatch.setattr(intake, "GROUP_ROWS", rows)
    path = written(folder / "a.jsonl", many(25))
    undisturbed, disturbed = Store(folder / "one.duckdb"), Store(folder / "two.duckdb")
    take(undisturbed, path)
    add = intake.FileIntake._add

    def failing_add(self: intake.FileIntake, item: Item) -> None:
        if isinstance(item, Labeled) and item.record_number == stop_at:
            raise Stopped
        add(self, item)

    with monkeypatch.context() as patch:
        patch.setattr(intake.FileIntake, "_add", failing_add)
        with contextlib.suppress(Stopped):
            take(disturbed, path)
    take(disturbed, path)
    assert state_of(disturbed) == state_of(undisturbed)


INGEST_SLOWLY = """
import sys
from pathlib import Path
from curate.ingesting import ingest
from curate.ingesting import intake
from store.db import Store
intake.GROUP_ROWS = 60
print("started", flush=True)
ingest.ingest_files(
    Store(Path(sys.argv[1])), "response-sets", [Path(sys.argv[2])], ingest.IngestSettings(model_label="policy")
)
"""
KILLS = 20


@pytest.mark.slow
def test_labels_survive_kills_at_random_moments_once_each(
    tmp_path: Path, started: Callable[..., Any], killed_after: Callable[..., bool]
) -> None:
    sets = [
        {
            "prompt": f"prompt {i % 90}",
            "responses": [f"answer {(i * k) % 31}" for k in range(1, 6)],
            "rewards": [0.1 * i, 2, 3, 4, 5],
        }
        for i in range(120)
    ]
    path = written(tmp_path / "sets.jsonl", sets)
    asked = IngestSettings(model_label="policy")
    undisturbed, killed = Store(tmp_path / "one.duckdb"), Store(tmp_path / "two.duckdb")
    ingest_files(undisturbed, "response-sets", [path], asked)
    rng = random.Random(5)
    n_killed = 0
    for _ in range(KILLS):
        n_killed += killed_after(started(INGEST_SLOWLY, killed.path, path), rng.uniform(0.0, 0.7))
        if _is_finished(killed):
            killed.path.unlink()
            killed.path.with_name(killed.path.name + ".wal").unlink(missing_ok=True)
    assert n_killed > KILLS // 2
    ingest_files(killed, "response-sets", [path], asked)
    assert state_of(killed) == state_of(undisturbed)
    assert verify(killed).is_ok


def _is_finished(store: Store) -> bool:
    if not store.path.exists():
        return False
    with store.read() as reading:
        return reading.rows("SELECT state FROM current_sources") == [("finished",)]
