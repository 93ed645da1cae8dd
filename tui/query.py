"""What a person types to filter conversations, as SQL over the columns of the list.

`class:GPT4 rating<5 source:forum verdict:drop quick sort` keeps the conversations that meet every part.
The same key twice, or a comma, means either; `-class:GPT4` means not; words are searched in the text.
"""

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from store.errors import BadSettings, UnknownName

TOKEN = re.compile(r'(-?)(?:([a-z]+)(:|<=|>=|<|>|=))?("[^"]*"|[^\s"]+)')
RANGE = re.compile(r"(-?\d+(?:\.\d+)?)\.\.(-?\d+(?:\.\d+)?)")


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The keys that a filter of one list may use; each is a column of that list."""

    names: tuple[str, ...] = ()
    """Columns of text: `key:value`, with * for any characters."""
    numbers: tuple[str, ...] = ()
    """Columns of numbers: `key<5`, `key:3..7`."""
    words: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Key → the values it may have, each with its condition."""
    takes_text: bool = True
    """Whether other words are searched in the text."""

    @property
    def keys(self) -> tuple[str, ...]:
        """Every key."""
        return (*self.names, *self.numbers, *self.words)


CONVERSATIONS = Vocabulary(
    names=("class", "source"),
    numbers=("rating", "turns"),
    words={
        "verdict": {"keep": "verdict = 'keep'", "drop": "verdict = 'drop'", "none": "verdict IS NULL"},
        "rated": {
            "complete": "n_rated > 0 AND n_rated = n_answers",
            "partial": "n_rated > 0 AND n_rated < n_answers",
            "none": "n_rated = 0",
        },
    },
)


@dataclass(frozen=True, slots=True)
class Filter:
    """A filter as typed and as SQL."""

    text: str = ""
    """What was typed."""
    where: str = "TRUE"
    """A condition on the columns of the list."""
    values: tuple[str | float, ...] = ()
    """The parameters of `where`, in order."""
    words: tuple[str, ...] = ()
    """Texts that must each stand in it, whatever the case."""

    @property
    def uses_ratings(self) -> bool:
        """Whether the answer depends on ratings."""
        return "rating" in self.where or "n_rated" in self.where


@dataclass(frozen=True, slots=True)
class _Part:
    """One condition; parts with the same key and sign are alternatives."""

    key: str
    sql: str
    values: tuple[str | float, ...]
    is_negated: bool


def parse_filter(text: str, vocabulary: Vocabulary = CONVERSATIONS) -> Filter:
    """The filter a person typed.

    Raises UnknownName for an unknown key, BadSettings for a value that makes no sense.
    """
    parts: list[_Part] = []
    words: list[str] = []
    for negation, key, operator, value in _tokens(text):
        if key:
            parts.extend(_parts(vocabulary, key, operator, value.strip('"'), is_negated=bool(negation)))
        elif negation:
            raise BadSettings(f"-{value}: words cannot be excluded yet; leave the minus out")
        elif value.rstrip(":<>=") in vocabulary.keys and value not in vocabulary.keys:
            raise BadSettings(f"{value} needs a value, with no space before it")
        elif not vocabulary.takes_text:
            raise BadSettings(
                f"{value}: this list has no text to search; its keys: {', '.join(vocabulary.keys)}"
            )
        else:
            words.append(value.strip('"'))
    where, values = _joined(parts)
    return Filter(text.strip(), where, values, tuple(word for word in words if word))


def _tokens(text: str) -> list[tuple[str, str, str, str]]:
    rest = TOKEN.sub("", text).strip()
    if rest:
        raise BadSettings(f"cannot read {rest!r}; a quote must be closed and a value must follow its key")
    return TOKEN.findall(text)


def _parts(vocabulary: Vocabulary, key: str, operator: str, value: str, *, is_negated: bool) -> list[_Part]:
    if key not in vocabulary.keys:
        raise UnknownName.of("filter", key, vocabulary.keys)
    if key in vocabulary.numbers:
        return [_number(key, operator, value, is_negated=is_negated)]
    if operator not in (":", "="):
        raise BadSettings(f"{key}{operator}{value}: {key} is a name; write {key}:{value}")
    if key in vocabulary.names:
        return [_name(key, one, is_negated=is_negated) for one in value.split(",")]
    return [_word(key, one, vocabulary.words[key], is_negated=is_negated) for one in value.split(",")]


def _number(key: str, operator: str, value: str, *, is_negated: bool) -> _Part:
    span = RANGE.fullmatch(value)
    if span and operator in (":", "="):
        return _Part(f"{key}..", f"{key} BETWEEN ? AND ?", (float(span[1]), float(span[2])), is_negated)
    try:
        number = float(value)
    except ValueError:
        raise BadSettings(
            f"{key}{operator}{value}: {value!r} is not a number; write {key}<5 or {key}:3..7"
        ) from None
    sign = "=" if operator == ":" else operator
    return _Part(f"{key}{sign}", f"{key} {sign} ?", (number,), is_negated)


def _name(key: str, value: str, *, is_negated: bool) -> _Part:
    pattern = re.sub(r"([\\%_])", r"\\\1", value.lower()).replace("*", "%")
    return _Part(key, f"lower({key}) LIKE ? ESCAPE '\\'", (pattern,), is_negated)


def _word(key: str, value: str, choices: Mapping[str, str], *, is_negated: bool) -> _Part:
    if value not in choices:
        raise UnknownName.of(key, value, choices)
    return _Part(key, choices[value], (), is_negated)


def _joined(parts: list[_Part]) -> tuple[str, tuple[str | float, ...]]:
    groups: dict[tuple[str, bool], list[_Part]] = defaultdict(list)
    for part in parts:
        groups[part.key, part.is_negated].append(part)
    clauses: list[str] = []
    values: list[str | float] = []
    for (_, is_negated), alternatives in groups.items():
        either = " OR ".join(f"({part.sql})" for part in alternatives)
        clauses.append(f"NOT coalesce({either}, FALSE)" if is_negated else f"({either})")
        values.extend(value for part in alternatives for value in part.values)
    return " AND ".join(clauses) or "TRUE", tuple(values)
