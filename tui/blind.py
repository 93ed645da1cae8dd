"""Blind judging of two answers by one person: which pair, which side, and the rows a vote leaves.

Nothing here knows a screen or a store. The protocol is that of the Camels study: is each answer
acceptable, then a preference on five steps (arXiv 2306.04751, appendix G).
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

from store.ids import digest_of, uuid_text

SCALE = "camels5"
TEMPLATE = "camels5-blind"
"""What a person saw: two unnamed answers side by side."""
TEMPLATE_AFTER_REVEAL = "camels5-seen"
"""A second vote on a pair whose authors had already been shown: never to be counted as blind."""
GUIDELINE_VERSION = "camels-1"
PROTOCOL_VERSION = "1"


@dataclass(frozen=True, slots=True)
class Choice:
    """One step of the five-way preference."""

    native_label: str
    """As in the published annotations of the study."""
    signed_margin: float
    """1 for A clearly better … -1 for B clearly better."""
    words: str

    @property
    def state(self) -> str:
        """`win`, or `tie`."""
        return "win" if self.signed_margin else "tie"


CHOICES = {
    1: Choice("a-is-better", 1.0, "A clearly better"),
    2: Choice("a-is-slightly-better", 0.5, "A slightly better"),
    3: Choice("tie", 0.0, "tie"),
    4: Choice("b-is-slightly-better", -0.5, "B slightly better"),
    5: Choice("b-is-better", -1.0, "B clearly better"),
}


@dataclass(frozen=True, slots=True)
class BlindPair:
    """Two answers to one prompt in the order they are shown; ids are UUID text."""

    prompt_id: str
    response_a_id: str
    response_b_id: str
    annotator: str
    was_revealed: bool = False
    """Whether this annotator has seen who wrote the answers (a vote was undone)."""

    @property
    def comparison_id(self) -> str:
        """The id, as UUID text, of this annotator's verdict on this pair."""
        parts = (self.prompt_id, self.response_a_id, self.response_b_id, self.annotator, SCALE)
        return uuid_text(digest_of("p1", *parts))


@dataclass(frozen=True, slots=True)
class Vote:
    """What a person decided about a pair."""

    pair: BlindPair
    choice: Choice
    acceptable_a: bool | None
    acceptable_b: bool | None
    comment: str
    seconds: float
    shown_text_hash: str


def pair_of(prompt_id: str, response_ids: Sequence[str], annotator: str) -> BlindPair:
    """The two of RESPONSE_IDS this annotator judges, on seeded sides.

    The choice and the order depend on the annotator, the prompt and the answers, never on their order
    of arrival.
    """
    chosen = sorted(response_ids, key=lambda response_id: _draw(annotator, prompt_id, response_id))[:2]
    first, second = sorted(chosen)
    if _draw(annotator, prompt_id, first, second)[0] % 2:
        first, second = second, first
    return BlindPair(prompt_id, first, second, annotator)


def in_queue_order(prompt_ids: Sequence[str], annotator: str) -> list[str]:
    """PROMPT_IDS in a random order that is the same every time for this annotator."""
    return sorted(prompt_ids, key=lambda prompt_id: _draw(annotator, prompt_id))


def _draw(*parts: str) -> bytes:
    return digest_of("q1", "blind", *parts)


def shown_text_hash(prompt: Sequence[tuple[str, str]], text_a: str, text_b: str) -> str:
    """SHA-256 of what was on screen: the turns of the prompt as (role, content) and both answers in order."""
    shown = json.dumps([list(map(list, prompt)), text_a, text_b], ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(shown.encode()).hexdigest()


def vote_row(vote: Vote, created_at: str) -> dict[str, object]:
    """The row of `comparisons` for a vote."""
    return {
        **_pair_columns(vote.pair),
        "native_label": vote.choice.native_label,
        "signed_margin": vote.choice.signed_margin,
        "acceptable_a": vote.acceptable_a,
        "acceptable_b": vote.acceptable_b,
        "explanation": vote.comment or None,
        "state": vote.choice.state,
        "seconds": round(vote.seconds, 3),
        "shown_text_hash": vote.shown_text_hash,
        "created_at": created_at,
    }


def undo_row(vote: Vote, created_at: str) -> dict[str, object]:
    """The row that takes a vote back: the latest row of a comparison wins."""
    return {**_pair_columns(vote.pair), "state": "undone", "created_at": created_at}


def _pair_columns(pair: BlindPair) -> dict[str, object]:
    return {
        "comparison_id": pair.comparison_id,
        "prompt_id": pair.prompt_id,
        "response_a_id": pair.response_a_id,
        "response_b_id": pair.response_b_id,
        "labeler": pair.annotator,
        "labeler_kind": "person",
        "template": TEMPLATE_AFTER_REVEAL if pair.was_revealed else TEMPLATE,
        "scale": SCALE,
        "draw_index": 0,
        "guideline_version": GUIDELINE_VERSION,
        "parser_version": PROTOCOL_VERSION,
    }
