"""RM-Bench: three right and three wrong answers to a prompt, in three styles each.

Every right answer is better than every wrong one; the native label `0>2` says which styles met (0 concise,
1 detailed, 2 detailed with Markdown).
"""

from collections.abc import Iterator

from curate.format import Format, Match, Sample
from curate.reader import Answer, Verdict
from curate.readers.drafts import Refusal, has_any
from curate.readers.fields import Fields, Unreadable
from curate.readers.labels import BINARY, RULE, Around, LabelReader, Told, asked, need_text_in

LABELER = "rm-bench"
TEMPLATE = "rm-bench"


def tell(fields: Fields, around: Around) -> Iterator[Told | Refusal]:
    """The prompt of a row with a verdict for each right and wrong answer."""
    prompt = asked(fields.need_text("prompt"))
    chosen, rejected = (
        [need_text_in(text, f"a {name} answer") for text in fields.need_list(name)]
        for name in ("chosen", "rejected")
    )
    if not chosen or not rejected:
        raise Unreadable("no chosen or no rejected answers")
    by = around.labeler(LABELER)
    verdicts = [
        Verdict(
            right,
            len(chosen) + wrong,
            by,
            RULE,
            TEMPLATE,
            BINARY,
            1.0,
            "win",
            native_label=f"{right}>{wrong}",
            is_order_known=False,
        )
        for right, good in enumerate(chosen)
        for wrong, bad in enumerate(rejected)
        if good != bad
    ]
    answers = tuple(Answer(text) for text in (*chosen, *rejected))
    yield Told(prompt, answers, tuple(verdicts), fields.take_id(), metadata=fields.rest())


RM_BENCH = LabelReader(tell, has_any("chosen"))


def _looks_like(sample: Sample) -> Match | None:
    own = sum(
        all(
            isinstance(found := record.get(name), list) and found and isinstance(found[0], str)
            for name in ("chosen", "rejected")
        )
        and "prompt" in record
        for record in sample.records
    )
    return Match(own / len(sample.records), "`chosen` and `rejected` are lists of texts") if own else None


FORMAT = Format(
    "RM-Bench: three right and three wrong answers to a prompt, in three styles",
    '{"id": 1, "prompt": "Name a prime.", "chosen": ["Seven.", "It is seven.", "**Seven**."], '
    '"rejected": ["Nine.", "It is nine.", "**Nine**."]}',
    _looks_like,
)
