"""The batch interface of a provider: requests handed over together, answered within a day, at half the price.

A batch has our own id from before it is sent. It travels with the batch, in its metadata or in front of every
request's id, so that a batch whose submission nobody saw the end of can be found again.
"""

import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol, runtime_checkable

from label.chat import CallError, ChatModel, ChatReply, ChatRequest
from store.errors import BadSettings

ID_PREFIX = "pb"
KEY_DIGITS = 32

CLOCK_SKEW_S = 24 * 3600.0
"""How far a provider's clock may be from ours when its list of batches is searched."""


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """The most a provider takes in one batch."""

    requests: int
    n_bytes: int


@dataclass(frozen=True, slots=True)
class Parcel:
    """A batch as it is handed over."""

    batch_id: str
    """Our own."""
    run_id: str
    path: Path
    """One request a line, as the provider takes them."""
    n_requests: int
    intended_at: datetime
    """UTC, without a zone."""


@dataclass(frozen=True, slots=True)
class BatchProgress:
    """What a provider says of a batch."""

    provider_batch_id: str
    status: str
    """Its own word."""
    has_ended: bool
    """Whether its results are all there will be."""
    counts: Mapping[str, int] = field(default_factory=dict)
    reason: str = ""
    """Why it failed as a whole."""
    result_files: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Found:
    """What a provider's list of batches says of one whose submission nobody saw the end of."""

    progress: BatchProgress | None = None
    """The batch, if it is there."""
    undecided: tuple[str, ...] = ()
    """Batches that may be the one, and cannot be told apart before they have ended."""


@dataclass(frozen=True, slots=True)
class BatchResult:
    """What became of one request of a batch."""

    custom_id: str
    outcome: ChatReply | CallError


class BatchInterface(Protocol):
    """How one provider takes batches. Every call makes exactly one attempt and raises CallError if it fails."""

    @property
    def limits(self) -> BatchLimits:
        """The most it takes in one batch."""

    def line(self, custom_id: str, request: ChatRequest) -> bytes:
        """A request as a line of a batch, without the newline."""

    async def upload(self, parcel: Parcel) -> str:
        """Bring the requests to the provider ahead of the batch; its id of them, empty where there is no such step."""

    async def create(self, parcel: Parcel, input_file_id: str) -> BatchProgress:
        """Submit the batch."""

    async def find(self, parcel: Parcel, others: Collection[str]) -> Found:
        """Look for the batch in the provider's list; OTHERS are batches known to be something else."""

    async def progress(self, provider_batch_id: str) -> BatchProgress:
        """How far the batch is."""

    async def download(self, progress: BatchProgress, path: Path) -> None:
        """Write the result lines of a batch that has ended to PATH."""

    def result(self, line: bytes) -> BatchResult:
        """A result line; raises ValueError if it is none."""

    async def cancel(self, provider_batch_id: str) -> BatchProgress:
        """Ask for the batch to end early; what is answered by then stays."""


@runtime_checkable
class BatchModel(Protocol):
    """A chat model whose provider takes batches."""

    def batches(self) -> BatchInterface:
        """Its batch interface."""


def batch_interface(model: ChatModel) -> BatchInterface:
    """The batch interface of MODEL.

    Raises BadSettings if it has none.
    """
    if isinstance(model, BatchModel):
        return model.batches()
    raise BadSettings(
        f"{model.labeler} has no batch interface; leave --batch out, or name one server of OpenAI's or Anthropic's kind"
    )


def new_batch_id() -> str:
    """A name that never repeats."""
    return f"{ID_PREFIX}-{secrets.token_hex(8)}"


def custom_id(batch_id: str, request_key: str) -> str:
    """The id a request has in a batch: which batch of ours, and the request's key (52 characters of at most 64)."""
    return f"{batch_id}-{request_key.replace('-', '')}"


def split_custom_id(text: str) -> tuple[str, str] | None:
    """The batch and the hex digits of the request key in a custom id; None if it is not one of ours."""
    batch_id, _, key = text.rpartition("-")
    if not batch_id.startswith(f"{ID_PREFIX}-") or len(key) != KEY_DIGITS:
        return None
    return batch_id, key
