"""What a reward model is asked, and what it answers: one number for a response given the turns before it."""

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from label.exchange import Exchange
from label.local.exchange_tokens import TokenizedExchange, TruncationSide
from store.errors import BadInput, BadSettings
from store.extensions import ExtensionPoint

RewardState = Literal["done", "refused", "failed"]


@dataclass(frozen=True, slots=True)
class Reward:
    """A reward model's number for one response, or why there is none."""

    state: RewardState
    value: float | None
    n_tokens: int | None
    """Tokens of prompt and response as rendered, before any were cut; None where nothing was counted."""
    is_truncated: bool
    why: str = ""
    """Why there is no number."""


class RewardModel(Protocol):
    """A way to reach one reward model."""

    @property
    def name(self) -> str:
        """What its rewards are stored under unless the user says otherwise."""

    @property
    def revision(self) -> str:
        """Differs wherever the same response could get another number."""

    @property
    def described(self) -> Mapping[str, object]:
        """What the revision stands for; stored with the run."""

    def check(self) -> None:
        """Raise a RequestError if something is missing to reach the model; load it if it runs here."""

    def score(self, exchanges: Sequence[Exchange]) -> Iterator[tuple[int, Reward]]:
        """The reward of each exchange with its place in EXCHANGES, in any order, as they come."""

    def close(self) -> None:
        """Let go of the model."""


@dataclass(frozen=True, slots=True)
class RewardChoice:
    """The reward model a user named, and how its input is made."""

    model: str
    template: str | None = None
    """A chat template of ours in place of the tokenizer's own."""
    tokenizer: str | None = None
    """A folder with the tokenizer, where the model is on a server."""
    max_length: int | None = None
    """Tokens of prompt and response together; None takes what the model holds."""
    truncation_side: TruncationSide = "left"
    """Where tokens are cut from what is longer; left keeps the response."""
    dtype: str = "float32"
    """Of the weights; the head is float32 always."""
    batch_tokens: int | None = None
    """Tokens of a batch, padding included; None takes what suits the device."""
    base_urls: tuple[str, ...] = ()
    """Servers of the model, each given batches in turn."""


class OpenRewardModel(Protocol):
    """What a name in REWARD_MODELS stands for: it makes a reward model of what the user named."""

    def __call__(self, choice: RewardChoice) -> RewardModel:
        """The reward model; raises a RequestError if it cannot be reached this way."""


REWARD_MODELS: ExtensionPoint[OpenRewardModel] = ExtensionPoint(
    kind="reward model",
    group="label.reward_models",
    built_in={
        "hf": "label.reward_models.in_process:open_in_process",
        "offline": "label.reward_models.offline:open_offline",
        "vllm": "label.reward_models.vllm_choice:open_vllm",
    },
)

DEFAULT_REWARD_MODEL = "hf"
"""What answers for a plain path."""

STAND_IN = "offline"
"""The reward model that is none; whatever it scores bears its name."""


def open_reward_model(choice: RewardChoice) -> RewardModel:
    """The reward model a user means by `PATH`, `hf:PATH`, `offline` and so on."""
    kind, _, rest = choice.model.partition(":")
    if kind not in REWARD_MODELS.names():
        kind, rest = DEFAULT_REWARD_MODEL, choice.model
    return REWARD_MODELS.load(kind)(replace(choice, model=rest))


def reward_model_name(model: RewardModel, name: str | None) -> str:
    """The name rewards are stored under; the offline stand-in's is always in it."""
    if name is None or name == model.name:
        return model.name
    if not name.strip():
        raise BadSettings("--reward-model gives no name")
    return f"{model.name}:{name}" if model.name == STAND_IN else name


def stored_name(model: RewardModel) -> str:
    """NAME@REVISION, the one score that a reward model's own rewards are."""
    return f"{model.name}@{model.revision}"


def reward_of(row: TokenizedExchange, value: float) -> Reward:
    """The reward for what was read; a number that is none fails."""
    if not math.isfinite(value):
        return Reward("failed", None, row.n_tokens, row.is_truncated, why=f"the model's number is {value}")
    return Reward("done", value, row.n_tokens, row.is_truncated)


def only_number(numbers: Sequence[float], name: str) -> float:
    """The one number of a reward model; BadInput for a classifier with several."""
    if len(numbers) != 1:
        raise BadInput(f"{name} gives {len(numbers)} numbers; a reward model gives one")
    return float(numbers[0])


def revision_of(described: Mapping[str, object]) -> str:
    """32 hex digits of the hash of everything that decides a model's numbers."""
    text = json.dumps(described, sort_keys=True, ensure_ascii=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]
