"""What goes into batches: the requests of a plan that have no answer, packed into as few files as a provider takes."""

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal

from label.batches.provider import BatchInterface, custom_id, new_batch_id
from label.chat import ChatRequest
from label.engine.prices import PriceTag
from label.engine.sent import request_row
from store.errors import BadInput
from store.runs import utc_now

if TYPE_CHECKING:
    from collections.abc import Mapping

    from label.comparing.compared import PairQuestion
    from label.comparing.pairing import Pair
    from label.judging.turns import ConversationTurns, Question
    from store.db import Store

Fate = Literal["reused", "answered", "pending", "asked"]
"""Of a request: its label exists, only its answer exists, it is in an open batch, or it goes into a new one."""

FRAME_BYTES = 1024
"""Left free in every batch for what a provider's interface puts around the requests."""

EXPECTED_TOKENS_PER_BYTE = 0.25
EXPECTED_COMPLETION_TOKENS = 200

Planned = tuple[str, Fate, "ChatRequest | None"]
"""A request key, what is to be done about it, and the request where it is to be asked."""


def turn_requests(
    store: "Store", plan: "Sequence[ConversationTurns]", questions: "Sequence[Question]", labeler: str
) -> Iterator[Planned]:
    """The first requests of a plan of `label judge`."""
    from label.judging.rating_job import read_windows

    for window in read_windows(store, plan, questions, labeler):
        for turn in (turn for turns in window.conversations for turn in turns):
            if turn.key in window.rated:
                yield turn.key, "reused", None
            elif turn.key in window.completions:
                yield turn.key, "answered", None
            elif turn.key in window.pending:
                yield turn.key, "pending", None
            else:
                yield turn.key, "asked", turn.request()


def pair_requests(store: "Store", plan: "Sequence[Pair]", question: "PairQuestion") -> Iterator[Planned]:
    """The first requests of a plan of `label compare`; identical responses have none."""
    from label.comparing.comparison_job import read_windows

    for window in read_windows(store, plan, question):
        orders = (order for group in window.groups for pair in group for order in pair.orders)
        for order in orders:
            if order.shown is None or order.key is None:
                continue
            if order.comparison_id in window.known:
                yield order.key, "reused", None
            elif order.key in window.completions:
                yield order.key, "answered", None
            elif order.key in window.pending:
                yield order.key, "pending", None
            else:
                yield order.key, "asked", question.first(order.shown)


@dataclass(slots=True)
class Packed:
    """The requests of one batch, on disk beside the store."""

    batch_id: str
    requests: list[tuple[str, int, int]] = field(default_factory=list)
    """Key, bytes of the prompt, and tokens of the reply at most."""
    n_bytes: int = 0

    @property
    def prompt_bytes(self) -> int:
        """Of all prompts: no tokenizer makes more tokens than that."""
        return sum(n_bytes for _, n_bytes, _ in self.requests)

    @property
    def max_tokens(self) -> int:
        """Of all replies, each as long as it may be."""
        return sum(max_tokens for _, _, max_tokens in self.requests)

    def most_usd(self, price: PriceTag) -> float:
        """The most the batch can cost at a PRICE."""
        return price.most_usd(self.prompt_bytes, self.max_tokens)


@dataclass(slots=True)
class PackedPlan:
    """A whole plan: what is asked, in which batches, and what is not."""

    fates: dict[str, int]
    batches: list[Packed]

    @property
    def calls(self) -> int:
        """Requests in all batches."""
        return self.fates["asked"]

    def most_usd(self, price: PriceTag) -> float:
        """The most all batches can cost."""
        return sum(batch.most_usd(price) for batch in self.batches)

    def expected(self, price: PriceTag) -> "Mapping[str, float]":
        """Tokens and cost at a quarter of a token for a byte."""
        prompt_tokens = round(sum(batch.prompt_bytes for batch in self.batches) * EXPECTED_TOKENS_PER_BYTE)
        most = sum(batch.max_tokens for batch in self.batches)
        completion_tokens = min(self.calls * EXPECTED_COMPLETION_TOKENS, most)
        return {
            "prompt_tokens": prompt_tokens,
            "completion_tokens": completion_tokens,
            "cost_usd": price.cost_usd(prompt_tokens, completion_tokens),
        }


def pack(planned: Iterable[Planned], interface: BatchInterface, folder: Path | None) -> PackedPlan:
    """Sort out a plan and write the requests to be asked into FOLDER, a file for each batch; None writes nothing.

    A request that occurs several times is asked once.
    """
    packer = _Packer(interface, folder)
    fates: dict[str, int] = {"reused": 0, "answered": 0, "pending": 0, "asked": 0}
    seen: set[str] = set()
    try:
        for key, fate, request in planned:
            if key in seen:
                continue
            seen.add(key)
            fates[fate] += 1
            if request is not None:
                packer.add(key, request)
    finally:
        packer.close()
    return PackedPlan(fates, packer.batches)


class _Packer:
    """Fills one batch after the other."""

    def __init__(self, interface: BatchInterface, folder: Path | None) -> None:
        self.batches: list[Packed] = []
        self._interface = interface
        self._folder = folder
        self._files: list[BinaryIO] = []

    def add(self, key: str, request: ChatRequest) -> None:
        """Put a request into the batch that is being filled, or begin the next one."""
        limits = self._interface.limits
        room = limits.n_bytes - FRAME_BYTES
        batch = self.batches[-1] if self.batches else None
        line = b"" if batch is None else self._line(batch, key, request)
        if batch is None or len(batch.requests) >= limits.requests or batch.n_bytes + len(line) > room:
            batch = self._begin()
            line = self._line(batch, key, request)
        if len(line) > room:
            raise BadInput(f"request {key} has {len(line)} bytes, more than a whole batch may have ({room})")
        batch.requests.append((key, request.n_bytes, request.max_tokens))
        batch.n_bytes += len(line)
        if self._files:
            requests, rows = self._files
            requests.write(line)
            rows.write(json.dumps(request_row(request, key, utc_now().isoformat(), "")).encode() + b"\n")

    def close(self) -> None:
        """Make the files durable."""
        for file in self._files:
            file.flush()
            os.fsync(file.fileno())
            file.close()
        self._files = []

    def _begin(self) -> Packed:
        self.close()
        batch = Packed(new_batch_id())
        self.batches.append(batch)
        if self._folder is not None:
            self._folder.mkdir(parents=True, exist_ok=True)
            names = (f"{batch.batch_id}.jsonl", f"{batch.batch_id}.rows")
            self._files = [(self._folder / name).open("xb") for name in names]
        return batch

    def _line(self, batch: Packed, key: str, request: ChatRequest) -> bytes:
        return self._interface.line(custom_id(batch.batch_id, key), request) + b"\n"


def stored_rows(folder: Path, batch: Packed, run_id: str) -> list[dict[str, object]]:
    """The rows of `requests` for a packed batch."""
    path = folder / f"{batch.batch_id}.rows"
    with path.open("rb") as file:
        rows = [json.loads(line) | {"run_id": run_id} for line in file]
    path.unlink()
    return rows
