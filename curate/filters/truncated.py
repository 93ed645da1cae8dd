"""Answers that are empty or stop before their end."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from curate.filtering.mojibake import FENCE
from curate.filtering.noticing import EVIDENCE, Noticed, noticed_frame

if TYPE_CHECKING:
    import polars as pl

UNSEEN = " \t\n\r\u200b\u200c\u200d\ufeff"
"""What an empty answer may hold."""

CONTINUE = re.compile(
    r"\W*(?:please |pls |can you |could you )*(?:continue|go on|keep going|carry on|"
    r"finish(?: it| the (?:code|answer))?|"
    r"continue (?:please|from where you (?:left off|stopped)|the code|your (?:answer|response)|from there|writing)|"
    r"继续|繼續|続けて|continua|continúa|weiter|продолж\w*)(?: please)?\W*",
    re.IGNORECASE,
)
"""A prompt that asks for the rest."""

ASKING = [
    "continu",
    "go on",
    "keep going",
    "carry on",
    "finish",
    "继续",
    "繼續",
    "続けて",
    "weiter",
    "родолж",
]
"""One of these is in every such prompt."""

OPEN_END = re.compile(r"[\w,;(\[{\-–—&+=/<“，、；：:]\Z")
SENTENCE_END = re.compile(r"[.!?…。！？]")
LIST_LINE = re.compile(r"\s*(?:(?:[-*•+>|#]|[A-Za-z][.)])\s|\d+[.)、](?=\s|[^\d\s])|\|)")
NUMBER_ALONE = re.compile(r"\n\s*\d+\.\Z")
HAS_LINK = re.compile(r"https?://\S+\Z")
DANGLING = re.compile(
    r"(?:[,;(\[{&+=/<“、，；]|\b(?:and|or|but|the|a|an|of|to|for|with|by|from|as|which|is|are|was|were|"
    r"your|their|its|can|will|would|should|if|because|into|may|must|et|de|la|le|und|der|die|das|el))\Z",
    re.IGNORECASE,
)
"""Ends that leave something open whatever the text is."""


LAST_CHARS = 200
"""What a pattern that is tied to the end is given: it would try every place of a long text."""

LAST_WORD = 8
"""The longest word that leaves something open, and the character before it."""

LOOKED_BACK = 4_000
"""Characters before the end that say how a text ends its lines."""


def is_cut(text: str, shortest: int) -> str | None:
    """Why TEXT looks cut off in the middle, or None."""
    end = text.rstrip()
    if end.count(FENCE) % 2:
        return "open code fence"
    if end.endswith(FENCE):
        return "code cut off" if _is_open_code(end.removesuffix(FENCE).rpartition(FENCE)[2]) else None
    if NUMBER_ALONE.search(end[-LAST_CHARS:]):
        return "ends in the middle"
    if len(end) < shortest or OPEN_END.search(end[-1:]) is None:
        return None
    last = end[-LOOKED_BACK:].rpartition("\n")[2][-LAST_CHARS:]
    if HAS_LINK.search(last):
        return None
    is_open = DANGLING.search(last[-LAST_WORD:]) or _is_open(end, end[-LOOKED_BACK:].split("\n"))
    return "ends in the middle" if is_open else None


def _is_open_code(code: str) -> bool:
    """Whether more braces or parentheses are opened than closed; a page closes the fence of what was cut."""
    return len(code) >= 80 and any(code.count(left) > code.count(right) for left, right in ("{}", "()"))


def _is_open(end: str, lines: list[str]) -> bool:
    """Whether the last line breaks with how the text ends its lines before."""
    last = lines[-1]
    if end[-1] in ":：":
        return len(SENTENCE_END.findall(end)) >= 2
    if LIST_LINE.match(last):
        items = [line for line in lines[:-1] if LIST_LINE.match(line)]
        closed = sum(bool(SENTENCE_END.search(item.rstrip()[-1:])) for item in items)
        return len(items) >= 2 and closed >= 0.8 * len(items)
    if len(last) >= 60 and SENTENCE_END.search(last):
        return True
    return len(last) >= 35 and last[-1].islower() and (_paragraphs_close(lines[:-1]) or FENCE in end)


def _paragraphs_close(lines: list[str]) -> bool:
    """Whether the long lines of a text end like sentences, so that one that does not is remarkable."""
    long = [line.rstrip() for line in lines if len(line) >= 60 and not LIST_LINE.match(line)]
    return len(long) >= 2 and sum(line[-1] in ".!?…。！？:" for line in long) >= 0.8 * len(long)


@dataclass(frozen=True, slots=True)
class Truncated:
    """Empty answers, answers that stop in the middle, and answers that a `continue` had to ask on."""

    rule_version: ClassVar[int] = 1

    empty: bool = True
    """Whether an empty answer is a reason."""
    continued: bool = True
    """Whether an answer followed by a prompt to go on is a reason."""
    min_chars: int = 200
    """Shorter answers need not be sentences."""

    def notice(self, texts: "pl.DataFrame") -> "pl.DataFrame":
        """Answers without a proper end, and prompts that ask for more."""
        import polars as pl

        content, role = pl.col("content"), pl.col("role")
        end = pl.col("end")
        is_long = content.str.len_chars() >= self.min_chars
        open_end = is_long & end.str.contains(OPEN_END.pattern.replace(r"\Z", "$"))
        short_prompt = (role == "user") & (content.str.len_bytes() <= 60)
        asks = content.str.head(60).str.contains_any(ASKING, ascii_case_insensitive=True)
        answers = texts.filter(role == "assistant").with_columns(
            end=content.str.tail(40).str.strip_chars_end()
        )
        fenced = answers.filter(content.str.contains(FENCE, literal=True))
        odd = content.str.count_matches(FENCE) % 2 == 1
        ends = open_end | end.str.contains(r"\n\s*\d+\.$") | (content.str.len_bytes() <= 4)
        picked = pl.concat(
            [
                answers.filter(ends).drop("end"),
                fenced.filter(odd | end.str.ends_with(FENCE)).drop("end"),
                texts.filter(short_prompt).filter(asks),
            ]
        ).unique("row", maintain_order=True)
        rows = zip(*(picked.get_column(name).to_list() for name in ("row", "role", "content")), strict=True)
        judged = ((row, self._judge(who, text)) for row, who, text in rows)
        return noticed_frame((row, noticed) for row, noticed in judged if noticed is not None)

    def _judge(self, role: str, text: str) -> Noticed | None:
        if role == "user":
            return ("continue", None, text, 0) if self.continued and CONTINUE.fullmatch(text) else None
        if not text.strip(UNSEEN):
            return ("empty answer", None, None, 0) if self.empty else None
        why = is_cut(text, self.min_chars)
        end = text.rstrip()
        return (why, None, end[-60:], max(0, len(end) - 60)) if why else None

    def drops(self, turns: "pl.DataFrame") -> "pl.DataFrame":
        """By any answer; a prompt to go on speaks of the answer before it, so there must be one."""
        import polars as pl

        asks = pl.col("label") == "continue"
        follows = pl.col("role").shift(1).over("conversation") == "assistant"
        marked = turns.sort("conversation", "position").with_columns(
            label=pl.when(asks & follows).then(pl.lit("continued")).when(~asks).then(pl.col("label"))
        )
        marked = marked.filter(pl.col("label").is_not_null())
        return marked.unique("conversation", keep="first", maintain_order=True).select(
            "conversation", *EVIDENCE
        )
