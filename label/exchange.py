"""A response and the turns it answers, by its ids or as texts, and how the store's are read."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from store.named_sql import named_sql

if TYPE_CHECKING:
    from store.db import Reading

Turn = tuple[str, str]
"""A role of the store and the content."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """A response and the turns before it."""

    prompt: tuple[Turn, ...]
    response: str

    @property
    def turns(self) -> tuple[Turn, ...]:
        """The conversation that ends with the response."""
        return (*self.prompt, ("assistant", self.response))


def prompt_paths(reading: "Reading", prompt_ids: set[str]) -> dict[str, list[str]]:
    """The messages from the root to each prompt."""
    rows = reading.rows(named_sql("label", "prompt_paths"), {"prompt_ids": sorted(prompt_ids)})
    return {
        prompt_id: [message_id for _, message_id in path]
        for prompt_id, path in groupby(rows, key=lambda row: row[0])
    }


def message_turns(reading: "Reading", message_ids: set[str]) -> dict[str, Turn]:
    """Role and content of some messages."""
    rows = reading.rows(named_sql("label", "message_texts"), {"message_ids": sorted(message_ids)})
    return {message_id: (role, content) for message_id, role, content in rows}


def read_exchanges(reading: "Reading", ids: Sequence[tuple[str, str]]) -> list[Exchange]:
    """The texts of responses, each given as (prompt id, response id)."""
    paths = prompt_paths(reading, {prompt_id for prompt_id, _ in ids})
    turns = message_turns(reading, {response_id for _, response_id in ids}.union(*paths.values()))
    prompts = {
        prompt_id: tuple(turns[message_id] for message_id in path) for prompt_id, path in paths.items()
    }
    return [Exchange(prompts[prompt_id], turns[response_id][1]) for prompt_id, response_id in ids]
