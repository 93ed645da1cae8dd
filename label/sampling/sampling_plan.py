"""Which prompts are to be answered how often, and which of these draws are there already."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from label.exchange import message_turns, prompt_paths
from label.sampler import Ask, Sampling, Turn, seed_of
from store.errors import UnknownName
from store.named_sql import named_sql
from store.selections import selection_named

if TYPE_CHECKING:
    from store.db import Reading, Store

WINDOW_PROMPTS = 1000
"""Prompts whose texts are in memory together."""


@dataclass(frozen=True, slots=True)
class PromptChoice:
    """Which prompts to answer."""

    selection: str | None = None
    """A named selection; None takes every user turn of current conversations."""
    part: str | None = None
    """Of the selection."""
    source: str | None = None
    """Only turns of this source's conversations."""
    sample: int | None = None
    """A draw of so many."""
    limit: int | None = None
    """The first so many."""


@dataclass(frozen=True, slots=True)
class Draws:
    """How often each prompt is answered, and how."""

    n: int
    samplings: tuple[Sampling, ...]
    """The draw of index i has the i-th of these, counted round and round."""
    seed: int = 0

    def sampling_of(self, sample_index: int) -> Sampling:
        """The parameters of a prompt's draw."""
        return self.samplings[sample_index % len(self.samplings)]

    def texts(self) -> list[str]:
        """The parameters as they are stored, in order."""
        return [sampling.as_json() for sampling in self.samplings]


@dataclass(frozen=True, slots=True)
class Plan:
    """The prompts of a run."""

    prompts: int
    """All of them."""
    reused: int
    """Draws that are there already."""
    missing: tuple[tuple[str, int], ...]
    """(prompt id, draws there already) of the prompts that lack some, by id."""
    draws: Draws

    @property
    def requested(self) -> int:
        """Draws the run is about, made before or not."""
        return self.prompts * self.draws.n


@dataclass(slots=True)
class Prompt:
    """One prompt that lacks draws."""

    prompt_id: str
    turns: tuple[Turn, ...]
    asks: tuple[Ask, ...]
    rejects: set[tuple[str, str, str]]
    """(sampling, state, reason) that are stored already."""
    hopeless: tuple[str, str] | None = None
    """(state, reason) once it is known that this policy will not answer this prompt."""

    @property
    def depth(self) -> int:
        """Of the prompt in the tree."""
        return len(self.turns) - 1


def plan_draws(reading: "Reading", choice: PromptChoice, draws: Draws, policy: str) -> Plan:
    """The prompts to answer, and what is there already; which they are depends on ids only.

    Raises UnknownName for a selection, part or source that does not exist.
    """
    counted = reading.arrow(
        named_sql("label", "sample_prompts"),
        {
            "selection_id": _selection_id(reading, choice),
            "part": choice.part,
            "source": _known_source(reading, choice.source),
            "sample": choice.sample,
            "seed": str(draws.seed),
            "limit": choice.limit,
            "policy": policy,
            "n": draws.n,
            "samplings": draws.texts(),
        },
    )
    prompt_ids, known = counted.column("prompt_id").to_pylist(), counted.column("n_known").to_pylist()
    missing = tuple(
        (prompt_id, n_known)
        for prompt_id, n_known in zip(prompt_ids, known, strict=True)
        if n_known < draws.n
    )
    return Plan(len(prompt_ids), sum(known), missing, draws)


def _selection_id(reading: "Reading", choice: PromptChoice) -> str | None:
    if choice.selection is None:
        return None
    selection_id = selection_named(reading, choice.selection, "prompts").selection_id
    if choice.part is not None:
        rows = reading.rows(
            "SELECT DISTINCT part FROM selection_prompts WHERE selection_id = CAST(? AS UUID)", [selection_id]
        )
        parts = {part for (part,) in rows if part is not None}
        if choice.part not in parts:
            raise UnknownName.of("part", choice.part, parts)
    return selection_id


def _known_source(reading: "Reading", source: str | None) -> str | None:
    if source is None:
        return None
    names = {name for (name,) in reading.rows("SELECT DISTINCT name FROM current_sources")}
    if source not in names:
        raise UnknownName.of("source", source, names)
    return source


def read_windows(store: "Store", plan: Plan, policy: str, draws_per_ask: int) -> Iterator[list[Prompt]]:
    """The prompts that lack draws, a window at a time, each read in a turn of its own."""
    for start in range(0, len(plan.missing), WINDOW_PROMPTS):
        with store.read() as reading:
            window = _read_window(
                reading, plan.missing[start : start + WINDOW_PROMPTS], plan.draws, policy, draws_per_ask
            )
        yield window


def _read_window(
    reading: "Reading", piece: Sequence[tuple[str, int]], draws: Draws, policy: str, draws_per_ask: int
) -> list[Prompt]:
    prompt_ids = [prompt_id for prompt_id, _ in piece]
    known = _known_indexes(reading, [prompt_id for prompt_id, n_known in piece if n_known], draws, policy)
    rejects = _known_rejects(reading, prompt_ids, draws, policy)
    paths = prompt_paths(reading, set(prompt_ids))
    texts = message_turns(reading, {message_id for path in paths.values() for message_id in path})
    window = []
    for prompt_id in prompt_ids:
        turns = tuple(texts[message_id] for message_id in paths[prompt_id])
        asks = tuple(asks_of(prompt_id, turns, draws, known.get(prompt_id, set()), draws_per_ask))
        window.append(Prompt(prompt_id, turns, asks, rejects.get(prompt_id, set())))
    return window


def _known_indexes(
    reading: "Reading", prompt_ids: list[str], draws: Draws, policy: str
) -> dict[str, set[int]]:
    if not prompt_ids:
        return {}
    rows = reading.rows(
        named_sql("label", "sample_known"),
        {"prompt_ids": prompt_ids, "policy": policy, "n": draws.n, "samplings": draws.texts()},
    )
    return {prompt_id: set(indexes) for prompt_id, indexes in rows}


def _known_rejects(
    reading: "Reading", prompt_ids: list[str], draws: Draws, policy: str
) -> dict[str, set[tuple[str, str, str]]]:
    rows = reading.rows(
        named_sql("label", "sample_rejects_known"),
        {"prompt_ids": prompt_ids, "policy": policy, "samplings": draws.texts()},
    )
    ordered = sorted(rows)
    return {
        prompt_id: {(sampling, state, reason) for _, sampling, state, reason in group}
        for prompt_id, group in groupby(ordered, key=lambda row: row[0])
    }


def asks_of(
    prompt_id: str, turns: tuple[Turn, ...], draws: Draws, known: set[int], draws_per_ask: int
) -> Iterator[Ask]:
    """The draws that a prompt lacks, those that follow one another with the same parameters together."""
    start: int | None = None
    for index in range(draws.n + 1):
        is_wanted = index < draws.n and index not in known
        if start is not None and not (
            is_wanted
            and index - start < draws_per_ask
            and draws.sampling_of(index) == draws.sampling_of(start)
        ):
            yield Ask(
                prompt_id,
                turns,
                draws.sampling_of(start),
                start,
                index - start,
                seed_of(prompt_id, start, draws.seed),
            )
            start = None
        if start is None and is_wanted:
            start = index
