import gzip
import hashlib
import re
from pathlib import Path

import pytest
import zstandard

from curate.readers.text_files import CONFLICT, gathered, inspect_text, text_chunks
from store.errors import BadInput

TEXT = b'[\n {"id": "a"}\n]\n' * 1000


def written(folder: Path, data: bytes) -> Path:
    path = folder / "file.json"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    "stored",
    [
        TEXT,
        b"\xef\xbb\xbf" + TEXT,
        gzip.compress(TEXT),
        gzip.compress(TEXT[:100]) + gzip.compress(TEXT[100:]),
        gzip.compress(TEXT) + b"\0" * 512,
        zstandard.compress(TEXT),
        zstandard.compress(TEXT[:100]) + zstandard.compress(TEXT[100:]),
    ],
    ids=[
        "plain",
        "with a byte order mark",
        "gzip",
        "two gzip members",
        "padded gzip",
        "zstd",
        "two zstd frames",
    ],
)
def test_the_text_comes_out_however_it_is_stored(tmp_path, stored):
    path = written(tmp_path, stored)
    assert b"".join(text_chunks(path, 64)) == TEXT


def test_the_hash_is_of_the_file_as_it_lies_there(tmp_path):
    stored = gzip.compress(TEXT)
    found = inspect_text(written(tmp_path, stored))
    assert (found.sha256, found.stored_bytes, found.text_bytes) == (
        hashlib.sha256(stored).hexdigest(),
        len(stored),
        len(TEXT),
    )


@pytest.mark.parametrize(
    "stored", [gzip.compress(TEXT)[:-20], zstandard.compress(TEXT)[:-20]], ids=["gzip", "zstd"]
)
def test_a_compressed_file_that_is_cut_off_is_refused_before_anything_is_taken(tmp_path, stored):
    with pytest.raises(BadInput, match="damaged or cut off"):
        inspect_text(written(tmp_path, stored))


def test_a_compressed_file_with_a_flipped_bit_is_refused(tmp_path):
    stored = bytearray(gzip.compress(TEXT))
    stored[-6] ^= 1
    with pytest.raises(BadInput, match="damaged"):
        inspect_text(written(tmp_path, bytes(stored)))


@pytest.mark.parametrize("compress", [gzip.compress, zstandard.compress], ids=["gzip", "zstd"])
def test_a_decompression_bomb_is_refused(tmp_path, compress):
    path = written(tmp_path, compress(b"[" + b" " * (128 << 20) + b"]"))
    with pytest.raises(BadInput, match="expands to more than 256 times"):
        inspect_text(path)


@pytest.mark.parametrize(
    ("stored", "words"),
    [
        (b"", "is empty"),
        (b" \n\n", "is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "git lfs pull"),
        (b"\n\n<!DOCTYPE html><html></html>", "web page.*line 3"),
        (b"<<<<<<< HEAD\n[]\n=======\n", "merge-conflict markers .first at line 1"),
        (b"[\n1,\n<<<<<<< HEAD\n2\n=======\n3\n>>>>>>> main\n]", "merge-conflict markers .first at line 3"),
        ('[{"id": 1}]'.encode("utf-16"), "UTF-16"),
        (b"PAR1\x15\x04", "Parquet"),
        (b"PK\x03\x04\x14\x00", "zip"),
    ],
)
def test_a_file_that_cannot_be_json_is_named_with_the_way_out(tmp_path, stored, words):
    path = written(tmp_path, stored)
    with pytest.raises(BadInput, match=words) as caught:
        inspect_text(path)
    assert str(path) in str(caught.value)


def test_a_conflict_late_in_a_large_file_is_found_with_its_line(tmp_path):
    line = b'{"id": 1}\n'
    before = (9 << 20) // len(line)
    path = written(tmp_path, line * before + CONFLICT + b"HEAD\n" + line)
    with pytest.raises(BadInput, match=f"first at line {before + 1}\\)"):
        inspect_text(path)


def test_conflict_marks_inside_a_text_are_no_conflict(tmp_path):
    assert inspect_text(written(tmp_path, rb'[{"value": "a\n<<<<<<< HEAD\nb"}]')).stored_bytes > 0


def test_a_folder_is_not_a_file(tmp_path):
    with pytest.raises(BadInput, match=re.escape("is a folder")):
        inspect_text(tmp_path)


def test_pieces_are_gathered_without_loss():
    assert list(gathered([b"ab", b"", b"c", b"defg", b"h"], 3)) == [b"abc", b"defg", b"h"]
