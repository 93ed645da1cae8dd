"""Which responses a reward model is to score: found by one query, kept on disk, read back a window at a time."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Literal

from store.errors import RequestError, UnknownName
from store.named_sql import named_sql
from store.selections import selection_named

if TYPE_CHECKING:
    from store.db import Reading, Store

Origin = Literal["both", "samples", "conversations"]
Ids = tuple[str, str]
"""Prompt and response."""

WINDOW = 2000
"""Responses whose texts are in memory together."""
ROWS_AT_ONCE = 50_000


@dataclass(frozen=True, slots=True)
class Scope:
    """Which responses."""

    origin: Origin = "both"
    """Draws of policies, answers of conversations, or both."""
    selection: str | None = None
    """Those of a named selection of prompts, conversations or pairs."""
    sources: tuple[str, ...] = ()
    policies: tuple[str, ...] = ()
    """Names of sampled policies or model labels of conversations."""
    sample: int | None = None
    """How many prompts, drawn by `seed`; None takes all."""
    seed: int = 0
    limit: int | None = None
    """The most responses."""


class ScoringPlan:
    """The responses a run is about; those without a number are in a file, so that memory does not grow with them."""

    def __init__(self, reading: "Reading", params: Mapping[str, object]) -> None:
        self.requested = self.reused = self.draws = 0
        self._missing = TemporaryFile("w+", encoding="ascii", prefix="preferably-plan-")  # noqa: SIM115 - closed by `close`
        for batch in reading.batches(named_sql("label", "scored_responses"), params, rows=ROWS_AT_ONCE):
            prompts, responses, draws, known = (batch.column(i).to_pylist() for i in range(4))
            self.requested += len(prompts)
            self.reused += sum(known)
            self.draws += sum(draws)
            self._missing.writelines(
                f"{prompt_id} {response_id}\n"
                for prompt_id, response_id, is_known in zip(prompts, responses, known, strict=True)
                if not is_known
            )
        self._missing.flush()

    def windows(self) -> Iterator[list[Ids]]:
        """What has no number yet, in the order of prompts."""
        self._missing.seek(0)
        lines = (_ids(line) for line in self._missing)
        while window := list(islice(lines, WINDOW)):
            yield window

    def close(self) -> None:
        """Remove the file."""
        self._missing.close()


def _ids(line: str) -> Ids:
    prompt_id, response_id = line.split()
    return prompt_id, response_id


def plan_scoring(store: "Store", scope: Scope, reward_model: str, revision: str) -> ScoringPlan:
    """The plan as of now.

    Raises UnknownName for a source, policy or selection that is not there, RequestError if nothing is to score.
    """
    with store.read() as reading:
        plan = ScoringPlan(reading, _params(reading, scope, reward_model, revision))
    if plan.requested == 0:
        plan.close()
        raise RequestError(
            "no response is meant by these options; draw some with label sample, take some in with curate ingest,"
            " or name other policies, sources or selections"
        )
    return plan


def _params(reading: "Reading", scope: Scope, reward_model: str, revision: str) -> dict[str, object]:
    selection = None if scope.selection is None else selection_named(reading, scope.selection)
    return {
        "has_draws": scope.origin != "conversations",
        "has_answers": scope.origin != "samples",
        "policies": _known(scope.policies, "policy", _names(reading, named_sql("label", "policies"))),
        "sources": _known(scope.sources, "source", _names(reading, "SELECT name FROM current_sources")),
        "selection_id": None if selection is None else selection.selection_id,
        "kind": None if selection is None else selection.kind,
        "sample": scope.sample,
        "seed": str(scope.seed),
        "limit": scope.limit,
        "reward_model": reward_model,
        "revision": revision,
    }


def _names(reading: "Reading", sql: str) -> list[str]:
    return [name for (name,) in reading.rows(sql)]


def _known(chosen: Sequence[str], kind: str, names: list[str]) -> list[str] | None:
    """The names that were chosen, None for all.

    Raises UnknownName for one that is not among NAMES.
    """
    for name in chosen:
        if name not in names:
            raise UnknownName.of(kind, name, names)
    return list(chosen) or None
