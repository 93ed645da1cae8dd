"""Splits JSON text into records: an array, JSON Lines, or values one after the other.

The text streams through a window of about a megabyte. A record that is not JSON becomes one reject and
reading goes on with the next record; where records are lines that is the next line, elsewhere the
next object that its reader takes for a record (turns look like records to anyone else).
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, Literal, NamedTuple, TypeVar

import msgspec

from curate.reader import Reject

RECORD_BYTES = 64 << 20
"""A longer record is rejected: it is a damaged file, not a conversation."""
HEAD_BYTES = 1 << 20
"""How much of the text decides whether records are lines."""
EXCERPT_CHARS = 200

Layout = Literal["array", "lines", "values"]

SPACE = re.compile(rb"[ \t\r\n]*")
AFTER_BREAK = re.compile(rb"[,\[}\n][ \t\r\n]*(?=\{)")
"""Where an object may begin after a damaged record."""
TRAILING = re.compile(r"trailing characters \(byte (\d+)\)")
"""How msgspec says that a value has ended and more follows; the byte is one past the first that follows."""
POSITION = re.compile(r"\(byte (\d+)\)")
TRUNCATED = "Input data was truncated"
TOKEN_BYTES = 16
"""An error this close to the end of the window may be a number or an escape cut in two."""

_decode_raw = msgspec.json.Decoder(msgspec.Raw).decode


FIRST_KEY = re.compile(rb'[ \t\r\n]*,?[ \t\r\n]*\{[ \t\r\n]*"[^"\\]{1,40}"')
"""From the end of one record to the first key of the next."""
MAX_MISSES = 50
"""After so many wrong guesses where a record ends, no more are made."""

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class RawRecord(Generic[Value]):
    """One record's JSON; a line may still turn out not to be JSON."""

    record_number: int
    line: int
    byte_offset: int
    raw: bytes
    value: Value | None
    """What it says, if it has the usual shape."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Why there is no value at a place."""

    reason: str


class NotJson(ValueError):
    """The text holds nothing that could be a record; the message is how it begins."""


class Window:
    """A stretch of the text that moves forward, keeping count of lines and bytes."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self.separator = b""
        """What stands between the last two records, with the brace before it and the key after it."""
        self.misses = 0
        """How often the separator did not tell where a record ends."""
        self._chunks = iter(chunks)
        self._counted = 0
        self._line = 1
        self.text = b""
        self.position = 0
        self.base = 0
        """Where in the whole text the window begins."""
        self.is_last = False
        """Whether the window reaches the end of the text."""

    @property
    def byte_offset(self) -> int:
        """Where in the whole text the position is."""
        return self.base + self.position

    @property
    def line(self) -> int:
        """The line the position is in, counted from 1."""
        self._line += self.text.count(b"\n", self._counted, self.position)
        self._counted = self.position
        return self._line

    def more(self, wanted: int = 1) -> bool:
        """Take in at least WANTED more bytes, dropping what lies before the position; False at the end."""
        taken: list[bytes] = []
        n_taken = 0
        while n_taken < wanted and not self.is_last:
            chunk = next(self._chunks, None)
            self.is_last = chunk is None
            taken.append(chunk or b"")
            n_taken += len(chunk or b"")
        if n_taken:
            self._shift(b"".join(taken))
        return n_taken > 0

    def _shift(self, added: bytes) -> None:
        self._line = self.line
        self.text = self.text[self.position :] + added
        self.base += self.position
        self.position = self._counted = 0

    def next_byte(self) -> bytes:
        """The next byte that is not space, which the position then is at; empty at the end."""
        while True:
            self.position = _end_of_space(self.text, self.position)
            if self.position < len(self.text):
                return self.text[self.position : self.position + 1]
            if not self.more():
                return b""

    def value(self) -> bytes | Fault:
        """The JSON of the value at the position, as far as it reaches; the position stays."""
        while True:
            length, fault = _measure(memoryview(self.text)[self.position :], is_whole=self.is_last)
            if fault is not None:
                return fault
            if (length or len(self.text) - self.position) > RECORD_BYTES:
                return Fault(f"longer than {RECORD_BYTES >> 20} MB")
            if length is not None:
                return self.text[self.position : self.position + length]
            self.more(len(self.text) - self.position)


def _end_of_space(text: bytes, position: int) -> int:
    found = SPACE.match(text, position)
    return found.end() if found else position


def _measure(view: memoryview, *, is_whole: bool) -> tuple[int | None, Fault | None]:
    """How long the value at the beginning of VIEW is, or why there is none; neither if VIEW is too short."""
    try:
        _decode_raw(view)
    except msgspec.DecodeError as error:
        return _measure_by(str(error), len(view), is_whole=is_whole)
    except RecursionError:
        return None, Fault("nested too deeply")
    return (len(view) if is_whole else None), None


def _measure_by(message: str, n_bytes: int, *, is_whole: bool) -> tuple[int | None, Fault | None]:
    ended = TRAILING.search(message)
    if ended:
        return int(ended[1]) - 1, None
    if not is_whole and _may_be_cut(message, n_bytes):
        return None, None
    return None, Fault(reason_of(message))


def _may_be_cut(message: str, n_bytes: int) -> bool:
    place = POSITION.search(message)
    return message == TRUNCATED or (place is not None and int(place[1]) > n_bytes - TOKEN_BYTES)


def reason_of(message: str) -> str:
    """Msgspec's words about malformed JSON, as a reason to reject a record."""
    if message == TRUNCATED:
        return "not JSON: it ends too early"
    if "hex escape" in message or "surrogate" in message:
        place = POSITION.search(message)
        return f"not Unicode: half of a surrogate pair stands alone{' ' + place[0] if place else ''}"
    return "not JSON: " + message.removeprefix("JSON is malformed: ")


def excerpt_of(raw: bytes) -> str:
    """How RAW begins, as text."""
    return raw[: EXCERPT_CHARS * 4].decode("utf-8", "replace")[:EXCERPT_CHARS]


def layout_of(head: bytes, *, is_whole: bool) -> Layout:
    """How records lie in a text that begins with HEAD, or that is HEAD if it IS_WHOLE.

    Raises NotJson if nothing in it could be a record.
    """
    text = head.lstrip()
    if text.startswith(b"["):
        return "array"
    lines = [line for line in text.split(b"\n") if line.strip()]
    if lines and _is_object(lines[0]):
        return "lines"
    if text.startswith(b"{") and _measure(memoryview(text), is_whole=is_whole)[1] is None:
        return "values"
    if any(_is_object(line) for line in lines[1:]):
        return "lines"
    if text.startswith(b"{"):
        return "values"
    raise NotJson(repr(excerpt_of(text.split(b"\n", 1)[0])[:40]))


def _is_object(line: bytes) -> bool:
    if not line.lstrip().startswith(b"{"):
        return False
    try:
        _decode_raw(line)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


def split_records(
    chunks: Iterable[bytes], is_record: Callable[[bytes], bool], read: Callable[[bytes], Value | None]
) -> Iterator[RawRecord[Value] | Reject]:
    """The records of a JSON text, with the number, line and byte offset of each.

    READ decodes a record of the usual shape and is None for any other JSON and for what is not JSON.
    IS_RECORD tells a record from an object inside one; it is asked only after a damaged record.
    Raises NotJson if nothing in the text could be a record.
    """
    window = Window(chunks)
    while len(window.text) < HEAD_BYTES and window.more(HEAD_BYTES - len(window.text)):
        pass
    is_whole = window.is_last and len(window.text) <= HEAD_BYTES
    layout = layout_of(window.text[:HEAD_BYTES], is_whole=is_whole)
    splitter = _Splitter(window, is_record, read)
    found = {"lines": splitter.lines, "array": splitter.array, "values": splitter.values}[layout]()
    for number, one in enumerate(found, start=1):
        if one.fault is None:
            yield RawRecord(number, one.line, one.byte_offset, one.raw, one.value)
        else:
            yield Reject(number, one.line, one.byte_offset, one.fault.reason, excerpt_of(one.raw))


class _Found(NamedTuple, Generic[Value]):
    """A record, or why there is none and how the text begins there."""

    line: int
    byte_offset: int
    raw: bytes
    fault: Fault | None
    value: Value | None


class _Splitter(Generic[Value]):
    """Finds record after record in a window."""

    def __init__(
        self, window: Window, is_record: Callable[[bytes], bool], read: Callable[[bytes], Value | None]
    ) -> None:
        self._window = window
        self._is_record = is_record
        self._read = read

    def lines(self) -> Iterator[_Found[Value]]:
        """One record a line."""
        window = self._window
        while (end := _end_of_line(window)) is not None:
            line = window.text[window.position : end]
            if line and not line.isspace():
                yield _Found(window.line, window.byte_offset, line, None, self._read(line))
            window.position = end + 1
        if window.next_byte():
            where = window.line, window.byte_offset
            line, fault = _last_or_endless_line(window)
            yield _Found(*where, line, fault, None if fault else self._read(line))
            yield from self.lines()

    def array(self) -> Iterator[_Found[Value]]:
        """The elements of an array."""
        window = self._window
        window.next_byte()
        window.position += 1
        while (byte := window.next_byte()) not in (b"]", b""):
            if byte == b",":
                window.position += 1
                continue
            found = self._one()
            yield found
            if found.fault is not None and not window.next_byte():
                return
        if not byte:
            yield self._fault("the file ends before the array does")
            return
        window.position += 1
        yield from self._after_array()

    def _after_array(self) -> Iterator[_Found[Value]]:
        byte = self._window.next_byte()
        if byte == b"[":
            yield from self.array()
        elif byte:
            yield self._fault("text after the end of the array")

    def values(self) -> Iterator[_Found[Value]]:
        """Values one after the other."""
        while byte := self._window.next_byte():
            if byte == b",":
                self._window.position += 1
            else:
                yield self._one()

    def _one(self) -> _Found[Value]:
        window = self._window
        line, offset = window.line, window.byte_offset
        guessed = self._guess()
        if guessed is not None:
            raw, value = guessed
            window.position += len(raw)
            return _Found(line, offset, raw, None, value)
        measured = window.value()
        if isinstance(measured, Fault):
            return self._skip(line, offset, measured)
        window.position += len(measured)
        raw = measured.rstrip()
        self._learn_separator(raw)
        return _Found(line, offset, raw, None, self._read(raw))

    def _guess(self) -> tuple[bytes, Value] | None:
        """The record up to the next separator, if that is one: saves a second look at every byte."""
        window = self._window
        if not window.separator:
            return None
        end = window.text.find(window.separator, window.position, window.position + RECORD_BYTES)
        if end < 0:
            return None
        raw = window.text[window.position : end + 1]
        value = self._read(raw)
        if value is not None:
            return raw, value
        window.misses += 1
        if window.misses > MAX_MISSES:
            window.separator = b""
        return None

    def _learn_separator(self, raw: bytes) -> None:
        window = self._window
        if window.misses > MAX_MISSES or not raw.endswith(b"}"):
            return
        found = FIRST_KEY.match(window.text, window.position - (len(raw) - len(raw.rstrip())))
        if found:
            window.separator = b"}" + found[0]

    def _skip(self, line: int, offset: int, fault: Fault) -> _Found[Value]:
        """Reject what is at the position and move on to the next record."""
        window = self._window
        beginning = window.text[window.position :][: EXCERPT_CHARS * 4]
        _seek_record(window, self._is_record)
        if fault.reason == reason_of(TRUNCATED) and window.position >= len(window.text):
            fault = Fault("the file ends inside this record")
        return _Found(line, offset, beginning, fault, None)

    def _fault(self, reason: str) -> _Found[Value]:
        window = self._window
        rest = window.text[window.position :][: EXCERPT_CHARS * 4]
        return _Found(window.line, window.byte_offset, rest, Fault(reason), None)


def _end_of_line(window: Window) -> int | None:
    """Where the line at the position ends; None if no line break follows within the bound."""
    while True:
        end = window.text.find(b"\n", window.position, window.position + RECORD_BYTES + 1)
        if end >= 0:
            return end
        if len(window.text) - window.position > RECORD_BYTES:
            return None
        if not window.more(max(1, len(window.text) - window.position)):
            return None


def _last_or_endless_line(window: Window) -> tuple[bytes, Fault | None]:
    line = window.text[window.position :]
    if len(line) <= RECORD_BYTES:
        window.position = len(window.text)
        return line, None
    while (end := window.text.find(b"\n", window.position)) < 0:
        window.position = len(window.text)
        if not window.more():
            break
    window.position = len(window.text) if end < 0 else end
    return line[: EXCERPT_CHARS * 4], Fault(f"longer than {RECORD_BYTES >> 20} MB")


def _seek_record(window: Window, is_record: Callable[[bytes], bool]) -> None:
    """Move to the next record that decodes, or to the end of the text."""
    window.position += 1
    while True:
        found = AFTER_BREAK.search(window.text, window.position)
        if found is None:
            keep = max(window.position, len(window.text.rstrip()) - 1)
            window.position = len(window.text) if window.is_last else keep
            if not window.more():
                window.position = len(window.text)
                return
            continue
        window.position = found.end()
        value = window.value()
        if isinstance(value, bytes) and is_record(value):
            return
