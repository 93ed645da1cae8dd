"""Which two responses are compared, in which order they are shown, and which part their prompt belongs to.

Everything is decided by ids and a seed: the same store and the same settings give the same pairs.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, groupby, islice, product
from typing import TYPE_CHECKING, Literal

from store.errors import BadSettings, RequestError, UnknownName
from store.named_sql import named_sql
from store.selections import selection_named

if TYPE_CHECKING:
    from store.db import Reading

Which = Literal["random", "all", "first-two"]
Orders = Literal["both", "hashed"]

ROWS_AT_ONCE = 50_000
HASH_RANGE = 2**64


@dataclass(frozen=True, slots=True)
class Pairing:
    """Which pairs of responses to compare."""

    which: Which = "random"
    """Of each prompt: one drawn pair, all of them, or the first two responses."""
    policies: tuple[str, ...] = ()
    """Compare these with one another, or the draws of a single one; empty compares whoever answered."""
    against: str | None = None
    """Compare every policy, or each of `policies`, with this one."""
    prompts: str | None = None
    """Only prompts of this selection."""
    sample: int | None = None
    """How many prompts; None takes all."""
    seed: int = 0
    limit: int | None = None
    """The most pairs."""


@dataclass(frozen=True, slots=True, order=True)
class Answer:
    """One response of one policy."""

    response_id: str
    policy: str
    """Empty where nobody knows who gave it."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two responses to one prompt, the one with the smaller id first."""

    prompt_id: str
    first: Answer
    second: Answer


def plan_pairs(reading: "Reading", pairing: Pairing) -> list[Pair]:
    """The pairs to compare, by prompt.

    Raises UnknownName for a policy that gave no answer or a selection that is not there, RequestError if no
    prompt has two answers.
    """
    prompts = None if pairing.prompts is None else selection_named(reading, pairing.prompts, "prompts")
    asked = {
        "policies": _named_policies(reading, pairing),
        "prompts": None if prompts is None else prompts.selection_id,
    }
    rows = reading.batches(named_sql("label", "compared_draws"), asked, rows=ROWS_AT_ONCE)
    draws = (tuple(row.values()) for batch in rows for row in batch.to_pylist())
    by_prompt = [
        (prompt_id, pairs)
        for prompt_id, group in groupby(draws, key=lambda row: row[0])
        if (pairs := pairs_of([Answer(*row[1:]) for row in group], pairing, prompt_id))
    ]
    if not by_prompt:
        where = "" if pairing.prompts is None else f" of selection {pairing.prompts}"
        raise RequestError(
            f"no prompt{where} has two answers to compare; add answers with curate ingest, or name other policies"
        )
    if pairing.sample is not None:
        by_prompt = sorted(
            sorted(by_prompt, key=lambda item: _chance(pairing.seed, item[0]))[: pairing.sample]
        )
    flat = (Pair(prompt_id, *pair) for prompt_id, pairs in by_prompt for pair in pairs)
    return list(islice(flat, pairing.limit))


def _named_policies(reading: "Reading", pairing: Pairing) -> list[str] | None:
    """The policies that may take part, None for all of them."""
    named = [*pairing.policies, *([pairing.against] if pairing.against is not None else [])]
    if not named:
        return None
    known = [policy for (policy,) in reading.rows(named_sql("label", "policies"))]
    for policy in named:
        if policy not in known:
            raise UnknownName.of("policy", policy, known)
    return named if pairing.policies else None


def pairs_of(answers: Sequence[Answer], pairing: Pairing, prompt_id: str) -> list[tuple[Answer, Answer]]:
    """The pairs of one prompt, each with the smaller id first, none twice; ANSWERS in their given order."""
    found = {
        (min(pair), max(pair)): None
        for rivals in _rivals(answers, pairing)
        for pair in _chosen(rivals, pairing, prompt_id)
    }
    return sorted(found, key=lambda pair: (pair[0].response_id, pair[1].response_id, pair))


Rivals = tuple[Sequence[Answer], Sequence[Answer]]
"""Two sides; the same list twice means that its members meet one another."""


def _rivals(answers: Sequence[Answer], pairing: Pairing) -> Iterator[Rivals]:
    """Which answers meet which."""
    if pairing.against is None and len(pairing.policies) < 2:
        drawn = [answer for answer in answers if answer.policy in (pairing.policies or (answer.policy,))]
        if len(drawn) > 1:
            yield drawn, drawn
        return
    policies = pairing.policies or sorted({answer.policy for answer in answers} - {pairing.against})
    matches: Iterable[tuple[str, str]] = combinations(policies, 2)
    if pairing.against is not None:
        matches = ((policy, pairing.against) for policy in policies if policy != pairing.against)
    for match in matches:
        left, right = ([answer for answer in answers if answer.policy == policy] for policy in match)
        if left and right:
            yield left, right


def _chosen(rivals: Rivals, pairing: Pairing, prompt_id: str) -> Iterator[tuple[Answer, Answer]]:
    left, right = rivals
    if pairing.which == "all":
        yield from combinations(sorted(set(left)), 2) if left is right else product(set(left), set(right))
    elif left is right:
        first, second = _ordered(left, pairing, prompt_id)[:2]
        yield first, second
    else:
        yield _ordered(left, pairing, prompt_id)[0], _ordered(right, pairing, prompt_id)[0]


def _ordered(answers: Sequence[Answer], pairing: Pairing, prompt_id: str) -> list[Answer]:
    """As given, or in an order drawn by the seed; equal draws stay separate."""
    if pairing.which == "first-two":
        return list(answers)
    drawn = [
        (_chance(pairing.seed, prompt_id, answer.response_id, answer.policy, str(place)), answer)
        for place, answer in enumerate(answers)
    ]
    return [answer for _, answer in sorted(drawn)]


def shown_orders(pair: Pair, orders: Orders) -> list[tuple[Answer, Answer]]:
    """The orders in which a pair is shown; `hashed` depends on the instruction and both responses."""
    upright, swapped = (pair.first, pair.second), (pair.second, pair.first)
    if orders == "both":
        return [upright, swapped]
    is_upright = _hash("order", pair.prompt_id, pair.first.response_id, pair.second.response_id) % 2 == 0
    return [upright if is_upright else swapped]


@dataclass(frozen=True, slots=True)
class Split:
    """Named parts that every prompt belongs to exactly one of, by the hash of its id."""

    shares: tuple[tuple[str, float], ...] = ()

    @classmethod
    def parse(cls, text: str) -> "Split":
        """The split written as `train=0.9,validation=0.1`.

        Raises BadSettings unless the shares are positive, their names differ, and they add up to 1.
        """
        parts = [part.partition("=") for part in text.split(",")]
        try:
            shares = tuple((name.strip(), float(share)) for name, _, share in parts)
        except ValueError:
            shares = ()
        names = [name for name, share in shares if name and 0 < share <= 1]
        if not names or len(set(names)) < len(parts) or abs(sum(share for _, share in shares) - 1) > 1e-9:
            raise BadSettings(
                f"--parts {text} is no split; name parts whose shares add up to 1, such as train=0.9,validation=0.1"
            )
        return cls(shares)

    def part_of(self, prompt_id: str) -> str:
        """The part a prompt belongs to; `all` where nothing is split."""
        place = _hash("split", prompt_id) / HASH_RANGE
        for name, share in self.shares:
            place -= share
            if place < 0:
                return name
        return self.shares[-1][0] if self.shares else "all"

    def as_json(self) -> Mapping[str, float]:
        """Part → share."""
        return dict(self.shares)


def _chance(seed: int, *parts: str) -> int:
    return _hash("draw", str(seed), *parts)


def _hash(*parts: str) -> int:
    return int.from_bytes(hashlib.sha256("\n".join(parts).encode()).digest()[:8], "big")
