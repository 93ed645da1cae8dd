"""Verdicts of a file on their way into the store, with the answers they are about.

A person's later verdict on the same two answers replaces the earlier one, whichever was shown first; a
judge's two orders stand side by side. A verdict waits until the messages it names are written.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from curate.ingesting.piece import Piece
from curate.reader import Judged, Record
from store.ids import ROOT, digest_of, message_digest, uuid_text

if TYPE_CHECKING:
    from store.db import Reading

PERSON = "person"


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A row of `comparisons`, and how many new messages had been met when it came."""

    row: dict[str, object]
    last_new: int


class JudgedRows:
    """The verdicts of one file that are not written yet."""

    def __init__(self, reader: str) -> None:
        self._reader = reader
        self._answered: set[bytes] = set()
        self._met: set[tuple[object, object]] = set()
        self._waiting: list[_Waiting] = []

    def add(self, item: Judged, piece: Piece) -> None:
        """Put the answers into PIECE, each once a file, and keep the verdict."""
        for record in answers_of(item):
            key = digest_of("q1", record.model, record.external_id, *_texts(record))
            if key not in self._answered:
                self._answered.add(key)
                piece.add(record)
        row = comparison_row(item, self._reader)
        if key_of(row) not in self._met:
            self._met.add(key_of(row))
            self._waiting.append(_Waiting(row, len(piece.ids)))

    def __len__(self) -> int:
        return len(self._waiting)

    def take(self, settled: int) -> list[dict[str, object]]:
        """The verdicts whose messages are all among the first SETTLED; the others wait on."""
        ready = [one.row for one in self._waiting if one.last_new <= settled]
        self._waiting = [
            replace(one, last_new=one.last_new - settled) for one in self._waiting if one.last_new > settled
        ]
        return ready


def key_of(row: dict[str, object]) -> tuple[object, object]:
    """What makes a verdict the same one, read again."""
    return row["comparison_id"], row["created_at"]


def _texts(record: Record) -> list[str]:
    return [part for message in record.messages for part in message]


def answers_of(item: Judged) -> tuple[Record, Record]:
    """The two conversations a verdict is about."""
    return _answer(item, item.answer_a, item.policy_a), _answer(item, item.answer_b, item.policy_b)


def _answer(item: Judged, text: str, policy: str) -> Record:
    return Record(
        record_number=item.record_number,
        line=item.line,
        byte_offset=item.byte_offset,
        external_id=item.external_id,
        messages=(*item.prompt, ("assistant", text)),
        model=policy,
        source_class=None,
        language=None,
        metadata=None,
        record_numbers=(item.record_number,),
    )


def comparison_row(item: Judged, reader: str) -> dict[str, object]:
    """The row of `comparisons` for a verdict."""
    prompt = ROOT
    for role, content in item.prompt:
        prompt = message_digest(prompt, role, content)
    response_a, response_b = (
        message_digest(prompt, "assistant", text) for text in (item.answer_a, item.answer_b)
    )
    sides = [(response_a, item.policy_a), (response_b, item.policy_b)]
    return {
        "comparison_id": uuid_text(_comparison_digest(item, prompt, sides)),
        "prompt_id": uuid_text(prompt),
        "response_a_id": uuid_text(response_a),
        "response_b_id": uuid_text(response_b),
        "policy_a": item.policy_a or None,
        "policy_b": item.policy_b or None,
        "labeler": item.labeler,
        "labeler_kind": item.labeler_kind,
        "template": item.template,
        "scale": item.scale,
        "draw_index": item.draw_index,
        "native_label": item.native_label,
        "signed_margin": item.signed_margin,
        "acceptable_a": item.acceptable_a,
        "acceptable_b": item.acceptable_b,
        "explanation": item.explanation,
        "state": item.state,
        "parser_version": reader,
        "record_number": item.record_number,
        "created_at": item.created_at.isoformat(),
    }


def _comparison_digest(item: Judged, prompt: bytes, sides: Iterable[tuple[bytes, str]]) -> bytes:
    ordered = sorted(sides) if item.labeler_kind == PERSON else list(sides)
    named = [part for side in ordered for part in side]
    return digest_of("p1", prompt, *named, item.labeler, item.template, item.scale, str(item.draw_index))


def not_stored(reading: "Reading", rows: list[dict[str, object]]) -> list[dict[str, object]]:
    """Those of ROWS that the store does not hold yet."""
    if not rows:
        return []
    stored = reading.rows(
        "SELECT CAST(comparison_id AS VARCHAR), created_at FROM comparisons"
        " WHERE comparison_id IN (SELECT unnest(CAST(? AS UUID[])))",
        [[row["comparison_id"] for row in rows]],
    )
    known = {(comparison_id, created_at.isoformat()) for comparison_id, created_at in stored}
    return [row for row in rows if key_of(row) not in known]
