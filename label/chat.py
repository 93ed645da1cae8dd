"""What is asked of a chat model, what it answers, and the key under which the answer is kept.

A request key is the SHA-256 of everything that decides the answer, and of nothing else: the same
request is never paid for twice, whichever run asks.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from label.comparing.label_probability import FirstToken
from store.errors import PreferablyError
from store.extensions import ExtensionPoint
from store.ids import uuid_text

KEY_VERSION = 1
"""Raised when the canonical form of a request changes."""

MESSAGE_OVERHEAD_BYTES = 16
"""Bytes counted for the role and the framing of each message."""

SCHEMA_OVERHEAD_BYTES = 400
"""Bytes counted for what a provider says to its model about a schema."""

LONE_SURROGATE = re.compile("[\ud800-\udfff]")

Json = str | int | float | bool | None | list["Json"] | dict[str, "Json"]


def well_formed(text: str) -> str:
    """TEXT with every lone surrogate, which no file or database can hold, replaced by U+FFFD."""
    return LONE_SURROGATE.sub("\ufffd", text)


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """One question to a chat model, as it will be sent."""

    provider: str
    base_url: str
    model: str
    messages: tuple[tuple[str, str], ...]
    """(role, content), in order."""
    api_version: str = ""
    response_schema: Json = None
    """The JSON schema the answer must follow, sent where the model takes one (`ChatModel.takes_schema`)."""
    sampling: Mapping[str, Json] = field(default_factory=dict)
    """Every sampling parameter that is sent, under the name it is sent by."""
    sample_index: int = 0
    repair_index: int = 0

    @property
    def n_bytes(self) -> int:
        """Bytes of the prompt, the schema in it included: no tokenizer makes more tokens than that."""
        texts = sum(len(content.encode()) + MESSAGE_OVERHEAD_BYTES for _, content in self.messages)
        if self.response_schema is None:
            return texts
        return texts + len(canonical_json(self.response_schema).encode()) + SCHEMA_OVERHEAD_BYTES

    @property
    def max_tokens(self) -> int:
        """The longest answer asked for, 0 if no bound is sent."""
        bound = self.sampling.get("max_completion_tokens", self.sampling.get("max_tokens"))
        return bound if isinstance(bound, int) else 0

    @property
    def repairs(self) -> "ChatRequest | None":
        """The request whose unreadable reply this one asks to repair, by two more messages."""
        if self.repair_index == 0:
            return None
        return replace(self, messages=self.messages[:-2], repair_index=self.repair_index - 1)


def canonical(request: ChatRequest) -> dict[str, Json]:
    """Everything that decides the answer to a request, under its canonical names."""
    return {
        "key_version": KEY_VERSION,
        "provider": request.provider,
        "base_url": request.base_url,
        "model": request.model,
        "api_version": request.api_version,
        "messages": [list(message) for message in request.messages],
        "response_schema": request.response_schema,
        "sampling": dict(request.sampling),
        "sample_index": request.sample_index,
        "repair_index": request.repair_index,
    }


def canonical_json(value: Json) -> str:
    """VALUE as JSON in the one form that is hashed."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def request_key(request: ChatRequest) -> str:
    """The first 128 bits of the SHA-256 of the request's canonical JSON, as UUID text."""
    text = canonical_json(canonical(request))
    return uuid_text(hashlib.sha256(text.encode()).digest()[:16])


@dataclass(frozen=True, slots=True)
class RateLimits:
    """What a provider said is left of its limits; None where it said nothing."""

    remaining_requests: int | None = None
    remaining_tokens: int | None = None
    reset_requests_s: float | None = None
    reset_tokens_s: float | None = None


@dataclass(frozen=True, slots=True)
class ChatReply:
    """One answer of a chat model."""

    text: str
    finish_reason: str
    model_returned: str
    request_id: str = ""
    prompt_tokens: int | None = 0
    """None if the server did not say what was used."""
    cached_tokens: int = 0
    """The part of `prompt_tokens` that the provider read from its cache."""
    cache_written_tokens: int = 0
    """The part of `prompt_tokens` that it wrote into its cache, which some charge extra for."""
    completion_tokens: int = 0
    refusal: str | None = None
    """Why the model would not answer, where it says so."""
    limits: RateLimits = RateLimits()
    first_token: FirstToken | None = None
    """The likeliest first tokens of the answer with their log-probabilities, where the request asks for them."""
    answered_by: str = ""
    """The address of the server that answered, where there are several."""


class CallError(PreferablyError):
    """One attempt that brought no answer; what to do about it is decided by `label.engine.failures`."""

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        code: str = "",
        retry_after: str | None = None,
        limits: RateLimits = RateLimits(),
        may_be_charged: bool = False,
    ) -> None:
        super().__init__(message)
        self.status = status
        """The HTTP status; None if there was no response at all."""
        self.code = code
        """The provider's own word for the error."""
        self.retry_after = retry_after
        """The Retry-After header as it was sent."""
        self.limits = limits
        self.may_be_charged = may_be_charged
        """Whether the request may have been answered, and paid for, although no answer arrived."""


class ChatModel(Protocol):
    """A way to reach one chat model."""

    @property
    def provider(self) -> str:
        """Whose interface it is, such as `openai`."""

    @property
    def base_url(self) -> str:
        """The server that answers, empty if there is none."""

    @property
    def api_version(self) -> str:
        """The version of that interface, empty if it has none."""

    @property
    def model(self) -> str:
        """The model asked for."""

    @property
    def labeler(self) -> str:
        """What its labels are signed with unless the user says otherwise."""

    @property
    def takes_schema(self) -> bool:
        """Whether a request's `response_schema` is sent, and binds the answer."""

    @property
    def most_at_once(self) -> int | None:
        """How many requests it works on at once; None leaves that to the user."""

    def sampling(self, temperature: float | None, max_tokens: int) -> dict[str, Json]:
        """The sampling parameters to send for a judgment."""

    def label_sampling(self, labels: Sequence[str]) -> dict[str, Json] | None:
        """Those that ask how probable each of LABELS is as the first token; None if it tells no probabilities."""

    def check(self) -> None:
        """Raise a RequestError if something is missing to reach the model: a key, a library."""

    async def complete(self, request: ChatRequest, timeout_s: float) -> ChatReply:
        """The model's answer.

        Raises CallError if there is none, after exactly one attempt.
        """

    async def close(self) -> None:
        """Let go of connections."""


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """The model a user named."""

    model: str
    base_url: str | None = None


class OpenModel(Protocol):
    """What a name in CHAT_MODELS stands for: it makes a chat model of what the user named."""

    def __call__(self, choice: ModelChoice) -> ChatModel:
        """The chat model; raises a RequestError if it cannot be reached this way."""


CHAT_MODELS: ExtensionPoint[OpenModel] = ExtensionPoint(
    kind="chat model",
    group="label.chat_models",
    built_in={
        "anthropic": "label.chat_models.anthropic_api:open_anthropic",
        "hf": "label.chat_models.local_model:open_local",
        "offline": "label.chat_models.offline:open_offline",
        "openai": "label.chat_models.openai_api:open_openai",
        "vllm": "label.chat_models.openai_api:open_vllm",
    },
)

STAND_IN = "offline"
"""The provider that is no model: its rule knows the example world only, and whatever it labels bears its name."""

DEFAULT_CHAT_MODEL = "openai"
"""What answers for a plain model name such as `gpt-4`."""

CHOSEN_BY_PREFIX = {"claude": "anthropic"}
"""How a plain model name begins → what answers for it instead."""


def open_chat_model(name: str, base_url: str | Sequence[str] | None = None) -> ChatModel:
    """The chat model a user means by NAME.

    That is `gpt-4`, `claude-…`, `offline`, `hf:PATH`, `vllm:http://host:8000/v1#name`, or `openai:NAME`
    and `anthropic:NAME` where the name alone would choose another interface. Several base URLs are
    servers of the same model: requests are spread over them.
    """
    urls = [base_url] if isinstance(base_url, str) else list(base_url or [])
    kind, model = _kind_and_model(name)
    open_model = CHAT_MODELS.load(kind)
    if len(set(urls)) < 2:
        return open_model(ModelChoice(model, urls[0] if urls else None))
    from label.engine.endpoints import Endpoints

    return Endpoints([open_model(ModelChoice(model, url)) for url in dict.fromkeys(urls)])


def _kind_and_model(name: str) -> tuple[str, str]:
    kind, _, rest = name.partition(":")
    if kind in CHAT_MODELS.names():
        return kind, rest or kind
    chosen = (kind for prefix, kind in CHOSEN_BY_PREFIX.items() if name.startswith(prefix))
    return next(chosen, DEFAULT_CHAT_MODEL), name
