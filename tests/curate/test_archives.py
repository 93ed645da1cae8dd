"""Zip archives: read in a stream, member by member, and refused where they are made to harm."""

import gzip
import json
import random
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import pytest

from curate.cli import cli
from curate.ingesting.ingest import IngestSettings, ingest_files
from curate.ingesting.ingest_report import IngestReport
from curate.readers import archives
from curate.readers.archives import is_archive, members
from curate.readers.text_files import text_chunks
from store.console import run_command
from store.db import Store
from store.errors import BadInput

CHAT = {"id": "1", "conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]}
ALPACA = {"instruction": "Name a prime.", "input": "", "output": "Seven."}


def node(name: str, parent: str | None, role: str, text: str) -> dict[str, Any]:
    message = {
        "author": {"role": role},
        "content": {"content_type": "text", "parts": [text]},
        "recipient": "all",
    }
    return {"id": name, "parent": parent, "children": [], "message": message}


def tree(number: int) -> dict[str, Any]:
    nodes = [node("a", None, "user", f"question {number}"), node("b", "a", "assistant", "answer")]
    return {"id": f"t{number}", "current_node": "b", "mapping": {one["id"]: one for one in nodes}}


def zipped(path: Path, files: dict[str, str | bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "s.duckdb")


def take(store: Store, reader: str, path: Path, **asked: Any) -> IngestReport:
    return ingest_files(store, reader, [path], IngestSettings(**asked))


EXPORT: dict[str, str | bytes] = {
    "chat.html": "<html></html>",
    "conversations.json": json.dumps([tree(1), tree(2)]),
    "message_feedback.json": "[]",
    "user.json": json.dumps({"id": "user-1", "email": "nobody"}),
    "file-1.png": b"\x89PNG",
}


@pytest.mark.parametrize("reader", ["auto", "chatgpt-export"])
def test_of_an_account_export_the_conversations_alone_are_read(
    store: Store, tmp_path: Path, reader: str
) -> None:
    path = zipped(tmp_path / "export.zip", EXPORT)
    (file,) = take(store, reader, path).files
    assert (file.reader, file.name, file.tally.kept) == (
        *("chatgpt-export", "export.zip/conversations.json", 2),
    )
    assert file.path == str(path / "conversations.json")
    assert any("its 4 other files are not" in remark for remark in file.remarks)
    (again,) = take(store, reader, path).files
    assert again.was_taken
    plain = tmp_path / "conversations.json"
    plain.write_text(str(EXPORT["conversations.json"]))
    assert take(store, "chatgpt-export", plain).files[0].was_taken, "the same file unpacked"


def test_a_large_export_may_have_several_files_of_conversations(store: Store, tmp_path: Path) -> None:
    parts = {f"conversations-00{part}.json": json.dumps([tree(part)]) for part in range(3)}
    report = take(store, "auto", zipped(tmp_path / "export.zip", {"user.json": "{}", **parts}))
    assert [file.tally.kept for file in report.files] == [1, 1, 1]


def test_an_archive_stands_for_the_data_files_in_it_as_a_folder_does(store: Store, tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        "README.txt": "not data",
        "__MACOSX/._a.jsonl": b"\0\1",
        ".hidden.json": "{",
        "deep/b.jsonl.gz": gzip.compress(json.dumps(ALPACA).encode()),
        "a.json": json.dumps([CHAT]),
        "c.csv": "instruction,output\nName a colour.,Blue.\n",
    }
    (tmp_path / "folder").mkdir()
    zipped(tmp_path / "folder" / "sets.zip", files)
    report = take(store, "auto", tmp_path / "folder", name="sets")
    assert [(file.reader, Path(file.path).name) for file in report.files] == [
        *(("sharegpt", "a.json"), ("alpaca", "c.csv"), ("alpaca", "b.jsonl.gz")),
    ]
    assert report.total()["kept"] == 3


def test_a_record_in_an_archive_is_rejected_with_its_line(store: Store, tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", {"a.jsonl": f"{json.dumps(ALPACA)}\n{{broken\n{json.dumps(ALPACA)}x\n"})
    take(store, "alpaca", path)
    with store.read() as reading:
        rows = reading.rows("SELECT line, byte_offset FROM rejects ORDER BY line")
    first = len(json.dumps(ALPACA)) + 1
    assert rows == [(2, first), (3, first + 8)]


def renamed(path: Path, name: bytes, to: bytes) -> Path:
    data = path.read_bytes()
    assert data.count(name) == 2
    path.write_bytes(data.replace(name, to))
    return path


@pytest.mark.parametrize("name", ["../../x.json", "/etc/xx.json", "a\\bcdef.json", "C:/x/yy.json"])
def test_names_that_lead_out_are_refused(store: Store, tmp_path: Path, name: str) -> None:
    path = renamed(zipped(tmp_path / "a.zip", {"plain_x.json": "[]"}), b"plain_x.json", name.encode())
    with pytest.raises(BadInput, match="leads out of it"):
        take(store, "auto", path)


def test_links_and_encrypted_members_are_refused(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "link.zip"
    with zipfile.ZipFile(path, "w") as archive:
        link = zipfile.ZipInfo("a.json")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(BadInput, match="a link and no file"):
        take(store, "auto", path)
    path = zipped(tmp_path / "locked.zip", {"a.json": "[]"})
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    with pytest.raises(BadInput, match="is encrypted"):
        take(store, "auto", path)


def test_two_members_of_one_name_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.json", "[]")
        archive.writestr("./a.json", "[1]")
    with pytest.raises(BadInput, match=r"two files called 'a\.json'"):
        members(path)


def bomb(path: Path, *, lies: bool = False) -> Path:
    """An archive whose one member is 80 MB of one letter; if it LIES its directory calls that 1,000 bytes."""
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("a.jsonl", "w") as member,
    ):
        member.write(b'{"instruction": "')
        for _ in range(80):
            member.write(b"a" * (1 << 20))
        member.write(b'", "output": "b"}')
    if lies:
        data = bytearray(path.read_bytes())
        size = (80 * (1 << 20) + 34).to_bytes(4, "little")
        place = data.rindex(size)
        data[place : place + 4] = (1000).to_bytes(4, "little")
        path.write_bytes(data)
    return path


def test_an_archive_that_expands_without_bound_is_refused_before_anything_is_read(
    store: Store, tmp_path: Path
) -> None:
    with pytest.raises(BadInput, match="expands to more than 256 times its size"):
        take(store, "auto", bomb(tmp_path / "bomb.zip"))


def test_one_that_lies_about_its_size_is_read_no_further_than_it_says(store: Store, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="damaged in its archive"):
        take(store, "alpaca", bomb(tmp_path / "bomb.zip", lies=True))


def test_a_packed_bomb_in_an_archive_is_held_against_what_the_archive_stores(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.jsonl.gz", gzip.compress(b"a" * (70 << 20), 9))
    with pytest.raises(BadInput, match="expands to more than"):
        for _ in text_chunks(path / "a.jsonl.gz"):
            pass


def test_too_many_members_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MAX_MEMBERS", 3)
    path = zipped(tmp_path / "a.zip", {f"{number}.json": "[]" for number in range(4)})
    with pytest.raises(BadInput, match="holds 4 files, more than 3"):
        members(path)


def test_damage_is_refused_and_says_what_to_do(store: Store, tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", {"a.jsonl": (json.dumps(ALPACA) + "\n") * 200})
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert is_archive(path)
    with pytest.raises(BadInput, match=r"damaged or cut off .* fetch it again"):
        take(store, "auto", path)
    broken = bytearray(whole)
    broken[45] ^= 0xFF
    path.write_bytes(broken)
    with pytest.raises(BadInput, match="damaged"):
        take(store, "alpaca", path)
    assert not store.path.exists()


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"README.txt": "hello"}, "an archive without data files"),
        ({}, "an archive without data files"),
        ({"a.jsonl": b"PK\x03\x04 and more"}, "inside an archive"),
        ({"a.parquet": b"PAR1 and more"}, "Parquet inside an archive"),
        ({"a.json": "<html>"}, "looks like a web page"),
    ],
)
def test_what_is_no_text_in_an_archive_is_refused(
    store: Store, tmp_path: Path, files: dict[str, str | bytes], words: str
) -> None:
    with pytest.raises(BadInput, match=words):
        take(store, "auto", zipped(tmp_path / "a.zip", files))


def test_a_member_that_is_refused_can_be_left_out(store: Store, tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", {"a.json": json.dumps([CHAT]), "b.json": "<html>"})
    report = take(store, "auto", path, skip_refused=True)
    assert [Path(file.path).name for file in report.files] == ["a.json"]
    assert "a.zip/b.json looks like a web page" in report.refused[0]


def test_memory_stays_flat_while_a_member_is_read(tmp_path: Path) -> None:
    chance = random.Random(1)
    lines = [json.dumps({"instruction": chance.randbytes(200).hex(), "output": "b"}) for _ in range(50_000)]
    path = zipped(tmp_path / "a.zip", {"a.jsonl": "\n".join(lines)})
    n_bytes = sum(map(len, lines))
    del lines
    tracemalloc.start()
    assert sum(map(len, text_chunks(path / "a.jsonl"))) > n_bytes
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 << 20 < n_bytes


def test_the_command_takes_an_archive(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = zipped(tmp_path / "export.zip", EXPORT)
    arguments = ["ingest", "auto", str(path), "--store", str(tmp_path / "s.duckdb")]
    assert run_command(cli, arguments) == 0
    shown = capsys.readouterr()
    assert "export.zip/conversations.json: 2 read, 2 kept" in shown.out
    assert "ChatGPT's account export" in shown.err
