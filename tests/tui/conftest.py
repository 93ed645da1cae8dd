import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from textual.pilot import Pilot
from textual.strip import Strip

from curate.bookmarks import Bookmark
from store.db import Store
from store.errors import StoreBusy
from store.ids import digest_of, path_digests, uuid_text
from tui.answers.bookmarks import COLUMNS as BOOKMARK_COLUMNS
from tui.answers.flags import COLUMNS as FLAG_COLUMNS
from tui.answers.sets import COLUMNS as PROMPT_COLUMNS
from tui.app import ReviewApp
from tui.browse_data import CleanedTurn, Cleaning, MeasureStep, TextPlace
from tui.desk import DeskScreen
from tui.excerpts import words_of
from tui.figures import Figure, Mark
from tui.judging.blind import Act, BlindPair, Vote, pair_of
from tui.judging.history import History
from tui.judging.protocols import CAMELS, JudgingProtocol
from tui.listing import Column, Line, Listing, listing_of
from tui.query import Filter
from tui.response_set import Response, ResponseSet, Text, TextsView
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
from tui.transcript_blocks import Block

NASTY = (
    "[/nope] [citation] [/INST] [bold]not bold[/bold] \x1b[31mred\x1b]0;title\x07 \x1b]52;c;aGk=\x07"
    " \u202egnp.exe\u202c \x9b31m \x00 \x7f\ttab\nnext line\r\nand a \rcarriage return"
)
"""Markup, escape sequences (CSI, OSC, C1), a direction override and odd newlines."""

MODEL_A, MODEL_B = "zephyrus-70b-secret", "quokka-13b-secret"
SOURCE = "forum-dump-secret"


@dataclass
class FakeReview:
    """ReviewData in memory; it notes what was saved."""

    conversations: list[ConversationView]
    sets: dict[str, list[str]] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    annotator: str = "kim"
    protocol: JudgingProtocol = CAMELS
    is_read_only: bool = False
    saved: list[tuple[object, ...]] = field(default_factory=list)
    busy_for: int = 0
    news: int = 1
    before: list[tuple[str, Decision, Decision]] = field(default_factory=list)
    undone: list[tuple[str, Decision, Decision]] = field(default_factory=list)
    acts: History[Act] = field(default_factory=History)

    def _wait(self) -> None:
        if self.busy_for:
            self.busy_for -= 1
            raise StoreBusy("store fake stayed busy")

    def refresh(self) -> News:
        self._wait()
        self.news -= 1
        return "some" if self.news >= 0 else "none"

    def select(self, wanted: Filter) -> Selection:
        self._wait()
        kept = [view for view in self.conversations if not wanted.words or _holds(view, wanted.words)]
        return Selection([view.conversation_id for view in kept], len(self.conversations), True, "gpt-4")

    def rows(self, ids: Sequence[str]) -> list[ListRow]:
        self._wait()
        return [_row(self._view(one)) for one in ids]

    def _view(self, conversation_id: str) -> ConversationView:
        return next(view for view in self.conversations if view.conversation_id == conversation_id)

    def conversation(self, conversation_id: str) -> ConversationView:
        self._wait()
        return self._view(conversation_id)

    def prepare_to_save(self) -> None:
        self._wait()

    def _set(self, conversation_id: str, decision: Decision) -> None:
        self.conversations = [
            replace(view, decision=decision) if view.conversation_id == conversation_id else view
            for view in self.conversations
        ]

    def decide(self, conversation_id: str, decision: Decision) -> None:
        self._wait()
        before = self._view(conversation_id).decision
        self.before.append((conversation_id, before, decision))
        self.undone.clear()
        self._set(conversation_id, decision)
        self.saved.append(("decide", conversation_id, decision.verdict, decision.reason))

    def undo_decision(self) -> Decided | None:
        if not self.before:
            return None
        one, before, _ = self.before[-1]
        self.undone.append(self.before.pop())
        self._set(one, before)
        self.saved.append(("undo", one, before.verdict, before.reason))
        return Decided(one, before)

    def redo_decision(self) -> Decided | None:
        if not self.undone:
            return None
        one, _, after = self.undone[-1]
        self.before.append(self.undone.pop())
        self._set(one, after)
        self.saved.append(("redo", one, after.verdict, after.reason))
        return Decided(one, after)

    def queue(self) -> list[BlindPair]:
        self._wait()
        return [
            pair_of(prompt, answers, self.annotator, self.protocol) for prompt, answers in self.sets.items()
        ]

    def judged(self) -> History[Act]:
        return self.acts

    def pair_texts(self, pair: BlindPair) -> PairTexts:
        prompt = (Turn(pair.prompt_id, "user", self.texts[pair.prompt_id]),)
        return PairTexts(prompt, self.texts[pair.response_a_id], self.texts[pair.response_b_id])

    def pair_authors(self, pair: BlindPair) -> PairAuthors:
        names = {answers[0]: MODEL_A for answers in self.sets.values()}
        return PairAuthors(names.get(pair.response_a_id, MODEL_B), names.get(pair.response_b_id, MODEL_B))

    def vote(self, vote: Vote) -> None:
        self._wait()
        self.saved.append(("vote", vote))

    def undo_vote(self, vote: Vote) -> None:
        self.saved.append(("undo vote", vote))

    def mark(self, pair: BlindPair, mark: str, note: str = "") -> None:
        self.saved.append(("mark", pair.comparison_id, mark, note))


@dataclass(frozen=True)
class FakeFinding:
    """A search that finds a message of the first conversation in each of three pieces."""

    words_wanted: tuple[str, ...]
    text: str = ""
    pieces: int = 1
    is_paused = False

    @property
    def is_done(self) -> bool:
        return self.pieces == 3 or not self.words_wanted

    @property
    def keys(self) -> list[str]:
        return [an_id(1_000_000 + n) for n in range(self.pieces)] if self.words_wanted else []

    columns = (Column("where", 10), Column("text", 0))

    @property
    def words(self) -> str:
        return f"{len(self.keys)} found{self.text}"

    def more(self) -> "FakeFinding":
        return replace(self, pieces=self.pieces + 1)

    def asked_for_more(self) -> "FakeFinding":
        return self

    def page(self, first: int, last: int) -> list[Line]:
        return [Line(key, (f"here{self.text}", f"found {key}{self.text}")) for key in self.keys[first:last]]


@dataclass
class FakeBrowse:
    """BrowseData in memory."""

    sets: dict[str, ResponseSet] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    text: str = ""
    """What every text ends with."""
    marked: set[str] = field(default_factory=set)
    why_not: str = ""
    """Why nothing was cleaned."""

    def prompts(self, wanted: Filter) -> Listing:
        self.asked.append(("prompts", wanted.text))
        lines = [
            Line(key, (str(len(one.responses)), "0", "1.000", "2.000", one.prompt[-1].content))
            for key, one in self.sets.items()
        ]
        return listing_of(lines, PROMPT_COLUMNS, f"{len(lines)} prompts")

    def response_set(self, prompt_id: str) -> ResponseSet:
        return self.sets[prompt_id]

    def _list(self, what: str, *keys: str, n_cells: int = 2) -> Listing:
        columns = [Column(f"column {place}", 12) for place in range(n_cells - 1)]
        lines = [Line(key, (f"{what} {key}{self.text}",) * n_cells, "drop") for key in keys]
        return listing_of(lines, (*columns, Column("rest", 0)), f"{what}{self.text}")

    def _texts(self, key: str) -> TextsView:
        self.asked.append(("texts", key))
        prompt = (Turn("t", "user", f"asked {self.text}"),)
        sides = (
            Text(f"chosen{self.text}", f"good {self.text}"),
            Text(f"rejected{self.text}", f"bad {self.text}"),
        )
        return TextsView(f"a pair{self.text}", prompt, sides)

    def pairs(self, wanted: Filter) -> Listing:
        self.asked.append(("pairs", wanted.text))
        return self._list("pairs", "one", "two")

    def pair(self, key: str) -> TextsView:
        return self._texts(key)

    def home(self) -> Listing:
        return self._list("home", "p:samples", ":run 1")

    def rules(self) -> Listing:
        return self._list("rules", "filter:refusal/1")

    def decisions(self, rule: str) -> Listing:
        self.asked.append(("decisions", rule))
        return self._list("decisions", f"conversation:{an_id(0)}", f"message:{an_id(7)}", n_cells=3)

    def rejects(self) -> Listing:
        return self._list("rejects", "0", n_cells=5)

    def sql(self, query: str) -> Listing:
        self.asked.append(("sql", query))
        return self._list("sql", "0")

    def exports(self) -> Listing:
        return self._list("exports", "x")

    def export_rows(self, export_id: str) -> Listing:
        return self._list("rows", export_id)

    def export_ready(self) -> str:
        self.asked.append(("ready", ""))
        return f"no tokenizer is at hand{self.text}"

    def export_row(self, key: str) -> TextsView:
        return self._texts(key)

    def export_faults(self, export_id: str) -> Listing:
        return self._list("faults", export_id)

    def find(self, typed: str, within: Filter) -> "FakeFinding":
        self.asked.append(("find", typed + (f" | {within.text}" if within.text else "")))
        return FakeFinding(words_of(typed), self.text)

    def place_of(self, message_id: str) -> TextPlace:
        return TextPlace("conversation", an_id(0), message_id)

    def cleaning(self, conversation_id: str) -> Cleaning:
        if self.why_not:
            return Cleaning((), (), self.why_not)
        turns = (
            CleanedTurn(1, "user", f"same{self.text}", f"same{self.text}", False, ""),
            CleanedTurn(2, "assistant", f"old word{self.text}", f"word{self.text}", True, f"-old{self.text}"),
        )
        return Cleaning((f"clean boilerplate/1{self.text}",), turns)

    def flags(self, without: frozenset[str]) -> Listing:
        keys = [an_id(n) for n in range(3) if an_id(n) not in without]
        lines = [Line(key, ("flagged", f"set{self.text}", "ngram", "13.00", f"found {key}")) for key in keys]
        return listing_of(lines, FLAG_COLUMNS, f"{len(keys)} to be looked at{self.text}")

    def flag_evidence(self, conversation_id: str) -> list[Block]:
        return [Block(f"found in{self.text}", f"here ⟦{conversation_id}⟧{self.text}", "user")]

    def allow_line(self, conversation_id: str) -> str | None:
        return None if conversation_id == an_id(2) else "a phrase"

    def flagged_alike(self, conversation_id: str) -> list[str]:
        return [an_id(0), an_id(1)]

    def my_bookmarks(self) -> frozenset[str]:
        return frozenset(self.marked)

    def toggle_bookmark(self, target: Bookmark) -> bool:
        self.marked ^= {target.target_id}
        return target.target_id in self.marked

    def note_bookmark(self, target: Bookmark, note: str) -> None:
        self.asked.append((f"note {target.kind}", note))

    def bookmarks(self, *, is_everyones: bool) -> Listing:
        keys = [f"conversation:{an_id(n)}:{n}" for n in (0, 1)]
        cells = (
            (
                "conversation",
                "lee" if is_everyones else "kim",
                "2026-01-01",
                f"note{self.text}",
                f"text{self.text}",
            ),
        ) * 2
        lines = [Line(key, cell) for key, cell in zip(keys, cells, strict=True)]
        return listing_of(lines, BOOKMARK_COLUMNS, f"2 bookmarks{self.text}")

    def keep_bookmarks(self, kind: str, name: str) -> str:
        self.asked.append((f"keep {kind}", name))
        return "✓ kept"

    def measures(self) -> list[MeasureStep]:
        marks = tuple(Mark(f"kim : lee{self.text}", 0.75, 0.5, 1.0, cells=("8",)) for _ in range(2))
        figures = (
            Figure(f"agreement{self.text}", "intervals", "share", marks, (Column("n", 6),), span=(0.0, 1.0)),
            Figure(f"ratings{self.text}", "bars", "rating", (Mark(f"GPT4{self.text}", 0.5, at=7.0),)),
        )
        return [MeasureStep(f"step{self.text}", lambda one=one: [one]) for one in figures]

    def stop_measuring(self) -> None:
        pass


def a_response_set(number: int, text: str = "", n: int = 70) -> ResponseSet:
    """A prompt with N responses; the later, the better, the first two tied, the last one unscored."""
    responses = tuple(
        Response(
            an_id(1000 * number + step),
            f"the reply {step} of {n} {text}",
            1 + step % 3,
            f"policy-{step % 2}{text}",
            () if step == n - 1 else ((f"rm-one{text}", 0.5 * max(1, step)), (f"rm-two{text}", -float(step))),
            ((f"gpt-4{text}", 6.0),) if step < 3 else (),
            10 + step,
        )
        for step in range(n)
    )
    return ResponseSet(an_id(number), (Turn(an_id(number), "user", f"prompt {number} {text}"),), responses)


@pytest.fixture
def browse() -> FakeBrowse:
    """Two prompts with seventy responses each."""
    return FakeBrowse({an_id(number): a_response_set(number) for number in (900, 901)})


@pytest.fixture(name="a_response_set")
def a_response_set_fixture() -> Callable[..., ResponseSet]:
    """A function that makes a response set."""
    return a_response_set


def _holds(view: ConversationView, words: Sequence[str]) -> bool:
    return all(any(word.lower() in turn.content.lower() for turn in view.turns) for word in words)


def _row(view: ConversationView) -> ListRow:
    values = [rating.value for turn in view.turns for rating in turn.ratings if rating.value is not None]
    return ListRow(
        view.conversation_id,
        view.source_class,
        view.source,
        len(view.turns),
        sum(values) / len(values) if values else None,
        len(values),
        sum(turn.role == "assistant" for turn in view.turns),
        view.decision.verdict,
        view.turns[0].content,
    )


def an_id(number: int) -> str:
    """The NUMBERth id."""
    return f"00000000-0000-0000-0000-{number:012x}"


def a_conversation(number: int, text: str = "") -> ConversationView:
    """A conversation of two turns, the second rated."""
    rating = Rating("gpt-4", "overall", "rating10", 7.0, "done", f"clear {text}")
    return ConversationView(
        an_id(number),
        "GPT4",
        SOURCE,
        MODEL_A,
        f"ext-{number}",
        (
            Turn(an_id(2 * number + 1_000_000), "user", f"question {number} {text}"),
            Turn(an_id(2 * number + 1_000_001), "assistant", f"answer {number} {text}", (rating,)),
        ),
        Decision(),
    )


@pytest.fixture
def fake() -> FakeReview:
    """Thirty conversations and three prompts with two answers each."""
    sets = {an_id(n): [an_id(n + 1), an_id(n + 2)] for n in (5000, 5010, 5020)}
    texts = {prompt: f"which is larger? ({prompt[-4:]})" for prompt in sets}
    for first, second in sets.values():
        texts |= {first: f"the left one {first[-4:]}", second: f"the right one {second[-4:]}"}
    return FakeReview([a_conversation(number) for number in range(30)], sets, texts)


Steps = Callable[[Pilot[None]], Awaitable[None]]


class WatchedApp(ReviewApp):
    """The app, keeping the text of every frame it shows."""

    def __init__(self, *arguments: object, **options: object) -> None:
        super().__init__(*arguments, **options)
        self.frames: list[list[str]] = []

    def _display(self, screen, renderable) -> None:
        super()._display(screen, renderable)
        if self.is_running and self.screen_stack and self.screen.is_attached:
            self.frames.append([strip.text for strip in strips(self)])


def strips(app: ReviewApp) -> list[Strip]:
    """What is on the terminal now, with its styles."""
    return app.screen._compositor.render_strips()


def frame(app: ReviewApp) -> str:
    """The text on the terminal now."""
    return "\n".join(strip.text for strip in strips(app))


async def settle(pilot: Pilot[None]) -> None:
    """Wait until no worker runs and every event has been handled."""
    deadline = time.monotonic() + 30
    await pilot.pause()
    while list(pilot.app.workers):
        assert time.monotonic() < deadline
        await pilot.app.workers.wait_for_complete()
        await pilot.pause()
    while isinstance(pilot.app.screen, DeskScreen) and not strips(pilot.app)[-1].text.strip():
        assert time.monotonic() < deadline
        await pilot.pause()


async def press(pilot: Pilot[None], *keys: str) -> None:
    """Press keys one by one, each after the last has had its effect."""
    for key in keys:
        await pilot.press(key)
        await settle(pilot)


def drive(
    data: object,
    steps: Steps,
    size: tuple[int, int] = (80, 24),
    browse: object | None = None,
    **options: object,
) -> WatchedApp:
    """Run the real app over DATA and BROWSE without a terminal and do STEPS."""
    app = WatchedApp(data, browse or FakeBrowse(), **{"poll_s": 3600.0, **options})

    async def run() -> None:
        async with app.run_test(size=size) as pilot:
            await settle(pilot)
            await steps(pilot)

    asyncio.run(run())
    return app


@pytest.fixture(scope="session")
def driving() -> Callable[..., WatchedApp]:
    """`drive`, which runs the app and does steps in it."""
    return drive


@pytest.fixture(scope="session")
def looking() -> SimpleNamespace:
    """What tests need to look at a running app and to press its keys."""
    return SimpleNamespace(frame=frame, strips=strips, press=press, settle=settle)


@pytest.fixture(name="a_conversation")
def a_conversation_fixture() -> Callable[..., ConversationView]:
    """A function that makes a conversation."""
    return a_conversation


@pytest.fixture
def nasty() -> str:
    """Text made to break a screen."""
    return NASTY


@pytest.fixture
def secrets() -> tuple[str, ...]:
    """Names that must not be seen before a vote."""
    return (MODEL_A, MODEL_B, SOURCE)


Talk = list[tuple[str, str]]


def source_row(name: str) -> dict[str, object]:
    return {
        "source_id": uuid_text(digest_of("s1", name)),
        "name": name,
        "reader": "sharegpt",
        "path": name,
        "sha256": "0" * 64,
        "bytes": 1,
        "settings": "{}",
        "state": "finished",
        "records_read": 1,
        "records_kept": 1,
        "records_rejected": 0,
    }


def write_talks(store: Store, talks: list[tuple[str, str, Talk]]) -> list[str]:
    """Store (source, model, turns) as conversations; gives their ids."""
    with store.write() as writing:
        known = {str(row[0]) for row in writing.rows("SELECT message_id FROM main.messages")}
        conversations = []
        messages: dict[str, dict[str, object]] = {}
        for number, (source, model, turns) in enumerate(talks):
            path = [uuid_text(digest) for digest in path_digests(turns)]
            for depth, (role, content) in enumerate(turns):
                messages[path[depth]] = {
                    "message_id": path[depth],
                    "parent_id": path[depth - 1] if depth else None,
                    "role": role,
                    "content": content,
                    "depth": depth,
                }
            conversations.append(
                {
                    "conversation_id": uuid_text(digest_of("c1", source, path[-1], model)),
                    "leaf_id": path[-1],
                    "message_ids": path,
                    "source_id": uuid_text(digest_of("s1", source)),
                    "record_numbers": [number],
                    "line": number,
                    "byte_offset": number,
                    "reader": "sharegpt",
                    "external_id": f"e{number}",
                    "model": model,
                    "occurrence": 0,
                }
            )
        writing.append("sources", [source_row(source) for source in sorted({talk[0] for talk in talks})])
        writing.append("messages", [row for one, row in messages.items() if one not in known])
        writing.append("conversations", conversations)
    return [str(row["conversation_id"]) for row in conversations]


def rating_row(
    response_id: str, value: float | None, state: str = "done", **more: object
) -> dict[str, object]:
    return {
        "response_id": response_id,
        "labeler": "gpt-4",
        "labeler_kind": "judge",
        "template": "openchat-appendix-g",
        "scale": "rating10",
        "aspect": "overall",
        "draw_index": 0,
        "value": value,
        "explanation": "because",
        "state": state,
        "parser_version": "1",
        "created_at": "2026-01-01T00:00:00",
        **more,
    }


TALKS: list[tuple[str, str, Talk]] = [
    (
        "forum",
        "gpt-4",
        [("user", "one?"), ("assistant", "first answer"), ("user", "and?"), ("assistant", "more")],
    ),
    ("forum", "gpt-3.5-turbo", [("user", "one?"), ("assistant", "second answer")]),
    ("wiki", "", [("system", "be kind"), ("user", "two?"), ("assistant", "Zebras [/nope]")]),
]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Three conversations of two sources, two of them under one prompt; the first is rated."""
    store = Store(tmp_path / "review.duckdb", wait_s=20)
    write_talks(store, TALKS)
    path = [uuid_text(digest) for digest in path_digests(TALKS[0][2])]
    with store.write() as writing:
        writing.append(
            "source_classes",
            [
                {"name": "GPT4", "condition": "GPT4", "weight": 1.0, "patterns": ["gpt-4*"]},
                {"name": "GPT3", "condition": "GPT3", "weight": 0.1, "patterns": ["gpt-3.5*"]},
            ],
        )
        writing.append("ratings", [rating_row(path[1], 3), rating_row(path[3], 4)])
    with store.write() as writing:
        writing.append("ratings", [rating_row(path[1], 8)])
    return store


@pytest.fixture(scope="session")
def store_rows() -> SimpleNamespace:
    """What the store of `store` was written with, and how to write more."""
    return SimpleNamespace(write_talks=write_talks, rating_row=rating_row, talks=TALKS)


@pytest.fixture
def review_pairs(store: Store) -> Callable[[], list[tuple[object, ...]]]:
    """A function that gives the standing votes in the store."""

    def standing() -> list[tuple[object, ...]]:
        with store.read() as reading:
            return reading.rows(
                "SELECT native_label, acceptable_a, acceptable_b, template FROM current_comparisons"
                " WHERE state <> 'undone'"
            )

    return standing


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.fixture
def served(store: Store) -> Iterator[SimpleNamespace]:
    """`review --web` on the store of `store`: its address and its process."""
    given = ["--store", str(store.path), "--annotator", "kim", "--web", "--port", str(free_port())]
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", "from tui.cli import main; main()", *given],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])},
    )
    assert process.stdout is not None
    yield SimpleNamespace(address=process.stdout.readline().strip(), process=process)
    process.kill()
    process.communicate()
