"""The part of a file that goes into the store in one write turn.

Messages are hashed as they come and repeats inside the piece are left out. A piece is written in whole
row groups: DuckDB compresses a row group that is filled later once more, which costs a third of the
speed. Messages beyond the last whole group wait for the next piece, and so do the conversations they
belong to.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from operator import itemgetter
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from curate.ingesting.known_ids import KnownIds, Occurrences, uuid_array
from curate.reader import Record, Reject
from store.ids import ROOT, conversation_digest
from store.rows import ROLES

ROLE_BYTES: dict[str, bytes] = {role: role.encode() + b"\0" for role in ROLES}
Turns = Sequence[tuple[str, str]]
"""(role, content), one after the other."""
BLANK = blake2b(digest_size=16, person=b"pref.m1")
"""The hash of a message before its first byte."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A record with the ids of its messages, and without their text."""

    record: Record
    path: list[bytes]
    last_new: int
    """How many new messages had been met when it was complete."""


@dataclass(frozen=True, slots=True)
class Numbered:
    """A record with its conversation's id."""

    kept: Kept
    conversation_id: bytes
    occurrence: int


class Piece:
    """Messages and conversations on their way into the store."""

    def __init__(self) -> None:
        self.ids: list[bytes] = []
        self.rejects: list[Reject] = []
        self.n_bytes = 0
        self._parents: list[bytes] = []
        self._roles: list[str] = []
        self._contents: list[bytes] = []
        self._depths: list[int] = []
        self._seen: set[bytes] = set()
        self._kept: list[Kept] = []
        self._numbered: list[Numbered] = []
        self._doubts: list[NDArray[np.bool_]] = []
        self._n_screened = 0
        self._n_doubtful = 0

    def add(self, record: Record) -> list[bytes]:
        """Take in a record and its messages; returns their ids."""
        path = self.add_messages(record.messages)
        self._kept.append(Kept(_without_messages(record), path, len(self.ids)))
        return path

    def add_messages(self, messages: Turns, parent: bytes = ROOT, depth: int = 0) -> list[bytes]:
        """Hash the messages that follow one another from PARENT on, the first at DEPTH; returns their ids.

        The canonical form is `store.ids.message_digest`, written out for speed.
        """
        path: list[bytes] = []
        seen, ids, parents, roles = self._seen, self.ids, self._parents, self._roles
        contents, depths, blank = self._contents, self._depths, BLANK.copy
        for role, text in messages:
            content = text.encode()
            hasher = blank()
            hasher.update(b"".join((parent, ROLE_BYTES[role], content)))
            digest = hasher.digest()
            if digest not in seen:
                seen.add(digest)
                ids.append(digest)
                parents.append(parent)
                roles.append(role)
                contents.append(content)
                depths.append(depth + len(path))
                self.n_bytes += len(content)
            path.append(digest)
            parent = digest
        return path

    def keep(self, record: Record, path: list[bytes]) -> None:
        """Take in a record without its messages, whose ids PATH gives."""
        self._kept.append(Kept(record, path, len(self.ids)))

    def n_unsettled(self) -> int:
        """How many messages may be new: those not looked at yet, and those certainly new."""
        return len(self.ids) - self._n_doubtful

    def screen(self, known: KnownIds) -> int:
        """Doubt the messages that KNOWN may hold; returns how many are certainly new."""
        fresh = self.ids[self._n_screened :]
        if fresh:
            doubts = known.doubtful(fresh)
            self._doubts.append(doubts)
            self._n_screened = len(self.ids)
            self._n_doubtful += int(doubts.sum())
        return self.n_unsettled()

    def screen_again(self, known: KnownIds) -> None:
        """Forget all doubts and screen the whole piece, after others have written."""
        self._doubts, self._n_screened, self._n_doubtful = [], 0, 0
        self.screen(known)

    def doubtful(self) -> list[bytes]:
        """The ids that must be looked up in the store."""
        return [self.ids[index] for index in np.flatnonzero(self._doubt()).tolist()]

    def _doubt(self) -> NDArray[np.bool_]:
        return np.concatenate(self._doubts) if self._doubts else np.zeros(0, dtype=np.bool_)

    def new_messages(self, stored: set[bytes]) -> list[int]:
        """The places of the messages that are not STORED."""
        is_new = np.ones(len(self.ids), dtype=np.bool_)
        if stored:
            for index in np.flatnonzero(self._doubt()).tolist():
                is_new[index] = self.ids[index] not in stored
        places: list[int] = np.flatnonzero(is_new).tolist()
        return places

    def message_table(self, places: Sequence[int]) -> pa.Table:
        """The messages at PLACES (ascending), as rows for the store."""

        first, last = (places[0], places[-1] + 1) if places else (0, 0)
        pick = itemgetter(*places) if last - first > len(places) else None

        def chosen(values: list[Any]) -> Sequence[Any]:
            picked: Sequence[Any] = values[first:last] if pick is None else pick(values)
            return picked

        return pa.table(
            {
                "message_id": uuid_array(chosen(self.ids)),
                "parent_id": nullable_uuid_array(chosen(self._parents)),
                "role": pa.array(chosen(self._roles), pa.string()),
                "content": _text_array(chosen(self._contents)),
                "depth": pa.array(chosen(self._depths), pa.int32()),
            }
        )

    def conversations(self, reader: str, occurrences: Occurrences) -> list[Numbered]:
        """Every conversation of the piece, with its id."""
        kept, self._kept = self._kept, []
        firsts = [_conversation_id(reader, one, 0) for one in kept]
        numbers = occurrences.number(firsts)
        self._numbered += [
            Numbered(one, first if number == 0 else _conversation_id(reader, one, number), number)
            for one, first, number in zip(kept, firsts, numbers, strict=True)
        ]
        return self._numbered

    def rest_after(self, place: int) -> "Piece":
        """What stays for the next turn once the messages before PLACE are settled."""
        rest = Piece()
        rest.ids = self.ids[place:]
        rest._parents = self._parents[place:]
        rest._roles = self._roles[place:]
        rest._contents = self._contents[place:]
        rest._depths = self._depths[place:]
        rest._seen = set(rest.ids)
        rest.n_bytes = sum(map(len, rest._contents))
        rest._numbered = [_moved(one, place) for one in self._numbered if one.kept.last_new > place]
        return rest


def _moved(one: Numbered, place: int) -> Numbered:
    kept = Kept(one.kept.record, one.kept.path, one.kept.last_new - place)
    return Numbered(kept, one.conversation_id, one.occurrence)


def _without_messages(record: Record) -> Record:
    """The record without its texts, which would otherwise be held twice."""
    return Record(
        record.record_number,
        record.line,
        record.byte_offset,
        record.external_id,
        (),
        record.model,
        record.source_class,
        record.language,
        record.metadata,
        record.record_numbers,
    )


def _conversation_id(reader: str, kept: Kept, occurrence: int) -> bytes:
    record = kept.record
    return conversation_digest(reader, record.external_id, kept.path[-1], record.model, occurrence)


def nullable_uuid_array(ids: Sequence[bytes]) -> pa.Array:
    """Ids as Arrow UUIDs, the root as NULL."""
    is_valid = np.packbits(np.array([id_ != ROOT for id_ in ids], dtype=np.bool_), bitorder="little")
    buffers = [pa.py_buffer(is_valid.tobytes()), pa.py_buffer(b"".join(ids))]
    storage = pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), len(ids), buffers)
    return pa.ExtensionArray.from_storage(pa.uuid(), storage)


def _text_array(contents: Sequence[bytes]) -> pa.Array:
    """UTF-8 as Arrow text, without decoding it: it was encoded to be hashed."""
    lengths = np.fromiter(map(len, contents), dtype=np.int32, count=len(contents))
    offsets = np.zeros(len(contents) + 1, dtype=np.int32)
    np.cumsum(lengths, out=offsets[1:])
    return pa.StringArray.from_buffers(len(contents), pa.py_buffer(offsets), pa.py_buffer(b"".join(contents)))


def conversation_table(
    numbered: Sequence[Numbered], source_id: bytes, reader: str, source_class: str | None
) -> pa.Table:
    """Conversations as rows for the store."""
    records = [one.kept.record for one in numbered]
    paths = [one.kept.path for one in numbered]
    offsets = np.cumsum([0, *(len(path) for path in paths)], dtype=np.int32)
    ids = uuid_array([id_ for path in paths for id_ in path])
    return pa.table(
        {
            "conversation_id": uuid_array([one.conversation_id for one in numbered]),
            "leaf_id": uuid_array([path[-1] for path in paths]),
            "message_ids": pa.ListArray.from_arrays(pa.array(offsets), ids),
            "source_id": uuid_array([source_id] * len(numbered)),
            "record_numbers": pa.array(
                [list(record.record_numbers) for record in records], pa.list_(pa.int64())
            ),
            "line": pa.array([record.line for record in records], pa.int64()),
            "byte_offset": pa.array([record.byte_offset for record in records], pa.int64()),
            "reader": pa.array([reader] * len(numbered), pa.string()),
            "external_id": pa.array([record.external_id for record in records], pa.string()),
            "model": pa.array([record.model for record in records], pa.string()),
            "occurrence": pa.array([one.occurrence for one in numbered], pa.int32()),
            "source_class": pa.array(
                [source_class or record.source_class for record in records], pa.string()
            ),
            "language": pa.array([record.language for record in records], pa.string()),
            "metadata": pa.array([record.metadata for record in records], pa.string()),
        }
    )
