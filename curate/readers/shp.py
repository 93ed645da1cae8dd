"""SHP: two comments under one Reddit post, the one that more readers voted for preferred."""

from collections.abc import Iterator

from curate.format import Format, has_keys
from curate.reader import Answer, Verdict
from curate.readers.drafts import Refusal, has_any
from curate.readers.fields import Fields, Unreadable
from curate.readers.labels import BINARY, PERSON, Around, LabelReader, Told, asked, rated

LABELER = "reddit voters"
TEMPLATE = "shp"
SCALE = "reddit-score"
"""A comment's upvotes less its downvotes."""


def tell(fields: Fields, around: Around) -> Iterator[Told | Refusal]:
    """The preference of a row, with both scores as ratings."""
    prompt = asked(fields.need_text("history"))
    texts = [fields.need_text(f"human_ref_{side}") for side in "AB"]
    label = fields.take("labels")
    if label not in (0, 1):
        raise Unreadable(f"labels is {str(label)[:80]!r}, neither 1 (A) nor 0 (B)")
    if texts[0] == texts[1]:
        yield Refusal("the two comments are the same")
        return
    by = around.labeler(LABELER)
    scores = [fields.take(f"score_{side}") for side in "AB"]
    answers = tuple(
        Answer(text, ratings=(rated(score, by=by, kind=PERSON, template=TEMPLATE, scale=SCALE),))
        for text, score in zip(texts, scores, strict=True)
    )
    margin = 1.0 if label == 1 else -1.0
    verdict = Verdict(0, 1, by, PERSON, TEMPLATE, BINARY, margin, "win")
    yield Told(prompt, answers, (verdict,), fields.take_id("post_id"), metadata=fields.rest())


SHP = LabelReader(tell, has_any("human_ref_A"))
FORMAT = Format(
    "SHP: two comments under a post with their scores, the one with the higher score preferred",
    '{"post_id": "p1", "domain": "d", "history": "Name a prime.", "human_ref_A": "Nine.", "human_ref_B": "Seven.", '
    '"score_A": 2, "score_B": 9, "labels": 0, "score_ratio": 4.5}',
    has_keys("human_ref_A", "human_ref_B", "labels", confidence=1.0),
)
