"""A pair as tokens: how long its prompt is, and what the trainer sees of each side."""

from collections.abc import Sequence
from dataclasses import dataclass

from store.chat_format import ChatFormat, Encoded, Turn
from train.exporting.rows import PairRow


@dataclass(frozen=True, slots=True)
class PairTokens:
    """The tokens of one pair."""

    prompt_ids: list[int]
    chosen: Encoded
    """Prompt and better answer."""
    rejected: Encoded
    """Prompt and worse answer."""

    @property
    def prompt(self) -> int:
        """Tokens of the prompt."""
        return len(self.prompt_ids)

    @property
    def longest(self) -> int:
        """Tokens of the longer side, prompt included."""
        return max(len(self.chosen.input_ids), len(self.rejected.input_ids))


def pair_tokens(chat: ChatFormat, rows: Sequence[PairRow]) -> list[PairTokens]:
    """The tokens of ROWS, rendered as for inference: prompt and answer as one text."""
    return tokens_of(chat, [(row.prompt, row.chosen, row.rejected) for row in rows])


def tokens_of(chat: ChatFormat, pairs: Sequence[tuple[Sequence[Turn], str, str]]) -> list[PairTokens]:
    """The tokens of pairs given as (prompt, chosen, rejected)."""
    prompts = chat.encode_prompts([prompt for prompt, _, _ in pairs])
    better = chat.encode([chat.render([*prompt, ("assistant", chosen)]) for prompt, chosen, _ in pairs])
    worse = chat.encode([chat.render([*prompt, ("assistant", rejected)]) for prompt, _, rejected in pairs])
    return [PairTokens(*parts) for parts in zip(prompts, better, worse, strict=True)]
