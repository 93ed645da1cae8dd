import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.reader import Reject
from curate.readers import json_records
from curate.readers.json_records import NotJson, RawRecord, layout_of, split_records


def has_id(raw: bytes) -> bool:
    decoded = json.loads(raw)
    return isinstance(decoded, dict) and "id" in decoded


def in_chunks(text: bytes, size: int) -> list[bytes]:
    return [text[start : start + size] for start in range(0, len(text), size)]


def usual(raw: bytes) -> object | None:
    """What an object says, as a reader that knows every object's shape would decode it."""
    try:
        decoded = msgspec.json.decode(raw)
    except (ValueError, RecursionError):
        return None
    return decoded if isinstance(decoded, dict) else None


def split(text: bytes, size: int = 1 << 20) -> list[RawRecord | Reject]:
    """The records, the same whether the reader knows their shape or not."""
    knowing = list(split_records(in_chunks(text, size), has_id, usual))
    unknowing = list(split_records(in_chunks(text, size), has_id, lambda _raw: None))
    assert shape(knowing) == shape(unknowing)
    return knowing


def decoded(items: list[RawRecord | Reject]) -> list[object]:
    return [json.loads(item.raw) for item in items if isinstance(item, RawRecord)]


def shape(items: list[RawRecord | Reject]) -> list[tuple[object, ...]]:
    return [
        ("record", item.line, item.byte_offset, item.raw)
        if isinstance(item, RawRecord)
        else ("reject", item.line, item.byte_offset, item.reason)
        for item in items
    ]


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
records = st.dictionaries(st.text(max_size=5), values, max_size=4).map(lambda fields: {**fields, "id": 1})


@given(
    st.lists(records, min_size=1, max_size=6), st.integers(1, 40), st.sampled_from([None, 1]), st.booleans()
)
def test_an_array_and_lines_give_the_same_records_whatever_the_chunks(found, size, indent, is_ascii):
    array = json.dumps(found, indent=indent, ensure_ascii=is_ascii).encode()
    lines = "".join(json.dumps(one, ensure_ascii=is_ascii) + "\n" for one in found).encode()
    for text in (array, lines):
        assert decoded(split(text, size)) == found
        assert shape(split(text, size)) == shape(split(text))


@given(st.binary(max_size=200), st.integers(1, 20), st.sampled_from([b"[", b"{", b'{"id": 1}\n', b""]))
def test_any_bytes_are_split_or_refused_and_the_numbers_have_no_gap(noise, size, beginning):
    try:
        items = split(beginning + noise, size)
    except NotJson:
        return
    assert [item.record_number for item in items] == list(range(1, len(items) + 1))
    assert all(item.byte_offset <= len(beginning + noise) for item in items)


@given(st.lists(records, min_size=2, max_size=6), st.data())
def test_one_damaged_byte_in_lines_costs_at_most_one_line(found, data):
    text = bytearray("".join(json.dumps(one) + "\n" for one in found).encode())
    place = data.draw(st.integers(0, len(text) - 1))
    before = bytes(text)
    text[place] = data.draw(st.sampled_from(b'x"{}[],:\\\0\xff'))
    try:
        items = split(bytes(text))
    except NotJson:
        return
    kept = [item.raw for item in items if isinstance(item, RawRecord)]
    damaged = before.count(b"\n", 0, place)
    for number, line in enumerate(before.splitlines()):
        if number not in (damaged, damaged + 1) and not bytes(text).lstrip().startswith(b"["):
            assert line in kept


def test_every_record_knows_its_line_and_offset():
    text = b'[\n {"id": 1},\n\n {"id":\n 2}, {"id": 3}]'
    items = split(text, 5)
    assert [(item.record_number, item.line) for item in items] == [(1, 2), (2, 4), (3, 5)]
    for item in items:
        assert isinstance(item, RawRecord)
        assert text[item.byte_offset :].startswith(item.raw)


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_after_a_damaged_record_in_an_array_the_next_one_is_taken(size):
    good = b'{"id": 1, "turns": [{"a": 1}, {"b": 2}]}'
    bad = b'{"id": 2, "turns": [{"a": 1}, {"b": oops}, {"c": 3}]}'
    items = split(b"[" + good + b",\n" + bad + b",\n" + good + b"]", size)
    assert [type(item) for item in items] == [RawRecord, Reject, RawRecord]
    assert items[1].line == 2
    assert items[1].reason.startswith("not JSON: invalid character")
    assert items[1].excerpt.startswith('{"id": 2')


def test_a_quote_that_is_never_closed_costs_one_record():
    items = split(b'[{"id": 1},\n{"id": 2, "x": "oops},\n{"id": 3},\n{"id": 4}]')
    assert [isinstance(item, RawRecord) for item in items] == [True, False, True, True]


def test_garbage_between_records_is_a_reject_of_its_own():
    items = split(b'[{"id": 1},\n garbage,\n {"id": 2}]')
    assert [isinstance(item, RawRecord) for item in items] == [True, False, True]


@pytest.mark.parametrize("text", [b'[{"id": 1},{"id": 2, "x": "cut', b'{"id": 1}\n{"id": 2, "x": "cut'])
@pytest.mark.parametrize("size", [3, 1000])
def test_a_file_cut_off_loses_its_last_record_only(text, size):
    first, last = split(text, size)
    assert isinstance(first, RawRecord)
    # A line is handed on as it is; its reader finds out that it is not JSON.
    assert isinstance(last, Reject) or last.raw == b'{"id": 2, "x": "cut'


def test_an_array_cut_off_between_records_is_noticed():
    items = split(b'[{"id": 1},')
    assert [type(item) for item in items] == [RawRecord, Reject]
    assert items[1].reason == "the file ends before the array does"


def test_text_after_the_array_is_noticed_and_a_second_array_is_read():
    assert shape(split(b'[{"id": 1}] more'))[1][3] == "text after the end of the array"
    assert decoded(split(b'[{"id": 1}]\n[{"id": 2}]')) == [{"id": 1}, {"id": 2}]


def test_objects_one_after_the_other_are_read_even_over_several_lines():
    text = b'{\n "id": 1,\n "a": [\n  {"b": 2}\n ]\n}\n{\n "id": 2\n}\n'
    assert [one[0] for one in shape(split(text))] == ["record", "record"]


def test_a_trailing_comma_a_missing_comma_and_blank_lines_lose_nothing():
    assert len(split(b'[{"id": 1} {"id": 2},]')) == 2
    assert len(split(b'{"id": 1}\r\n\r\n \n{"id": 2}\r\n')) == 2


def test_a_bad_first_line_does_not_hide_the_lines_after_it():
    items = split(b'{"id": 1, "x": "cut\n{"id": 2}\n{"id": 3}\n')
    assert len(items) == 3


def test_an_endless_record_is_rejected_and_the_next_is_taken(monkeypatch):
    monkeypatch.setattr(json_records, "RECORD_BYTES", 1000)
    long = b'{"id": 1, "x": "' + b"y" * 5000 + b'"}'
    for text in (b"[" + long + b',{"id": 2}]', b'{"id": 0}\n' + long + b'\n{"id": 2}\n'):
        items = split(text, 100)
        assert [item.reason for item in items if isinstance(item, Reject)] == ["longer than 0 MB"]
        assert isinstance(items[-1], RawRecord)


def test_deep_nesting_is_rejected():
    assert (
        shape(split(b'[{"id": ' + b"[" * 5000 + b"]" * 5000 + b'}, {"id": 2}]'))[0][3] == "nested too deeply"
    )


@pytest.mark.parametrize("text", [b"hello\nworld\n", b"a,b\n1,2\n", b"\x00\x01"])
def test_text_without_any_object_is_not_json(text):
    with pytest.raises(NotJson):
        split(text)


@pytest.mark.parametrize(
    ("head", "layout"),
    [
        (b" [1", "array"),
        (b'{"a": 1}\n{"a"', "lines"),
        (b'{"a":\n 1}', "values"),
        (b'{"a": "cut\n{"a": 1}\n', "lines"),
        (b'{"a": [\n{"b": 1}\n]}', "values"),
    ],
)
def test_the_layout_follows_from_the_beginning(head, layout):
    assert layout_of(head, is_whole=True) == layout


def test_msgspec_says_where_a_value_ends_in_the_words_relied_on():
    """The splitter reads msgspec's error messages; a release that changes them must fail here."""
    decode = msgspec.json.Decoder(msgspec.Raw).decode
    with pytest.raises(msgspec.DecodeError, match=r"^JSON is malformed: trailing characters \(byte 11\)$"):
        decode(b'{"a":1}   ,{"b":2}')
    with pytest.raises(msgspec.DecodeError, match=r"^Input data was truncated$"):
        decode(b'{"a":"x')
    with pytest.raises(msgspec.DecodeError, match=r"^JSON is malformed: invalid character \(byte 5\)$"):
        decode(b'{"a":}')
