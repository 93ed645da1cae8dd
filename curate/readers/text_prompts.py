"""Plain text as prompts without answers: a prompt a line, or prompts of several lines with blank lines between them.

A prompt is the text as it stands, without the line break at its end and without blank lines around it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from curate.format import Format, Match, Sample
from curate.reader import Inspection, ReaderSettings, Record, Reject, Remark
from curate.readers.delimited import Lines, length_fault, text_fault
from curate.readers.json_records import EXCERPT_CHARS, RECORD_BYTES
from curate.readers.text_files import NOT_TEXT, inspect_text, text_chunks

ENDINGS = (".txt", ".text", ".prompts")
PACKED = (".gz", ".zst", ".zstd")


class Prompt(NamedTuple):
    """One prompt, or why there is none."""

    line: int
    byte_offset: int
    text: str
    fault: str | None


@dataclass(frozen=True, slots=True)
class TextReader:
    """Reads such files."""

    is_by_line: bool
    """Whether every line is a prompt, or what stands between blank lines."""

    def inspect(self, path: Path) -> Inspection:
        """The file's hash and sizes.

        Raises BadInput if it cannot be text.
        """
        return inspect_text(path, NOT_TEXT)

    def __call__(self, path: Path, settings: ReaderSettings) -> Iterator[Record | Reject | Remark]:
        """Every prompt."""
        del settings
        found = _lines(path) if self.is_by_line else _blocks(_lines(path, with_blank=True))
        for number, one in enumerate(found, start=1):
            where = number, one.line, one.byte_offset
            if one.fault is not None:
                yield Reject(*where, one.fault, _excerpt(one.text))
            else:
                yield Record(*where, "", (("user", one.text),), "", None, None, None, (number,))


def _lines(path: Path, *, with_blank: bool = False) -> Iterator[Prompt]:
    lines = Lines(text_chunks(path))
    offset = 0
    for given in lines:
        text = given.removesuffix("\n").removesuffix("\r")
        fault = length_fault(lines) or text_fault([text])
        if text.strip() or with_blank:
            yield Prompt(lines.line, offset, text, fault)
        offset = lines.byte_offset


def _blocks(lines: Iterator[Prompt]) -> Iterator[Prompt]:
    """Lines put together as far as the next blank one."""
    held: list[Prompt] = []
    size = 0
    for line in lines:
        if line.text.strip():
            size += len(line.text)
            if size <= RECORD_BYTES:
                held.append(line)
        else:
            yield from _block(held, size)
            held, size = [], 0
    yield from _block(held, size)


def _block(held: list[Prompt], size: int) -> Iterator[Prompt]:
    if not held:
        return
    fault = next((line.fault for line in held if line.fault), None)
    if size > RECORD_BYTES:
        fault = f"longer than {RECORD_BYTES >> 20} MB"
    yield Prompt(held[0].line, held[0].byte_offset, "\n".join(line.text for line in held), fault)


def _excerpt(text: str) -> str:
    return text[:EXCERPT_CHARS].encode("utf-8", "replace").decode()


def _blocks_in(sample: Sample) -> list[list[str]]:
    """The blocks at the beginning of a text that is no table and no JSON, by lines; none of another file."""
    if sample.records or sample.container != "json" or not _is_text(sample.path):
        return []
    blocks: list[list[str]] = [[]]
    for line in sample.lines:
        if line.strip():
            blocks[-1].append(line)
        elif blocks[-1]:
            blocks.append([])
    return [block for block in blocks if block]


def _has_long_blocks(blocks: list[list[str]]) -> bool:
    """Whether blank lines part texts of several lines; where none do, a line is a prompt."""
    return len(blocks) > 1 and any(len(block) > 1 for block in blocks)


def _is_text(path: Path) -> bool:
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() not in PACKED]
    return bool(suffixes) and suffixes[-1] in ENDINGS


def _looks_like_lines(sample: Sample) -> Match | None:
    blocks = _blocks_in(sample)
    if not blocks or _has_long_blocks(blocks):
        return None
    return Match(0.6, "plain text, every line a prompt")


def _looks_like_blocks(sample: Sample) -> Match | None:
    blocks = _blocks_in(sample)
    if not _has_long_blocks(blocks):
        return None
    return Match(0.6, "plain text with blank lines between prompts of several lines")


PROMPT_LINES = TextReader(is_by_line=True)
PROMPT_BLOCKS = TextReader(is_by_line=False)
LINES_FORMAT = Format(
    "plain text, a prompt a line; blank lines say nothing",
    "Name a prime between 10 and 20.\nName a colour.",
    _looks_like_lines,
    ".txt",
)
BLOCKS_FORMAT = Format(
    "plain text, prompts of one or several lines with blank lines between them",
    "Sort these numbers:\n3, 1, 2\n\nName a colour.",
    _looks_like_blocks,
    ".txt",
)
