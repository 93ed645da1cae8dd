"""What a recipe is, and the table of them: which settings, layouts and lengths each has."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from store.chat_format import ChatFormat
from store.chat_template import OWN
from store.errors import UnknownName
from train.exporter import ExportRow
from train.exporting.rows import Tally
from train.exporting.steps import Step


@dataclass(frozen=True, slots=True)
class SourceLicense:
    """A source's name and the license it came under, if it is known."""

    name: str
    license: str | None


class Material(Protocol):
    """What a recipe makes its rows from: the store, fixed at one version."""

    @property
    def at_version(self) -> int:
        """The version it is fixed at."""

    @property
    def sources(self) -> tuple[SourceLicense, ...]:
        """The sources the rows may come from."""

    @property
    def query(self) -> str:
        """The SQL that chooses, for the manifest."""

    @property
    def facts(self) -> dict[str, Any]:
        """What else the manifest says of how the rows came about."""

    def stage(self, path: Path, tally: Tally) -> None:
        """Copy the texts that are needed to a file at PATH, so that the store is free for others."""

    def rows(self, path: Path) -> Iterator[Any]:
        """The staged rows, in the order of their ids."""

    def steps(self, control_tokens: tuple[str, ...]) -> dict[str, Step[Any]]:
        """The steps the rows go through, by name, in their order."""

    def measured(
        self, rows: Iterator[Any], chat: ChatFormat | None, max_length: int, tally: Tally
    ) -> Iterator[ExportRow]:
        """Rows with their tokens; those the trainer would lose by their length are dropped."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """One way to train, as far as its files are concerned."""

    name: str
    title: str
    layouts: tuple[str, ...]
    """The first is the usual one."""
    template: str
    max_length: int
    takes: str
    """`conversations`, `responses` or `pairs`."""


RECIPES: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        Recipe("crlft", "C-RLFT", ("messages", "openchat", "tokenized"), "openchat", 4096, "conversations"),
        Recipe(
            "sft",
            "Supervised fine-tuning",
            ("messages", "prompt-completion", "sharegpt", "tokenized"),
            "tulu",
            2048,  # Tülu 7B and 13B
            "conversations",
        ),
        Recipe(
            "rsft",
            "Rejection-sampling fine-tuning",
            ("prompt-completion", "tokenized"),
            OWN,
            4096,
            "responses",
        ),
        Recipe(
            "rm",
            "Reward model",
            ("pairs", "pairs-full", "llamafactory-pairs", "axolotl-pairs"),
            OWN,
            4096,
            "pairs",
        ),
        Recipe(
            "pm",
            "Preference model",
            ("prompt-completion", "messages", "tokenized"),
            OWN,
            3072,  # RLHF Workflow, packed
            "pairs",
        ),
        Recipe("dpo", "DPO", ("pairs", "pairs-full", "llamafactory-pairs"), OWN, 4096, "pairs"),
        Recipe("kto", "KTO", ("labelled",), OWN, 4096, "pairs"),
    )
}


def recipe_named(name: str) -> Recipe:
    """The recipe called NAME.

    Raises UnknownName if there is none.
    """
    if name not in RECIPES:
        raise UnknownName.of("recipe", name, RECIPES)
    return RECIPES[name]
