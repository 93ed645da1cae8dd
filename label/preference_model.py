"""What a pairwise preference model is asked, and what it answers: how probable it finds the first of two responses."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from label.exchange import Turn
from label.reward_model import STAND_IN
from store.errors import BadSettings
from store.extensions import ExtensionPoint

OddsState = Literal["done", "refused", "failed"]

PAIR_FORMAT = "rlhflow-pair/1"
"""How a pair is written: `[CONTEXT] … [RESPONSE A] … [RESPONSE B] …`, as RLHFlow trained its model."""


@dataclass(frozen=True, slots=True)
class Contest:
    """Two responses to the same turns, in the order they are shown."""

    prompt: tuple[Turn, ...]
    first: str
    second: str

    def swapped(self) -> "Contest":
        """The same two in the other order."""
        return replace(self, first=self.second, second=self.first)


@dataclass(frozen=True, slots=True)
class Odds:
    """What a model says of a contest, or why it says nothing."""

    state: OddsState
    first: float | None
    """The probability that the first is better, where the answer is one of the two labels."""
    outside: float | None = None
    """The probability of every other token; None where there are no tokens."""
    why: str = ""


class PreferenceModel(Protocol):
    """A way to reach one preference model."""

    @property
    def name(self) -> str:
        """What its verdicts are signed with unless the user says otherwise."""

    @property
    def revision(self) -> str:
        """Differs wherever the same contest could get other odds."""

    @property
    def described(self) -> Mapping[str, object]:
        """What the revision stands for; stored with the run."""

    def check(self) -> None:
        """Raise a RequestError if something is missing to reach the model; load it if it runs here."""

    def weigh(self, contests: Sequence[Contest]) -> Iterator[tuple[int, Odds]]:
        """The odds of each contest as it is shown, with its place in CONTESTS, in any order, as they come."""

    def close(self) -> None:
        """Let go of the model."""


@dataclass(frozen=True, slots=True)
class PreferenceChoice:
    """The preference model a user named."""

    model: str
    max_length: int | None = None
    """Tokens of a whole contest; a longer one is not weighed. None takes what the model holds."""
    dtype: str = "float32"
    batch_tokens: int | None = None
    """Tokens of a batch, padding included; None takes what suits the device."""


class OpenPreferenceModel(Protocol):
    """What a name in PREFERENCE_MODELS stands for: it makes a preference model of what the user named."""

    def __call__(self, choice: PreferenceChoice) -> PreferenceModel:
        """The preference model; raises a RequestError if it cannot be reached this way."""


PREFERENCE_MODELS: ExtensionPoint[OpenPreferenceModel] = ExtensionPoint(
    kind="preference model",
    group="label.preference_models",
    built_in={
        "hf": "label.preference_models.in_process:open_in_process",
        "offline": "label.preference_models.offline:open_offline",
    },
)

DEFAULT_PREFERENCE_MODEL = "hf"
"""What answers for a plain path."""


def open_preference_model(choice: PreferenceChoice) -> PreferenceModel:
    """The preference model a user means by `PATH`, `hf:PATH` or `offline`."""
    kind, _, rest = choice.model.partition(":")
    if kind not in PREFERENCE_MODELS.names():
        kind, rest = DEFAULT_PREFERENCE_MODEL, choice.model
    return PREFERENCE_MODELS.load(kind)(replace(choice, model=rest))


def signed_as(model: PreferenceModel, name: str | None) -> str:
    """The name verdicts are signed with; the offline stand-in's is always in it."""
    if name is None or name == model.name:
        return model.name
    if not name.strip():
        raise BadSettings("--labeler gives no name")
    return f"{model.name}:{name}" if model.name == STAND_IN else name
