"""Blind judging: a prompt, two answers on seeded sides, and nothing that says who wrote them."""

import time
from collections.abc import Sequence
from functools import partial
from typing import ClassVar, Literal

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.widgets import Static

from tui.desk import DeskScreen
from tui.events import AuthorsArrived, PairArrived, QueueArrived
from tui.judging.blind import Act, BlindPair
from tui.judging.session import Judging, save_act, save_undo
from tui.review_data import PairAuthors, PairTexts, Turn
from tui.screens.ask import AskScreen
from tui.screens.help import GuidelinesScreen
from tui.text import clean, one_line
from tui.transcript_blocks import Block
from tui.widgets.transcript import Transcript

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
        Binding("v", "guidelines", "Guide"),
        Binding("backspace", "undo", "Undo"),
        Binding("r,ctrl+r", "redo", "Redo"),
        Binding("escape,q", "app.pop_screen", "Back"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.state: State = "loading"
        self._judging: Judging | None = None
        self._texts: PairTexts | None = None
        self._ahead: PairArrived | None = None
        """The pair after this one, if it has been read."""
        self._prompt = Transcript(id="prompt")
        self._answer_a = Transcript(id="answer-a")
        self._answer_b = Transcript(id="answer-b")
        self._verdict = Static("", id="verdict", markup=False)
        self._authors: PairAuthors | None = None
        self._is_saved = False
        self._started = time.monotonic()

    @property
    def judging(self) -> Judging:
        """The queue and what was done, once they have been read."""
        assert self._judging is not None
        return self._judging

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
            self.desk.read(self, self._judging_read, QueueArrived, "queue")

    def _judging_read(self) -> Judging:
        pairs = self.data.queue()
        return Judging(pairs, self.data.protocol, self.data.judged())

    @on(QueueArrived)
    def start(self, event: QueueArrived) -> None:
        """Begin with the first pair."""
        self._judging = event.judging
        self._open()

    def _open(self) -> None:
        """Show the pair on the desk, or that none is left."""
        self._texts = None
        self._authors = None
        self._is_saved = False
        if self.judging.is_finished:
            self._end(
                "no pair is left to judge"
                if self.judging.pairs
                else "no prompt has two answers you have not judged"
            )
            return
        self.state = "loading"
        self._show_verdict()
        pair, ahead = self.judging.pair, self._ahead
        if ahead is not None and ahead.pair.comparison_id == pair.comparison_id:
            self._show(pair, ahead.texts)
        else:
            self._read_pair(pair, "pair")

    def _end(self, words: str) -> None:
        self.state = "finished"
        for pane in (self._prompt, self._answer_a, self._answer_b):
            pane.show_blocks(())
        self.set_title("Blind judging")
        self._verdict.update(
            f"{words}\nBackspace takes the last vote back · r does again what was taken back · Escape goes back"
        )

    @on(PairArrived)
    def show_pair(self, event: PairArrived) -> None:
        """Show a pair; the clock starts."""
        if not self._is_here(event.pair):
            self._ahead = event
        elif self.state == "loading":
            self._show(event.pair, event.texts)

    def _show(self, pair: BlindPair, texts: PairTexts) -> None:
        self._texts = texts
        self.state = "voted" if self.judging.vote else "judging"
        self._prompt.show_blocks([_prompt_block(turn) for turn in texts.prompt])
        self._answer_a.show_blocks([Block("A", texts.text_a or "(empty)", "user")])
        self._answer_b.show_blocks([Block("B", texts.text_b or "(empty)", "user")])
        self._answer_a.focus()
        self._started = time.monotonic()
        self._show_verdict()
        if self._is_saved:
            self._reveal(pair)
        self._read_ahead()

    def _read_ahead(self) -> None:
        """Read the next pair while this one is judged."""
        after = self.judging.pairs[self.judging.position + 1 : self.judging.position + 2]
        for pair in after:
            self._read_pair(pair, "ahead")

    def _read_pair(self, pair: BlindPair, group: str) -> None:
        self.desk.read(self, partial(self.data.pair_texts, pair), partial(PairArrived, pair), group)

    def _is_here(self, pair: BlindPair) -> bool:
        """Whether PAIR is on the desk."""
        return not self.judging.is_finished and self.judging.pair.comparison_id == pair.comparison_id

    def _show_verdict(self) -> None:
        judging = self.judging
        place = f"pair {judging.position + 1:,} of {len(judging.pairs):,}"
        self.set_title(f"Blind judging · {place} · {judging.n_voted:,} voted")
        self._verdict.update(clean("\n".join([self._answers_line(), *self._verdict_lines()])))

    def _answers_line(self) -> str:
        judging = self.judging
        parts = [f"{side.upper()} {ACCEPTABLE[answer]}" for side, answer in judging.acceptable.items()]
        if judging.is_flagged:
            parts.append("⚑ flagged")
        if judging.comment:
            parts.append(f"comment: {one_line(judging.comment, 60)}")
        return " · ".join(parts)

    def _verdict_lines(self) -> Sequence[str]:
        vote = self.judging.vote
        if vote is None:
            return (KEYS, *self.data.protocol.key_lines)
        voted = f"your vote: {vote.choice.words}"
        if self._authors is None:
            return [f"{voted} · Enter next, Backspace undo"]
        authors = self._authors
        names = [f"A: {one_line(authors.author_a)}", f"B: {one_line(authors.author_b)}"]
        return [voted, *names, *([authors.standing] if authors.standing else [])]

    def action_accept(self, side: str, is_acceptable: bool) -> None:  # noqa: FBT001 - Textual passes it by place
        """Say whether an answer is acceptable."""
        if self.state == "judging":
            self.judging.accept(side, is_acceptable=is_acceptable)
            self._show_verdict()

    def action_prefer(self, step: int) -> None:
        """Vote; the vote is saved before anything is revealed."""
        if self.state != "judging" or self._texts is None or step not in self.data.protocol.choices:
            return
        act = self.judging.cast(step, self._texts, time.monotonic() - self._started)
        self.state = "voted"
        self._show_verdict()
        self._save_vote(act, "✓ saved")

    def _save_vote(self, act: Act, words: str, *, again: bool = False) -> None:
        def done(_nothing: None) -> None:
            self.desk.tell(words)
            if self.is_attached and self.judging.vote is act.vote:
                self._is_saved = True
                self._reveal(act.pair)

        self._is_saved = False
        self.desk.save(partial(save_act, self.data, act, again=again), done)

    def _reveal(self, pair: BlindPair) -> None:
        """Read who wrote the answers, now that the vote is saved."""
        if self._is_voted(pair):
            job = partial(self.data.pair_authors, pair)
            self.desk.read(self, job, partial(AuthorsArrived, pair), "authors")

    def _is_voted(self, pair: BlindPair) -> bool:
        return self.state == "voted" and self._is_here(pair)

    @on(AuthorsArrived)
    def show_authors(self, event: AuthorsArrived) -> None:
        """Reveal who wrote the answers of the pair just voted on."""
        if self._is_voted(event.pair):
            self.judging.reveal(event.pair)
            self._authors = event.authors
            self._show_verdict()

    def action_next(self) -> None:
        """Go on after a vote."""
        if self.state == "voted":
            self.set_status("")
            self.judging.go_on()
            self._open()
        elif self.state == "judging":
            self.set_status(f"vote with 1 … {len(self.data.protocol.choices)}, or skip with s")

    def action_guidelines(self) -> None:
        """Show what annotators are told."""
        self.app.push_screen(GuidelinesScreen(self.data.protocol))

    def action_skip(self) -> None:
        """Leave this pair out of the queue."""
        if self.state == "judging":
            act = self.judging.skip()
            self.desk.save(partial(save_act, self.data, act), lambda _: self.desk.tell("✓ skipped"))
            self._open()

    def action_flag(self) -> None:
        """Flag the pair, or take the flag away."""
        if self.state in ("judging", "voted"):
            self._mark(self.judging.flag())
            self._show_verdict()

    def _mark(self, mark: str, note: str = "") -> None:
        job = partial(self.data.mark, self.judging.pair, mark, note)
        self.desk.save(job, lambda _: self.desk.tell("✓ saved"))

    def action_comment(self) -> None:
        """Write a comment; it is stored at once, and again with the vote."""
        if self.state not in ("judging", "voted"):
            return

        def answered(comment: str | None) -> None:
            if comment is not None:
                self.judging.comment = comment
                self._mark("comment", comment)
                self._show_verdict()

        self.app.push_screen(AskScreen("Comment on this pair:", self.judging.comment), answered)

    def action_undo(self) -> None:
        """Take the last vote or skip back, also one of an earlier session, and show its pair again."""
        act = self._judging.undo() if self._judging else None
        if act is None:
            self.set_status("nothing to undo")
            return
        self._open()
        words = "✓ undone; judge it again, or r takes that back"
        self.desk.save(partial(save_undo, self.data, act), lambda _: self.desk.tell(words))

    def action_redo(self) -> None:
        """Do again what was taken back last: a vote is shown with its pair."""
        act = self._judging.redo() if self._judging else None
        if act is None:
            self.set_status("nothing to redo")
            return
        self._open()
        self._save_vote(act, f"✓ redone: {act.words}", again=True)


def _prompt_block(turn: Turn) -> Block:
    return Block(turn.role, turn.content, turn.role if turn.role in ("user", "assistant") else "other")
