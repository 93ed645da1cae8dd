"""Puts the pieces of a long conversation together again.

Splitters that cut a conversation into blocks name each piece after the index of its first turn. Two
pieces belong together when one ends where the next begins; with turns missing between them they stay
apart. Memory holds 32 bytes a piece; the pieces themselves wait in a temporary file until the last of
their conversation has come by.
"""

import hashlib
import tempfile
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import groupby
from typing import IO, TYPE_CHECKING

import msgspec

from curate.reader import Record, Reject

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Piece:
    """One piece of a conversation."""

    whole: tuple[str, ...]
    """What its siblings share: the id without the index, the model, the system prompt."""
    first_turn: int
    n_turns: int
    record_number: int


@dataclass(frozen=True, slots=True)
class Plan:
    """Which records of a file to put together."""

    record_numbers: "NDArray[np.int64]"
    """Of every piece that has a neighbour, ascending."""
    chains: "NDArray[np.int64]"
    """The conversation each belongs to."""
    places: "NDArray[np.int64]"
    """Its place in that conversation, from 0."""
    n_pieces: dict[int, int]
    """How many pieces each conversation has."""
    first_turns: dict[int, int]
    """With which turn each conversation begins."""
    n_gaps: int
    """How many conversations stay in more than one part."""

    def place_of(self, record_number: int) -> tuple[int, int] | None:
        """(conversation, place in it) of a record, or None if it stays as it is."""
        index = int(self.record_numbers.searchsorted(record_number))
        if index == len(self.record_numbers) or self.record_numbers[index] != record_number:
            return None
        return int(self.chains[index]), int(self.places[index])


def plan_of(pieces: Iterable[Piece | None]) -> Plan:
    """Which of PIECES follow each other without a gap."""
    import numpy as np

    columns = [array("q") for _ in range(4)]
    for piece in pieces:
        if piece is not None:
            row = (_key(piece.whole), piece.first_turn, piece.n_turns, piece.record_number)
            for column, value in zip(columns, row, strict=True):
                column.append(value)
    key, first_turn, _, record_number = (np.frombuffer(column, dtype=np.int64) for column in columns)
    order = np.lexsort((record_number, first_turn, key))
    rows = ((columns[0][i], columns[1][i], columns[2][i], columns[3][i]) for i in order.tolist())
    return _plan_of_sorted(rows)


def _key(whole: tuple[str, ...]) -> int:
    digest = hashlib.blake2b("\0".join(whole).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)


def _plan_of_sorted(rows: Iterator[tuple[int, int, int, int]]) -> Plan:
    import numpy as np

    members: list[tuple[int, int, int]] = []
    n_pieces: dict[int, int] = {}
    first_turns: dict[int, int] = {}
    n_gaps = 0
    for _, siblings in groupby(rows, key=lambda row: row[0]):
        chains = list(_chains(siblings))
        n_gaps += len(chains) > 1
        for chain in chains:
            if len(chain) > 1:
                number = len(n_pieces)
                n_pieces[number], first_turns[number] = len(chain), chain[0][0]
                members += [(record_number, number, place) for place, (_, record_number) in enumerate(chain)]
    table = np.array(sorted(members), dtype=np.int64).reshape(-1, 3)
    return Plan(table[:, 0].copy(), table[:, 1].copy(), table[:, 2].copy(), n_pieces, first_turns, n_gaps)


def _chains(siblings: Iterable[tuple[int, int, int, int]]) -> Iterator[list[tuple[int, int]]]:
    """Runs of (first turn, record number) in which each piece ends where the next begins."""
    chain: list[tuple[int, int]] = []
    expected = -1
    for _, first_turn, n_turns, record_number in siblings:
        if chain and first_turn != expected:
            yield chain
            chain = []
        chain.append((first_turn, record_number))
        expected = first_turn + n_turns
    if chain:
        yield chain


class _Waiting:
    """Pieces on disk, until their conversation is complete."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._places: dict[int, dict[int, tuple[int, int]]] = {}

    def add(self, chain: int, place: int, piece: tuple[Record, int]) -> int:
        """Keep a piece; returns how many of its conversation are here."""
        encoded = msgspec.msgpack.encode(piece)
        start = self._file.seek(0, 2)
        self._file.write(encoded)
        waiting = self._places.setdefault(chain, {})
        waiting[place] = (start, len(encoded))
        return len(waiting)

    def take(self, chain: int) -> list[tuple[Record, int]]:
        """The pieces of a conversation, in order."""
        return [self._load(*where) for _, where in sorted(self._places.pop(chain).items())]

    def _load(self, start: int, length: int) -> tuple[Record, int]:
        self._file.seek(start)
        return msgspec.msgpack.decode(self._file.read(length), type=tuple[Record, int])


def joined(items: Iterable[tuple[Record | Reject, int]], plan: Plan) -> Iterator[Record | Reject]:
    """ITEMS with the pieces PLAN names put together, each where its last piece stood.

    An item is a record with the number of messages before its turns.
    """
    with tempfile.TemporaryFile() as file:
        waiting = _Waiting(file)
        for item, preamble in items:
            place = None if isinstance(item, Reject) else plan.place_of(item.record_number)
            if place is None or isinstance(item, Reject):
                yield item
            elif waiting.add(*place, (item, preamble)) == plan.n_pieces[place[0]]:
                yield _whole(waiting.take(place[0]), plan.first_turns[place[0]])


def _whole(parts: list[tuple[Record, int]], first_turn: int) -> Record:
    """One record from pieces that follow each other; a system prompt they share is kept once."""
    first, _ = parts[0]
    later = tuple(message for part, preamble in parts[1:] for message in part.messages[preamble:])
    base = first.external_id.rpartition("_")[0]
    return replace(
        first,
        external_id=base if first_turn == 0 else first.external_id,
        messages=first.messages + later,
        record_numbers=tuple(part.record_number for part, _ in parts),
    )
