import fnmatch
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.classes import ClassChange, globs_overlap, set_class, show_classes, strength
from curate.ingesting.ingest import IngestSettings, ingest_files
from store.db import Store
from store.errors import BadSettings
from store.rows import SourceClass

LABELS = ["gpt-4", "GPT-4-0314", "gpt-3.5-turbo", "claude-3-opus", "mixtral-8x7b", ""]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    path = tmp_path / "a.json"
    turns = [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]
    records = [{"id": str(i), "model": label, "conversations": turns} for i, label in enumerate(LABELS)]
    path.write_text(json.dumps(records))
    found = Store(tmp_path / "store.duckdb")
    ingest_files(found, "sharegpt", [path], IngestSettings())
    return found


def counted(store: Store) -> dict[str, int]:
    return {one.source_class.name: one.conversations for one in show_classes(store).classes}


def test_the_two_families_have_a_class_and_the_rest_is_unknown(store):
    report = show_classes(store)
    assert counted(store) == {"GPT3": 1, "GPT4": 2, "unknown": 3}
    assert sorted(report.unmatched) == [("", 1), ("claude-3-opus", 1), ("mixtral-8x7b", 1)]


def test_a_new_class_takes_the_labels_it_matches(store):
    after = set_class(store, ClassChange("Claude", "GPT4", 0.8, None, ("Claude*",)))
    assert after == SourceClass("Claude", "GPT4", 0.8, None, ("Claude*",))
    assert counted(store) == {"Claude": 1, "GPT3": 1, "GPT4": 2, "unknown": 2}


def test_what_is_not_given_stays(store):
    before = {one.source_class.name: one.source_class for one in show_classes(store).classes}["GPT3"]
    after = set_class(store, ClassChange("GPT3", weight=0.25))
    assert (after.condition, after.patterns, after.weight) == (before.condition, before.patterns, 0.25)


def test_setting_the_same_again_writes_nothing(store):
    change = ClassChange("Claude", "GPT4", 0.8, None, ("claude*",))
    set_class(store, change)
    with store.read() as reading:
        version = reading.version
    set_class(store, change)
    with store.read() as reading:
        assert reading.version == version


def test_class_unknown_can_be_given_a_condition_and_a_weight_but_no_pattern(store):
    set_class(store, ClassChange("unknown", "GPT3", 0.1))
    assert counted(store)["unknown"] == 3
    with pytest.raises(BadSettings, match="what matches no pattern"):
        set_class(store, ClassChange("unknown", patterns=("x*",)))


@pytest.mark.parametrize("pattern", ["gpt-4*", "*GPT-4", "gpt-?"])
def test_a_pattern_as_long_as_another_classs_is_refused(store, pattern):
    with pytest.raises(BadSettings, match="neither would win"):
        set_class(store, ClassChange("mine", "X", 1.0, None, (pattern,)))


def test_a_longer_pattern_wins(store):
    set_class(store, ClassChange("old", "X", 1.0, None, ("gpt-4-03*",)))
    assert counted(store)["old"] == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (ClassChange(" "), "needs a name"),
        (ClassChange("x", weight=-1.0), "from 0 up"),
        (ClassChange("x", weight=float("nan")), "from 0 up"),
        (ClassChange("x", reward=float("inf")), "finite"),
        (ClassChange("x", patterns=("*",)), "every label"),
    ],
)
def test_settings_that_make_no_sense_are_refused(store, change, said):
    with pytest.raises(BadSettings, match=said):
        set_class(store, change)


def test_an_earlier_state_shows_the_earlier_classes(store):
    with store.read() as reading:
        version = reading.version
    set_class(store, ClassChange("Claude", "GPT4", 0.8, None, ("claude*",)))
    assert "Claude" not in counted(Store(store.path, at=f"v{version}"))


globs = st.text("ab*?", max_size=6)


@given(globs, st.text("ab", max_size=6), globs)
def test_two_globs_that_match_one_label_overlap(first, label, second):
    if fnmatch.fnmatchcase(label, first) and fnmatch.fnmatchcase(label, second):
        assert globs_overlap(first, second)


@pytest.mark.parametrize(
    ("first", "second", "overlap"),
    [
        ("a*", "*b", True),
        ("a*", "b*", False),
        ("gpt-[34]", "gpt-4", True),
        ("a?", "a", False),
        ("", "*", True),
    ],
)
def test_globs_overlap_only_if_some_label_matches_both(first, second, overlap):
    assert globs_overlap(first, second) is overlap
    assert globs_overlap(second, first) is overlap


def test_stars_do_not_make_a_pattern_more_exact():
    assert strength("*gpt-4*") == strength("gpt-4") == 5
