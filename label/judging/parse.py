"""Reading a judge's reply: the one rating it gives, or an error, never a guess."""

import re

from store.errors import BadReply

PARSER_VERSION = "rating/1"
"""Raised when the same reply could be read differently; stored with every rating."""

VERDICT = re.compile(
    r"(?:^|(?<=[.!?])[ \t]+|(?<=[.!?][)*\"”])[ \t]+)\**Rating:[ \t]*\[\[([^\[\]\n]*)\]\]\**", re.M
)
"""A stated verdict: at the start of a line or right after a sentence. More than half of GPT-4's verdicts
in the MT-bench judgments end their last paragraph instead of standing on a line of their own."""

WHOLE_NUMBER = re.compile(r"0|[1-9][0-9]?")

REFUSAL = re.compile(
    r"\W*(?:(?:i['’]m|i am) (?:really |very |so )?sorry|sorry, but|i apologi[sz]e|my apologies"
    r"|i (?:can['’]?t|cannot|can not|won['’]?t|will not|must decline|have to decline)"
    r"|(?:i['’]m|i am) (?:unable|not able|not comfortable))\b",
    re.I,
)
REFUSAL_MAX_CHARACTERS = 600
"""A longer reply without a verdict is an explanation that lost its end, not a refusal."""


def parse_rating(reply: str, lowest: int = 1, highest: int = 10) -> int:
    """The one rating the reply gives, LOWEST to HIGHEST: the last thing in it, such as `Rating: [[5]]`.

    Raises BadReply if there is none at the end, more than one, or one out of range.
    """
    text = reply.rstrip()
    verdicts = list(VERDICT.finditer(text))
    if not verdicts or verdicts[-1].end() != len(text):
        raise BadReply("the reply does not end with a rating such as Rating: [[5]]")
    values = {verdict[1].strip() for verdict in verdicts}
    if len(values) > 1:
        raise BadReply(f"the reply gives {len(values)} different ratings: {', '.join(sorted(values))}")
    value = values.pop()
    if WHOLE_NUMBER.fullmatch(value) is None or not lowest <= int(value) <= highest:
        raise BadReply(f"the reply rates {value!r}, which is no whole number from {lowest} to {highest}")
    return int(value)


def explanation_of(reply: str) -> str:
    """What a reply says before its verdict."""
    text = reply.rstrip()
    verdicts = list(VERDICT.finditer(text))
    if verdicts and verdicts[-1].end() == len(text):
        text = text[: verdicts[-1].start()]
    return text.strip()


def is_refusal(reply: str) -> bool:
    """Whether a reply without a verdict is the judge declining to judge."""
    return len(reply) <= REFUSAL_MAX_CHARACTERS and "[[" not in reply and REFUSAL.match(reply) is not None
