"""Texts that hold the control tokens of a chat template."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from curate.filtering.noticing import Noticed, any_turn, look_at

if TYPE_CHECKING:
    import polars as pl

TOKENS = (
    "<|im_start|>", "<|im_end|>", "<|im_sep|>", "<|endoftext|>", "<|end_of_turn|>", "<|eot_id|>", "<|eom_id|>",
    "<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|python_tag|>",
    "<|user|>", "<|assistant|>", "<|system|>", "<|bot|>", "<|end|>", "<|prompter|>", "<|endofprompt|>",
    "<start_of_turn>", "<end_of_turn>", "[INST]", "[/INST]", "<<SYS>>", "<</SYS>>", "<|channel|>", "<|message|>",
    "<｜User｜>", "<｜Assistant｜>", "<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>",
    "### Human:", "### Assistant:",
)  # fmt: skip
"""Whole tokens that templates of common models give meaning to."""

ROUGHLY = "|".join(map(re.escape, (*TOKENS, "</s>", "<s>")))
"""The last two are also HTML for struck-out text: they count only at the beginning or the end of a message, or
before one another."""

_TOKEN = re.compile(
    "|".join(map(re.escape, TOKENS)) + r"|\A\s*<s>(?![^<]*</s>\s*[^<\s])|</s>\s*\Z|</s>\s*<s>"
)


@dataclass(frozen=True, slots=True)
class ControlTokens:
    """Messages with the control tokens of chat templates, which a tokenizer may take at their word."""

    rule_version: ClassVar[int] = 1

    outside_code: bool = False
    """Whether only those outside of fenced code count."""

    def notice(self, texts: "pl.DataFrame") -> "pl.DataFrame":
        """Messages with such a token."""
        import polars as pl

        return look_at(texts, pl.col("content").str.contains(ROUGHLY), self._judge)

    def _judge(self, text: str) -> Noticed | None:
        looked_at = "\n".join(text.split("```")[::2]) if self.outside_code else text
        found = list(_TOKEN.finditer(looked_at))
        if not found:
            return None
        return found[0][0].strip(), float(len(found)), found[0][0], found[0].start()

    def drops(self, turns: "pl.DataFrame") -> "pl.DataFrame":
        """By any message."""
        return any_turn(turns)
