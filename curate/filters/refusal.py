"""Answers that decline to answer."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from curate.filtering.noticing import Noticed, look_at, share_of_answers

if TYPE_CHECKING:
    import polars as pl

HEAD_CHARS = 400
"""A refusal says so at once."""

CLUES = (
    "sorry", "apologize", "as an ai", "language model", "i cannot", "i can't", "i can’t", "i am unable",
    "i'm unable", "i’m unable", "i am not able", "i'm not able", "i’m not able", "i do not have", "i don't have",
    "i don’t have", "i won't", "not appropriate", "against my", "抱歉", "对不起", "無法", "无法", "不能", "申し訳",
)  # fmt: skip

_CANNOT = (
    r"(?:cannot|can['’]?t|can not|am unable to|['’]m unable to|am not able to|['’]m not able to|won['’]t|will not|"
    r"must decline|(?:do not|don['’]t) have (?:the |any |direct |real[- ]time |access|personal)|am not (?:programmed|"
    r"designed|allowed|capable))"
)
_AS_AN_AI = r"as an? (?:ai|artificial intelligence|(?:large )?language model)\b"
_WAYS = (
    rf"\b{_AS_AN_AI}[^.!?\n]{{0,80}}?,? (?:and )?i\b\s?{_CANNOT}",
    rf"\bsorry,? (?:but |that |, )?(?:{_AS_AN_AI}[^.!?\n]{{0,60}}, )?i\b\s?{_CANNOT}",
    r"\bi apologi[sz]e,? (?:but |for [^.!?\n]{0,60}(?:but|, however,?) )?"
    rf"(?:{_AS_AN_AI}[^.!?\n]{{0,60}}, )?i\b\s?{_CANNOT}",
    r"\Ai\b\s?(?:cannot|can['’]?t|am unable to|['’]m unable to|am not able to|['’]m not able to)\b"
    r"(?! (?:wait|stress|emphasi[sz]e|help but|recommend .{0,30} enough|thank))",
    r"\bit (?:is|would be) not (?:appropriate|ethical)[^.!?\n]{0,40} (?:for me )?to\b",
    r"\b(?:goes )?against my (?:programming|guidelines|principles)",
    r"(?:抱歉|对不起|很遗憾)[^。！？\n]{0,30}(?:无法|不能|没有[^。！？\n]{0,12}能力)",
    r"\A我(?:无法|不能)(?:回答|提供|浏览|访问|完成|满足|协助|执行)",
    r"作为(?:一个|一名)?(?:AI|人工智能|语言模型)[^。！？\n]{0,30}(?:无法|不能|没有)",
    r"申し訳[^。\n]{0,40}(?:できません|ありません)",
)
REFUSALS = re.compile("|".join(_WAYS), re.IGNORECASE)
ROUGHLY = "(?i)" + "|".join(way.split("(?!")[0].replace(r"\s", r"[\s\x1c-\x1f]") for way in _WAYS)
"""For the engine of Polars, which knows no look-ahead and is twenty times as fast; in ASCII it may only find too much,
beyond it the two differ in what is a capital of what."""

HELPS_ALL_THE_SAME = re.compile(
    r"\bhowever\b|\b(?:but|and) i (?:can|will|could)\b|\bi can (?:certainly|still|instead)\b|\bhere (?:is|are|goes)\b|"
    r"但我可以|但是，?我可以|不过|然而|以下是",
    re.IGNORECASE,
)
HELP_BYTES = 140
"""What must follow such words to be help and not a farewell; UTF-8, so that a Chinese sign counts three."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Answers that say they cannot or will not, and say little else."""

    rule_version: ClassVar[int] = 1

    share: float = 0.0
    """The part of a conversation's answers that must be refusals; 0 for any one."""
    max_chars: int = 900
    """An answer longer than this helps all the same."""

    def notice(self, texts: "pl.DataFrame") -> "pl.DataFrame":
        """Answers that begin by declining."""
        import polars as pl

        short = pl.col("content").str.len_chars() <= self.max_chars
        head = pl.col("content").str.head(HEAD_CHARS)
        declines = head.str.contains_any(list(CLUES), ascii_case_insensitive=True)
        picked = texts.filter((pl.col("role") == "assistant") & short).filter(declines)
        foreign = head.str.len_bytes() != head.str.len_chars()
        return look_at(picked, foreign | head.str.contains(ROUGHLY), self._judge)

    def _judge(self, text: str) -> Noticed | None:
        found = REFUSALS.search(text[:HEAD_CHARS])
        if found is None:
            return None
        turn = HELPS_ALL_THE_SAME.search(text, found.end())
        if turn is not None and len(text[turn.end() :].encode()) >= HELP_BYTES:
            return None
        return "", None, found[0], found.start()

    def drops(self, turns: "pl.DataFrame") -> "pl.DataFrame":
        """By any refusal, or by their share."""
        return share_of_answers(turns, self.share)
