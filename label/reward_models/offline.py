"""The offline reward model: it needs no weights, grades by the example world's own rule, and knows nothing else.

It is a stand-in for demonstrations and tests, and says so in every reward it leaves.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from label.exchange import Exchange
from label.offline_world import rate
from label.reward_model import STAND_IN, Reward, RewardChoice
from store.errors import BadInput, BadSettings

RULE_VERSION = "example-world/1"


@dataclass(frozen=True, slots=True)
class OfflineReward:
    """A reward model that scores responses of the example world from 1 to 10, and refuses everything else."""

    name: str = STAND_IN
    revision: str = RULE_VERSION

    @property
    def described(self) -> Mapping[str, object]:
        """The rule."""
        return {"rule": self.revision}

    def check(self) -> None:
        """Nothing is missing."""

    def score(self, exchanges: Sequence[Exchange]) -> Iterator[tuple[int, Reward]]:
        """The rule's rating of each response, or a refusal where it has none."""
        for place, exchange in enumerate(exchanges):
            try:
                rating, _ = rate(exchange.prompt, exchange.response)
            except BadInput as error:
                why = str(error).replace("offline judge", "offline reward model")
                yield place, Reward("refused", None, None, is_truncated=False, why=why)
            else:
                yield place, Reward("done", float(rating), None, is_truncated=False)

    def close(self) -> None:
        """Nothing is open."""


def open_offline(choice: RewardChoice) -> OfflineReward:
    """The offline reward model; it has no weights and no template."""
    if choice.model or choice.template or choice.tokenizer or choice.max_length or choice.base_urls:
        raise BadSettings("the offline reward model is one rule; leave path, template and lengths out")
    return OfflineReward()
