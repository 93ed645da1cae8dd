"""Keys and passwords that give access to something."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from curate.filtering.noticing import Noticed, any_turn, look_at

if TYPE_CHECKING:
    import polars as pl

FORMATS = {
    "private key": r"-----BEGIN (?:[A-Z]{2,9} )?PRIVATE KEY(?: BLOCK)?-----\s*[\w+/=\s:,-]{60,}",
    "AWS key": r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    "GitHub token": r"\bgh[pousr]_[A-Za-z0-9]{36,}\b|\bgithub_pat_[A-Za-z0-9_]{60,}\b",
    "GitLab token": r"\bglpat-[\w-]{20,}",
    "OpenAI key": r"\bsk-(?:proj-|svcacct-)?[A-Za-z0-9_-]{20,}[A-Za-z0-9]\b",
    "Slack token": r"\bxox[abprs]-[0-9A-Za-z-]{20,}",
    "Google key": r"\bAIza[0-9A-Za-z_-]{35}(?![0-9A-Za-z_-])",
    "Stripe key": r"\b[rs]k_live_[0-9A-Za-z]{20,}",
    "Hugging Face token": r"\bhf_[A-Za-z]{30,}\b",
    "npm token": r"\bnpm_[A-Za-z0-9]{36}\b",
    "SendGrid key": r"\bSG\.[\w-]{20,}\.[\w-]{30,}",
    "web token": r"\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{20,}",
    "connection string": r"\b(?:postgres(?:ql)?|mysql|mongodb(?:\+srv)?|redis|amqp)://[^\s:/@<>\"']+:[^\s@<>\"']{4,}@[\w.-]+",
}  # fmt: skip
"""What it is → its published format."""

BEGINNINGS = (
    "PRIVATE KEY|AKIA|ASIA|gh[pousr]_|github_pat_|glpat-|AIza|k_live_|hf_|npm_|SG[.]|eyJ",
    "sk-[A-Za-z0-9]{4}",
    "xox[abprs]-|postgres|mysql|mongodb|redis://|amqp://",
)
"""How keys begin; ASCII, which Polars looks for four times as fast, and twice as fast again in these groups."""

ROUGHLY = "|".join(pattern.split("(?!")[0] for pattern in FORMATS.values())
"""For the engine of Polars, which knows no look-ahead; it may only find too much."""

_SECRET = re.compile("|".join(f"(?P<k{i}>{pattern})" for i, pattern in enumerate(FORMATS.values())))
_NAMES = {f"k{i}": name for i, name in enumerate(FORMATS)}
PLACEHOLDER = re.compile(
    r"x{4,}|X{4,}|\*{3,}|\.{3,}|EXAMPLE|example|your|YOUR|<|user(?:name)?:pass|password@|1234567890|abcdef",
    re.ASCII,
)
FEWEST_SIGNS = 8
"""Different characters in a key; `sk-0000…` is none."""


@dataclass(frozen=True, slots=True)
class Secrets:
    """Private keys, API keys and tokens in their published formats; placeholders do not count."""

    rule_version: ClassVar[int] = 1

    kinds: tuple[str, ...] = ()
    """Only these (`OpenAI key`, `private key`, …); all if none is named."""

    def notice(self, texts: "pl.DataFrame") -> "pl.DataFrame":
        """Messages with a key; the evidence says which kind, and does not repeat it."""
        import polars as pl

        content = pl.col("content")
        begins = pl.any_horizontal(content.str.contains(group) for group in BEGINNINGS)
        return look_at(texts, begins, self._judge, content.str.contains(ROUGHLY))

    def _judge(self, text: str) -> Noticed | None:
        for match in _SECRET.finditer(text):
            name = _NAMES[str(match.lastgroup)]
            if self.kinds and name not in self.kinds:
                continue
            if name != "private key" and (PLACEHOLDER.search(match[0]) or len(set(match[0])) < FEWEST_SIGNS):
                continue
            return name, float(len(match[0])), match[0][:4] + "…", match.start()
        return None

    def drops(self, turns: "pl.DataFrame") -> "pl.DataFrame":
        """By any message."""
        return any_turn(turns)
