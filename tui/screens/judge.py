"""Blind judging: a prompt, two answers on seeded sides, and nothing that says who wrote them."""

import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import ClassVar, Literal

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.widgets import Static

from tui.blind import BlindPair, Vote, shown_text_hash
from tui.desk import DeskScreen
from tui.events import AuthorsArrived, PairArrived, QueueArrived
from tui.review_data import PairAuthors, PairTexts, Turn
from tui.screens.ask import AskScreen
from tui.screens.help import GuidelinesScreen
from tui.text import clean, one_line
from tui.widgets.transcript import Block, Transcript

State = Literal["loading", "judging", "voted", "finished"]
KEYS = "u i: A acceptable, not · j k: B acceptable, not"
MOST_CHOICES = 9
ACCEPTABLE = {True: "✓ acceptable", False: "✗ not acceptable", None: "? not answered"}


class JudgeScreen(DeskScreen):
    """The pairs of this annotator's queue, one after the other."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("u", "accept('a', True)", "A ok", show=False),
        Binding("i", "accept('a', False)", "A not", show=False),
        Binding("j", "accept('b', True)", "B ok", show=False),
        Binding("k", "accept('b', False)", "B not", show=False),
        *(Binding(str(step), f"prefer({step})", show=False) for step in range(1, MOST_CHOICES + 1)),
        Binding("enter,n,space", "next", "Next"),
        Binding("s", "skip", "Skip"),
        Binding("f", "flag", "Flag"),
        Binding("c", "comment", "Comment"),
        Binding("v", "guidelines", "Guidelines"),
        Binding("backspace", "undo", "Undo"),
        Binding("escape,q", "app.pop_screen", "Back"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.state: State = "loading"
        self._pairs: Sequence[BlindPair] = ()
        self._position = 0
        self._texts: PairTexts | None = None
        self._history: list[tuple[int, Vote | None]] = []
        self._revealed: set[str] = set()
        self._flagged: set[str] = set()
        self._prompt = Transcript(id="prompt")
        self._answer_a = Transcript(id="answer-a")
        self._answer_b = Transcript(id="answer-b")
        self._verdict = Static("", id="verdict", markup=False)
        self._clear_answers()

    def _clear_answers(self) -> None:
        self._acceptable: dict[str, bool | None] = {"a": None, "b": None}
        self._comment = ""
        self._authors: PairAuthors | None = None
        self._started = time.monotonic()

    def compose_body(self) -> ComposeResult:
        """Prompt, both answers side by side, the verdict so far."""
        yield self._prompt
        with Horizontal(id="answers"):
            yield self._answer_a
            yield self._answer_b
        yield self._verdict

    def on_mount(self) -> None:
        """Read the queue."""
        for pane in (self._answer_a, self._answer_b):
            pane.add_class("answer")
        self.set_title("Blind judging · looking for prompts with two answers …")
        if self.data.is_read_only:
            self._end("looking at the past with --at: nothing can be judged")
            return
        self.desk.save(self.data.prepare_to_save, lambda _: self._read_queue())

    def _read_queue(self) -> None:
        """Read the queue, now that what a lost session left is in the store."""
        self.set_status("")
        if self.is_attached:
            self.desk.read(self, self.data.queue, QueueArrived, "queue")

    @on(QueueArrived)
    def start(self, event: QueueArrived) -> None:
        """Begin with the first pair."""
        self._pairs = event.pairs
        self._open(0)

    def _open(self, position: int) -> None:
        self._position = position
        self._texts = None
        self._clear_answers()
        if position >= len(self._pairs):
            self._end(
                "no pair is left to judge" if self._pairs else "no prompt has two answers you have not judged"
            )
            return
        self.state = "loading"
        self._show_verdict()
        pair = self.pair
        self.desk.read(self, partial(self.data.pair_texts, pair), partial(PairArrived, pair), "pair")

    def _end(self, words: str) -> None:
        self.state = "finished"
        for pane in (self._prompt, self._answer_a, self._answer_b):
            pane.show_blocks(())
        self.set_title("Blind judging")
        self._verdict.update(f"{words}\nBackspace takes the last vote back · Escape goes back")

    @property
    def pair(self) -> BlindPair:
        """The pair on screen, knowing whether its authors were shown in this session."""
        pair = self._pairs[self._position]
        return replace(pair, was_revealed=pair.was_revealed or pair.comparison_id in self._revealed)

    @on(PairArrived)
    def show_pair(self, event: PairArrived) -> None:
        """Show a pair; the clock starts."""
        if self.state != "loading" or event.pair.comparison_id != self.pair.comparison_id:
            return
        self._texts = event.texts
        self.state = "judging"
        self._prompt.show_blocks([_prompt_block(turn) for turn in event.texts.prompt])
        self._answer_a.show_blocks([Block("A", event.texts.text_a or "(empty)", "user")])
        self._answer_b.show_blocks([Block("B", event.texts.text_b or "(empty)", "user")])
        self._answer_a.focus()
        self._started = time.monotonic()
        self._show_verdict()

    def _show_verdict(self) -> None:
        voted = sum(vote is not None for _, vote in self._history)
        place = f"pair {self._position + 1:,} of {len(self._pairs):,}"
        self.set_title(f"Blind judging · {place} · {voted:,} voted")
        self._verdict.update(clean("\n".join([self._answers_line(), *self._verdict_lines()])))

    def _answers_line(self) -> str:
        parts = [f"{side.upper()} {ACCEPTABLE[answer]}" for side, answer in self._acceptable.items()]
        if self.pair.comparison_id in self._flagged:
            parts.append("⚑ flagged")
        if self._comment:
            parts.append(f"comment: {one_line(self._comment, 60)}")
        return " · ".join(parts)

    def _verdict_lines(self) -> Sequence[str]:
        if self.state != "voted":
            return (KEYS, *self.data.protocol.key_lines)
        vote = self._history[-1][1]
        voted = f"your vote: {vote.choice.words if vote else ''}"
        if self._authors is None:
            return [f"{voted} · Enter next, Backspace undo"]
        authors = self._authors
        names = [f"A: {one_line(authors.author_a)}", f"B: {one_line(authors.author_b)}"]
        return [voted, *names, *([authors.standing] if authors.standing else [])]

    def action_accept(self, side: str, is_acceptable: bool) -> None:  # noqa: FBT001 - Textual passes it by place
        """Say whether an answer is acceptable."""
        if self.state == "judging":
            self._acceptable[side] = is_acceptable
            self._show_verdict()

    def action_prefer(self, step: int) -> None:
        """Vote; the vote is saved before anything is revealed."""
        if self.state != "judging" or self._texts is None or step not in self.data.protocol.choices:
            return
        vote = self._vote(step, self._texts)
        self._history.append((self._position, vote))
        self.state = "voted"
        self._show_verdict()
        self.desk.save(partial(self.data.vote, vote), lambda _: self._reveal(vote.pair))

    def _vote(self, step: int, texts: PairTexts) -> Vote:
        prompt = [(turn.role, turn.content) for turn in texts.prompt]
        return Vote(
            pair=self.pair,
            choice=self.pair.protocol.choices[step],
            acceptable_a=self._acceptable["a"],
            acceptable_b=self._acceptable["b"],
            comment=self._comment,
            seconds=time.monotonic() - self._started,
            shown_text_hash=shown_text_hash(prompt, texts.text_a, texts.text_b),
        )

    def _reveal(self, pair: BlindPair) -> None:
        self.desk.tell("✓ saved")
        if self.is_attached and self._is_voted(pair):
            job = partial(self.data.pair_authors, pair)
            self.desk.read(self, job, partial(AuthorsArrived, pair), "authors")

    def _is_voted(self, pair: BlindPair) -> bool:
        return self.state == "voted" and pair.comparison_id == self.pair.comparison_id

    @on(AuthorsArrived)
    def show_authors(self, event: AuthorsArrived) -> None:
        """Reveal who wrote the answers of the pair just voted on."""
        if self._is_voted(event.pair):
            self._revealed.add(event.pair.comparison_id)
            self._authors = event.authors
            self._show_verdict()

    def action_next(self) -> None:
        """Go on after a vote."""
        if self.state == "voted":
            self.set_status("")
            self._open(self._position + 1)
        elif self.state == "judging":
            self.set_status(f"vote with 1 … {len(self.data.protocol.choices)}, or skip with s")

    def action_guidelines(self) -> None:
        """Show what annotators are told."""
        self.app.push_screen(GuidelinesScreen(self.data.protocol))

    def action_skip(self) -> None:
        """Leave this pair out of the queue."""
        if self.state == "judging":
            self._history.append((self._position, None))
            self._mark("skip", "✓ skipped")
            self._open(self._position + 1)

    def action_flag(self) -> None:
        """Flag the pair, or take the flag away."""
        if self.state not in ("judging", "voted"):
            return
        one = self.pair.comparison_id
        self._mark("unflag" if one in self._flagged else "flag", "✓ saved")
        self._flagged ^= {one}
        self._show_verdict()

    def _mark(self, mark: str, words: str, note: str = "") -> None:
        self.desk.save(partial(self.data.mark, self.pair, mark, note), lambda _: self.desk.tell(words))

    def action_comment(self) -> None:
        """Write a comment; it is stored at once, and again with the vote."""
        if self.state not in ("judging", "voted"):
            return

        def answered(comment: str | None) -> None:
            if comment is not None:
                self._comment = comment
                self._mark("comment", "✓ saved", comment)
                self._show_verdict()

        self.app.push_screen(AskScreen("Comment on this pair:", self._comment), answered)

    def action_undo(self) -> None:
        """Take the last vote or skip back and show its pair again."""
        if not self._history:
            self.set_status("nothing to undo")
            return
        position, vote = self._history.pop()
        if vote is None:
            self.desk.save(partial(self.data.mark, self._pairs[position], "unskip"), self._told_undone)
        else:
            self.desk.save(partial(self.data.undo_vote, vote), self._told_undone)
        self._open(position)

    def _told_undone(self, _nothing: None) -> None:
        self.desk.tell("✓ undone; judge it again")


def _prompt_block(turn: Turn) -> Block:
    return Block(turn.role, turn.content, turn.role if turn.role in ("user", "assistant") else "other")
