"""The responses of one prompt as a person compares them: ranked, duplicates folded, two of them word by word."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from label.ranking.order import TIE
from tui.review_data import Turn

MOST_PIECES = 4_000
"""Longer texts are compared line by line."""
ONLY_HERE = ("⟦", "⟧")
"""What stands in one of two texts only is put between these."""


@dataclass(frozen=True, slots=True)
class Response:
    """One answer and what is known of it; equal texts are one response."""

    response_id: str
    text: str
    n_draws: int
    """How often policies drew this text; 0 for an answer of a conversation."""
    policies: str
    rewards: tuple[tuple[str, float], ...] = ()
    """(reward model, reward)"""
    ratings: tuple[tuple[str, float], ...] = ()
    """(labeler, mean of its draws and aspects)"""
    n_tokens: int | None = None
    is_truncated: bool = False

    def reward_of(self, model: str) -> float | None:
        """What MODEL gave."""
        return dict(self.rewards).get(model)


@dataclass(frozen=True, slots=True)
class ResponseSet:
    """A prompt with its responses, in the order of their ids."""

    prompt_id: str
    prompt: tuple[Turn, ...]
    responses: tuple[Response, ...]

    @property
    def models(self) -> list[str]:
        """The reward models that scored any response, the one that scored most first."""
        counts: dict[str, int] = {}
        for response in self.responses:
            for model, _ in response.rewards:
                counts[model] = counts.get(model, 0) + 1
        return sorted(counts, key=lambda model: (-counts[model], model))

    @property
    def labelers(self) -> list[str]:
        """Who rated any response."""
        return sorted({labeler for response in self.responses for labeler, _ in response.ratings})


@dataclass(frozen=True, slots=True)
class Ranked:
    """A response in its place; the rank of a tie is that of its first, None is unscored."""

    rank: int | None
    is_tied: bool
    response: Response


@dataclass(frozen=True, slots=True)
class Text:
    """A text to read, and what stands over it."""

    heading: str
    text: str


@dataclass(frozen=True, slots=True)
class TextsView:
    """One text or two to read, under a prompt."""

    title: str
    prompt: tuple[Turn, ...]
    texts: tuple[Text, ...]


def text_of(one: Ranked) -> Text:
    """A response under what is known of it."""
    response = one.response
    known = [
        "unranked" if one.rank is None else f"rank {one.rank}{' (tied)' if one.is_tied else ''}",
        *(f"{model} {value:.4f}" for model, value in response.rewards),
        *(f"{labeler} rates {value:g}" for labeler, value in response.ratings),
        f"{response.n_draws:,} draws" if response.n_draws else "",
        f"{response.n_tokens:,} tokens" if response.n_tokens else "",
        "cut when scored" if response.is_truncated else "",
        response.policies,
    ]
    return Text(" · ".join(filter(None, known)), response.text)


def ranked(responses: Sequence[Response], model: str | None) -> list[Ranked]:
    """RESPONSES by MODEL's rewards, the best first, or by mean rating without a model; unscored ones last."""
    scored = [(score, one) for one in responses if (score := _score(one, model)) is not None]
    scored.sort(key=lambda item: (-item[0], item[1].response_id))
    ranks: list[int] = []
    for place, (score, _) in enumerate(scored):
        is_tie = place > 0 and scored[place - 1][0] - score < TIE
        ranks.append(ranks[-1] if is_tie else place + 1)
    found = [Ranked(rank, ranks.count(rank) > 1, one) for rank, (_, one) in zip(ranks, scored, strict=True)]
    rest = [one for one in responses if _score(one, model) is None]
    rest.sort(key=lambda one: (-one.n_draws, one.response_id))
    return found + [Ranked(None, False, one) for one in rest]


def _score(response: Response, model: str | None) -> float | None:
    if model is not None:
        return response.reward_of(model)
    values = [value for _, value in response.ratings]
    return sum(values) / len(values) if values else None


def marked(first: str, second: str) -> tuple[str, str]:
    """Both texts, with what stands in one of them only between ⟦ and ⟧."""
    a, b = _pieces(first), _pieces(second)
    if max(len(a), len(b)) > MOST_PIECES:
        a, b = first.splitlines(keepends=True), second.splitlines(keepends=True)
    left: list[str] = []
    right: list[str] = []
    words = ([piece.strip() for piece in a], [piece.strip() for piece in b])
    for kind, a1, a2, b1, b2 in SequenceMatcher(None, *words, autojunk=False).get_opcodes():
        is_same = kind == "equal"
        left.append("".join(a[a1:a2]) if is_same else _only_here(a[a1:a2]))
        right.append("".join(b[b1:b2]) if is_same else _only_here(b[b1:b2]))
    return "".join(left), "".join(right)


def _pieces(text: str) -> list[str]:
    """Words and signs, each with the space after it."""
    return re.findall(r"(?:\w+|[^\w\s])\s*|\s+", text)


def _only_here(pieces: Sequence[str]) -> str:
    text = "".join(pieces)
    if not text.strip():
        return text
    start = len(text) - len(text.lstrip())
    end = len(text.rstrip())
    return f"{text[:start]}{ONLY_HERE[0]}{text[start:end]}{ONLY_HERE[1]}{text[end:]}"
