"""The screens' questions, answered by a store: each reading is one turn, each save one journal line."""

import threading
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from store.db import Store
from store.errors import UnknownName
from store.ids import to_text
from store.named_sql import named_sql
from store.runs import Run, run_of, utc_now
from tui.answers.deciding import Deciding, decision_in_force
from tui.answers.list_index import ListIndex
from tui.answers.message_texts import contents, path_to
from tui.answers.queue import StoreQueue
from tui.answers.text_search import TextSearch
from tui.judging.blind import Act, BlindPair, Vote, undo_row, vote_row
from tui.judging.history import History
from tui.judging.queue import QueueSettings
from tui.query import Filter
from tui.review_data import (
    ConversationView,
    Decided,
    Decision,
    ListRow,
    News,
    PairAuthors,
    PairTexts,
    Rating,
    Selection,
    Turn,
)

if TYPE_CHECKING:
    from store.db import Reading

READ_WAIT_S = 2.0
"""Reading gives up after this long and says so on screen, then asks again."""
TEXTS_KEPT = 20_000
"""First lines kept in memory."""


class StoreReview:
    """ReviewData over a store file."""

    def __init__(self, store: Store, annotator: str, judging: QueueSettings | None = None) -> None:
        self.annotator = annotator
        judging = judging or QueueSettings()
        self.protocol = judging.protocol
        self.is_read_only = store.at is not None
        self.writer = store
        self.reader = Store(store.path, at=store.at, wait_s=min(store.wait_s, READ_WAIT_S))
        self.index = ListIndex(self.reader)
        self._queue = StoreQueue(self.reader, annotator, judging)
        self._texts: dict[str, str] = {}
        self.search = TextSearch(self.reader, self.index)
        self._deciding = Deciding(
            self.reader, annotator, partial(self._save, "decisions", counter="decisions")
        )
        self._pending: dict[str, Decision] = {}
        self._saving = threading.Lock()
        self._exit = ExitStack()
        self._run: Run | None = None
        self._counts = {"votes": 0, "undone": 0, "decisions": 0, "marks": 0}

    def close(self) -> None:
        """End the run, if anything was saved, and hand its last rows to the store."""
        if self._run is not None:
            self._run.finish(self._counts)
        self.index.close()
        self._exit.close()

    def refresh(self) -> News:
        """Take in a piece of what is new."""
        return self.index.refresh()

    def select(self, wanted: Filter) -> Selection:
        """The conversations a filter keeps."""
        among = self.search.conversations(wanted.words) if wanted.words else None
        ids = self.index.select(wanted, among)
        labelling = self.index.labelling
        words = f"{labelling['labeler']}, {labelling['template']}" if labelling else ""
        return Selection(ids, self.index.total, self.index.is_complete, words)

    def rows(self, ids: Sequence[str]) -> list[ListRow]:
        """The lines of a page."""
        columns = self.index.columns(ids)
        self._read_texts([row for row in columns.values() if row["id"] not in self._texts])
        return [_list_row(columns[one], self._texts.get(one, "")) for one in ids if one in columns]

    def _read_texts(self, wanted: list[dict[str, Any]]) -> None:
        if not wanted:
            return
        if len(self._texts) > TEXTS_KEPT:
            self._texts.clear()
        versions = [row["version"] for row in wanted]
        span = {"first": min(versions), "last": max(versions)}
        with self.reader.read() as reading:
            self._take_texts(reading, [row["id"] for row in wanted], {**span, "oldest": span["first"]})
            older = [row["id"] for row in wanted if row["id"] not in self._texts]
            if older:  # messages shared with conversations that were there before
                self._take_texts(reading, older, {**span, "oldest": 0})
        for row in wanted:
            self._texts.setdefault(row["id"], "")

    def _take_texts(self, reading: "Reading", ids: list[str], span: dict[str, int]) -> None:
        rows = reading.rows(named_sql("tui", "first_texts"), {"ids": ids, **span})
        self._texts.update((str(conversation_id), text) for conversation_id, text in rows)

    def conversation(self, conversation_id: str) -> ConversationView:
        """One conversation, whole."""
        pending = self._not_yet_stored(conversation_id)
        listed = self.index.columns([conversation_id]).get(conversation_id)
        if listed is None:
            raise UnknownName(f"no conversation {to_text('c1', conversation_id)}")
        with self.reader.read() as reading:
            place = {"id": conversation_id, "version": listed["version"]}
            path, model, external_id = reading.rows(named_sql("tui", "conversation"), place)[0]
            turns = _turns(reading, path, listed["version"])
            stored = decision_in_force(reading, conversation_id)
        return ConversationView(
            conversation_id=conversation_id,
            source_class=listed["class"],
            source=listed["source"] or "",
            model=model,
            external_id=external_id,
            turns=turns,
            decision=pending or stored,
        )

    def _not_yet_stored(self, conversation_id: str) -> Decision | None:
        """This session's decision, as long as the store may not hold it."""
        if self._run is not None and self._run.journal.pending_bytes == 0:
            self._pending.clear()
        return self._pending.get(conversation_id)

    def prepare_to_save(self) -> None:
        """Start the run that saves belong to."""
        with self._saving:
            if self._run is None:
                settings = {"annotator": self.annotator}
                self._run = self._exit.enter_context(run_of(self.writer, "review", settings))

    def _save(self, table: str, row: dict[str, object], counter: str) -> str:
        """Make a row durable; returns the id of its run."""
        self.prepare_to_save()
        assert self._run is not None
        self._run.journal.append(table, [{**row, "run_id": self._run.run_id}])
        self._counts[counter] += 1
        return self._run.run_id

    def decide(self, conversation_id: str, decision: Decision) -> None:
        """Store a decision."""
        self._deciding.decide(conversation_id, decision)
        self._show_decision(Decided(conversation_id, decision))

    def undo_decision(self) -> Decided | None:
        """Store once more what held before the annotator's last decision; returns it."""
        self.prepare_to_save()
        return self._show_decision(self._deciding.undo())

    def redo_decision(self) -> Decided | None:
        """Store once more the decision that was taken back last; returns it."""
        self.prepare_to_save()
        return self._show_decision(self._deciding.redo())

    def _show_decision(self, decided: Decided | None) -> Decided | None:
        """Show a decision before the store holds it."""
        if decided is not None:
            self._pending[decided.conversation_id] = decided.decision
            self.index.set_verdict(decided.conversation_id, decided.decision.verdict)
        return decided

    def queue(self) -> list[BlindPair]:
        """Pairs this annotator has neither judged nor skipped."""
        return self._queue.queue()

    def judged(self) -> History[Act]:
        """What this annotator did and took back by this protocol; ask for the queue first."""
        return self._queue.judged()

    def pair_texts(self, pair: BlindPair) -> PairTexts:
        """What to show of a pair before the vote."""
        answers = [pair.response_a_id, pair.response_b_id]
        with self.reader.read() as reading:
            path = path_to(reading, pair.prompt_id)
            turns = contents(reading, [*path, *answers], reading.version)
        prompt = tuple(turns[step] for step in path)
        return PairTexts(prompt, *(turns[answer].content for answer in answers))

    def pair_authors(self, pair: BlindPair) -> PairAuthors:
        """What to reveal of a pair after the vote."""
        with self.reader.read() as reading:
            author_a = _authors(reading, pair.prompt_id, pair.response_a_id)
            author_b = _authors(reading, pair.prompt_id, pair.response_b_id)
            return PairAuthors(author_a, author_b, self._queue.progress(reading))

    def vote(self, vote: Vote) -> None:
        """Store a vote."""
        self._save("comparisons", vote_row(vote, utc_now().isoformat()), "votes")
        self._queue.take(vote.pair, vote)

    def undo_vote(self, vote: Vote) -> None:
        """Take a vote back."""
        self._save("comparisons", undo_row(vote, utc_now().isoformat()), "undone")
        self._queue.take(vote.pair, None)

    def mark(self, pair: BlindPair, mark: str, note: str = "") -> None:
        """Store a mark on a pair."""
        row: dict[str, object] = {
            "target_kind": "comparison",
            "target_id": pair.comparison_id,
            "mark": mark,
            "note": note or None,
            "annotator": self.annotator,
            "created_at": utc_now().isoformat(),
        }
        self.append_mark(row)

    def append_mark(self, row: dict[str, object]) -> None:
        """Make a row of marks durable."""
        self.prepare_to_save()
        assert self._run is not None
        self._run.journal.append("marks", [row])
        self._counts["marks"] += 1

    def drain(self) -> None:
        """Hand what is durable to the store now."""
        if self._run is not None:
            self._run.drain()


def _list_row(row: dict[str, Any], first_text: str) -> ListRow:
    return ListRow(
        conversation_id=row["id"],
        source_class=row["class"],
        source=row["source"] or "",
        n_turns=row["turns"],
        rating=row["rating"],
        n_rated=row["n_rated"],
        n_answers=row["n_answers"],
        verdict=row["verdict"],
        first_text=first_text,
    )


def _turns(reading: "Reading", path: list[str], newest: int) -> tuple[Turn, ...]:
    ratings: dict[str, list[Rating]] = {}
    for response_id, labeler, aspect, scale, value, state, explanation in reading.rows(
        named_sql("tui", "turn_ratings"), {"path": path}
    ):
        rating = Rating(labeler, aspect, scale, value, state, explanation)
        ratings.setdefault(response_id, []).append(rating)
    found = contents(reading, path, newest)
    rated = {step: replace(found[step], ratings=tuple(given)) for step, given in ratings.items()}
    return tuple(rated.get(step) or found[step] for step in path)


def _authors(reading: "Reading", prompt_id: str, response_id: str) -> str:
    rows = reading.rows(named_sql("tui", "authors"), {"id": response_id, "prompt": prompt_id})
    return "; ".join(row[0] for row in rows) or "unknown"
