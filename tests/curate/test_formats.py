import json
import re
from pathlib import Path

import pytest

from curate.cli import cli
from curate.format import Format, Sample, has_keys
from curate.ingesting.detect import FORMATS, choose, detect
from curate.reader import READERS, ReaderSettings, Record, Reject
from store.console import run_command
from store.errors import BadInput

ROOT = Path(__file__).parents[2]
CHAT = {"id": "1", "conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]}


def write_example(folder: Path, form: Format) -> Path:
    path = folder / f"example{form.ending}"
    path.write_text(form.example + "\n")
    return path


def test_every_format_has_a_reader_of_its_name_and_every_reader_a_format():
    assert set(FORMATS.built_in) == set(READERS.built_in)


@pytest.mark.parametrize("name", sorted(FORMATS.built_in))
def test_the_page_of_formats_names_it(name):
    assert f"| `{name}` |" in (ROOT / "docs" / "formats.md").read_text()


@pytest.mark.parametrize("name", sorted(FORMATS.built_in))
def test_its_example_is_told_from_all_other_formats_and_goes_in(tmp_path, name):
    form = FORMATS.load(name)
    if form.ending == ".xlsx":
        found = choose(Sample(tmp_path / "x.xlsx", "sheet", (json.loads(form.example),)))
        assert found.reader == name
        return
    path = write_example(tmp_path, form)
    assert detect(path).reader == name
    items = list(READERS.load(name)(path, ReaderSettings()))
    assert items
    assert not any(isinstance(item, Reject) for item in items)


@pytest.mark.parametrize("name", sorted(FORMATS.built_in))
def test_its_summary_is_one_line(name):
    form = FORMATS.load(name)
    assert "\n" not in form.summary
    assert len(form.summary) <= 120


def test_a_file_of_no_known_format_is_refused_and_its_fields_are_named(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"colour": 1, "shape": 2}\n')
    with pytest.raises(BadInput, match=re.escape("of no known format (its records have colour, shape)")):
        detect(path)


def test_the_nearest_formats_are_named_where_none_fits(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"instruction": 1, "context": 2, "category": 3}\n')
    with pytest.raises(BadInput, match=r"; the nearest are dolly and [a-z-]+; see: curate formats"):
        detect(path)


def test_a_web_page_is_called_one(tmp_path):
    path = tmp_path / "a.json"
    path.write_text("<!DOCTYPE html><p>404</p>")
    with pytest.raises(BadInput, match="looks like a web page"):
        detect(path)


def test_a_table_in_utf_16_is_called_that(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes("prompt,response\na,b\n".encode("utf-16"))
    with pytest.raises(BadInput, match=r"is UTF-16 text; convert it with: iconv"):
        detect(path)


def test_between_two_near_candidates_both_are_named(tmp_path, monkeypatch):
    near = Format("another", "{}", has_keys("instruction", "output", confidence=0.85))
    load = FORMATS.load

    def load_or_near(_formats: object, name: str) -> Format:
        return near if name == "dolly" else load(name)

    monkeypatch.setattr(type(FORMATS), "load", load_or_near)
    sample = Sample(tmp_path / "a.json", "json", ({"instruction": "a", "output": "b"},))
    with pytest.raises(BadInput, match=r"not clear: alpaca \(.*\) or dolly \(.*\); name one"):
        choose(sample)


@pytest.fixture
def curate(tmp_path, capsys):
    """Runs `curate WORDS… --store …`; returns its exit code, stdout and stderr."""

    def run(*words: object) -> tuple[int, str, str]:
        code = run_command(cli, [*map(str, words), "--store", str(tmp_path / "store.duckdb")])
        return code, *capsys.readouterr()

    return run


def test_auto_says_what_it_found_and_why(curate, tmp_path):
    (tmp_path / "a.json").write_text(json.dumps([CHAT]))
    code, out, err = curate("ingest", "auto", tmp_path / "a.json")
    assert code == 0
    assert "1 read, 1 kept" in out
    assert "a.json: read as sharegpt: records hold a list of turns with `from` and `value`" in err


def test_auto_takes_a_folder_of_several_formats_and_repeats_nothing(curate, tmp_path):
    folder = tmp_path / "downloads"
    (folder / "more").mkdir(parents=True)
    (folder / "a.json").write_text(json.dumps([CHAT]))
    (folder / "more" / "b.jsonl").write_text('{"instruction": "a", "input": "b", "output": "c"}\n')
    (folder / "notes.txt").write_text("not data")
    (folder / ".hidden.json").write_text("[]")
    found = json.loads(curate("ingest", "auto", folder, "--json")[1])
    assert [file["reader"] for file in found["files"]] == ["sharegpt", "alpaca"]
    assert (found["read"], found["kept"]) == (2, 2)
    again = json.loads(curate("ingest", "auto", folder, "--json")[1])
    assert again["new_conversations"] == 0


def test_a_file_in_a_folder_is_called_by_its_path_in_it_and_a_second_copy_is_named(curate, tmp_path):
    for name in ("task1", "task2", "task3"):
        (tmp_path / "all" / name).mkdir(parents=True)
        texts = "same" if name != "task3" else "other"
        (tmp_path / "all" / name / "train.json").write_text(json.dumps([{**CHAT, "id": texts}]))
    found = json.loads(curate("ingest", "sharegpt", tmp_path / "all", "--json")[1])
    assert [file["name"] for file in found["files"]] == ["task1/train.json", "task3/train.json"]
    assert "task2/train.json holds the same and is taken once" in found["files"][0]["remarks"][0]
    assert found["read"] == 2


def test_auto_takes_nothing_where_one_file_is_not_clear(curate, tmp_path):
    (tmp_path / "a.json").write_text(json.dumps([CHAT]))
    (tmp_path / "b.json").write_text('[{"x": 1}]')
    code, out, err = curate("ingest", "auto", tmp_path / "a.json", tmp_path / "b.json")
    assert (code, out) == (2, "")
    assert "b.json is of no known format" in err
    assert not (tmp_path / "store.duckdb").exists()


def test_files_that_are_refused_may_be_left_out_and_are_named(curate, tmp_path):
    for name, text in (("a.json", json.dumps([CHAT])), ("b.json", '[{"x": 1}]'), ("c.json", "<html>")):
        (tmp_path / name).write_text(text)
    names = [tmp_path / name for name in ("a.json", "b.json", "c.json")]
    code, _, err = curate("ingest", "auto", *names)
    assert code == 2
    assert "2 files are refused (--skip-refused takes the others in)" in err
    code, out, err = curate("ingest", "auto", *names, "--skip-refused", "--json")
    assert (code, json.loads(out)["kept"], len(json.loads(out)["refused"])) == (0, 1, 2)
    assert "left out: " in err
    assert "c.json looks like a web page" in err
    assert curate("ingest", "auto", *names[1:], "--skip-refused")[0] == 2


def test_pieces_are_joined_only_where_a_format_has_them(curate, tmp_path):
    (tmp_path / "a.jsonl").write_text('{"instruction": "a", "output": "b"}\n')
    code, _, err = curate("ingest", "alpaca", tmp_path / "a.jsonl", "--pieces", "join")
    assert code == 2
    assert "the format 'alpaca' has no pieces to join" in err


def test_a_folder_without_data_is_refused(curate, tmp_path):
    (tmp_path / "empty").mkdir()
    code, _, err = curate("ingest", "auto", tmp_path / "empty")
    assert code == 2
    assert "a folder without data files" in err


def test_a_model_label_is_given_only_where_the_file_has_none(curate, tmp_path):
    (tmp_path / "a.json").write_text(json.dumps([CHAT, {**CHAT, "model": "gpt-4"}]))
    curate("ingest", "sharegpt", tmp_path / "a.json", "--model-label", "text-davinci-003")
    found = json.loads(curate("sql", "SELECT model FROM conversations ORDER BY model", "--json")[1])
    assert [row[0] for row in found["rows"]] == ["gpt-4", "text-davinci-003"]


def test_formats_are_listed_with_an_example(capsys):
    assert run_command(cli, ["formats"]) == 0
    assert "sharegpt: ShareGPT and its relatives" in capsys.readouterr().out
    assert run_command(cli, ["formats", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [one["name"] for one in found["formats"]] == FORMATS.names()
    assert all(one["summary"] and one["example"] for one in found["formats"])


def test_every_record_of_a_format_is_kept_or_rejected(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"instruction": "a", "output": "b"}\n{"instruction": 1, "output": "b"}\n[]\n')
    items = list(READERS.load("alpaca")(path, ReaderSettings()))
    assert [type(item) for item in items] == [Record, Reject, Reject]
    assert [item.line for item in items] == [1, 2, 3]
    assert [item.reason for item in items[1:]] == ["instruction is a number, not text", "not a JSON object"]
