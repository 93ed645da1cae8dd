"""The offline judge: it needs no network, grades by the example world's own rule, and knows nothing else.

It is a stand-in for demonstrations and tests, and says so in every record it leaves.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from label.chat import ChatReply, ChatRequest, Json, ModelChoice
from label.comparing.offline_pairs import compare_responses, scale_asked_for, weigh_responses
from label.judging.render import read_back
from label.offline_world import rate
from store.errors import BadInput, BadSettings, RequestError

RULE_VERSION = "example-world/1"
RANGE = re.compile(r"whole number from (\d+) \(.*?\) to (\d+)")
"""Where a prompt says how far its ratings go."""

WORLD_LOWEST, WORLD_HIGHEST = 1, 10
"""Ratings of the example world's rule."""


@dataclass(frozen=True, slots=True)
class OfflineModel:
    """A chat model that rates and compares responses of the example world, and refuses everything else."""

    provider: str = "offline"
    base_url: str = ""
    api_version: str = RULE_VERSION
    model: str = "offline"
    labeler: str = "offline"
    takes_schema: bool = False
    most_at_once: int | None = None

    def sampling(self, temperature: float | None, max_tokens: int) -> dict[str, Json]:
        """None: the rule has no choice to make."""
        return {}

    def label_sampling(self, labels: Sequence[str]) -> dict[str, Json]:
        """None needed: the rule always says how sure it is."""
        return {}

    def check(self) -> None:
        """Nothing is missing."""

    async def complete(self, request: ChatRequest, timeout_s: float) -> ChatReply:
        """The rule's rating or verdict, or a refusal where it has none."""
        scale = scale_asked_for(request.messages)
        try:
            if scale is not None and scale.is_probability:
                said, tokens = weigh_responses(request.messages, scale)
                return ChatReply(said, "length", self.model, first_token=tokens)
            said = _rating(request) if scale is None else compare_responses(request.messages, scale)
        except RequestError as error:
            return _refused(str(error))
        return ChatReply(said, "stop", self.model)

    async def close(self) -> None:
        """Nothing is open."""


def _rating(request: ChatRequest) -> str:
    turns = read_back(request.messages)
    if not turns:
        raise BadInput("the request holds no response to rate")
    *prompt, (_, response) = turns
    value, why = rate(prompt, response)
    rating = _on_scale(value, request)
    return f"Offline judge, by the rule of the example world: {why}\nRating: [[{rating}]]"


def _on_scale(value: int, request: ChatRequest) -> int:
    """The rule's rating on the scale that is asked for: the rule knows one quality, whatever the aspect."""
    found = RANGE.search(request.messages[0][1])
    if found is None:
        return value
    lowest, highest = int(found[1]), int(found[2])
    share = (value - WORLD_LOWEST) / (WORLD_HIGHEST - WORLD_LOWEST)
    return round(lowest + share * (highest - lowest))


def open_offline(choice: ModelChoice) -> OfflineModel:
    """The offline judge; it has no server."""
    if choice.base_url is not None:
        raise BadSettings("the offline judge has no server; leave --base-url out")
    return OfflineModel()


def _refused(why: str) -> ChatReply:
    return ChatReply("", "refusal", "offline", refusal=f"offline judge: {why}")
