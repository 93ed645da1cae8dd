"""KTO rows: one answer, and whether it is desirable."""

from collections.abc import Iterator

from curate.format import Format, Match, Sample, first_of, has_keys
from curate.reader import Answer, Rating
from curate.readers.drafts import Messages, Refusal, has_any
from curate.readers.fields import Fields, Unreadable
from curate.readers.labels import UNKNOWN, Around, LabelReader, Told, asked
from curate.readers.turns import turns_in

TEMPLATE = "kto"
SCALE = "desirable"
"""1 is desirable, 0 is not."""


def tell(fields: Fields, around: Around) -> Iterator[Told | Refusal]:
    """The answer of a row with its label as a rating."""
    turns = _turns_of(fields)
    if len(turns) < 2 or turns[-1][0] != "assistant":
        raise Unreadable("the messages do not end with an answer")
    label = fields.take("label" if "label" in fields else "kto_tag")
    if not isinstance(label, bool):
        raise Unreadable(f"label is {str(label)[:80]!r}, neither true nor false")
    by = around.labeler(UNKNOWN)
    rating = Rating(by, UNKNOWN, TEMPLATE, SCALE, float(label))
    yield Told(
        turns[:-1],
        (Answer(turns[-1][1], ratings=(rating,)),),
        external_id=fields.take_id(),
        metadata=fields.rest(),
    )


def _turns_of(fields: Fields) -> Messages:
    for name in ("messages", "conversations"):
        if name in fields:
            return turns_in(fields.take(name), name)
    prompt = fields.take("prompt")
    opening = turns_in(prompt, "prompt") if isinstance(prompt, list) else asked(str(prompt or ""))
    completion = fields.take("completion")
    if isinstance(completion, list):
        return (*opening, *turns_in(completion, "completion"))
    if not isinstance(completion, str):
        raise Unreadable("no completion")
    return (*opening, ("assistant", completion))


KTO = LabelReader(tell, has_any("label"))


def _has_label(sample: Sample) -> Match | None:
    found = first_of(
        has_keys("messages", "label", confidence=1.0),
        has_keys("prompt", "completion", "label", confidence=1.0),
        has_keys("conversations", "kto_tag", confidence=1.1),  # ShareGPT turns and a tag
    )(sample)
    is_bool = all(isinstance(record.get("label", record.get("kto_tag")), bool) for record in sample.records)
    return found if is_bool else None


FORMAT = Format(
    "KTO rows: one answer and whether it is desirable",
    '{"prompt": "Name a prime.", "completion": "Seven.", "label": true}',
    _has_label,
)
