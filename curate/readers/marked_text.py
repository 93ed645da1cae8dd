"""Whole conversations in one text, with marks for who speaks: Baize, and others like it.

The marks and the space around them belong to the format; so do an opening line before the first mark,
which goes to the metadata, and a last mark with nothing after it.
"""

import re
from collections.abc import Iterator

from curate.format import Format, Match, Sample
from curate.readers.drafts import Draft, DraftReader, has_any
from curate.readers.fields import Fields, Unreadable

BAIZE = re.compile(r"\[\|(?P<speaker>Human|AI)\|\]")
MARKS = (
    BAIZE,
    re.compile(r"<\|(?P<speaker>user|bot|system|assistant|prompter)\|>:?"),
    re.compile(r"### (?P<speaker>Human|Assistant|User|System):"),
    re.compile(r"^(?P<speaker>USER|ASSISTANT|SYSTEM):", re.MULTILINE),
)
ROLE_OF = {
    "human": "user",
    "user": "user",
    "prompter": "user",
    "ai": "assistant",
    "bot": "assistant",
    "assistant": "assistant",
    "system": "system",
}
TEXTS = ("text", "input", "chat")


def baize_drafts(fields: Fields) -> Iterator[Draft]:
    """The conversation of a Baize row."""
    yield _draft(fields, fields.need_text("input"), BAIZE)


def marked_drafts(fields: Fields) -> Iterator[Draft]:
    """The conversation of a row whose text has one of the other kinds of marks."""
    text = fields.need_text(*TEXTS)
    marks = marks_in(text)
    if marks is None:
        raise Unreadable("no mark tells who speaks in the text")
    yield _draft(fields, text, marks)


def marks_in(text: str) -> re.Pattern[str] | None:
    """The kind of marks that tells who speaks in TEXT."""
    return next((marks for marks in MARKS if marks.search(text)), None)


def _draft(fields: Fields, text: str, marks: re.Pattern[str]) -> Draft:
    found = list(marks.finditer(text))
    if not found:
        raise Unreadable("no mark tells who speaks in the text")
    ends = [mark.start() for mark in found[1:]] + [len(text)]
    messages = [
        (ROLE_OF[mark["speaker"].lower()], text[mark.end() : end].strip())
        for mark, end in zip(found, ends, strict=True)
    ]
    if len(messages) > 1 and messages[-1] == ("user", ""):
        messages.pop()
    opening = text[: found[0].start()].strip()
    return Draft(
        tuple(messages),
        external_id=fields.take_id("id"),
        model=fields.take_model(),
        language=fields.take_language(),
        metadata=fields.rest([("opening", opening)] if opening else []),
    )


BAIZE_READER = DraftReader(baize_drafts, has_any("input"))
MARKED = DraftReader(marked_drafts, has_any(*TEXTS))


def _looks_like_baize(sample: Sample) -> Match | None:
    texts = [record.get("input") for record in sample.records]
    n_marked = sum(isinstance(text, str) and BAIZE.search(text) is not None for text in texts)
    return (
        Match(0.95 * n_marked / len(texts), "`input` has the marks [|Human|] and [|AI|]")
        if n_marked
        else None
    )


def _looks_marked(sample: Sample) -> Match | None:
    texts = [next((record[key] for key in TEXTS if key in record), None) for record in sample.records]
    marked = [text for text in texts if isinstance(text, str) and marks_in(text) not in (None, BAIZE)]
    if not marked:
        return None
    return Match(0.9 * len(marked) / len(texts), "records have a text with marks for who speaks")


BAIZE_FORMAT = Format(
    "Baize: an input with the marks [|Human|] and [|AI|], and its topic",
    '{"topic": "sorting", "input": "The conversation between human and AI assistant.\\n[|Human|] How do I sort?\\n'
    '[|AI|] Use sorted().\\n[|Human|] "}',
    _looks_like_baize,
)
MARKED_FORMAT = Format(
    "one text with marks for who speaks: <|user|>: and <|bot|>:, or ### Human: and ### Assistant:",
    '{"id": "m1", "lang": "en", "text": "<|user|>: hi\\n<|bot|>: hello\\n"}',
    _looks_marked,
)
