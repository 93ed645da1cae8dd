"""The offline judge: it needs no network, grades by the example world's own rule, and knows nothing else.

It is a stand-in for demonstrations and tests, and says so in every record it leaves.
"""

from dataclasses import dataclass

from label.chat import ChatReply, ChatRequest, Json, ModelChoice
from label.offline_world import rate
from label.render import read_back
from store.errors import BadSettings, RequestError

RULE_VERSION = "example-world/1"


@dataclass(frozen=True, slots=True)
class OfflineModel:
    """A chat model that answers requests to rate responses of the example world, and refuses all others."""

    provider: str = "offline"
    base_url: str = ""
    api_version: str = RULE_VERSION
    model: str = "offline"
    labeler: str = "offline"

    def sampling(self, temperature: float | None, max_tokens: int) -> dict[str, Json]:
        """None: the rule has no choice to make."""
        return {}

    def check(self) -> None:
        """Nothing is missing."""

    async def complete(self, request: ChatRequest, timeout_s: float) -> ChatReply:
        """The rule's rating, or a refusal where it has none."""
        turns = read_back(request.messages)
        if not turns:
            return _refused("the request holds no response to rate")
        *prompt, (_, response) = turns
        try:
            value, why = rate(prompt, response)
        except RequestError as error:
            return _refused(str(error))
        return ChatReply(
            f"Offline judge, by the rule of the example world: {why}\nRating: [[{value}]]", "stop", self.model
        )

    async def close(self) -> None:
        """Nothing is open."""


def open_offline(choice: ModelChoice) -> OfflineModel:
    """The offline judge; it has no server."""
    if choice.base_url is not None:
        raise BadSettings("the offline judge has no server; leave --base-url out")
    return OfflineModel()


def _refused(why: str) -> ChatReply:
    return ChatReply("", "refusal", "offline", refusal=f"offline judge: {why}")
