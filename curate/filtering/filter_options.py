"""Filters with their options: from the command line, or from the pipeline in `preferably.toml`."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_origin, get_type_hints

from curate.deciding import Decider
from curate.filter import FILTERS, Filter, StoreFilter
from store.errors import BadSettings, UnknownName


@dataclass(frozen=True, slots=True)
class Chosen:
    """A filter as it was asked for."""

    name: str
    rule: Filter | StoreFilter

    @property
    def options(self) -> dict[str, Any]:
        """Every option, defaults too."""
        rule: Any = self.rule  # a dataclass, which a Protocol cannot say
        return dict(dataclasses.asdict(rule))

    @property
    def decider(self) -> Decider:
        """Who stands in the decisions."""
        return Decider("filter", self.name, self.rule.rule_version, self.options)


def choose(names: Sequence[str], given: Sequence[str]) -> list[Chosen]:
    """The filters called NAMES, with options GIVEN as `NAME.KEY=VALUE`, or `KEY=VALUE` where there is one filter.

    Raises UnknownName for a filter, BadSettings for an option.
    """
    options: dict[str, dict[str, object]] = {name: {} for name in names}
    if len(options) < len(names):
        raise BadSettings("a filter is named twice; put two of its settings into one, or run it twice")
    for text in given:
        left, is_set, value = text.partition("=")
        name, dot, key = left.rpartition(".")
        if not is_set or not (dot or len(names) == 1):
            raise BadSettings(f"--set {text!r}: write it as FILTER.OPTION=VALUE, such as refusal.share=0.5")
        name = name if dot else names[0]
        if name not in options:
            raise BadSettings(f"--set {text!r}: {UnknownName.of('filter', name, names)}")
        options[name][key] = _parsed(FILTERS.load(name), key, value, f"--set {text}")
    return [make(name, options[name], "--set") for name in names]


def pipeline(entries: Sequence[Mapping[str, Any]], where: str) -> list[Chosen]:
    """The filters a list of tables names: `filter`, and its options beside it.

    Raises BadSettings, naming WHERE it stands, for anything not understood.
    """
    if not entries:
        raise BadSettings(
            f'{where} has no pipeline; write one as [[pipeline]] tables, each with filter = "…"'
        )
    chosen = []
    for i, entry in enumerate(entries, start=1):
        place = f"{where}, pipeline entry {i}"
        if not isinstance(entry.get("filter"), str):
            raise BadSettings(f'{place}: it needs filter = "…", one of {", ".join(FILTERS.names())}')
        options = {key: value for key, value in entry.items() if key != "filter"}
        try:
            chosen.append(make(entry["filter"], options, place))
        except UnknownName as error:
            raise BadSettings(f"{place}: {error}") from error
    names = [one.name for one in chosen]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise BadSettings(f"{where}: {', '.join(twice)} stands twice in the pipeline; a filter decides once")
    return chosen


def make(name: str, options: Mapping[str, Any], where: str) -> Chosen:
    """The filter NAME with OPTIONS.

    Raises UnknownName for the filter, BadSettings for an option it does not have or a value of the wrong kind.
    """
    rule = FILTERS.load(name)
    known = _types(rule)
    for key, value in options.items():
        if key not in known:
            raise BadSettings(f"{where}: {UnknownName.of(f'option of {name}', key, known)}")
        if not _fits(value, known[key]):
            raise BadSettings(f"{where}: {name}.{key} must be {_words(known[key])}, not {value!r}")
    values = {key: _cast(value, known[key]) for key, value in options.items()}
    return Chosen(name, rule(**values))


def described(name: str) -> list[tuple[str, str, object]]:
    """(option, kind, default) of a filter."""
    rule = FILTERS.load(name)
    defaults = {one.name: one.default for one in dataclasses.fields(rule)}  # type: ignore[arg-type]
    return [(key, _words(kind), defaults[key]) for key, kind in _types(rule).items()]


def _types(rule: type[object]) -> dict[str, Any]:
    hints = get_type_hints(rule)
    return {one.name: hints[one.name] for one in dataclasses.fields(rule)}  # type: ignore[arg-type]


def _fits(value: object, kind: Any) -> bool:
    if kind is bool or isinstance(value, bool):
        return kind is bool and isinstance(value, bool)
    if kind is float:
        return isinstance(value, int | float)
    if get_origin(kind) is tuple:
        return isinstance(value, list | tuple) and all(isinstance(one, str) for one in value)
    return isinstance(value, kind)


def _cast(value: Any, kind: Any) -> object:
    if get_origin(kind) is tuple:
        return tuple(value)
    return float(value) if kind is float else value


def _words(kind: Any) -> str:
    if get_origin(kind) is tuple:
        return "a list of words"
    return {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}[kind]


def _parsed(rule: type[object], key: str, value: str, where: str) -> object:
    """A value as it stands on the command line; left as it is where its option is not known."""
    kind = _types(rule).get(key, str)
    if get_origin(kind) is tuple:
        return tuple(part.strip() for part in value.split(",") if part.strip())
    if kind is bool:
        if value.lower() not in ("true", "false", "yes", "no"):
            raise BadSettings(f"{where}: must be true or false")
        return value.lower() in ("true", "yes")
    try:
        return kind(value)
    except ValueError as error:
        raise BadSettings(f"{where}: must be {_words(kind)}") from error
