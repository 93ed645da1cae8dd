"""Any table of prompts and answers, told which column is what.

`--columns prompt=question,response=answer` names them. What is not named is looked for under its usual
names; without a response each record is a prompt alone.
"""

from collections.abc import Iterator
from pathlib import Path

from curate.format import Format, Match, Sample
from curate.reader import Columns, Inspection, ReaderSettings, Record, Reject, Remark
from curate.readers.drafts import Draft, Messages, records_of
from curate.readers.fields import Fields
from curate.readers.instruction import rendered, rule_used
from curate.readers.rows import inspect_rows, rows_of, sample_of
from store.errors import BadInput, BadSettings

USUAL = {
    "prompt": ("prompt", "question", "instruction", "query", "user", "human"),
    "input": ("input", "context"),
    "response": ("response", "completion", "output", "answer", "assistant", "target"),
    "system": ("system", "system_prompt"),
    "id": ("id", "idx", "uuid"),
    "model": ("model",),
    "language": ("language", "lang"),
}
"""What a column may be, and how it is usually called."""


LABELLED = ("chosen", "rejected", "response_", "preference", "winner", "options", "choices")
"""How fields begin whose records are comparisons or exams."""


class ColumnsReader:
    """Reads records by the columns it is told."""

    def inspect(self, path: Path) -> Inspection:
        """The file's hash and sizes.

        Raises BadInput if it cannot hold records.
        """
        return inspect_rows(path)

    def __call__(self, path: Path, settings: ReaderSettings) -> Iterator[Record | Reject | Remark]:
        """Every record.

        Raises BadSettings for a column that cannot be, BadInput for one that is not in the file.
        """
        columns = columns_in(sample_of(path), settings.columns)

        def drafts(fields: Fields) -> Iterator[Draft]:
            yield _draft(fields, columns)

        yield from records_of(rows_of(path, lambda fields: columns["prompt"] in fields), drafts)


def columns_in(sample: Sample, asked: Columns) -> dict[str, str]:
    """What each column of SAMPLE is: as ASKED, else as usual.

    Raises BadSettings for a column that cannot be, BadInput for one that is not there.
    """
    given = dict(asked)
    odd = next((name for name in given if name not in USUAL), None)
    if odd is not None:
        raise BadSettings(f"no column can be {odd!r}; there are: {', '.join(USUAL)}")
    there = list(dict.fromkeys(key for record in sample.records for key in record))
    missing = next((column for column in given.values() if column not in there), None)
    if missing is not None:
        raise BadInput(f"{sample.path} has no column {missing!r}; it has: {', '.join(there) or 'none'}")
    taken = set(given.values())
    for name, usual in USUAL.items():
        found = next((column for column in usual if column in there and column not in taken), None)
        if name not in given and found is not None and not _hides(name, dict(asked)):
            given[name] = found
            taken.add(found)
    if "prompt" not in given:
        raise BadInput(
            f"{sample.path} has no column that is usually a prompt; name it with: --columns prompt=COLUMN"
            f" (it has: {', '.join(there) or 'none'})"
        )
    return given


def _hides(name: str, given: dict[str, str]) -> bool:
    """Whether someone who named a prompt and no answer, or no input, meant that there is none."""
    return name in ("response", "input") and "prompt" in given


def _draft(fields: Fields, columns: dict[str, str]) -> Draft:
    def text(name: str) -> str:
        return fields.take_text(columns[name]) if name in columns else ""

    prompt, extra = fields.need_text(columns["prompt"]), text("input")
    system = text("system")
    opening: Messages = (("system", system),) if system else ()
    answer: Messages = (
        (("assistant", fields.need_text(columns["response"])),) if "response" in columns else ()
    )
    return Draft(
        (*opening, ("user", rendered(prompt, extra)), *answer),
        external_id=fields.take_id(columns["id"]) if "id" in columns else "",
        model=fields.take_model(columns["model"]) if "model" in columns else "",
        language=text("language") or None,
        metadata=fields.rest(rule_used(prompt, extra)),
    )


COLUMNS = ColumnsReader()


def _looks_like(sample: Sample) -> Match | None:
    keys = {key for record in sample.records for key in record}
    if any(key.startswith(LABELLED) for key in keys):
        return None
    for prompt in USUAL["prompt"]:
        for response in USUAL["response"]:
            share = _share_of_texts(sample, prompt, response)
            if share:
                return Match(0.55 * share, f"records have `{prompt}` and `{response}`")
    return None


def _share_of_texts(sample: Sample, *keys: str) -> float:
    if not sample.records:
        return 0.0
    n_found = sum(all(isinstance(record.get(key), str) for key in keys) for record in sample.records)
    return n_found / len(sample.records)


FORMAT = Format(
    "any table of prompts and answers: --columns prompt=…,response=… or the usual names",
    '{"prompt": "2+2?", "response": "4"}',
    _looks_like,
)
