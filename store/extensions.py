"""The table of names behind everything that can be added to: readers, chat models, exporters, …

Listing names imports nothing; loading one imports one module. Third parties add names through
an entry-point group; a built-in name always wins.
"""

from dataclasses import dataclass, field
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Generic, TypeVar, cast

from store.errors import UnknownName

Plugin = TypeVar("Plugin")


@dataclass(frozen=True)
class ExtensionPoint(Generic[Plugin]):
    """The implementations of one Protocol, by name."""

    kind: str
    """What one of them is called in messages, such as `reader`."""
    group: str
    """The entry-point group for third parties, such as `curate.readers`."""
    built_in: dict[str, str] = field(default_factory=dict)
    """Name → `module:attribute`."""

    def names(self) -> list[str]:
        """Every name that can be loaded, sorted."""
        return sorted({*self.built_in, *(entry.name for entry in entry_points(group=self.group))})

    def load(self, name: str) -> Plugin:
        """The implementation called NAME.

        Raises UnknownName, with the nearest name, if there is none.
        """
        target = self.built_in.get(name)
        if target is not None:
            module, _, attribute = target.partition(":")
            return cast(Plugin, getattr(import_module(module), attribute))
        for entry in entry_points(group=self.group, name=name):
            return cast(Plugin, _load(entry))
        raise UnknownName.of(self.kind, name, self.names())


def _load(entry: EntryPoint) -> object:
    return entry.load()
