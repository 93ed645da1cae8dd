"""Plain text as prompts: by line, by blank lines, and found by itself."""

import gzip
import zipfile
from pathlib import Path

import pytest

from curate.ingesting.detect import detect
from curate.ingesting.ingest import IngestSettings, ingest_files
from curate.reader import READERS, ReaderSettings, Record, Reject
from curate.readers import text_prompts
from store.db import Store
from store.errors import BadInput


def read(reader: str, path: Path) -> list[tuple[int, int, int, str]]:
    """(number, line, byte offset, the prompt or why there is none)"""
    found = []
    for item in READERS.load(reader)(path, ReaderSettings()):
        assert isinstance(item, Record | Reject)
        text = item.reason if isinstance(item, Reject) else item.messages[0][1]
        found.append((item.record_number, item.line, item.byte_offset, text))
    return found


def test_every_line_is_a_prompt_and_blank_ones_are_none(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"\xef\xbb\xbfName a prime.\r\n\r\n  - keep the indent\n\t\nlast")
    assert read("prompt-lines", path) == [
        (1, 1, 0, "Name a prime."),
        (2, 3, 17, "  - keep the indent"),
        (3, 5, 39, "last"),
    ]


def test_blank_lines_part_prompts_of_several_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("\n\nSort these:\n3\n  1\n \n\nName a colour.\n\n")
    assert read("prompt-blocks", path) == [(1, 3, 2, "Sort these:\n3\n  1"), (2, 8, 23, "Name a colour.")]


def test_what_cannot_be_stored_is_rejected_with_its_line_and_the_rest_goes_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"one\n\xff\xfe two\nthree\n")
    assert [text for _, _, _, text in read("prompt-lines", path)] == ["one", "not UTF-8", "three"]
    path.write_bytes(b"one\n\xff\n\ntwo\n")
    assert [text for _, _, _, text in read("prompt-blocks", path)] == ["not UTF-8", "two"]
    monkeypatch.setattr(text_prompts, "RECORD_BYTES", 5)
    path.write_bytes(b"one\ntwo\n\nfour\n")
    assert [text for _, _, _, text in read("prompt-blocks", path)] == ["longer than 0 MB", "four"]


@pytest.mark.parametrize(
    ("text", "reader"),
    [
        ("one\ntwo\nthree\n", "prompt-lines"),
        ("one\n\ntwo\n\nthree", "prompt-lines"),
        ("one alone", "prompt-lines"),
        ("<b>may begin so</b>\ntwo\n", "prompt-lines"),
        ("first\nand more\n\nsecond\n", "prompt-blocks"),
        ('{"prompt": "Name a prime."}\n', "prompts"),
    ],
)
def test_auto_tells_by_the_blank_lines(tmp_path: Path, text: str, reader: str) -> None:
    path = tmp_path / "a.txt"
    path.write_text(text)
    assert detect(path).reader == reader


def test_text_under_another_name_is_not_taken_unasked(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("one\ntwo\n")
    with pytest.raises(BadInput, match="of no known format"):
        detect(path)
    assert len(read("prompt-lines", path)) == 2


@pytest.mark.parametrize("name", ["LFS.txt", "page.txt", "empty.txt"])
def test_what_only_calls_itself_text_is_refused(tmp_path: Path, name: str) -> None:
    texts = {"LFS.txt": "version https://git-lfs.github.com/spec/v1\n", "page.txt": "<!DOCTYPE html>\n"}
    path = tmp_path / name
    path.write_text(texts.get(name, ""))
    with pytest.raises(BadInput, match=r"git-lfs pointer|web page|is empty"):
        ingest_files(Store(tmp_path / "s.duckdb"), "prompt-lines", [path], IngestSettings())


def test_prompts_go_in_once_packed_or_in_an_archive_and_can_be_sampled_under(tmp_path: Path) -> None:
    store = Store(tmp_path / "s.duckdb")
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress(b"one\ntwo\n"))
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.writestr("questions/c.txt", "two\nthree\n")
    auto = ingest_files(store, "auto", [tmp_path / "a.txt.gz"], IngestSettings(name="asked"))
    assert auto.files[0].reader == "prompt-lines"
    named = ingest_files(store, "prompt-lines", [tmp_path / "b.zip"], IngestSettings(name="asked"))
    assert named.files[0].tally.kept == 2
    with store.read() as reading:
        rows = reading.rows("SELECT content FROM messages WHERE role = 'user' ORDER BY content")
    assert [content for (content,) in rows] == ["one", "three", "two"]
    again = ingest_files(store, "prompt-lines", [tmp_path / "b.zip"], IngestSettings(name="asked"))
    assert again.files[0].was_taken


def test_notes_in_a_folder_are_prompts_only_where_the_format_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "all"
    folder.mkdir()
    (folder / "README.txt").write_text("About this.\n")
    store = Store(tmp_path / "s.duckdb")
    with pytest.raises(BadInput, match="without data files"):
        ingest_files(store, "auto", [folder], IngestSettings())
    assert ingest_files(store, "prompt-lines", [folder], IngestSettings()).total()["kept"] == 1
