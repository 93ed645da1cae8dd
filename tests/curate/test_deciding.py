"""Decisions of rules beside those of people."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from curate import deciding
from curate.deciding import Caution, Decided, Decider, Proposal, decide, drops_table, looked_to, undo, weigh
from curate.ingesting.ingest import IngestSettings, ingest_files
from store.db import Store
from store.errors import RequestError
from store.runs import Run, run_of
from store.verify import verify

ALLOWED = Caution()
RULE = Decider("filter", "short", 1, {"min_chars": 3})


def records(count: int) -> list[dict[str, object]]:
    return [
        {
            "id": str(n),
            "conversations": [{"from": "human", "value": f"q{n}"}, {"from": "gpt", "value": f"a{n}"}],
        }
        for n in range(count)
    ]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    path = tmp_path / "talks.json"
    path.write_text(json.dumps(records(6)))
    store = Store(tmp_path / "s.duckdb", wait_s=20)
    ingest_files(store, "sharegpt", [path], IngestSettings())
    return store


@pytest.fixture
def ids(store: Store) -> list[str]:
    with store.read() as reading:
        found = reading.rows(
            "SELECT CAST(conversation_id AS VARCHAR) FROM conversations ORDER BY external_id"
        )
    return [row[0] for row in found]


@contextmanager
def a_run(store: Store) -> Iterator[Run]:
    with run_of(store, "curate filter", {}) as run:
        yield run


def propose(store: Store, drops: list[str], decider: Decider = RULE, reason: str = "too short") -> Proposal:
    with store.read() as reading:
        upto = deciding.newest_conversation(reading)
        after = looked_to(reading, decider)
    return Proposal(decider, after, upto, drops_table([(id_, reason, None) for id_ in drops]))


def take(store: Store, *proposals: Proposal, caution: Caution = ALLOWED) -> Decided:
    with a_run(store) as run:
        return decide(store, run, proposals, caution)


def current(store: Store) -> set[str]:
    with store.read() as reading:
        return {str(row[0]) for row in reading.rows("SELECT external_id FROM current_conversations")}


def person_says(store: Store, target: str, verdict: str) -> None:
    row = {"target_kind": "conversation", "target_id": target, "verdict": verdict, "reason": "I looked"}
    with store.write() as writing:
        writing.append("decisions", [{**row, "decided_by": "kim", "decided_at": "2026-01-01"}])


def test_a_drop_takes_a_conversation_out_and_counts_add_up(store: Store, ids: list[str]) -> None:
    decided = take(store, propose(store, ids[:2]))
    weighed = decided.weighed
    assert (weighed.seen, weighed.kept, weighed.dropped, decided.new) == (6, 4, 2, 2)
    assert weighed.reasons == {"too short": 2}
    assert current(store) == {"2", "3", "4", "5"}
    assert verify(store).is_ok


def test_proposing_the_same_again_writes_nothing(store: Store, ids: list[str]) -> None:
    first = propose(store, ids[:2])
    take(store, first)
    with store.read() as reading:
        before = reading.rows("SELECT (SELECT count(*) FROM decisions), (SELECT count(*) FROM screenings)")
    assert take(store, first).new == 0
    with store.read() as reading:
        assert before == reading.rows(
            "SELECT (SELECT count(*) FROM decisions), (SELECT count(*) FROM screenings)"
        )


def test_a_rule_need_not_look_again_until_its_settings_or_its_version_change(
    store: Store, ids: list[str]
) -> None:
    take(store, propose(store, ids[:2]))
    with store.read() as reading:
        newest = deciding.newest_conversation(reading)
        assert looked_to(reading, RULE) == newest
        assert looked_to(reading, Decider("filter", "short", 1, {"min_chars": 4})) == 0
        assert looked_to(reading, Decider("filter", "short", 2, {"min_chars": 3})) == 0
    take(store, propose(store, [], Decider("filter", "short", 1, {"min_chars": 1})))
    with store.read() as reading:
        assert looked_to(reading, RULE) == 0  # other settings have decided since


def test_what_a_rule_drops_no_longer_comes_back(store: Store, ids: list[str]) -> None:
    take(store, propose(store, ids[:3]))
    milder = Decider("filter", "short", 1, {"min_chars": 1})
    assert take(store, propose(store, ids[:1], milder)).taken_back == 2
    assert current(store) == {"1", "2", "3", "4", "5"}


def test_a_persons_keep_outweighs_a_rule_whoever_spoke_last(store: Store, ids: list[str]) -> None:
    person_says(store, ids[0], "keep")
    weighed = take(store, propose(store, ids[:2])).weighed
    assert (weighed.kept, weighed.dropped, weighed.overruled) == (5, 1, 1)
    assert current(store) == {"0", "2", "3", "4", "5"}
    person_says(store, ids[1], "keep")
    assert "1" in current(store)


def test_taking_a_persons_word_back_leaves_the_rules(store: Store, ids: list[str]) -> None:
    take(store, propose(store, ids[:1]))
    person_says(store, ids[0], "keep")
    person_says(store, ids[0], "undecided")
    assert "0" not in current(store)


def test_undoing_one_rule_leaves_what_another_drops(store: Store, ids: list[str]) -> None:
    other = Decider("filter", "long", 1)
    decided = take(store, propose(store, ids[:2]), propose(store, ids[1:3], other, "too long"))
    assert decided.weighed.reasons == {"too short": 2, "too long": 1}
    assert decided.weighed.by_decider == {"filter:short/1": 2, "filter:long/1": 2}
    with a_run(store) as run:
        assert undo(store, run, "filter:short") == 2
    assert current(store) == {"0", "3", "4", "5"}
    with store.read() as reading:
        assert looked_to(reading, RULE) == 0


def test_undoing_an_unknown_rule_names_those_there_are(store: Store, ids: list[str]) -> None:
    take(store, propose(store, ids[:1]))
    with a_run(store) as run, pytest.raises(RequestError, match="there are: filter:short"):
        undo(store, run, "filter:shrt")


def test_a_dry_run_writes_nothing(store: Store, ids: list[str]) -> None:
    assert take(store, propose(store, ids), caution=Caution(is_dry_run=True)).weighed.dropped == 6
    assert len(current(store)) == 6


def test_too_large_a_part_of_a_source_is_refused_without_being_sure(tmp_path: Path) -> None:
    path = tmp_path / "many.json"
    path.write_text(json.dumps(records(120)))
    store = Store(tmp_path / "m.duckdb")
    ingest_files(store, "sharegpt", [path], IngestSettings())
    with store.read() as reading:
        found = reading.rows("SELECT CAST(conversation_id AS VARCHAR) FROM conversations")
    ids = [row[0] for row in found]
    with pytest.raises(RequestError, match=r"90 of 120 of many.json \(75%\)"):
        take(store, propose(store, ids[:90]))
    assert len(current(store)) == 120
    assert take(store, propose(store, ids[:90]), caution=Caution(max_drop_share=0.8)).new == 90
    assert take(store, propose(store, ids), caution=Caution(is_sure=True)).new == 30


def test_a_run_cut_short_is_completed_by_the_next(
    store: Store, ids: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deciding, "PIECE_ROWS", 2)
    real, pieces = deciding._who, []

    def dies_in_the_second_piece(*arguments: Any) -> dict[str, object]:
        pieces.append(1)
        if len(pieces) == 2:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(deciding, "_who", dies_in_the_second_piece)
    with pytest.raises(KeyboardInterrupt):
        take(store, propose(store, ids[:5]))
    assert len(current(store)) == 4
    monkeypatch.setattr(deciding, "_who", real)
    assert take(store, propose(store, ids[:5])).new == 3
    assert len(current(store)) == 1


def test_a_superseded_conversation_is_not_counted(
    store: Store, ids: list[str], derive: Callable[[Store, str], str]
) -> None:
    new = derive(store, ids[0])
    with store.read() as reading:
        weighed = weigh(reading, [propose(store, [ids[0], new])])
    assert (weighed.seen, weighed.dropped) == (6, 1)
    assert verify(store).is_ok


@pytest.fixture
def derive() -> Callable[[Store, str], str]:
    """A function that stores a conversation derived from another, with the same turns."""
    from store.ids import derived_digest, uuid_text

    def add(store: Store, id_: str) -> str:
        with store.write() as writing:
            ((leaf,),) = writing.rows(
                "SELECT CAST(leaf_id AS VARCHAR) FROM conversations WHERE conversation_id = CAST(? AS UUID)",
                [id_],
            )
            plain = [bytes.fromhex(text.replace("-", "")) for text in (id_, leaf)]
            new = uuid_text(derived_digest(plain[0], "copy", plain[1]))
            writing.append_from(
                "conversations",
                "SELECT * EXCLUDE (version) REPLACE ($new::UUID AS conversation_id, $old::UUID AS derived_from,"
                " 'copy' AS derived_step) FROM main.conversations WHERE conversation_id = $old::UUID",
                {"new": new, "old": id_},
            )
        return new

    return add
