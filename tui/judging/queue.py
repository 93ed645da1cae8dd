"""Which pairs an annotator judges, in which order, and how far their votes agree with others'.

Nothing here knows a store or a screen.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from tui.judging.blind import BlindPair, draw, in_queue_order, pair_of, sided
from tui.judging.protocols import CAMELS, JudgingProtocol
from tui.query import Filter

QueueKind = Literal["random", "disagreement", "uncertain"]
KNOWN_EVERY = 10
"""Every how many pairs one with a known answer stands, at a place that is drawn."""

Triple = tuple[str, str, str]
"""Prompt, and two responses to it."""


@dataclass(frozen=True, slots=True)
class QueueSettings:
    """What is judged and how."""

    protocol: JudgingProtocol = CAMELS
    kind: QueueKind = "random"
    pairs: Filter | None = None
    """Only the pairs that this filter of the screen of pairs keeps."""
    double: float | None = None
    """The share of prompts that every annotator judges; each of the others is judged by one. None: all by all."""
    calibration: str | None = None
    """A selection of pairs whose chosen response is known to be better, mixed in unmarked."""


def is_shared(prompt_id: str, share: float) -> bool:
    """Whether a prompt is among the SHARE that every annotator judges."""
    return int.from_bytes(draw("shared", prompt_id)[:8], "big") < share * 2**64


def pairs_of_sets(
    sets: Iterable[tuple[str, Sequence[str]]],
    annotator: str,
    settings: QueueSettings,
    by_others: Collection[str],
) -> list[BlindPair]:
    """A pair of each prompt of SETS in this annotator's order; BY_OTHERS are prompts that somebody else has judged."""
    pairs = []
    for prompt_id, response_ids in sets:
        shared = settings.double is not None and is_shared(prompt_id, settings.double)
        if settings.double is None or shared or prompt_id not in by_others:
            chooser = "everybody" if shared else annotator
            pairs.append(pair_of(prompt_id, response_ids, annotator, settings.protocol, chooser=chooser))
    return in_queue_order(pairs, annotator)


def pairs_of_triples(found: Iterable[Triple], annotator: str, protocol: JudgingProtocol) -> list[BlindPair]:
    """The pairs FOUND in their order, each once, on this annotator's sides."""
    seen: dict[str, BlindPair] = {}
    for prompt_id, first, second in found:
        pair = sided(prompt_id, first, second, annotator, protocol)
        seen.setdefault(pair.comparison_id, pair)
    return list(seen.values())


def with_known(pairs: Sequence[BlindPair], known: Sequence[BlindPair], annotator: str) -> list[BlindPair]:
    """PAIRS with the KNOWN ones mixed in, one among every ten, at places that are drawn."""
    if not known:
        return list(pairs)
    ids = {pair.comparison_id for pair in known}
    rest = [pair for pair in pairs if pair.comparison_id not in ids]
    mixed: list[BlindPair] = []
    for number, pair in enumerate(known):
        piece = rest[number * (KNOWN_EVERY - 1) : (number + 1) * (KNOWN_EVERY - 1)]
        place = draw("known", annotator, str(number))[0] % (len(piece) + 1)
        mixed += [*piece[:place], pair, *piece[place:]]
    return mixed + rest[len(known) * (KNOWN_EVERY - 1) :]


@dataclass
class Standing:
    """Votes by pair, upright: positive where the response with the smaller id is better."""

    mine: dict[tuple[str, ...], float] = field(default_factory=dict)
    others: dict[tuple[str, ...], dict[str, float]] = field(default_factory=dict)
    known: dict[tuple[str, ...], float] = field(default_factory=dict)
    """1 or -1 for pairs with a known answer."""

    def take(self, triple: Triple, margin: float | None, other: str | None = None) -> None:
        """Note a vote of the annotator, or of ANOTHER; None takes it back."""
        key, upright = upright_of(triple, margin or 0.0)
        votes: dict[str, float] = self.others.setdefault(key, {}) if other is not None else {}
        if margin is None and other is None:
            self.mine.pop(key, None)
        elif margin is None:
            votes.pop(str(other), None)
        elif other is None:
            self.mine[key] = upright
        else:
            votes[other] = upright

    def words(self) -> str:
        """How much was judged, how far it agrees with others, and how many known answers were found."""
        scores = [
            _tie_discounted(mine, other)
            for key, mine in self.mine.items()
            for other in self.others.get(key, {}).values()
        ]
        parts = [f"{len(self.mine):,} judged"]
        if scores:
            parts.append(f"agreement with others {sum(scores) / len(scores):.2f} over {len(scores):,}")
        tried = [(self.mine[key], answer) for key, answer in self.known.items() if key in self.mine]
        if tried:
            parts.append(
                f"known answers {sum(mine * answer > 0 for mine, answer in tried):,} of {len(tried):,}"
            )
        return " · ".join(parts)


def upright_of(triple: Triple, margin: float) -> tuple[tuple[str, ...], float]:
    """The pair whatever its order, and the margin of its smaller id."""
    prompt_id, first, second = triple
    return (prompt_id, *sorted((first, second))), margin if first <= second else 0.0 - margin


def _tie_discounted(first: float, second: float) -> float:
    """1 where both say the same, 0.5 where one says tie, else 0 (Camels, appendix G)."""
    if (first > 0) == (second > 0) and (first < 0) == (second < 0):
        return 1.0
    return 0.5 if first == 0 or second == 0 else 0.0
