"""How probable a judge finds each label, from the log-probabilities of the first token of its answer."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp

from store.errors import BadReply

FirstToken = tuple[tuple[str, float], ...]
"""(token, log-probability) of the likeliest first tokens of an answer."""

MOST_TOKENS = 20
"""As many of the likeliest tokens as OpenAI and vLLM tell of."""

LEAST_MASS = 0.5
"""Of the probability must lie on the labels: a model that would rather say something else has not judged."""


@dataclass(frozen=True, slots=True)
class Preference:
    """What a first token says about two labels."""

    first: float
    """The probability of the first label, where one of the two is given."""
    outside: float
    """The probability of every other token."""


def preference_of(tokens: FirstToken | None, labels: Sequence[str]) -> Preference:
    """How probable the first of two LABELS is; tokens that differ by spaces around a label are the label.

    Raises BadReply if no log-probabilities came, or most of the probability lies outside the labels.
    """
    if not tokens:
        raise BadReply("the answer came without the log-probabilities of its first token")
    first, second = (
        sum(exp(min(0.0, logprob)) for token, logprob in tokens if token.strip() == label) for label in labels
    )
    mass = first + second
    if mass < LEAST_MASS:
        raise BadReply(
            f"{1 - mass:.4f} of the probability lies on tokens that are none of: {', '.join(labels)}"
        )
    return Preference(first / mass, max(0.0, 1 - mass))
