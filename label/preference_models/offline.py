"""The offline preference model: it rates both responses by the example world's own rule, and knows nothing else.

It is a stand-in for demonstrations and tests, and says so in every verdict it leaves.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from label.offline_world import rate
from label.preference_model import Contest, Odds, PreferenceChoice
from label.reward_model import STAND_IN
from store.errors import BadInput, BadSettings

RULE_VERSION = "example-world/1"


@dataclass(frozen=True, slots=True)
class OfflinePreference:
    """Bradley and Terry's odds of the two ratings, from 1 to 10; outside the example world a refusal."""

    name: str = STAND_IN
    revision: str = RULE_VERSION

    @property
    def described(self) -> Mapping[str, object]:
        """The rule."""
        return {"rule": self.revision}

    def check(self) -> None:
        """Nothing is missing."""

    def weigh(self, contests: Sequence[Contest]) -> Iterator[tuple[int, Odds]]:
        """The odds of each contest, or a refusal where there is no rule."""
        for place, contest in enumerate(contests):
            try:
                (first, _), (second, _) = (
                    rate(contest.prompt, text) for text in (contest.first, contest.second)
                )
            except BadInput as error:
                why = str(error).replace("offline judge", "offline preference model")
                yield place, Odds("refused", None, why=why)
            else:
                yield place, Odds("done", 1 / (1 + math.exp(second - first)))

    def close(self) -> None:
        """Nothing is open."""


def open_offline(choice: PreferenceChoice) -> OfflinePreference:
    """The offline preference model; it has no weights and no bound."""
    if choice.model or choice.max_length:
        raise BadSettings("the offline preference model is one rule; leave path and lengths out")
    return OfflinePreference()
