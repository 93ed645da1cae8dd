import contextlib
import json
import random
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from curate.ingesting import intake
from curate.ingesting.ingest import IngestReport, IngestSettings, ingest_files
from curate.reader import Record
from store import ids
from store.db import Store
from store.errors import BadInput, UnknownName
from store.verify import verify

STATE = {
    "messages": "SELECT message_id, parent_id, role, content, depth FROM messages ORDER BY ALL",
    "conversations": (
        "SELECT conversation_id, leaf_id, message_ids, source_id, record_numbers, line, byte_offset, external_id,"
        " model, occurrence, source_class, language, metadata FROM conversations ORDER BY ALL"
    ),
    "rejects": "SELECT source_id, record_number, line, byte_offset, reason, excerpt FROM rejects ORDER BY ALL",
    "sources": (
        "SELECT source_id, name, sha256, state, records_read, records_kept, records_rejected"
        " FROM current_sources ORDER BY ALL"
    ),
}


def state_of(store: Store) -> dict[str, list[tuple[object, ...]]]:
    with store.read() as reading:
        return {name: reading.rows(sql) for name, sql in STATE.items()}


def counts(report: IngestReport) -> tuple[int, ...]:
    total = report.total()
    return tuple(total[name] for name in ("read", "kept", "rejected", "new_conversations", "new_messages"))


def written(path: Path, records: list[object]) -> Path:
    path.write_text(json.dumps(records))
    return path


def record(number: int, *texts: str, **more: object) -> dict[str, object]:
    speakers = ("human", "gpt")
    turns = [{"from": speakers[i % 2], "value": text} for i, text in enumerate(texts)]
    return {"id": f"r{number}", "conversations": turns, **more}


def many(count: int, seed: int = 1) -> list[object]:
    """Records with shared beginnings, repeats and faults."""
    rng = random.Random(seed)
    words = [f"word{i}" for i in range(40)]
    found: list[object] = []
    for number in range(count):
        texts = [" ".join(rng.choices(words, k=rng.randint(0, 3))) for _ in range(rng.randint(1, 6))]
        found.append(record(number, *texts, model=rng.choice(["gpt-4", "gpt-3.5-turbo", ""])))
        if rng.random() < 0.2:
            found.append(found[-1])
        if rng.random() < 0.1:
            found.append({"id": number})
    return found


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store.duckdb")


@pytest.fixture
def small_pieces(monkeypatch):
    """Pieces of a few messages, so that a small file takes many turns."""
    monkeypatch.setattr(intake, "GROUP_ROWS", 7)
    monkeypatch.setattr(intake, "GROUPS_PER_PIECE", 1)


def take(store: Store, *paths: Path, **asked: object) -> IngestReport:
    return ingest_files(store, "sharegpt", list(paths), IngestSettings(**asked))


def test_messages_and_conversations_have_the_ids_of_the_canonical_form(store, tmp_path):
    path = written(tmp_path / "a.json", [record(1, "hi", "hello", model="gpt-4")])
    assert counts(take(store, path)) == (1, 1, 0, 1, 2)
    digests = ids.path_digests((("user", "hi"), ("assistant", "hello")))
    with store.read() as reading:
        rows = reading.rows("SELECT message_id, parent_id, role, content, depth FROM messages ORDER BY depth")
        (conversation,) = reading.dicts("SELECT * FROM conversations")
    assert [row[0].bytes for row in rows] == digests
    assert [row[1] and row[1].bytes for row in rows] == [None, digests[0]]
    assert [row[2:] for row in rows] == [("user", "hi", 0), ("assistant", "hello", 1)]
    expected = ids.conversation_digest("sharegpt", "r1", digests[-1], "gpt-4", 0)
    assert conversation["conversation_id"].bytes == expected
    assert [one.bytes for one in conversation["message_ids"]] == digests
    assert (conversation["leaf_id"].bytes, conversation["record_numbers"]) == (digests[-1], [1])
    assert not verify(store).problems


def test_ingesting_twice_adds_nothing(store, tmp_path):
    path = written(tmp_path / "a.json", many(50))
    first = take(store, path)
    before = state_of(store)
    second = take(store, path)
    assert second.files[0].was_taken
    assert counts(second) == (*counts(first)[:3], 0, 0)
    assert state_of(store) == before


def test_the_same_records_in_another_file_add_a_source_and_no_rows(store, tmp_path):
    records = many(50)
    take(store, written(tmp_path / "a.json", records))
    lines = tmp_path / "b.jsonl"
    lines.write_text("".join(json.dumps(one) + "\n" for one in records))
    again = take(store, lines)
    assert counts(again)[3:] == (0, 0)
    with store.read() as reading:
        assert reading.rows("SELECT count(*) FROM current_sources") == [(2,)]


def test_pieces_do_not_change_what_comes_out(store, tmp_path, monkeypatch):
    path = written(tmp_path / "a.json", many(80))
    take(store, path)
    for rows, groups in ((11, 1), (9, 3)):
        monkeypatch.setattr(intake, "GROUP_ROWS", rows)
        monkeypatch.setattr(intake, "GROUPS_PER_PIECE", groups)
        other = Store(tmp_path / f"pieces{rows}.duckdb")
        take(other, path)
        assert state_of(other) == state_of(store)


def test_a_piece_is_whole_row_groups(store, tmp_path, small_pieces):
    take(store, written(tmp_path / "a.json", many(25)))
    with store.read() as reading:
        sizes = [
            row[0] for row in reading.rows("SELECT count(*) FROM messages GROUP BY version ORDER BY version")
        ]
    assert len(sizes) > 5
    assert all(size % 7 == 0 for size in sizes[:-1])


def test_a_conversation_never_comes_before_its_messages(store, tmp_path, small_pieces):
    take(store, written(tmp_path / "a.json", many(25)))
    with store.read() as reading:
        missing = reading.rows(
            """
            SELECT count(*)
            FROM (SELECT version, unnest(message_ids) AS message_id FROM conversations) AS places
            LEFT JOIN messages USING (message_id)
            WHERE messages.version IS NULL OR messages.version > places.version
            """
        )
    assert missing == [(0,)]


def test_shared_beginnings_are_stored_once(store, tmp_path):
    path = written(tmp_path / "a.json", [record(1, "a", "b", "c"), record(2, "a", "b", "d")])
    assert counts(take(store, path)) == (2, 2, 0, 2, 4)


def test_identical_records_of_a_file_are_told_apart_by_their_occurrence(store, tmp_path, small_pieces):
    path = written(tmp_path / "a.json", [record(1, "a", "b")] * 3 + many(30) + [record(1, "a", "b")])
    take(store, path)
    with store.read() as reading:
        rows = reading.rows(
            "SELECT record_numbers[1], occurrence FROM conversations WHERE model = '' AND external_id = 'r1'"
            " AND len(message_ids) = 2 ORDER BY record_numbers"
        )
    assert [row[1] for row in rows if row[0] <= 3] == [0, 1, 2]
    assert rows[-1][1] == len(rows) - 1


def test_rejects_are_kept_with_their_place_and_read_is_kept_and_rejected(store, tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps(record(1, "a")) + "\n{broken\n" + json.dumps({"id": 3}) + "\n")
    report = take(store, path)
    assert counts(report)[:3] == (3, 1, 2)
    with store.read() as reading:
        rows = reading.rows(
            "SELECT record_number, line, byte_offset, excerpt FROM rejects ORDER BY record_number"
        )
    offset = len(json.dumps(record(1, "a"))) + 1
    assert rows[0] == (2, 2, offset, "{broken")
    assert report.files[0].reasons["no list of turns (one of conversations, items, messages)"] == 1


def test_nothing_is_taken_when_one_of_the_files_is_no_json(store, tmp_path):
    good = written(tmp_path / "a.json", many(5))
    bad = tmp_path / "b.json"
    bad.write_text("<html></html>")
    with pytest.raises(BadInput, match=r"b\.json looks like a web page"):
        take(store, good, bad)
    assert not store.path.exists()


def test_a_misspelt_reader_gets_the_nearest_one(store, tmp_path):
    with pytest.raises(UnknownName, match="did you mean 'sharegpt'"):
        ingest_files(store, "sharegtp", [written(tmp_path / "a.json", [])], IngestSettings())


def test_an_explicit_class_a_name_and_a_license_are_stored(store, tmp_path):
    path = written(tmp_path / "a.json", [record(1, "a", "b", model="gpt-4")])
    take(store, path, source_class="GPT3", name="mine", license="CC0-1.0")
    with store.read() as reading:
        assert reading.rows("SELECT class, source FROM current_conversations") == [("GPT3", "mine")]
        assert reading.rows("SELECT license FROM current_sources") == [("CC0-1.0",)]


def test_a_license_can_be_given_later(store, tmp_path):
    path = written(tmp_path / "a.json", [record(1, "a", "b")])
    take(store, path)
    assert take(store, path, license="CC0-1.0").files[0].was_taken
    with store.read() as reading:
        rows = reading.rows("SELECT name, license, state, records_read FROM current_sources")
    assert rows == [("a.json", "CC0-1.0", "finished", 1)]


def test_a_limit_reads_so_many_records_and_the_rest_comes_without_it(store, tmp_path):
    path = written(tmp_path / "a.json", many(40))
    assert counts(take(store, path, limit=10))[0] == 10
    whole = Store(tmp_path / "whole.duckdb")
    take(whole, path)
    take(store, path)
    assert state_of(store)["messages"] == state_of(whole)["messages"]


def test_joined_pieces_are_one_conversation_with_all_their_record_numbers(store, tmp_path):
    pieces = [{**record(0, "a", "b"), "id": "x_0"}, {**record(0, "c", "d"), "id": "x_2"}]
    assert counts(take(store, written(tmp_path / "a.json", pieces), pieces="join")) == (2, 2, 0, 1, 4)
    with store.read() as reading:
        rows = reading.rows("SELECT external_id, record_numbers FROM conversations")
    assert rows == [("x", [1, 2])]


def test_a_dry_run_counts_and_writes_nothing(store, tmp_path, small_pieces):
    path = written(tmp_path / "a.json", many(25))
    foretold = take(store, path, is_dry_run=True)
    assert not store.path.exists()
    assert counts(foretold) == counts(take(store, path))
    more = written(tmp_path / "b.json", many(30))
    foretold = take(store, more, is_dry_run=True)
    assert counts(foretold) == counts(take(store, more))


def test_what_others_write_meanwhile_is_not_written_again(store, tmp_path, small_pieces, monkeypatch):
    """Another process takes the same records between two pieces."""
    path = written(tmp_path / "a.json", many(25))
    other = written(tmp_path / "b.json", many(20))
    write = intake.FileIntake._write
    turns = []

    def interrupted_write(self, *, is_last):
        write(self, is_last=is_last)
        turns.append(is_last)
        if len(turns) == 2:
            monkeypatch.setattr(intake.FileIntake, "_write", write)
            take(store, other)

    monkeypatch.setattr(intake.FileIntake, "_write", interrupted_write)
    take(store, path)
    undisturbed = Store(tmp_path / "undisturbed.duckdb")
    take(undisturbed, path)
    assert state_of(store)["messages"] == state_of(undisturbed)["messages"]
    assert not verify(store).problems


class Stopped(Exception):
    """Stands for a crash between two records."""


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 40), st.integers(4, 20))
def test_a_run_that_stops_anywhere_is_continued_by_the_same_command(
    tmp_path_factory, small_pieces, monkeypatch, stop_at, rows
):
    folder = tmp_path_factory.mktemp("stopped")
    monkeypatch.setattr(intake, "GROUP_ROWS", rows)
    path = written(folder / "a.json", many(25))
    undisturbed, disturbed = Store(folder / "one.duckdb"), Store(folder / "two.duckdb")
    take(undisturbed, path)
    add = intake.FileIntake._add

    def failing_add(self, item):
        if isinstance(item, Record) and item.record_number == stop_at:
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
intake.GROUP_ROWS, intake.GROUPS_PER_PIECE = 40, 1
print("started", flush=True)
ingest.ingest_files(Store(Path(sys.argv[1])), "sharegpt", [Path(sys.argv[2])], ingest.IngestSettings())
"""

KILLS = 50


@pytest.mark.slow
def test_fifty_kills_at_random_moments_change_nothing(tmp_path, started, killed_after):
    path = written(tmp_path / "a.json", many(600))
    undisturbed, killed = Store(tmp_path / "one.duckdb"), Store(tmp_path / "two.duckdb")
    take(undisturbed, path)
    rng = random.Random(3)
    n_killed = 0
    for _ in range(KILLS):
        n_killed += killed_after(started(INGEST_SLOWLY, killed.path, path), rng.uniform(0.0, 0.6))
        _begin_again_if_finished(killed, rng)
    assert n_killed > KILLS // 2
    take(killed, path)
    assert state_of(killed) == state_of(undisturbed)
    assert not verify(killed).problems


def _begin_again_if_finished(store: Store, rng: random.Random) -> None:
    """Once everything is in, start again with an empty store, so that every kill meets a running ingest."""
    if not store.path.exists():
        return
    with store.read() as reading:
        states = reading.rows("SELECT state FROM current_sources")
    if states == [("finished",)]:
        store.path.unlink()
        store.path.with_name(store.path.name + ".wal").unlink(missing_ok=True)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_memory_does_not_grow_with_the_file(tmp_path):
    """Of two runs the smaller peak: those of one file differ by up to 100 MB."""
    peaks = []
    for factor in (6, 18):
        path = tmp_path / f"{factor}.json"
        with path.open("w") as file:
            file.write("[")
            for number in range(5000 * factor):
                text = f"{number} " * 500
                file.write(("," if number else "") + json.dumps(record(number, text, text + "!")))
            file.write("]")
        peaks.append(min(_peak_of_ingest(tmp_path / f"{factor}-{run}.duckdb", path) for run in range(2)))
        path.unlink()
    assert peaks[1] < 600
    assert peaks[1] < 1.2 * peaks[0]


def _peak_of_ingest(store_path: Path, path: Path) -> float:
    """Megabytes at the peak, in a process of its own."""
    code = (
        "import resource, sys\n"
        "from pathlib import Path\n"
        "from curate.ingesting import ingest\n"
        "from store.db import Store\n"
        "ingest.ingest_files(Store(Path(sys.argv[1])), 'sharegpt', [Path(sys.argv[2])], ingest.IngestSettings())\n"
        "print([int(line.split()[1]) for line in open('/proc/self/status') if line.startswith('VmHWM')][0])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(store_path), str(path)],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    return int(done.stdout) / 1024


@pytest.mark.data
def test_real_files_go_in_whole(store, shared_data):
    folder = shared_data / "conversations"
    pieces = take(store, folder / "derived" / "sharegpt92k_stripped.json")
    assert counts(pieces)[:4] == (681, 681, 0, 681)
    labelled = take(store, folder / "derived" / "sharegpt_labeled_from_outputs.json.gz")
    assert counts(labelled)[:4] == (4728, 4728, 0, 4728)
    system = take(store, folder / "fastchat_history" / "data" / "dummy_conversation_with_system.json")
    assert counts(system)[:3] == (368, 368, 0)
    with store.read() as reading:
        roles = dict(reading.rows("SELECT role, count(*) FROM messages GROUP BY role"))
        classes = dict(reading.rows("SELECT class, count(*) FROM current_conversations GROUP BY class"))
    assert set(roles) == {"system", "user", "assistant"}
    assert classes["GPT4"] > 2000
    assert classes["GPT3"] > 2000
    assert not verify(store).problems


@pytest.mark.data
def test_a_real_file_with_merge_conflicts_is_one_clear_error(store, shared_data):
    with pytest.raises(BadInput, match=r"merge-conflict markers \(first at line 1\)"):
        take(store, shared_data / "conversations" / "malformed" / "dummy_conversation_merge_conflict.json.gz")


@pytest.mark.data
def test_real_files_of_other_shapes_lose_nothing_silently(store, shared_data):
    samples = shared_data / "conversations" / "sharegpt_mnbvc" / "sample_file"
    report = take(store, *sorted(samples.glob("*.json")))
    read, kept, rejected, *_ = counts(report)
    assert read == kept + rejected
    assert kept == 8
