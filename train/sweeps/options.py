"""The options a sweep may vary or set: those of the commands it runs, read from the commands themselves."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import click

from store.errors import BadSettings, UnknownName

Assignment = tuple[str, str]
"""An option's name and a value as it is typed; `yes` or `no` for one that takes none."""

PREFIXES = {"mix": "mix-", "pairs": "pairs-"}
"""Commands whose options have a prefix in a sweep: what they are called there."""
YES, NO = "yes", "no"


@dataclass(frozen=True, slots=True)
class Offer:
    """One of the commands of a sweep, and what of it the sweep leaves to the user."""

    name: str
    """`mix`, `pairs`, `export` or `run`."""
    command: click.Command
    kept: frozenset[str]
    """Parameters that the sweep sets itself."""
    meant_for: Mapping[str, tuple[str, ...]]
    """Parameter → the recipes it means something to, where it is not all of them."""


@dataclass(frozen=True, slots=True)
class Taken:
    """An option as one command takes it."""

    command: str
    flag: str
    """As it is typed."""
    option: click.Option

    @property
    def is_repeatable(self) -> bool:
        """Whether it may be given several times."""
        return self.option.multiple

    def check(self, value: str) -> None:
        """Raise BadSettings if the command would not take VALUE."""
        if self.option.is_flag:
            if value not in (YES, NO):
                raise BadSettings(f"{self.flag} takes no value; vary it as {YES},{NO}")
            return
        try:
            self.option.type.convert(value, self.option, None)
        except click.BadParameter as error:
            raise BadSettings(f"{self.flag} {value}: {error.message.rstrip('.').lower()}") from error

    def words(self, value: str) -> list[str]:
        """What is typed to give it VALUE."""
        if self.option.is_flag:
            return [self.flag] if value == YES else []
        return [self.flag, value]


class Options:
    """Every option that may be varied or set in a sweep of one recipe."""

    def __init__(self, recipe: str, offers: Sequence[Offer]) -> None:
        self.recipe = recipe
        self._taken: dict[str, list[Taken]] = {}
        self._elsewhere: dict[str, tuple[str, ...]] = {}
        for offer in offers:
            for name, taken, recipes in _options_of(offer):
                if recipe in (recipes or (recipe,)):
                    self._taken.setdefault(name, []).append(taken)
                else:
                    self._elsewhere[name] = recipes

    def named(self, name: str) -> list[Taken]:
        """Who takes the option NAME, written without its dashes.

        Raises UnknownName for one that nobody takes, BadSettings for one of other recipes.
        """
        if name in self._taken:
            return self._taken[name]
        if name in self._elsewhere:
            raise BadSettings(f"--{name} is for {' and '.join(self._elsewhere[name])}, not for {self.recipe}")
        raise UnknownName.of(f"option of train export or train run for {self.recipe}", name, self._taken)

    def check(self, name: str, value: str) -> None:
        """Raise BadSettings if one of those who take NAME would not take VALUE."""
        for taken in self.named(name):
            taken.check(value)

    def words(self, command: str, assignments: Sequence[Assignment]) -> list[str]:
        """What is typed to give COMMAND those of the assignments it takes."""
        return [
            word
            for name, value in assignments
            for taken in self.named(name)
            if taken.command == command
            for word in taken.words(value)
        ]

    def of(self, commands: Sequence[str], assignments: Sequence[Assignment]) -> list[Assignment]:
        """Those of the assignments that one of the COMMANDS takes."""
        return [
            (name, value)
            for name, value in assignments
            if any(taken.command in commands for taken in self.named(name))
        ]

    def parse(self, words: Sequence[str]) -> list[Assignment]:
        """The assignments typed as options.

        Raises what `named` and `check` raise, BadSettings for a word that is no option.
        """
        found = []
        waiting = iter(words)
        for word in waiting:
            name, has_value, value = word.removeprefix("--").partition("=")
            if not word.startswith("--"):
                raise BadSettings(f"{word!r} is no option of train export or train run; write --NAME VALUE")
            takers = self.named(name)
            if not has_value:
                value = YES if takers[0].option.is_flag else next(waiting, "")
            self.check(name, value)
            found.append((name, value))
        return found


def _options_of(offer: Offer) -> Iterator[tuple[str, Taken, tuple[str, ...]]]:
    """Name in a sweep, option, and the recipes it is for (none: all)."""
    prefix = PREFIXES.get(offer.name, "")
    for parameter in offer.command.params:
        if not isinstance(parameter, click.Option) or parameter.name in offer.kept:
            continue
        flag = next(name for name in parameter.opts if name.startswith("--"))
        recipes = offer.meant_for.get(parameter.name or "", ())
        yield prefix + flag.removeprefix("--"), Taken(offer.name, flag, parameter), recipes
