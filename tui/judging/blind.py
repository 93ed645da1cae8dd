"""Blind judging of two answers by one person: which pair, which side, and the rows a vote leaves.

Nothing here knows a screen or a store.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from store.ids import digest_of, uuid_text
from tui.judging.protocols import CAMELS, Choice, JudgingProtocol

PROTOCOL_VERSION = "1"


@dataclass(frozen=True, slots=True)
class BlindPair:
    """Two answers to one prompt in the order they are shown; ids are UUID text."""

    prompt_id: str
    response_a_id: str
    response_b_id: str
    annotator: str
    was_revealed: bool = False
    """Whether this annotator has seen who wrote the answers (a vote was undone)."""
    protocol: JudgingProtocol = field(default=CAMELS, repr=False)

    @property
    def comparison_id(self) -> str:
        """The id, as UUID text, of this annotator's verdict on this pair."""
        parts = (self.prompt_id, self.response_a_id, self.response_b_id, self.annotator, self.protocol.scale)
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


@dataclass(frozen=True, slots=True)
class Act:
    """What can be taken back: a vote, or that a pair was left out."""

    pair: BlindPair
    vote: Vote | None = None
    """None: the pair was skipped."""

    @property
    def words(self) -> str:
        """What was done."""
        return self.vote.choice.words if self.vote else "skipped"


def pair_of(
    prompt_id: str,
    response_ids: Sequence[str],
    annotator: str,
    protocol: JudgingProtocol = CAMELS,
    *,
    chooser: str | None = None,
) -> BlindPair:
    """The two of RESPONSE_IDS this annotator judges, on seeded sides.

    The choice and the order depend on the annotator, the prompt and the answers, never on their order
    of arrival; a CHOOSER in the annotator's place makes several annotators judge the same two.
    """
    who = chooser or annotator
    first, second = sorted(response_ids, key=lambda response_id: draw(who, prompt_id, response_id))[:2]
    return sided(prompt_id, first, second, annotator, protocol)


def sided(
    prompt_id: str, first: str, second: str, annotator: str, protocol: JudgingProtocol = CAMELS
) -> BlindPair:
    """Two answers on the sides that are drawn for this annotator, whatever their order."""
    first, second = sorted((first, second))
    if draw(annotator, prompt_id, first, second)[0] % 2:
        first, second = second, first
    return BlindPair(prompt_id, first, second, annotator, protocol=protocol)


def in_queue_order(pairs: Sequence[BlindPair], annotator: str) -> list[BlindPair]:
    """PAIRS, one a prompt, in a random order that is the same every time for this annotator."""
    return sorted(pairs, key=lambda pair: draw(annotator, pair.prompt_id))


def draw(*parts: str) -> bytes:
    """Bytes that are the same for the same parts, and random otherwise."""
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
    protocol = pair.protocol
    return {
        "comparison_id": pair.comparison_id,
        "prompt_id": pair.prompt_id,
        "response_a_id": pair.response_a_id,
        "response_b_id": pair.response_b_id,
        "labeler": pair.annotator,
        "labeler_kind": "person",
        "template": protocol.template_after_reveal if pair.was_revealed else protocol.template,
        "scale": protocol.scale,
        "draw_index": 0,
        "guideline_version": protocol.guideline_version,
        "parser_version": PROTOCOL_VERSION,
    }
