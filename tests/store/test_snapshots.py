"""Names for versions, the log, and what changed in between."""

from collections.abc import Callable

import pytest

from store.db import Store
from store.errors import RequestError
from store.runs import run_of
from store.snapshots import difference, take_snapshot, versions

Row = Callable[[int], dict[str, object]]


def add_marks(store: Store, mark_row: Row, *numbers: int) -> None:
    with store.write() as writing:
        writing.append("marks", [mark_row(number) for number in numbers])


def test_a_snapshot_names_the_version_before_it(store: Store, mark_row: Row) -> None:
    add_marks(store, mark_row, 1, 2)
    taken = take_snapshot(store, "raw", "as downloaded")
    assert (taken.at_version, taken.open_runs) == (1, ())
    assert [(version.version, version.snapshots) for version in versions(store)] == [(2, ()), (1, ("raw",))]


def test_a_name_is_given_once_and_is_no_number(store: Store) -> None:
    take_snapshot(store, "raw")
    with pytest.raises(RequestError, match="exists already"):
        take_snapshot(store, "raw")
    for name in ("v3", "7", ""):
        with pytest.raises(RequestError, match="cannot name"):
            take_snapshot(store, name)


def test_a_snapshot_says_which_runs_were_still_writing(store: Store) -> None:
    with run_of(store, "label judge", {}) as run:
        taken = take_snapshot(store, "midway")
    assert taken.open_runs == (run.run_id,)
    assert take_snapshot(store, "after").open_runs == ()


def test_the_difference_counts_rows_between_in_either_order(store: Store, mark_row: Row) -> None:
    add_marks(store, mark_row, 1)
    add_marks(store, mark_row, 2, 3)
    with store.write() as writing:
        writing.append(
            "source_classes", [{"name": "mine", "condition": "X", "weight": 0.5, "patterns": ["x*"]}]
        )
        row = {"target_kind": "conversation", "verdict": "drop", "reason": "short", "decided_by": "me"}
        target = "00000000-0000-0000-0000-000000000001"
        writing.append("decisions", [{**row, "target_id": target, "decided_at": "2026-01-01"}])
    found = difference(store, "v3", "v1")
    assert (found.earlier, found.later) == (1, 3)
    assert found.rows_by_table == {"decisions": 1, "marks": 2, "source_classes": 1}
    assert found.classes == ("mine",)
    assert found.verdicts == {"drop: short": 1}
