"""What a provider's results mean: each request of a batch comes to its end, once."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from label.batches.provider import BatchInterface, BatchProgress, BatchResult, split_custom_id
from label.batches.rows import Batch, state_row
from label.batches.submit import progress_columns
from label.chat import CallError, ChatReply
from label.engine.calls import Attempts, completion_of, completion_row, paid_usd
from label.engine.failures import classify
from label.engine.prices import PriceTag
from label.reasons import note_reason
from store.ids import uuid_text
from store.named_sql import named_sql
from store.runs import utc_now

if TYPE_CHECKING:
    from store.runs import Run

RESULTS_AT_ONCE = 1000

AGAIN = "again"
"""The state of a request that came back without an answer and may be asked again."""


@dataclass(frozen=True, slots=True)
class End:
    """What became of one request of a batch."""

    key: str
    state: str
    reason: str | None
    cost_usd: float
    attempts: Attempts

    def row(self, batch_id: str) -> dict[str, object]:
        """The row of `batch_outcomes`."""
        return {"batch_id": batch_id, "request_key": self.key, "state": self.state, "reason": self.reason}


@dataclass(slots=True)
class Taken:
    """What collecting came to; counts are of requests."""

    outcomes: Counter[str] = field(default_factory=Counter)
    """State → requests: done, refused, blocked, failed, or `again`."""
    reasons: Counter[str] = field(default_factory=Counter)
    unknown: int = 0
    """Result lines that belong to no request of the batch, or that cannot be read."""
    cost_usd: float = 0.0
    prompt_tokens: int = 0
    completion_tokens: int = 0

    def add(self, end: End) -> None:
        """Count a request that came to its end."""
        self.outcomes[end.state] += 1
        self.cost_usd += end.cost_usd
        if end.reason:
            note_reason(self.reasons, f"{end.state}: {end.reason}")
        if end.attempts.reply is not None:
            self.prompt_tokens += end.attempts.reply.prompt_tokens or 0
            self.completion_tokens += end.attempts.reply.completion_tokens

    def __iadd__(self, other: "Taken") -> "Taken":
        self.outcomes += other.outcomes
        self.reasons += other.reasons
        self.unknown += other.unknown
        self.cost_usd += other.cost_usd
        self.prompt_tokens += other.prompt_tokens
        self.completion_tokens += other.completion_tokens
        return self

    def counts(self) -> dict[str, object]:
        """The counts that a script reads."""
        states = ("done", "refused", "blocked", "failed", "again")
        return {
            "requests": self.outcomes.total(),
            **{state: self.outcomes[state] for state in states},
            "unknown": self.unknown,
            "cost_usd": round(self.cost_usd, 6),
        }


def take_in(
    run: "Run", batch: Batch, interface: BatchInterface, progress: BatchProgress, path: Path
) -> Iterator[Taken]:
    """Store the results in the file PATH of a batch that has ended; what each commit came to.

    Whatever an earlier, interrupted try has stored stays as it is.
    """
    results = _results(path, interface, batch)
    while piece := list(islice(results, RESULTS_AT_ONCE)):
        yield _take_in(run, batch, piece)
    yield _close(run, batch, progress)


def _results(path: Path, interface: BatchInterface, batch: Batch) -> Iterator[tuple[str, BatchResult] | None]:
    """The request key and the result in each line of a file; None where it is none of the batch."""
    with path.open("rb") as file:
        for line in file:
            if line.strip():
                yield _result(line, interface, batch)


def _result(line: bytes, interface: BatchInterface, batch: Batch) -> tuple[str, BatchResult] | None:
    try:
        result = interface.result(line)
        batch_id, key = split_custom_id(result.custom_id) or ("", "")
        return (uuid_text(bytes.fromhex(key)), result) if batch_id == batch.batch_id else None
    except (ValueError, LookupError):
        return None


def _take_in(run: "Run", batch: Batch, piece: Sequence[tuple[str, BatchResult] | None]) -> Taken:
    """Store results in one commit, each of a request that has none yet."""
    ours = [one for one in piece if one is not None]
    results = dict(reversed(ours))  # the first of several for one request counts
    named = {"batch": batch.batch_id, "keys": list(results)}
    price = _price_of(batch)
    with run.store.write(run.run_id) as writing:
        members = writing.dicts(named_sql("label", "batch_members"), named)
        ends = [
            _end_of(row["request_key"], results[row["request_key"]].outcome, price, row)
            for row in members
            if not row["has_outcome"]
        ]
        rest = {"provider": f"{batch.provider} {batch.base_url}".strip(), "model": batch.model}
        rows = [_completion_row(end, price, run, batch) | rest for end in ends if end.state != AGAIN]
        writing.append("completions", rows)
        writing.append("batch_outcomes", [end.row(batch.batch_id) for end in ends])
    taken = Taken(unknown=len(piece) - len(ours) + len(results) - len(members))
    for end in ends:
        taken.add(end)
    return taken


def _end_of(key: str, outcome: ChatReply | CallError, price: PriceTag, bounds: Mapping[str, Any]) -> End:
    """What a result means for its request; what cannot be known is booked at its worst."""
    cost_usd = paid_usd(outcome, price, price.most_usd(bounds["n_bytes"], bounds["max_tokens"]))
    if isinstance(outcome, ChatReply):
        attempts = Attempts(outcome, None, None, 1, 0.0, cost_usd)
    else:
        failure = classify(outcome)
        attempts = Attempts(None, outcome, failure, 1, 0.0, cost_usd)
        if failure.remedy != "give up":
            return End(key, AGAIN, str(outcome), cost_usd, attempts)
    completion = completion_of(key, attempts)
    return End(key, completion.state, completion.error, cost_usd, attempts)


def _completion_row(end: End, price: PriceTag, run: "Run", batch: Batch) -> dict[str, object]:
    now = utc_now()
    under_way_s = (now - (batch.sent_at or batch.created_at)).total_seconds()
    attempts = replace(end.attempts, elapsed_s=under_way_s)
    return completion_row(
        completion_of(end.key, attempts), attempts, price, created_at=now.isoformat(), run_id=run.run_id
    )


def _close(run: "Run", batch: Batch, progress: BatchProgress) -> Taken:
    """Note that a batch is collected, and of every request without a result that it may be asked again."""
    why = progress.reason or f"no result, although the batch has ended ({progress.status})"
    with run.store.write(run.run_id) as writing:
        missing = writing.append_from(
            "batch_outcomes",
            "SELECT batch_id, request_key, $state AS state, $reason AS reason FROM batch_requests"
            " WHERE batch_id = $batch"
            " AND request_key NOT IN (SELECT request_key FROM batch_outcomes WHERE batch_id = $batch)",
            {"state": AGAIN, "reason": why, "batch": batch.batch_id},
        )
        said = {**progress_columns(progress), "reason": progress.reason}
        writing.append("batches", [state_row(run, batch.batch_id, "collected", said)])
    taken = Taken()
    if missing:
        taken.outcomes[AGAIN] = missing
        note_reason(taken.reasons, f"{AGAIN}: {why}", missing)
    return taken


def _price_of(batch: Batch) -> PriceTag:
    known = {column.name for column in fields(PriceTag)}
    return PriceTag(**{name: value for name, value in json.loads(batch.price).items() if name in known})
