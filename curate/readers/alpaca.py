"""Instruction rows: Alpaca, Code-Alpaca, GPT4-Alpaca, GPTeacher, Evol-Instruct, MathInstruct, Dolly and more.

An instruction, perhaps an input (Dolly: a context) and an answer; perhaps a system prompt and earlier
turns (LLaMA-Factory). Rendered by the rule in `instruction.py`.
"""

from collections.abc import Iterator

from curate.format import Format, Match, Sample, first_of, has_keys
from curate.readers.drafts import Draft, DraftReader, Messages, has_any
from curate.readers.fields import Fields, Unreadable, kind_of
from curate.readers.instruction import rendered, rule_used

ANSWERS = ("output", "response", "completion", "answer")


def alpaca_drafts(fields: Fields) -> Iterator[Draft]:
    """The conversation of an Alpaca row."""
    yield _draft(fields, "input")


def dolly_drafts(fields: Fields) -> Iterator[Draft]:
    """The conversation of a Dolly row."""
    yield _draft(fields, "context")


def _draft(fields: Fields, input_key: str) -> Draft:
    instruction = fields.need_text("instruction")
    text = fields.take_text(input_key)
    answer = fields.need_text(*ANSWERS)
    _drop_repeats(fields, answer)
    system = fields.take_text("system")
    opening: Messages = (("system", system),) if system else ()
    messages = (
        *opening,
        *_history_of(fields),
        ("user", rendered(instruction, text)),
        ("assistant", answer),
    )
    return Draft(
        messages,
        external_id=fields.take_id("id", "idx"),
        model=fields.take_model(),
        language=fields.take_language(),
        metadata=fields.rest(rule_used(instruction, text)),
    )


def _drop_repeats(fields: Fields, answer: str) -> None:
    """A second answer key with the same text (new Code-Alpaca) says nothing more; another text stays."""
    for key in ANSWERS:
        if key in fields and fields.see(key) == answer:
            fields.drop(key)


def _history_of(fields: Fields) -> Messages:
    """Earlier turns, as pairs of a user's and an assistant's text."""
    history = fields.take("history")
    if not history:
        return ()
    messages: list[tuple[str, str]] = []
    for number, pair in enumerate(history if isinstance(history, list) else [history], start=1):
        if not isinstance(pair, list) or len(pair) != 2 or not all(isinstance(text, str) for text in pair):
            raise Unreadable(f"history {number}: {kind_of(pair)}, not a pair of texts")
        messages += [("user", pair[0]), ("assistant", pair[1])]
    return tuple(messages)


ALPACA = DraftReader(alpaca_drafts, has_any("instruction"))
DOLLY = DraftReader(dolly_drafts, has_any("instruction"))


def _looks_like_alpaca(sample: Sample) -> Match | None:
    """A `generator`, or several outputs, are a model's answers to an evaluation."""
    others = ("instances", "context", "generator")
    rows = first_of(*(has_keys("instruction", key, without=others) for key in ANSWERS))
    if any(isinstance(record.get("output"), list) for record in sample.records):
        return None
    return rows(sample)


ALPACA_FORMAT = Format(
    "Alpaca, Code-Alpaca, GPT4-Alpaca, GPTeacher, Evol-Instruct, MathInstruct: instruction, input, output",
    '{"instruction": "Name the colour.", "input": "grass", "output": "Green."}',
    _looks_like_alpaca,
)
DOLLY_FORMAT = Format(
    "Dolly: instruction, context, response, category",
    '{"instruction": "Who wrote it?", "context": "A book by Ann.", "response": "Ann.", "category": "closed_qa"}',
    has_keys("instruction", "context", "response", confidence=0.95),
)
