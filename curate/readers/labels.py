"""Readers of records with labels: a function from the fields of a record to what it tells.

One record may tell of several prompts; each counts as one record read. What a record names by id only (a
question, an answer) is looked up in the files given with `--with`.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from curate.reader import Answer, Draw, Inspection, Labeled, Rating, ReaderSettings, Reject, Remark, Verdict
from curate.readers.drafts import Messages, Refusal
from curate.readers.fields import Fields, Unreadable, kind_of
from curate.readers.rows import IsRecord, Row, inspect_rows, rows_of
from curate.readers.told_elsewhere import Elsewhere

PERSON, JUDGE, REWARD_MODEL, RULE = "person", "judge", "reward_model", "rule"
BINARY = "binary"
UNKNOWN = "unknown"
PACKED = (".gz", ".zst", ".zstd")


class Told(NamedTuple):
    """A prompt with its answers and labels, before it has a place in a file."""

    prompt: Messages
    answers: tuple[Answer, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    external_id: str = ""
    ending: int | None = None
    """Which answer the conversation ends with; None: it is the prompt alone."""
    language: str | None = None
    metadata: str | None = None
    are_draws: bool = True
    """Whether every answer whose author is known is a draw of that author, asked in ways nobody wrote down."""


@dataclass(frozen=True, slots=True)
class Around:
    """What a record does not say itself."""

    path: Path
    settings: ReaderSettings
    elsewhere: Elsewhere

    @property
    def stem(self) -> str:
        """The file's name without its endings."""
        name = self.path.name
        for ending in PACKED:
            name = name.removesuffix(ending)
        return name.rsplit(".", 1)[0] if "." in name else name

    @property
    def policy(self) -> str:
        """Who wrote the answers of a file that does not say so: as the user says, else the file's name."""
        return self.settings.model_label or self.stem

    def labeler(self, default: str) -> str:
        """Who labeled, where the user does not say otherwise."""
        return self.settings.labeler or default


Teller = Callable[[Fields, Around], Iterable[Told | Refusal]]
"""Raises Unreadable if the record as a whole cannot be stored."""


@dataclass(frozen=True, slots=True)
class LabelReader:
    """A reader made of such a function."""

    tell: Teller
    is_record: IsRecord
    """Tells a record from an object inside one, after damage."""

    def inspect(self, path: Path) -> Inspection:
        """The file's hash and sizes.

        Raises BadInput if it cannot hold records.
        """
        return inspect_rows(path)

    def __call__(self, path: Path, settings: ReaderSettings) -> Iterator[Labeled | Reject | Remark]:
        """Everything in the file at PATH.

        Raises BadInput if nothing in it could be a record.
        """
        around = Around(path, settings, Elsewhere(settings.beside, has_stand_ins=settings.stand_ins))
        number = 0
        for row in rows_of(path, self.is_record):
            if isinstance(row, Reject):
                number += 1
                yield Reject(number, row.line, row.byte_offset, row.reason, row.excerpt)
                continue
            for one in self._told(row, around):
                number += 1
                yield _placed(one, number, row)
        if around.elsewhere.n_stand_ins:
            yield Remark(
                f"texts that are in no file, stood in for {around.elsewhere.n_stand_ins:,} times:"
                " count their labels, and train on none of them"
            )

    def _told(self, row: Row, around: Around) -> list[Told | Refusal]:
        try:
            found = list(self.tell(row.fields, around))
        except Unreadable as error:
            return [Refusal(str(error))]
        except RecursionError:
            return [Refusal("nested too deeply")]
        checked = [Refusal("no prompt") if isinstance(one, Told) and not one.prompt else one for one in found]
        return checked or [Refusal("nothing in it")]


def _placed(one: Told | Refusal, number: int, row: Row) -> Labeled | Reject:
    if isinstance(one, Refusal):
        return Reject(number, row.line, row.byte_offset, one.reason, one.excerpt or row.excerpt)
    return Labeled(
        number,
        row.line,
        row.byte_offset,
        one.external_id,
        one.prompt,
        _with_draws(one.answers) if one.are_draws else one.answers,
        one.verdicts,
        one.ending,
        one.language,
        one.metadata,
    )


def _with_draws(answers: Sequence[Answer]) -> tuple[Answer, ...]:
    """A policy's answers in a record are its draws in their order, unless the reader said more of them."""
    met: Counter[str] = Counter()
    told = []
    for answer in answers:
        index = met[answer.policy]
        met[answer.policy] += 1
        is_told = answer.draws or not answer.policy
        told.append(answer if is_told else replace(answer, draws=(Draw(answer.policy, index),)))
    return tuple(told)


def asked(text: str, system: str = "") -> Messages:
    """A prompt of one user's message, perhaps after a system prompt."""
    opening: Messages = (("system", system),) if system else ()
    return (*opening, ("user", text))


def number_in(value: object) -> float | None:
    """The number a value is or spells; None for `N/A`, null, true and the rest."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if number - number == 0 else None  # neither infinite nor NaN


def native_of(value: object) -> str:
    """A label as the file writes it."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def rated(
    value: object,
    *,
    by: str,
    kind: str,
    template: str,
    scale: str,
    aspect: str = "overall",
    explanation: str | None = None,
    draw_index: int = 0,
) -> Rating:
    """A rating of VALUE; one that is no number is unparsed, and its explanation begins with what stands there."""
    number = number_in(value)
    state = "done" if number is not None else "unparsed"
    if number is None:
        explanation = "\n".join(filter(None, (native_of(value), explanation)))
    return Rating(by, kind, template, scale, number, aspect, state, draw_index, explanation or None)


def preferred(
    chosen: int, rejected: int, *, by: str, kind: str, template: str, explanation: str | None = None
) -> Verdict:
    """A verdict without strength whose shown order nobody wrote down."""
    return Verdict(
        chosen,
        rejected,
        by,
        kind,
        template,
        BINARY,
        1.0,
        "win",
        is_order_known=False,
        explanation=explanation,
    )


def need_number(value: object, name: str) -> float:
    """The number in a field.

    Raises Unreadable if there is none.
    """
    number = number_in(value)
    if number is None:
        raise Unreadable(f"{name} is {kind_of(value)}, not a number")
    return number


def need_text_in(value: object, name: str) -> str:
    """The text a value is.

    Raises Unreadable if it is none.
    """
    if not isinstance(value, str):
        raise Unreadable(f"{name} is {kind_of(value)}, not text")
    return value


def need_object(value: object, name: str) -> dict[str, object]:
    """The object a value is.

    Raises Unreadable if it is none.
    """
    if not isinstance(value, dict):
        raise Unreadable(f"{name} is {kind_of(value)}, not an object")
    return value
