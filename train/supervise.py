"""Which tokens are trained on, and by how much: one definition for export, check and trainers."""

from collections.abc import Sequence
from dataclasses import dataclass

from store.chat_format import Encoded

IGNORED = -100
"""The label of a token that is context only."""


@dataclass(frozen=True, slots=True)
class Supervised:
    """A row as a trainer takes it: three lists of one length."""

    input_ids: list[int]
    labels: list[int]
    """The token itself where it is trained on, IGNORED elsewhere."""
    loss_weights: list[float]
    """The loss factor of each token; 0 where it is context only."""
    n_tokens: int
    """Tokens before the row was cut."""

    @property
    def n_trained(self) -> int:
        """How many tokens are trained on."""
        return len(self.labels) - self.labels.count(IGNORED)

    @property
    def is_cut(self) -> bool:
        """Whether the row was longer than it may be."""
        return self.n_tokens > len(self.input_ids)


def supervise(encoded: Encoded, answer_weights: Sequence[float], max_length: int | None) -> Supervised:
    """Labels and weights of a conversation whose answers weigh ANSWER_WEIGHTS, in order.

    An answer of weight 0 stays as context. What exceeds MAX_LENGTH is cut off the end, as OpenChat's
    released code does.
    """
    ids = encoded.input_ids
    labels = [IGNORED] * len(ids)
    weights = [0.0] * len(ids)
    for (start, end), weight in zip(encoded.spans, answer_weights, strict=True):
        if weight != 0:
            labels[start:end] = ids[start:end]
            weights[start:end] = [weight] * (end - start)
    return Supervised(ids[:max_length], labels[:max_length], weights[:max_length], len(ids))
