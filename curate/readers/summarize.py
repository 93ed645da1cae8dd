"""OpenAI's summaries: which of two a person preferred, and ratings of one summary along axes."""

from collections.abc import Iterator

from curate.format import Format, Match, Sample
from curate.reader import Answer, Rating, Verdict
from curate.readers.drafts import Messages, Refusal, has_any
from curate.readers.fields import Fields, Unreadable
from curate.readers.labels import (
    BINARY,
    PERSON,
    UNKNOWN,
    Around,
    LabelReader,
    Told,
    asked,
    need_object,
    need_text_in,
    rated,
)

TEMPLATE = "summarize-from-feedback"
AXIS_SCALE = "1-7"


def tell(fields: Fields, around: Around) -> Iterator[Told | Refusal]:
    """What a row says of one summary or two."""
    info = need_object(fields.take("info"), "info")
    prompt, external_id = _prompt_of(info), info.get("id")
    by = around.labeler(fields.take_text("worker") or UNKNOWN)
    name = external_id if isinstance(external_id, str) else ""
    rest = fields.see("extra")
    if "summary" in fields:
        answer = _rated_summary(need_object(fields.take("summary"), "summary"), by)
        yield Told(prompt, (answer,), (), name, metadata=fields.rest())
        return
    given = [need_object(one, "a summary") for one in fields.need_list("summaries")]
    choice = fields.take("choice")
    if len(given) != 2 or choice not in (0, 1):
        raise Unreadable("not two summaries and a choice of 0 or 1")
    answers = tuple(_summary(one) for one in given)
    if answers[0].text == answers[1].text:
        yield Refusal("the two summaries are the same")
        return
    confidence = rest.get("confidence") if isinstance(rest, dict) else None
    said = None if confidence is None else f"confidence {confidence}"
    verdict = Verdict(0, 1, by, PERSON, TEMPLATE, BINARY, 1.0 - 2.0 * choice, "win", explanation=said)
    yield Told(prompt, answers, (verdict,), name, metadata=fields.rest([("info", _without_texts(info))]))


def _prompt_of(info: dict[str, object]) -> Messages:
    """The post as the paper's models saw it (arXiv 2009.01325, appendix B); a news article as it is."""
    article = info.get("article")
    if isinstance(article, str):
        return asked(article)
    post = need_text_in(info.get("post"), "the post")
    lines = (("SUBREDDIT: r/", info.get("subreddit")), ("TITLE: ", info.get("title")), ("POST: ", post))
    return asked("\n".join([f"{mark}{text}" for mark, text in lines if text] + ["TL;DR:"]))


def _without_texts(info: dict[str, object]) -> dict[str, object]:
    return {key: value for key, value in info.items() if key not in ("post", "article")}


def _summary(one: dict[str, object], ratings: tuple[Rating, ...] = ()) -> Answer:
    policy = one.get("policy")
    return Answer(
        need_text_in(one.get("text"), "a summary"), policy if isinstance(policy, str) else "", ratings=ratings
    )


def _rated_summary(one: dict[str, object], by: str) -> Answer:
    axes = need_object(one.get("axes"), "axes")
    ratings = tuple(
        rated(value, by=by, kind=PERSON, template=TEMPLATE, scale=AXIS_SCALE, aspect=axis)
        for axis, value in sorted(axes.items())
        if value is not None
    )
    return _summary(one, ratings)


SUMMARIZE = LabelReader(tell, has_any("info"))


def _looks_like(sample: Sample) -> Match | None:
    own = sum(
        isinstance(record.get("info"), dict) and ("summaries" in record or "summary" in record)
        for record in sample.records
    )
    return Match(own / len(sample.records), "records have `info` and summaries") if own else None


FORMAT = Format(
    "OpenAI's summary comparisons: a post, two summaries and a person's choice; or one summary rated along axes",
    '{"info": {"id": "p1", "post": "I like primes.", "title": "Primes", "subreddit": "maths"}, "summaries": '
    '[{"text": "Likes primes.", "policy": "sup1"}, {"text": "Primes.", "policy": "ref"}], "choice": 0, "worker": "w1"}',
    _looks_like,
)
