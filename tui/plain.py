"""Blind judging line by line, for screen readers and scripts: the same pairs, the same keys, no screen."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from tui.judging.blind import Act, BlindPair
from tui.judging.session import Judging, save_act, save_undo
from tui.review_data import PairTexts, ReviewData
from tui.text import clean

KEYS = (
    "u A acceptable, i A not, j B acceptable, k B not, s skip, f flag, c TEXT comment, v guidelines,"
    " z undo, r redo, q quit"
)
ACCEPT = {"u": ("a", True), "i": ("a", False), "j": ("b", True), "k": ("b", False)}

Say = Callable[[str], object]


@dataclass
class Session:
    """A person at a terminal without a screen."""

    data: ReviewData
    say: Say
    keys: Iterator[str]
    judging: Judging

    @property
    def keys_said(self) -> str:
        """What the keys do."""
        return f"{KEYS}. {'. '.join(self.data.protocol.key_lines)}"


def judge_plainly(data: ReviewData, lines: Iterable[str], say: Say) -> int:
    """Ask about each pair of the queue until the lines or the pairs end; returns how many votes stand.

    Each line holds keys, such as `uk1`: A acceptable, B not, A clearly better. A comment takes the rest of
    its line.
    """
    data.prepare_to_save()
    pairs = data.queue()
    session = Session(data, say, keys_of(lines), Judging(pairs, data.protocol, data.judged()))
    say(f"{len(pairs)} pairs to judge. {session.keys_said}")
    while _end(session) if session.judging.is_finished else _judge(session):
        pass
    return session.judging.n_voted


def keys_of(lines: Iterable[str]) -> Iterator[str]:
    """The keys of each line; `c` comes with the rest of its line."""
    for line in lines:
        keys, comment, rest = line.strip().partition("c")
        yield from keys
        if comment:
            yield comment + rest


def _end(session: Session) -> bool:
    """The queue is empty; the last vote may still be taken back. Whether to go on."""
    session.say("no pair is left; z takes the last one back, r does it again, any other key ends")
    key = next(session.keys, "q")
    return key in ("z", "r") and _change(session, key)


def _judge(session: Session) -> bool:
    """Judge the pair on the desk; whether to go on."""
    judging = session.judging
    texts = session.data.pair_texts(judging.pair)
    _show(session.say, texts, f"Pair {judging.position + 1} of {len(judging.pairs)}")
    started = time.monotonic()
    for key in session.keys:
        if key.isascii() and key.isdigit() and int(key) in judging.protocol.choices:
            act = judging.cast(int(key), texts, time.monotonic() - started)
            save_act(session.data, act)
            _reveal(session, act, "saved")
            judging.go_on()
            return True
        if key == "s":
            save_act(session.data, judging.skip())
            return True
        if key in ("z", "r"):
            if _change(session, key):
                return True
        elif key == "q":
            return False
        else:
            _note(session, judging.pair, key)
    return False


def _note(session: Session, pair: BlindPair, key: str) -> None:
    """What a key does that leaves the pair on the desk."""
    judging = session.judging
    if key in ACCEPT:
        side, is_acceptable = ACCEPT[key]
        judging.accept(side, is_acceptable=is_acceptable)
    elif key == "f":
        mark = judging.flag()
        session.data.mark(pair, mark)
        session.say(f"saved: {mark}")
    elif key.startswith("c") and key[1:].strip():
        judging.comment = key[1:].strip()
        session.data.mark(pair, "comment", judging.comment)
        session.say("saved: comment")
    elif key == "v":
        session.say(
            f"--- guidelines {judging.protocol.guideline_version}\n{clean(judging.protocol.guidelines)}"
        )
    else:
        session.say(f"no key {clean(key)!r}. {session.keys_said}")


def _show(say: Say, texts: PairTexts, heading: str) -> None:
    say(f"\n=== {heading}")
    for turn in texts.prompt:
        say(f"--- {turn.role}\n{clean(turn.content)}")
    say(f"--- answer A\n{clean(texts.text_a)}")
    say(f"--- answer B\n{clean(texts.text_b)}")
    say("--- your keys:")


def _reveal(session: Session, act: Act, done: str) -> None:
    authors = session.data.pair_authors(act.pair)
    session.judging.reveal(act.pair)
    session.say(
        f"{done}: {act.words}. A: {clean(authors.author_a)}. B: {clean(authors.author_b)}. {authors.standing}"
    )


def _change(session: Session, key: str) -> bool:
    """Take the last vote or skip back, or do it again; whether there was one."""
    judging = session.judging
    act = judging.undo() if key == "z" else judging.redo()
    if act is None:
        session.say("nothing to undo" if key == "z" else "nothing to redo")
    elif key == "z":
        save_undo(session.data, act)
        session.say("undone; judge it again, or r takes that back")
    else:
        save_act(session.data, act, again=True)
        if act.vote is None:
            session.say("redone: skipped")
        else:
            _reveal(session, act, "redone")
            judging.go_on()
    return act is not None
