"""What is asked of a policy, what it draws, and the table of ways to reach one.

A draw is told apart by its prompt, its policy, its sampling parameters and its index, and by nothing else:
which engine makes it, how many are asked for at once and which others are under way decide only how fast.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from label.chat import Json, canonical_json
from store.errors import BadSettings
from store.extensions import ExtensionPoint

SEED_BITS = 30
"""Of the seed of a prompt's first draw: no later one passes the 31 bits that every engine takes."""

Turn = tuple[str, str]
"""A role of the store and the content."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """Everything that decides how a response is drawn, besides the policy itself."""

    temperature: float
    """0 takes the likeliest token each time."""
    top_p: float = 1.0
    """1 leaves the distribution whole."""
    top_k: int = 0
    """0 leaves the distribution whole."""
    max_new_tokens: int = 2048
    """The longest response."""
    template: str | None = None
    """One of our chat templates; None is the policy's own."""
    condition: str | None = None
    """What a conditional policy is told to be; None is the template's own choice."""

    def as_json(self) -> str:
        """The one form that is stored and compared."""
        said: dict[str, Json] = {
            "temperature": float(self.temperature),
            "top_p": float(self.top_p),
            "top_k": self.top_k,
            "max_new_tokens": self.max_new_tokens,
        }
        named = {"template": self.template, "condition": self.condition}
        return canonical_json({**said, **{name: value for name, value in named.items() if value is not None}})


@dataclass(frozen=True, slots=True)
class Ask:
    """Draws to make under one prompt, with indexes that follow one another."""

    prompt_id: str
    turns: tuple[Turn, ...]
    """The conversation so far; it ends with the turn to be answered."""
    sampling: Sampling
    first_index: int
    n: int
    first_seed: int
    """Of the first draw; the seeds of the others count on from it, as vLLM counts them."""

    @property
    def n_bytes(self) -> int:
        """Bytes of the prompt."""
        return sum(len(content.encode()) for _, content in self.turns)

    def after(self, done: int) -> "Ask":
        """What is left when the first DONE draws are there."""
        return replace(
            self, first_index=self.first_index + done, n=self.n - done, first_seed=self.first_seed + done
        )


def seed_of(prompt_id: str, sample_index: int, seed: int) -> int:
    """The seed of one draw: from the prompt, its index, and the run's own seed."""
    digest = hashlib.blake2b(f"{prompt_id}/{seed}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") % (1 << SEED_BITS) + sample_index


@dataclass(frozen=True, slots=True)
class Drawn:
    """One response."""

    text: str
    finish_reason: str
    """`stop` where the policy ended it, `length` where the bound did."""
    n_tokens: int | None
    """None if the server did not say."""
    refusal: str | None = None
    """Why there is no response, where a provider says so."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What an ask brought: at least one draw, the first ones that were asked for."""

    draws: tuple[Drawn, ...]
    prompt_tokens: int | None = 0
    """None if the server did not say what was used."""
    completion_tokens: int = 0


class Sampler(Protocol):
    """A way to draw from one policy."""

    @property
    def provider(self) -> str:
        """How the policy is reached, such as `vllm`."""

    @property
    def base_url(self) -> str:
        """The first server, empty if there is none."""

    @property
    def policy(self) -> str:
        """The policy's name unless the user gives it another."""

    @property
    def weights(self) -> str | None:
        """What tells these weights from others of the same name; None if nobody can know."""

    @property
    def draws_per_ask(self) -> int:
        """The most draws worth asking for at once."""

    @property
    def asks_at_once(self) -> int:
        """How many asks keep it busy, unless the user knows better."""

    @property
    def makes_space(self) -> bool:
        """Whether the template puts one space before every response, which the policy then draws."""

    def check(self) -> None:
        """Raise a RequestError if something is missing to reach the policy: a key, a library, a template."""

    async def draw(self, ask: Ask, timeout_s: float) -> Reply:
        """The draws, or the first of them.

        Raises CallError if there is none, after exactly one attempt.
        """

    async def close(self) -> None:
        """Let go of connections and processes."""


@dataclass(frozen=True, slots=True)
class SamplerChoice:
    """The policy a user named, and how it is to be spoken to."""

    model: str
    base_urls: tuple[str, ...] = ()
    template: str | None = None
    condition: str | None = None
    tokenizer: str | None = None
    """A folder with the policy's tokenizer, where the policy itself is behind a server."""
    engine: Mapping[str, Json] = field(default_factory=dict)
    """Arguments for the engine that runs in this process."""


class OpenSampler(Protocol):
    """What a name in SAMPLERS stands for: it makes a sampler of what the user named."""

    def __call__(self, choice: SamplerChoice) -> Sampler:
        """The sampler; raises a RequestError if the policy cannot be reached this way."""


SAMPLERS: ExtensionPoint[OpenSampler] = ExtensionPoint(
    kind="sampler",
    group="label.samplers",
    built_in={
        "hf": "label.samplers.local:open_local",
        "offline": "label.samplers.offline:open_offline",
        "openai": "label.samplers.server:open_openai",
        "vllm": "label.samplers.vllm_choice:open_vllm",
    },
)

DEFAULT_SAMPLER = "openai"
"""What answers for a plain model name."""


def open_sampler(choice: SamplerChoice) -> Sampler:
    """The sampler a user means by the model's name.

    That is `vllm:http://host:8000/v1#name` for a server, `vllm:PATH` for the engine in this process,
    `hf:PATH` for transformers, `offline`, or a plain name at the servers given by base URLs.
    """
    kind, _, rest = choice.model.partition(":")
    if kind in SAMPLERS.names():
        return SAMPLERS.load(kind)(replace(choice, model=rest or kind))
    return SAMPLERS.load(DEFAULT_SAMPLER)(choice)


def refuse(given: bool, what: str) -> None:  # noqa: FBT001 - reads as a sentence: refuse(choice.engine, …)
    """Raise BadSettings, saying WHAT, if something was given that this sampler has no use for."""
    if given:
        raise BadSettings(what)


def seeds(ask: Ask) -> Sequence[int]:
    """The seed of each draw of an ask, in order."""
    return range(ask.first_seed, ask.first_seed + ask.n)
