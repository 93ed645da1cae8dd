"""Whether texts hold what stands in evaluation sets: word for word, nearly, or in other words.

Each index is made of the sets' items once and looks at texts a piece at a time. A run of 13 words (GPT-3, Brown
et al. 2020, appendix C) is found by its hash: a table of bits says of nearly every run that no item has it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import pyarrow as pa

from curate.contamination.items import Item
from curate.duplicates.near import N_BANDS, band_hashes, min_hashes
from curate.shingles import (
    WORD_FACTOR,
    Hashes,
    Places,
    Words,
    grams_of,
    jaccard,
    mixed,
    text_buffer,
    words_of,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from curate.encoder import Encoder
    from curate.part_texts import TextPiece

NEAR_WORDS = 5
NEAR_MIN_WORDS = 8
"""Shorter texts are alike too easily."""


@dataclass(frozen=True, slots=True)
class Found:
    """What one message has of one item."""

    conversation: int
    """Place in the piece."""
    message: int
    """Place among the piece's messages."""
    begin: int
    """In bytes of the message."""
    end: int
    item: int
    method: str
    score: float
    """Words in a row; a Jaccard index; a cosine."""


class Index(Protocol):
    """A way to find items in texts."""

    def find(self, piece: "TextPiece", words: Words) -> Iterator[Found]:
        """What the texts of PIECE, whose words by message are WORDS, have of the items."""
        ...


def words_by_message(piece: "TextPiece") -> Words:
    """The words of a piece, each message a text of its own."""
    return words_of(piece.data, piece.cuts, np.arange(len(piece.cuts)))


def words_of_texts(texts: Sequence[str]) -> Words:
    """The words of some texts."""
    data, cuts = text_buffer(pa.array(texts, pa.large_string()))
    return words_of(data, cuts, np.arange(len(cuts)))


class HashTable:
    """Hashes and what each belongs to; a table of bits, far larger, spares looking most of them up."""

    def __init__(self, hashes: Hashes, owners: Places) -> None:
        """HASHES are ascending, and may repeat."""
        self.hashes, self.owners = hashes, owners
        bits = max(10, int(16 * len(hashes)).bit_length())
        self._shift = np.uint64(64 - bits)
        self._is_held = np.zeros(1 << bits, dtype=np.bool_)
        self._is_held[hashes >> self._shift] = True

    def places(self, asked: Hashes) -> tuple[Places, Places]:
        """(place in ASKED, first place among the hashes) of each that is held."""
        likely = np.flatnonzero(self._is_held[asked >> self._shift])
        if not len(likely):
            return likely, likely
        at = np.minimum(np.searchsorted(self.hashes, asked[likely]), len(self.hashes) - 1)
        is_hit = self.hashes[at] == asked[likely]
        return likely[is_hit], at[is_hit]


class GramIndex:
    """Runs of SIZE words; of a text of fewer words, but MIN_WORDS, all of it."""

    def __init__(self, items: Sequence[Item], size: int, min_words: int, max_items: int) -> None:
        """A run that stands in more than MAX_ITEMS items is a set's own phrase and counts for none."""
        self.size, self.min_words = size, min_words
        texts = [text for item in items for text in item.texts]
        owners = np.repeat(np.arange(len(items)), [len(item.texts) for item in items])
        words = words_of_texts(texts)
        self.tables = {
            length: HashTable(*_rare(hashes, owner, max_items))
            for length, hashes, owner in _runs_of(words, owners, size, min_words)
            if len(hashes)
        }

    def allow(self, spans: Sequence[str]) -> None:
        """Take the runs of SPANS out."""
        if not spans:
            return
        words = words_of_texts(spans)
        for length, hashes in _all_runs(words.hashes, self.min_words, self.size):
            if length in self.tables:
                table = self.tables[length]
                rest = ~np.isin(table.hashes, hashes[_inside(words, length)])
                self.tables[length] = HashTable(table.hashes[rest], table.owners[rest])

    def find(self, piece: "TextPiece", words: Words) -> Iterator[Found]:
        """Runs that follow each other in one item are one find."""
        places, lengths, owners = self._hits(words)
        order = np.lexsort((places, owners))
        last: list[int] = []
        for place, length, owner in zip(
            places[order].tolist(), lengths[order].tolist(), owners[order].tolist(), strict=True
        ):
            if last and last[2] == owner and place <= last[1] and self._same_message(words, last[0], place):
                last[1] = max(last[1], place + length)
                continue
            if last:
                yield self._found(piece, words, last)
            last = [place, place + length, owner]
        if last:
            yield self._found(piece, words, last)

    def _hits(self, words: Words) -> tuple[Places, Places, Places]:
        """First word, number of words and item of each run of an item."""
        nothing = np.zeros(0, dtype=np.int64)
        hits = [(nothing, nothing, nothing)]
        for length, runs in _all_runs(words.hashes, self.min_words, self.size):
            if length not in self.tables:
                continue
            table = self.tables[length]
            places, at = table.places(runs)
            text = np.searchsorted(words.bounds, places, side="right") - 1
            is_inside = words.bounds[text + 1] - places >= length
            hits.append(
                (places[is_inside], np.full(int(is_inside.sum()), length), table.owners[at[is_inside]])
            )
        firsts, lengths, owners = (np.concatenate(part) for part in zip(*hits, strict=True))
        return firsts, lengths, owners

    @staticmethod
    def _same_message(words: Words, one: int, other: int) -> bool:
        places = np.searchsorted(words.bounds, [one, other], side="right")
        return bool(places[0] == places[1])

    @staticmethod
    def _found(piece: "TextPiece", words: Words, span: Sequence[int]) -> Found:
        first, last, owner = span
        message = int(np.searchsorted(words.bounds, first, side="right")) - 1
        conversation = int(np.searchsorted(piece.bounds, message, side="right")) - 1
        offset = int(piece.cuts[message])
        begin, end = int(words.starts[first]) - offset, int(words.ends[last - 1]) - offset
        return Found(conversation, message, begin, end, owner, "ngram", float(last - first))


def _all_runs(words: Hashes, least: int, most: int) -> Iterator[tuple[int, Hashes]]:
    """(length, hash of the run that begins at each word) for each length; a longer one goes on from a shorter."""
    runs = np.zeros(len(words), dtype=np.uint64)
    for length in range(1, most + 1):
        runs = runs[: max(len(words) - length + 1, 0)]
        runs *= np.uint64(WORD_FACTOR)
        runs += words[length - 1 :]
        if length >= least:
            yield length, mixed(runs + np.uint64(length))


def _inside(words: Words, length: int) -> "NDArray[np.bool_]":
    """For each run of LENGTH words, whether it lies in one text."""
    firsts = np.arange(max(len(words.hashes) - length + 1, 0))
    text = np.searchsorted(words.bounds, firsts, side="right") - 1
    is_inside: NDArray[np.bool_] = words.bounds[text + 1] - firsts >= length
    return is_inside


def _runs_of(words: Words, owners: Places, size: int, least: int) -> Iterator[tuple[int, Hashes, Places]]:
    """By length the runs of some texts that an index holds, and the owner of each one's text."""
    counts = np.diff(words.bounds)
    text = np.repeat(np.arange(len(counts)), counts)
    for length, runs in _all_runs(words.hashes, least, size):
        wanted = np.flatnonzero(_inside(words, length))
        if length < size:
            wanted = wanted[counts[text[wanted]] == length]
        yield length, runs[wanted], owners[text[wanted]]


def _rare(hashes: Hashes, owners: Places, max_items: int) -> tuple[Hashes, Places]:
    """Each hash once, with its first owner, less those of more than MAX_ITEMS owners."""
    order = np.lexsort((owners, hashes))
    hashes, owners = hashes[order], owners[order]
    is_new = np.ones(len(hashes), dtype=np.bool_)
    is_new[1:] = (hashes[1:] != hashes[:-1]) | (owners[1:] != owners[:-1])
    hashes, owners = hashes[is_new], owners[is_new]
    is_first = np.ones(len(hashes), dtype=np.bool_)
    is_first[1:] = hashes[1:] != hashes[:-1]
    starts = np.flatnonzero(is_first)
    is_rare = np.diff(np.append(starts, len(hashes))) <= max_items
    return hashes[starts][is_rare], owners[starts][is_rare]


class NearIndex:
    """A Jaccard index of runs of five words between a message and a text of an item, from THRESHOLD on."""

    def __init__(self, items: Sequence[Item], threshold: float) -> None:
        self.threshold = threshold
        texts = [text for item in items for text in item.texts]
        owners = np.repeat(np.arange(len(items)), [len(item.texts) for item in items])
        words = words_of_texts(texts)
        self.asked = np.flatnonzero(np.diff(words.bounds) >= NEAR_MIN_WORDS)
        self.owners = owners[self.asked]
        grams = grams_of(words, NEAR_WORDS)
        self.sets = [grams.of(int(i)) for i in self.asked]
        bands = band_hashes(min_hashes(grams.hashes, grams.bounds)[self.asked])
        places = np.repeat(np.arange(len(self.asked)), bands.shape[1])
        order = np.argsort(bands.ravel(), kind="stable")
        self.table = HashTable(bands.ravel()[order], places[order])

    def find(self, piece: "TextPiece", words: Words) -> Iterator[Found]:
        """Messages that share a band with an item's text, compared in full."""
        long = np.flatnonzero(np.diff(words.bounds) >= NEAR_MIN_WORDS)
        if not len(long) or not len(self.asked):
            return
        grams = grams_of(words, NEAR_WORDS)
        bands = band_hashes(min_hashes(grams.hashes, grams.bounds)[long]).ravel()
        held, low = self.table.places(bands)
        high = np.searchsorted(self.table.hashes, bands[held], side="right")
        pairs = {
            (message, place)
            for message, first, last in zip(
                long[held // N_BANDS].tolist(), low.tolist(), high.tolist(), strict=True
            )
            for place in self.table.owners[first:last].tolist()
        }
        for message, place in sorted(pairs):
            score = jaccard(grams.of(message), self.sets[place])
            if score >= self.threshold:
                yield whole(piece, message, int(self.owners[place]), "near", score)


class MeaningIndex:
    """A cosine of an encoder's vectors between a message and a text of an item, from THRESHOLD on."""

    def __init__(self, items: Sequence[Item], encoder: "Encoder", threshold: float) -> None:
        self.encoder, self.threshold = encoder, threshold
        pairs = [(owner, text) for owner, item in enumerate(items) for text in item.texts]
        counts = np.diff(words_of_texts([text for _, text in pairs]).bounds)
        asked = [pair for pair, count in zip(pairs, counts, strict=True) if count >= NEAR_MIN_WORDS]
        self.owners = [owner for owner, _ in asked]
        self.vectors = encoder.encode([text for _, text in asked])

    def find(self, piece: "TextPiece", words: Words) -> Iterator[Found]:
        """For each message the nearest text."""
        long = np.flatnonzero(np.diff(words.bounds) >= NEAR_MIN_WORDS)
        if not len(long) or not len(self.owners):
            return
        texts = [piece.message(int(i)) for i in long]
        cosines: NDArray[np.float32] = self.encoder.encode(texts) @ self.vectors.T
        best = cosines.argmax(axis=1)
        for row in np.flatnonzero(cosines.max(axis=1) >= self.threshold).tolist():
            score = min(float(cosines[row, best[row]]), 1.0)
            yield whole(piece, int(long[row]), self.owners[int(best[row])], "embedding", score)


def whole(piece: "TextPiece", message: int, item: int, method: str, score: float) -> Found:
    """A find that is all of a message."""
    conversation = int(np.searchsorted(piece.bounds, message, side="right")) - 1
    length = int(piece.cuts[message + 1] - piece.cuts[message])
    return Found(conversation, message, 0, length, item, method, score)
