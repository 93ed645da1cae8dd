import json
import re
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from curate.ingesting.ingest import IngestSettings, ingest_files
from curate.reader import Reject
from curate.readers import delimited
from curate.readers.rows import Row, inspect_rows, rows_of, sample_of
from store.db import Store
from store.errors import BadInput

TABLE = {"instruction": ["one", "two", "three"], "input": ["", None, "x"], "output": ["1", "2", "3"]}


CSV = "instruction,input,output\none,,1\ntwo,,2\nthree,x,3\n"


def rows(path: Path) -> list[Row | Reject]:
    return list(rows_of(path, lambda _fields: True))


def values(path: Path) -> list[dict[str, object]]:
    return [
        {key: row.fields.see(key) for key in row.fields.keys()}  # noqa: SIM118 - not a dict
        for row in rows(path)
        if isinstance(row, Row)
    ]


def write(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_a_csv_cell_may_hold_commas_quotes_and_line_breaks(tmp_path):
    path = write(tmp_path / "a.csv", 'prompt,response\r\n"a, ""b""\nc",d\r\n\r\ne,f\r\n')
    assert values(path) == [{"prompt": 'a, "b"\nc', "response": "d"}, {"prompt": "e", "response": "f"}]
    assert [(row.line, row.byte_offset) for row in rows(path)] == [(2, 17), (5, 35)]


def test_a_byte_order_mark_is_not_part_of_the_first_column(tmp_path):
    assert values(write(tmp_path / "a.csv", b"\xef\xbb\xbfprompt\nx\n")) == [{"prompt": "x"}]


def test_a_csv_row_of_another_width_is_a_reject_with_its_line(tmp_path):
    found = rows(write(tmp_path / "a.csv", "a,b\n1,2\n3\n4,5,6\n7,8\n"))
    assert [item.reason if isinstance(item, Reject) else None for item in found] == [
        None,
        "1 cells where the header has 2",
        "3 cells where the header has 2",
        None,
    ]
    assert [item.line for item in found] == [2, 3, 4, 5]
    assert [item.record_number for item in found] == [1, 2, 3, 4]


def test_a_quote_that_never_closes_is_one_reject(tmp_path):
    found = rows(write(tmp_path / "a.csv", 'a,b\n1,2\n"3,4\n5,6\n'))
    assert [type(item) for item in found] == [Row, Reject]
    assert found[1].reason == "not CSV: a quote that opens here is never closed"
    assert found[1].line == 3


def test_bytes_that_are_not_utf_8_reject_their_row_only(tmp_path):
    found = rows(write(tmp_path / "a.csv", b"a,b\n1,\xff\n3,4\n"))
    assert [type(item) for item in found] == [Reject, Row]
    assert found[0].reason == "not UTF-8"
    found[0].excerpt.encode()


def test_a_header_with_one_name_twice_is_refused(tmp_path):
    with pytest.raises(BadInput, match="the column 'a' twice"):
        rows(write(tmp_path / "a.csv", "a,a\n1,2\n"))


def test_a_line_without_end_is_a_reject_and_not_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(delimited, "RECORD_BYTES", 1000)
    path = write(tmp_path / "a.tsv", "a\tb\n" + "x" * 3_000_000 + "\n1\t2\n")
    assert [type(item) for item in rows(path)] == [Reject, Row]


def test_tsv_cells_are_taken_as_they_are_but_for_quotes_around_them(tmp_path):
    path = write(tmp_path / "a.tsv", 'p\tr\nsay "hi"\t"quoted ""cell"""\nx\ty\n')
    assert values(path) == [{"p": 'say "hi"', "r": 'quoted "cell"'}, {"p": "x", "r": "y"}]


def test_parquet_and_saved_data_sets_give_the_same_conversations_as_json(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    table = pa.table(TABLE)
    pq.write_table(table, tmp_path / "a.parquet")
    lines = [json.dumps({name: column[i] or "" for name, column in TABLE.items()}) for i in range(3)]
    write(tmp_path / "a.jsonl", "\n".join(lines))
    save_dataset(tmp_path / "saved", table)
    with pa.ipc.new_file(str(tmp_path / "a.arrow"), table.schema) as writer:
        writer.write_table(table)
    (tmp_path / "a.csv.zst").write_bytes(zstandard.compress(CSV.encode()))
    (tmp_path / "splits").mkdir()
    write(tmp_path / "splits" / "dataset_dict.json", '{"splits": ["train"]}')
    save_dataset(tmp_path / "splits" / "train", table)
    store = Store(tmp_path / "s.duckdb")
    for name in ("a.jsonl", "a.parquet", "a.arrow", "a.csv.zst", "saved", "splits"):
        report = ingest_files(store, "auto", [tmp_path / name], IngestSettings())
        assert (report.total()["read"], report.total()["kept"]) == (3, 3)
        assert report.total()["new_conversations"] == (3 if name == "a.jsonl" else 0)


def save_dataset(folder: Path, table: pa.Table) -> None:
    """What `datasets` writes: an Arrow stream and two descriptions."""
    folder.mkdir()
    with pa.ipc.new_stream(str(folder / "data-00000-of-00001.arrow"), table.schema) as writer:
        writer.write_table(table)
    write(folder / "state.json", '{"_data_files": [{"filename": "data-00000-of-00001.arrow"}]}')
    write(folder / "dataset_info.json", "{}")


@pytest.mark.slow
def test_a_folder_that_datasets_itself_saved_is_read(tmp_path):
    datasets = pytest.importorskip("datasets")
    datasets.DatasetDict({"train": datasets.Dataset.from_dict(TABLE)}).save_to_disk(str(tmp_path / "d"))
    found = values(tmp_path / "d")
    assert [row["instruction"] for row in found] == TABLE["instruction"]
    assert {row["split"] for row in found} == {"train"}


@pytest.mark.parametrize("name", ["../outside.arrow", "", "..", None])
def test_a_saved_data_set_cannot_name_files_outside_itself(tmp_path, name):
    (tmp_path / "d").mkdir()
    write(tmp_path / "outside.arrow", b"ARROW1")
    write(tmp_path / "d" / "state.json", json.dumps({"_data_files": [{"filename": name}]}))
    with pytest.raises(BadInput, match="outside itself"):
        inspect_rows(tmp_path / "d")


def test_values_that_json_does_not_know_become_text_in_the_metadata(tmp_path):
    table = pa.table({"instruction": ["a"], "output": ["b"], "price": [Decimal("1.50")], "raw": [b"x"]})
    pq.write_table(table, tmp_path / "a.parquet")
    (row,) = rows(tmp_path / "a.parquet")
    assert isinstance(row, Row)
    row.fields.drop("instruction", "output")
    assert row.fields.rest() == '{"price":"1.50","raw":"eA=="}'


def test_a_parquet_file_that_was_cut_off_is_refused(tmp_path):
    pq.write_table(pa.table(TABLE), tmp_path / "a.parquet")
    whole = (tmp_path / "a.parquet").read_bytes()
    path = write(tmp_path / "cut.parquet", whole[: len(whole) // 2])
    with pytest.raises(BadInput, match=re.escape("cut.parquet is damaged or cut off")):
        inspect_rows(path)


def test_a_parquet_file_that_expands_without_bound_is_refused(tmp_path):
    pq.write_table(
        pa.table({"a": ["x" * 1_000_000] * 100}),
        tmp_path / "bomb.parquet",
        compression="zstd",
        use_dictionary=False,
    )
    with pytest.raises(BadInput, match="expands to more than"):
        inspect_rows(tmp_path / "bomb.parquet")


def test_a_sample_is_the_first_records_whatever_holds_them(tmp_path):
    path = write(tmp_path / "a.jsonl", "\n".join(json.dumps({"n": n}) for n in range(100)))
    assert [record["n"] for record in sample_of(path).records] == list(range(20))
    assert len(sample_of(path).lines) == 20


def test_numbers_of_any_length_come_through_the_metadata_as_written(tmp_path):
    path = write(tmp_path / "a.jsonl", '{"n": 123456789012345678901234567890, "x": 1.10}\n')
    (row,) = rows(path)
    assert isinstance(row, Row)
    assert row.fields.rest() == '{"n":123456789012345678901234567890,"x":1.10}'
