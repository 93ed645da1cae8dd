"""Filters on a store: what is looked at, what is written, and how it is brought back."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import polars as pl
import pytest

from curate.clean import CleanSettings, clean
from curate.cli import cli
from curate.deciding import Caution
from curate.filtering import filter_run
from curate.filtering.filter_options import Chosen, choose
from curate.filtering.filter_run import FilterReport, FilterSettings, counts, filter_store
from curate.filtering.noticing import any_turn, look_at
from curate.ingesting.ingest import IngestSettings, ingest_files
from store.console import run_command
from store.db import Store
from store.verify import verify

REFUSED = "I'm sorry, but I can't assist with that."
TALKS = {
    "good": ["How?", "Like this."],
    "refused": ["How?", "Like this.", "And that?", REFUSED],
    "backwards": ["Like this.", "How?"],
    "both": [REFUSED],
    "same1": ["Who are you?", "A model that was made in a laboratory."],
    "same2": ["And who is she?", "A model that was made in a laboratory."],
    "same3": ["What is it?", "A model that was made in a laboratory."],
}

Run = Callable[..., Any]


def write_talks(path: Path, talks: dict[str, list[str]]) -> Path:
    records = [
        {
            "id": name,
            "conversations": [
                {"from": "gpt" if (i + (name in ("backwards", "both"))) % 2 else "human", "value": text}
                for i, text in enumerate(texts)
            ],
        }
        for name, texts in talks.items()
    ]
    path.write_text(json.dumps(records))
    return path


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "s.duckdb", wait_s=20)
    ingest_files(store, "sharegpt", [write_talks(tmp_path / "talks.json", TALKS)], IngestSettings())
    return store


@pytest.fixture
def curate(store: Store, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs `curate …` on the store; gives the parsed JSON with --json, else (exit code, stdout, stderr)."""

    def run(*arguments: str) -> Any:
        code = run_command(cli, [*arguments, "--store", str(store.path)])
        shown = capsys.readouterr()
        return json.loads(shown.out) if "--json" in arguments and code == 0 else (code, shown.out, shown.err)

    return run


def run_filters(store: Store, *names: str, given: tuple[str, ...] = (), **settings: Any) -> FilterReport:
    return filter_store(store, choose(names, given), FilterSettings(**settings))


def current(store: Store) -> set[str]:
    with store.read() as reading:
        return {row[0] for row in reading.rows("SELECT external_id FROM current_conversations")}


def decided(store: Store) -> list[tuple[Any, ...]]:
    with store.read() as reading:
        return reading.rows(
            "SELECT external_id, decisions.verdict, reason, evidence, decided_by, decider_kind FROM decisions"
            " JOIN conversations ON conversation_id = target_id ORDER BY ALL"
        )


def test_reasons_and_evidence_are_recorded_and_counts_add_up(store: Store) -> None:
    report = run_filters(store, "refusal", "turns")
    found = counts(report)
    assert (found["seen"], found["kept"], found["dropped"]) == (7, 4, 3)
    assert found["reasons"] == {"refusal": 2, "turns: does not begin with the user": 1}
    assert found["by_filter"] == {"filter:refusal/1": 2, "filter:turns/1": 2}
    assert current(store) == {"good", "same1", "same2", "same3"}
    rows = decided(store)
    assert [row[0] for row in rows] == ["backwards", "both", "both", "refused"]
    with store.read() as reading:
        reasons = reading.rows("SELECT verdict_reason FROM all_conversations WHERE external_id = 'both'")
    assert reasons == [("refusal",)]  # the first that dropped it, as in the report
    (refused,) = [row for row in rows if row[0] == "refused"]
    assert refused[1:3] == ("drop", "refusal")
    assert json.loads(refused[3]) == {"position": 4, "start": 4, "found": "sorry, but I can't"}
    assert refused[4:] == ("filter:refusal/1", "filter")
    assert verify(store).is_ok


def test_the_same_again_looks_at_nothing_and_writes_nothing(store: Store) -> None:
    run_filters(store, "refusal", "turns", "same-answer")
    before = decided(store)
    again = run_filters(store, "refusal", "turns", "same-answer")
    assert counts(again)["seen"] == 0
    assert decided(store) == before
    assert counts(run_filters(store, "refusal", is_again=True))["seen"] == 7
    assert decided(store) == before


def test_only_what_is_new_is_looked_at(store: Store, tmp_path: Path) -> None:
    run_filters(store, "refusal")
    more = {"new": ["How?", "Like this.", "More?", REFUSED], "fine": ["How?", "So."]}
    ingest_files(store, "sharegpt", [write_talks(tmp_path / "more.json", more)], IngestSettings())
    found = counts(run_filters(store, "refusal"))
    assert (found["seen"], found["dropped"]) == (2, 1)
    assert found["sources"] == [{"name": "more.json", "seen": 2, "kept": 1, "dropped": 1}]
    assert "new" not in current(store)


def test_filters_that_have_looked_differently_far_each_look_at_the_rest(store: Store, tmp_path: Path) -> None:
    run_filters(store, "refusal")
    ingest_files(
        store, "sharegpt", [write_talks(tmp_path / "m.json", {"new": ["Go?", REFUSED]})], IngestSettings()
    )
    found = counts(run_filters(store, "refusal", "turns"))
    assert found["by_filter"] == {"filter:refusal/1": 1, "filter:turns/1": 2}


def test_other_options_decide_anew(store: Store) -> None:
    run_filters(store, "refusal")
    report = run_filters(store, "refusal", given=("share=0.9",))
    assert (counts(report)["seen"], counts(report)["dropped"], report.decided.taken_back) == (7, 1, 1)
    assert "refused" in current(store)


def test_one_answer_to_many_prompts_is_found_across_the_store(store: Store) -> None:
    found = counts(run_filters(store, "same-answer", given=("min_prompts=3",)))
    assert found["reasons"] == {"same-answer": 3}
    assert current(store) == {"good", "refused", "backwards", "both"}
    assert counts(run_filters(store, "same-answer", given=("min_prompts=4",)))["dropped"] == 0


def test_what_cleaning_superseded_is_not_looked_at(store: Store, tmp_path: Path) -> None:
    path = write_talks(tmp_path / "d.json", {"dirty": ["Go onShare Prompt", REFUSED]})
    ingest_files(store, "sharegpt", [path], IngestSettings())
    clean(store, CleanSettings(("boilerplate",)))
    found = counts(run_filters(store, "refusal"))
    assert (found["seen"], found["dropped"]) == (8, 3)


def test_pieces_of_any_size_decide_the_same(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Store(tmp_path / "other.duckdb")
    other.path.write_bytes(store.path.read_bytes())
    names = ("refusal", "turns", "truncated", "length")
    run_filters(store, *names)
    monkeypatch.setattr(filter_run, "PIECE_MESSAGES", 1)
    monkeypatch.setattr(filter_run, "PIECE_TURNS", 1)
    run_filters(other, *names)
    assert decided(store) == decided(other)


def test_a_dry_run_shows_examples_and_writes_nothing(store: Store, curate: Run) -> None:
    found = curate("filter", "refusal", "--dry-run", "--json")
    assert (found["dropped"], found["is_dry_run"]) == (2, True)
    assert {one["reason"] for one in found["examples"]["refusal"]} == {"refusal"}
    assert decided(store) == []
    code, shown, _ = curate("filter", "refusal", "--dry-run")
    assert code == 0
    assert "7 seen, 5 kept, 2 would be dropped" in shown


def test_a_restored_conversation_stays_whatever_filters_say(store: Store, curate: Run) -> None:
    curate("filter", "refusal", "--json")
    dropped = curate("decisions", "--verdict", "drop", "--by", "filter:refusal", "--json")["decisions"]
    assert len(dropped) == 2
    ids = [one["target"] for one in dropped]
    arguments = ["decisions", "--restore", ids[0], "--annotator", "kim", "--reason", "a joke", "--json"]
    assert curate(*arguments)["restored"] == [ids[0]]
    found = curate("filter", "refusal", "--again", "--json")
    assert (found["kept"], found["dropped"], found["overruled"]) == (6, 1, 1)
    kept = curate("decisions", "--verdict", "keep", "--json")["decisions"]
    assert [(one["target"], one["decided_by"]) for one in kept] == [(ids[0], "kim")]
    assert curate("decisions", "--restore", "m1-00000000")[0] == 2


def test_a_filter_can_be_undone(store: Store, curate: Run) -> None:
    curate("filter", "refusal", "turns", "--json")
    assert curate("filter", "refusal", "--undo", "--json")["taken_back"] == {"refusal": 2}
    assert current(store) == {"good", "refused", "same1", "same2", "same3"}
    assert curate("filter", "refusal", "--json")["new"] == 2


def test_a_pipeline_of_the_settings_file_is_run_and_kept_with_the_run(
    store: Store, curate: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "preferably.toml"
    path.write_text('[[pipeline]]\nfilter = "refusal"\nshare = 0.9\n\n[[pipeline]]\nfilter = "turns"\n')
    monkeypatch.setenv("PREFERABLY_CONFIG", str(path))
    assert curate("filter", "--pipeline", "--json")["dropped"] == 2
    with store.read() as reading:
        ((settings,),) = reading.rows("SELECT settings FROM current_runs WHERE command = 'curate filter'")
    steps = json.loads(settings)["pipeline"]
    assert [(step["filter"], step["rule_version"]) for step in steps] == [("refusal", 1), ("turns", 1)]
    assert steps[0]["share"] == 0.9
    path.write_text('[[pipeline]]\nfilter = "refusal"\nshares = 0.9\n')
    code, _, said = curate("filter", "--pipeline")
    assert code == 2
    assert "did you mean 'share'" in said
    path.write_text('[pipeline]\nfilter = "refusal"\n')
    assert curate("filter", "--pipeline")[0] == 2


@pytest.mark.parametrize(
    "arguments", [["filter"], ["filter", "refusal", "--pipeline"], ["filter", "--pipeline", "--set", "a=b"]]
)
def test_a_request_that_makes_no_sense_is_refused(curate: Run, arguments: list[str]) -> None:
    assert curate(*arguments)[0] == 2


def test_the_options_of_filters_are_listed(curate: Run) -> None:
    code, shown, _ = curate("filter", "--options")
    assert code == 0
    assert "same-answer" in shown
    assert "min_prompts" in shown


def test_a_source_is_not_emptied_without_being_sure(tmp_path: Path) -> None:
    talks = {str(n): [f"question {n}", REFUSED if n % 3 else "Yes."] for n in range(120)}
    store = Store(tmp_path / "m.duckdb")
    ingest_files(store, "sharegpt", [write_talks(tmp_path / "many.json", talks)], IngestSettings())
    assert run_command(cli, ["filter", "refusal", "--store", str(store.path)]) == 2
    assert len(current(store)) == 120
    report = run_filters(store, "refusal", caution=Caution(is_sure=True))
    assert counts(report)["dropped"] == 80


@dataclass(frozen=True, slots=True)
class Shouting:
    """Conversations with a turn in capitals."""

    rule_version: ClassVar[int] = 1

    shortest: int = 3
    """Letters at least."""

    def notice(self, texts: pl.DataFrame) -> pl.DataFrame:
        return look_at(texts, pl.col("content").str.len_chars() >= self.shortest, self._judge)

    def _judge(self, text: str) -> tuple[str, float | None, str | None, int | None] | None:
        return ("", None, text, 0) if text.isupper() else None

    def drops(self, turns: pl.DataFrame) -> pl.DataFrame:
        return any_turn(turns)


def test_a_filter_of_somebody_else_needs_nothing_but_the_protocol(store: Store, tmp_path: Path) -> None:
    path = write_talks(tmp_path / "loud.json", {"loud": ["HELLO", "Hi."]})
    ingest_files(store, "sharegpt", [path], IngestSettings())
    report = filter_store(store, [Chosen("shouting", Shouting())], FilterSettings())
    assert counts(report)["reasons"] == {"shouting": 1}
