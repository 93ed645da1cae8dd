"""Cutting one conversation into blocks of at most so many tokens: which turn, or which piece of one, goes where.

Whole rounds (a user's turn and all up to the next) as many as fit make a block. A round that fits in none is
laid out turn by turn, each block behind the question it belongs to, the end of the question where it is long.
A turn that is too long for a block even so is cut between tokens.
"""

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Protocol

from store.errors import RequestError

Turn = tuple[str, str]
"""(role, content)."""

QUESTION_TOKENS = 16
"""Of a long question at least so much is repeated before an answer that fits in a block with it."""
CUTS_TRIED = 32
"""How far to look back for a place where both sides are the tokens they were."""
WINDOW = 200
"""Characters on either side of a cut that decide how it is tokenised."""


class Sizer(Protocol):
    """Counts as the trainer will."""

    def size(self, turns: Sequence[Turn]) -> int:
        """The tokens of a conversation with its template."""
        ...

    def counts(self, texts: Sequence[str]) -> list[int]:
        """The tokens of texts by themselves."""
        ...

    def ends(self, text: str) -> list[int]:
        """Where the tokens of TEXT end, in characters."""
        ...


class NoRoom(RequestError):
    """A block is too small for what every block has to hold."""


@dataclass(frozen=True, slots=True)
class Part:
    """A turn or a piece of it: its characters from START to END."""

    position: int
    """Of the turn, from 0."""
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Block:
    """What one block holds, in its order."""

    repeated: tuple[Part, ...]
    """Stands in an earlier block, too: the system's turn, and the question an answer belongs to."""
    own: tuple[Part, ...]

    def turns(self, turns: Sequence[Turn]) -> tuple[Turn, ...]:
        """The block as a conversation."""
        return tuple(
            (turns[part.position][0], turns[part.position][1][part.start : part.end])
            for part in (*self.repeated, *self.own)
        )


def cut(turns: Sequence[Turn], sizer: Sizer, limit: int) -> list[Block]:
    """Blocks of at most LIMIT tokens that hold TURNS, every character once beside what is repeated.

    Raises NoRoom if a block has no room for more than the system's turn.
    """
    return _Cutter(turns, sizer, limit).cut()


class _Cutter:
    """One conversation on its way into blocks."""

    def __init__(self, turns: Sequence[Turn], sizer: Sizer, limit: int) -> None:
        self._turns = turns
        self._sizer = sizer
        self._limit = limit
        self._blocks: list[Block] = []
        n_system = next((i for i, (role, _) in enumerate(turns) if role != "system"), len(turns))
        self._system = tuple(self._whole(i) for i in range(n_system))
        self._rounds = self._rounds_from(n_system)

    def cut(self) -> list[Block]:
        """All blocks."""
        if self._system and self._size(self._system) > self._limit // 2:
            raise NoRoom("the system's turn takes more than half of a block")
        weights = self._weights()
        reached = [0, *accumulate(weights)]
        first = 0
        while first < len(self._rounds):
            last = self._reach(first, reached)
            if last == first:
                self._lay_out(*self._rounds[first])
                last = first + 1
            else:
                own = range(self._rounds[first][0], self._rounds[last - 1][1])
                self._emit(self._system, [self._whole(i) for i in own])
            first = last
        return self._blocks

    def _rounds_from(self, start: int) -> list[tuple[int, int]]:
        """(first turn, past the last) of each round; the first may begin with an answer, where the talk does."""
        begins = [start] + [i for i in range(start + 1, len(self._turns)) if self._turns[i][0] == "user"]
        return list(zip(begins, [*begins[1:], len(self._turns)], strict=True)) if self._turns[start:] else []

    def _weights(self) -> list[float]:
        """About how many tokens each round takes: a guess that saves most tries."""
        counts = self._sizer.counts([content for _, content in self._turns])
        each = max(0.0, self._sizer.size(self._turns) - sum(counts)) / len(self._turns)
        return [sum(counts[i] + each for i in range(*bounds)) for bounds in self._rounds]

    def _reach(self, first: int, reached: Sequence[float]) -> int:
        """Past the last of the rounds from FIRST on that fit in a block together."""
        room = self._limit - sum(self._sizer.counts([self._text(part) for part in self._system]))
        last = first + 1
        while last < len(self._rounds) and reached[last + 1] - reached[first] <= room:
            last += 1

        def fits(past: int) -> bool:
            own = range(self._rounds[first][0], self._rounds[past - 1][1])
            return self._fits([*self._system, *(self._whole(i) for i in own)])

        if fits(last):
            while last < len(self._rounds) and fits(last + 1):
                last += 1
            return last
        while last > first and not fits(last):
            last -= 1
            if last == first:
                return first
        return last

    def _lay_out(self, first: int, past: int) -> None:
        """Blocks of one round that is too long for one."""
        question = self._whole(first) if self._turns[first][0] == "user" else None
        head, own = self._system, list[Part]()
        for position in range(first, past):
            turn = self._whole(position)
            if self._fits([*head, *own, turn]):
                own.append(turn)
                continue
            behind = self._behind(question, turn) if own and position != first else None
            if behind is not None:
                self._emit(head, own)
                head, own = behind, [turn]
                continue
            asked = None if position == first else question
            head, own = self._in_pieces(turn, head, own, asked)
        self._emit(head, own)

    def _behind(self, question: Part | None, turn: Part) -> tuple[Part, ...] | None:
        """What a new block begins with so that TURN fits in whole; None if it does not."""
        if not self._fits([*self._system, turn]):
            return None
        if question is None:
            return self._system
        tail = self._tail(
            question,
            QUESTION_TOKENS,
            self._limit - self._size([*self._system, turn]),
            lambda part: self._fits([*self._system, part, turn]),
        )
        return None if tail is None else (*self._system, tail)

    def _again(self, question: Part | None) -> tuple[Part, ...]:
        """What every further piece of an answer stands behind: a quarter of the block is for its question."""
        if question is None:
            return self._system
        used = self._size(self._system) if self._system else 0
        room = used + self._limit // 4

        def fits(part: Part) -> bool:
            return self._size([*self._system, part]) <= room

        tail = self._tail(question, 1, self._limit // 4, fits)
        if tail is not None:
            return (*self._system, tail)
        raise NoRoom("a block has no room for a single token of the question")

    def _tail(self, question: Part, least: int, room: int, fits: Callable[[Part], bool]) -> Part | None:
        """The longest end of QUESTION that fits, whole if it can be.

        None if it is less than half of the question and has less than LEAST tokens.
        """
        if fits(question):
            return question
        starts = self._places(question)[::-1]

        def holds(count: int) -> bool:
            return fits(Part(question.position, starts[count - 1], question.end))

        held = _last_true(0, len(starts), min(len(starts), room), holds)
        if held < max(1, min(least, len(starts) // 2)):
            return None
        return Part(question.position, starts[held - 1], question.end)

    def _in_pieces(
        self, turn: Part, head: tuple[Part, ...], own: list[Part], question: Part | None
    ) -> tuple[tuple[Part, ...], list[Part]]:
        """Emit TURN in pieces, the first behind what OWN holds if that leaves room; what is still open."""
        again = self._again(question)
        if own and self._size([*head, *own]) > self._limit - self._limit // 4:
            self._emit(head, own)
            head, own = again, []
        places = self._places(turn)
        rest, done = turn, 0
        while len(places) - done > self._limit or not self._fits([*head, *own, rest]):
            past = self._pieces_end(rest, [*head, *own], places, done)
            piece = Part(turn.position, rest.start, places[past - 1])
            self._emit(head, [*own, piece])
            head, own = again, []
            rest, done = Part(turn.position, piece.end, turn.end), past
        return head, [*own, rest]

    def _places(self, turn: Part) -> list[int]:
        """Where TURN may be cut: between its tokens, letters kept with their accents."""
        ends = [end for end in self._sizer.ends(self._text(turn)) if not self._joins(turn, end)]
        return [turn.start + end for end in ends if 0 < end < turn.end - turn.start]

    def _pieces_end(self, rest: Part, before: Sequence[Part], places: Sequence[int], done: int) -> int:
        """How many of PLACES, DONE of them before it, are in the longest beginning of REST that fits behind BEFORE.

        If it can be, the tokens on both sides of the cut stay as they are.
        """

        def fits(past: int) -> bool:
            return self._fits([*before, Part(rest.position, rest.start, places[past - 1])])

        room = self._limit - (self._size(before) if before else 0)
        most = _last_true(done, len(places), done + max(1, room), fits)
        if most == done:
            raise NoRoom("a block has no room for a single token more")
        tried = range(most, max(done, most - CUTS_TRIED), -1)
        return next((past for past in tried if self._is_clean(rest, places[past - 1]) and fits(past)), most)

    def _is_clean(self, turn: Part, place: int) -> bool:
        """Whether a cut at PLACE leaves as many tokens as there were."""
        text = self._turns[turn.position][1]
        left, right = (
            text[max(turn.start, place - WINDOW) : place],
            text[place : min(turn.end, place + WINDOW)],
        )
        both, *sides = self._sizer.counts([left + right, left, right])
        return sum(sides) == both

    def _joins(self, turn: Part, end: int) -> bool:
        """Whether a cut there would part a letter from its accents, or an emoji from its own pieces."""
        text = self._turns[turn.position][1]
        place = turn.start + end
        if not 0 < place < len(text):
            return False
        after, before = text[place], text[place - 1]
        return bool(unicodedata.combining(after)) or after in "\u200d\ufe0f" or before == "\u200d"

    def _whole(self, position: int) -> Part:
        return Part(position, 0, len(self._turns[position][1]))

    def _text(self, part: Part) -> str:
        return self._turns[part.position][1][part.start : part.end]

    def _size(self, parts: Sequence[Part]) -> int:
        return self._sizer.size([(self._turns[part.position][0], self._text(part)) for part in parts])

    def _fits(self, parts: Sequence[Part]) -> bool:
        return self._size(parts) <= self._limit

    def _emit(self, head: tuple[Part, ...], own: Sequence[Part]) -> None:
        if self._blocks:
            self._blocks.append(Block(head, tuple(own)))
        else:
            self._blocks.append(Block((), (*head, *own)))


def _last_true(low: int, high: int, guess: int, holds: Callable[[int], bool]) -> int:
    """The last place above LOW, up to HIGH, for which HOLDS, which holds for all before it; LOW if for none.

    Few are tried if GUESS is near.
    """
    step = 1
    at = min(max(guess, low + 1), high)
    while low < high:
        if holds(at):
            low = at
            at = min(high, at + step)
        else:
            high = at - 1
            at = max(low + 1, at - step)
        step *= 2
        if not low < at <= high:
            at = (low + high + 1) // 2
    return low
