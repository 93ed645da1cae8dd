"""Blind judging line by line, for screen readers and scripts: the same pairs, the same keys, no screen."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

from tui.blind import BlindPair, Vote, shown_text_hash
from tui.review_data import PairTexts, ReviewData
from tui.text import clean

KEYS = "u A acceptable, i A not, j B acceptable, k B not, s skip, z undo, q quit"
ACCEPT = {"u": ("a", True), "i": ("a", False), "j": ("b", True), "k": ("b", False)}

Say = Callable[[str], object]


@dataclass
class Session:
    """A person at a terminal without a screen."""

    data: ReviewData
    say: Say
    keys: Iterator[str]
    history: list[tuple[int, Vote | None]] = field(default_factory=list)
    revealed: set[str] = field(default_factory=set)

    @property
    def keys_said(self) -> str:
        """What the keys do."""
        return f"{KEYS}. {'. '.join(self.data.protocol.key_lines)}"

    def pair(self, pair: BlindPair) -> BlindPair:
        """The pair, knowing whether its authors were shown in this session."""
        return replace(pair, was_revealed=pair.was_revealed or pair.comparison_id in self.revealed)


def judge_plainly(data: ReviewData, lines: Iterable[str], say: Say) -> int:
    """Ask about each pair of the queue until the lines or the pairs end; returns how many votes stand.

    Each line holds keys, such as `uk1`: A acceptable, B not, A clearly better.
    """
    data.prepare_to_save()
    pairs = data.queue()
    session = Session(data, say, (key for line in lines for key in line.strip()))
    say(f"{len(pairs)} pairs to judge. {session.keys_said}")
    position: int | None = 0
    while position is not None:
        position = _judge(session, pairs, position) if position < len(pairs) else _end(session, pairs)
    return sum(vote is not None for _, vote in session.history)


def _end(session: Session, pairs: list[BlindPair]) -> int | None:
    """The queue is empty; the last vote may still be taken back."""
    session.say("no pair is left; z takes the last one back, any other key ends")
    is_undo = next(session.keys, "q") == "z" and bool(session.history)
    return _undo(session, pairs, len(pairs)) if is_undo else None


def _judge(session: Session, pairs: list[BlindPair], position: int) -> int | None:
    """Judge one pair; returns the position to go on with, or None to stop."""
    pair = session.pair(pairs[position])
    texts = session.data.pair_texts(pair)
    _show(session.say, texts, f"Pair {position + 1} of {len(pairs)}")
    acceptable: dict[str, bool | None] = {"a": None, "b": None}
    started = time.monotonic()
    for key in session.keys:
        if key in ACCEPT:
            side, is_acceptable = ACCEPT[key]
            acceptable[side] = is_acceptable
        elif key.isascii() and key.isdigit() and int(key) in pair.protocol.choices:
            vote = _vote_of(pair, texts, int(key), acceptable, time.monotonic() - started)
            _save(session, position, vote)
            return position + 1
        elif key == "s":
            session.data.mark(pair, "skip")
            session.history.append((position, None))
            return position + 1
        elif key == "z":
            return _undo(session, pairs, position)
        elif key == "q":
            return None
        else:
            session.say(f"no key {clean(key)!r}. {session.keys_said}")
    return None


def _show(say: Say, texts: PairTexts, heading: str) -> None:
    say(f"\n=== {heading}")
    for turn in texts.prompt:
        say(f"--- {turn.role}\n{clean(turn.content)}")
    say(f"--- answer A\n{clean(texts.text_a)}")
    say(f"--- answer B\n{clean(texts.text_b)}")
    say("--- your keys:")


def _vote_of(
    pair: BlindPair, texts: PairTexts, step: int, acceptable: dict[str, bool | None], seconds: float
) -> Vote:
    prompt = [(turn.role, turn.content) for turn in texts.prompt]
    return Vote(
        pair=pair,
        choice=pair.protocol.choices[step],
        acceptable_a=acceptable["a"],
        acceptable_b=acceptable["b"],
        comment="",
        seconds=seconds,
        shown_text_hash=shown_text_hash(prompt, texts.text_a, texts.text_b),
    )


def _save(session: Session, position: int, vote: Vote) -> None:
    session.data.vote(vote)
    session.history.append((position, vote))
    session.revealed.add(vote.pair.comparison_id)
    authors = session.data.pair_authors(vote.pair)
    session.say(
        f"saved: {vote.choice.words}. A: {clean(authors.author_a)}. B: {clean(authors.author_b)}. {authors.standing}"
    )


def _undo(session: Session, pairs: list[BlindPair], position: int) -> int:
    """Take the last vote or skip back; returns its position, or POSITION if there is none."""
    if not session.history:
        session.say("nothing to undo")
        return position
    position, vote = session.history.pop()
    if vote is None:
        session.data.mark(pairs[position], "unskip")
    else:
        session.data.undo_vote(vote)
    session.say("undone; judge it again")
    return position
