"""Why a request was not answered from the store: the nearest request before it, and what differs."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import zip_longest
from typing import TYPE_CHECKING, Any
from uuid import UUID

from store.errors import BadInput, RequestError, UnknownName
from store.ids import to_uuid
from store.named_sql import named_sql

if TYPE_CHECKING:
    from store.db import Reading, Store

PLAIN_FIELDS = (
    "key_version",
    "provider",
    "base_url",
    "model",
    "api_version",
    "sample_index",
    "repair_index",
)
"""Fields whose values are shown as they are."""

NOTHING = "–"


@dataclass(frozen=True, slots=True)
class Difference:
    """One field in which two requests differ."""

    field: str
    asked: str
    stored: str


@dataclass(frozen=True, slots=True)
class Miss:
    """One request, and the one stored before it that is nearest to it."""

    request_key: str
    asked_at: datetime
    run_id: str | None
    nearest_key: str | None
    """None where nothing had been asked before."""
    nearest_at: datetime | None
    differences: tuple[Difference, ...]

    def as_json(self) -> dict[str, object]:
        """The object that `--json` prints."""
        return asdict(self)


def why_missed(store: "Store", name: str) -> list[Miss]:
    """For a request key, or the id of a labelled answer: each request, the newest first.

    Raises UnknownName if neither a request nor a label is stored under NAME.
    """
    wanted = _uuid_of(name)
    with store.read() as reading:
        keys = [key for key, _ in reading.rows(named_sql("label", "requests_about"), {"id": wanted})]
        if not keys:
            raise UnknownName(
                f"no request is stored under {name!r}: it is neither a request key nor an answer a judge was"
                " asked about (curate sql 'SELECT request_key FROM requests' lists the keys)"
            )
        return [_miss(reading, key) for key in keys]


def _uuid_of(name: str) -> str:
    """A key as UUID text, or an id such as `m1-…`."""
    try:
        return str(UUID(name))
    except ValueError:
        pass
    try:
        return to_uuid(name)
    except RequestError as error:
        raise BadInput(f"{name!r} is neither a request key nor the id of an answer (m1-…)") from error


def _miss(reading: "Reading", key: str) -> Miss:
    rows = reading.dicts(named_sql("label", "nearest_request"), {"key": key})
    asked = next(row for row in rows if row["request_key"] == key)
    nearest = next((row for row in rows if row["request_key"] != key), None)
    return Miss(
        request_key=key,
        asked_at=asked["first_at"],
        run_id=asked["run_id"],
        nearest_key=None if nearest is None else nearest["request_key"],
        nearest_at=None if nearest is None else nearest["first_at"],
        differences=() if nearest is None else tuple(differences(asked, nearest)),
    )


def differences(asked: Mapping[str, Any], stored: Mapping[str, Any]) -> list[Difference]:
    """Every field in which two rows of `requests` differ, down to the single parameter and message."""
    plain = [
        Difference(name, str(asked[name]), str(stored[name]))
        for name in PLAIN_FIELDS
        if asked[name] != stored[name]
    ]
    return [
        *plain,
        *_in_parameters(json.loads(asked["sampling"]), json.loads(stored["sampling"])),
        *_in_schema(asked["response_schema"], stored["response_schema"]),
        *_in_messages(asked["messages"], stored["messages"]),
    ]


def _in_parameters(asked: Mapping[str, Any], stored: Mapping[str, Any]) -> list[Difference]:
    return [
        Difference(f"sampling.{name}", _shown(asked, name), _shown(stored, name))
        for name in sorted({*asked, *stored})
        if _shown(asked, name) != _shown(stored, name)
    ]


def _shown(parameters: Mapping[str, Any], name: str) -> str:
    return json.dumps(parameters[name]) if name in parameters else NOTHING


def _in_schema(asked: str | None, stored: str | None) -> list[Difference]:
    return [Difference("response_schema", asked or NOTHING, stored or NOTHING)] if asked != stored else []


def _in_messages(asked: Sequence[str], stored: Sequence[str]) -> list[Difference]:
    return [
        Difference(f"messages[{place}]", _message(one), _message(other))
        for place, (one, other) in enumerate(zip_longest(asked, stored))
        if one != other
    ]


def _message(digest: str | None) -> str:
    """A kept message in words: `system, 1,024 characters (3f9a2c10…)`."""
    if digest is None:
        return NOTHING
    role, code, length = digest.split(" ")
    return f"{role}, {int(length):,} characters ({code})"
