"""What every format does with files that are damaged, of other types, or made to harm."""

import gzip
import json
from pathlib import Path

import pytest

from curate.ingesting.detect import FORMATS, detect
from curate.reader import READERS, Judged, Labeled, ReaderSettings, Record, Reject, Remark
from curate.readers.rows import sample_of
from store.errors import BadInput

JSON_FORMATS = sorted(name for name in FORMATS.built_in if FORMATS.load(name).ending == ".jsonl")
ODD: list[object] = [None, True, 3, 1.5, 10**30, "", "text", [], [[]], [1], ["a"], [None], {}, {"a": 1}, [{}]]
"""A value of every kind, to stand where another was meant."""


def mutations(value: object) -> list[object]:
    """VALUE with one value somewhere in it replaced by another, or one key left out."""
    found: list[object] = []
    if isinstance(value, dict):
        for key, inner in value.items():
            found.append({name: one for name, one in value.items() if name != key})
            found += [{**value, key: other} for other in [*ODD, *mutations(inner)]]
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            found += [[*value[:place], other, *value[place + 1 :]] for other in [*ODD, *mutations(inner)]]
    return found


def items_of(name: str, path: Path) -> list[Record | Labeled | Judged | Reject]:
    found = READERS.load(name)(path, ReaderSettings())
    return [item for item in found if not isinstance(item, Remark)]


def check(item: Record | Labeled | Judged | Reject) -> None:
    """What goes into the store can be stored: text, and JSON."""
    if isinstance(item, Reject):
        assert item.reason
        (item.reason + item.excerpt).encode()
        return
    if isinstance(item, Record):
        assert item.messages
        for role, text in item.messages:
            (role + text).encode()
        json.loads(item.metadata or "{}")


@pytest.mark.parametrize("name", JSON_FORMATS)
def test_a_record_with_any_value_of_another_kind_is_kept_or_rejected(tmp_path, name):
    example = json.loads(FORMATS.load(name).example)
    records = [example, *mutations(example)]
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join(json.dumps(record) for record in records))
    items = items_of(name, path)
    for item in items:
        check(item)
    assert {item.line for item in items} == set(range(1, len(records) + 1))
    numbers = [item.record_number for item in items]
    assert len(numbers) == len(set(numbers))


@pytest.mark.parametrize("name", JSON_FORMATS)
def test_damage_to_a_line_costs_that_line_only(tmp_path, name):
    good = FORMATS.load(name).example.encode()
    broken = [
        good[: len(good) // 2],
        b'{"\\ud800": 1}',
        b"\xff\xfe",
        b"nonsense",
        b"[" * 100_000,
        b"null",
        b"7",
    ]
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + b"\n".join([good, *broken, good]))
    items = items_of(name, path)
    by_line: dict[int, set[bool]] = {}
    for item in items:
        check(item)
        by_line.setdefault(item.line, set()).add(isinstance(item, Reject))
    assert by_line == {1: {False}, **{line: {True} for line in range(2, 9)}, 9: {False}}


@pytest.mark.parametrize("name", JSON_FORMATS)
def test_an_array_that_is_cut_off_keeps_what_came_before(tmp_path, name):
    good = FORMATS.load(name).example
    path = tmp_path / "a.json"
    path.write_text(f"[{good},\n{good},\n{good[: len(good) * 2 // 3]}")
    items = items_of(name, path)
    assert [isinstance(item, Reject) for item in items if item.line == 3] != []
    assert all(isinstance(item, Reject) for item in items if item.line == 3)
    assert not any(isinstance(item, Reject) for item in items if item.line < 3)


def test_a_compressed_file_that_expands_without_bound_is_refused_while_it_is_looked_at(tmp_path):
    path = tmp_path / "bomb.jsonl.gz"
    with gzip.open(path, "wb", compresslevel=9) as file:
        file.write(b'{"instruction": "')
        for _ in range(100):
            file.write(b"a" * (1 << 20))
    with pytest.raises(BadInput, match="expands to more than"):
        detect(path)


def test_the_look_at_a_file_reads_its_beginning_only(tmp_path, monkeypatch):
    path = tmp_path / "a.jsonl"
    path.write_text((FORMATS.load("alpaca").example + "\n") * 100_000)
    read: list[int] = []
    opened = Path.open

    def counting(self: Path, *arguments: object, **more: object):
        file = opened(self, *arguments, **more)
        take = file.read

        class Counted:
            def __enter__(self):
                return self

            def __exit__(self, *_: object) -> None:
                file.close()

            def read(self, size: int = -1):
                block = take(size)
                read.append(len(block))
                return block

        return Counted()

    monkeypatch.setattr(Path, "open", counting)
    assert len(sample_of(path).records) == 20
    assert sum(read) < 4 << 20 < path.stat().st_size
