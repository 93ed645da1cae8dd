r"""FLAN's chain-of-thought files: question, answer and rationale, tab-separated, no header, no quoting.

A line break inside a cell is written `\n`. Rule `rationale-answer.1`: the assistant's message is the
rationale, a line break, and `The answer is ANSWER.`, one of FLAN's own patterns; the bare answer stands
in the metadata.
"""

from collections.abc import Iterator
from pathlib import Path

from curate.format import Format, Match, Sample
from curate.reader import Inspection, ReaderSettings, Record, Reject, Remark
from curate.readers.delimited import Lines, length_fault, text_fault
from curate.readers.drafts import Draft, Refusal, records_of
from curate.readers.fields import Fields
from curate.readers.rows import Row
from curate.readers.table_rows import excerpt_of_cells
from curate.readers.text_files import inspect_text, text_chunks
from store.errors import BadInput

RULE = "rationale-answer.1"
COLUMNS = ("question", "answer", "rationale")


def cot_drafts(fields: Fields) -> Iterator[Draft | Refusal]:
    """The conversation of a row."""
    question, answer, rationale = (fields.need_text(name).replace("\\n", "\n") for name in COLUMNS)
    yield Draft(
        (("user", question), ("assistant", f"{rationale}\nThe answer is {answer}.")),
        metadata=fields.rest([("answer", answer), ("rendering", RULE)]),
    )


class FlanCotReader:
    """Reads such files."""

    def inspect(self, path: Path) -> Inspection:
        """The file's hash and sizes.

        Raises BadInput if it cannot be text.
        """
        return inspect_text(path)

    def __call__(self, path: Path, settings: ReaderSettings) -> Iterator[Record | Reject | Remark]:
        """Every row.

        Raises BadInput if the first line has no tab.
        """
        del settings
        first = next(text_chunks(path), b"").split(b"\n", 1)[0]
        if b"\t" not in first:
            raise BadInput(f"{path} has no tab in its first line; flan-cot reads question, answer, rationale")
        yield from records_of(_rows(path), cot_drafts)


def _rows(path: Path) -> Iterator[Row | Reject]:
    lines = Lines(text_chunks(path))
    number = offset = 0
    for text in lines:
        cells = text.rstrip("\n").removesuffix("\r").split("\t")
        if text.strip():
            number += 1
            excerpt = excerpt_of_cells(cells).encode("utf-8", "replace").decode()
            fault = length_fault(lines) or text_fault(cells)
            if fault is None and len(cells) != len(COLUMNS):
                fault = f"{len(cells)} columns, not {len(COLUMNS)}"
            where = number, lines.line, offset
            if fault is not None:
                yield Reject(*where, fault, excerpt)
            else:
                yield Row(*where, Fields(dict(zip(COLUMNS, cells, strict=True))), excerpt)
        offset = lines.byte_offset


FLAN_COT = FlanCotReader()


def _looks_like(sample: Sample) -> Match | None:
    lines = [line for line in sample.lines[:-1] or sample.lines if line.strip()]
    if sample.container not in ("tsv", "json") or not lines:
        return None
    n_rows = sum(line.count("\t") == len(COLUMNS) - 1 for line in lines)
    header = {cell.strip().lower() for cell in lines[0].split("\t")}
    if not n_rows or header & {"prompt", "question", "instruction", "input", "text", "response", "output"}:
        return None
    return Match(0.9 * n_rows / len(lines), "lines of three tab-separated cells without a header")


FORMAT = Format(
    "FLAN chain of thought: question, answer and rationale, tab-separated without a header",
    "Is grass green?\\nOptions:\\n- yes\\n- no\tyes\tGrass holds chlorophyll, which is green.",
    _looks_like,
    ".tsv",
)
