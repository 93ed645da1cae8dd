"""`curate clean`: dirt taken out of the current conversations, as new paths beside the old ones.

A conversation that changes becomes a new conversation, with `derived_from` and the steps that made it; the
old one is superseded and stays.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from curate.cleaning import CLEANING_STEPS, CleaningStep, Turn
from curate.rewriting import Derived, by_message, pieces, read_piece, write_piece
from store.errors import RequestError
from store.ids import to_text
from store.named_sql import named_sql
from store.runs import run_of

if TYPE_CHECKING:
    import polars as pl

    from store.db import Store

PIECE_MESSAGES = 20_480
"""Messages read in one turn and written in one turn: each under about a second."""

ROUNDS = 4
"""How often the steps are repeated at most until nothing changes: what one lays bare another may clean."""

EXAMPLES = 5

Progress = Callable[[float], None]


@dataclass(frozen=True, slots=True)
class CleanSettings:
    """What a user may ask of a cleaning."""

    steps: tuple[str, ...]
    """In the order they are done."""
    limit: int | None = None
    """Look at no more than so many conversations."""
    is_dry_run: bool = False


@dataclass(slots=True)
class CleanReport:
    """What came of it; `seen = changed + unchanged`."""

    seen: int = 0
    changed: int = 0
    messages_seen: int = 0
    messages_changed: int = 0
    by_step: Counter[str] = field(default_factory=Counter)
    """Step → messages it changed."""
    by_role: Counter[str] = field(default_factory=Counter)
    """Role → messages changed."""
    new_conversations: int = 0
    new_messages: int = 0
    examples: list[str] = field(default_factory=list)
    """Some conversations that change, as people write their ids."""


@dataclass(frozen=True)
class Cleaner:
    """Named steps, in their order."""

    steps: tuple[tuple[str, CleaningStep], ...]

    def may_change(self, texts: "pl.DataFrame") -> set[bytes]:
        """Those of TEXTS (`message`, `role`, `content`) that some step may change."""
        import polars as pl

        asked = pl.any_horizontal(*(step.may_change() for _, step in self.steps))
        return set(texts.filter(asked).get_column("message").to_list())

    def clean(self, turn: Turn) -> tuple[str, list[str]]:
        """The content after all steps, and which of them changed it."""
        content, changed = turn.content, []
        for _ in range(ROUNDS):
            before = content
            for name, step in self.steps:
                after = step.clean(Turn(turn.role, content, turn.before))
                if after != content:
                    changed.append(name)
                content = after
            if content == before:
                break
        if content == turn.content:
            changed = []  # what one step took away another put back
        return content, [name for name, _ in self.steps if name in changed]

    def named(self, steps: set[str]) -> str:
        """Those of the steps that did something, as a conversation records them."""
        named = " ".join(f"{name}/{step.step_version}" for name, step in self.steps if name in steps)
        return f"clean {named}"


class PieceWork:
    """The conversations of one piece on their way through the steps; a message is counted once."""

    def __init__(
        self,
        cleaner: Cleaner,
        contents: dict[bytes, tuple[str, str]],
        suspects: set[bytes],
        report: CleanReport,
    ) -> None:
        self._cleaner = cleaner
        self._contents = contents
        self._suspects = suspects
        self._report = report
        self._counted: set[bytes] = set()

    def clean(self, conversation: bytes, path: list[bytes]) -> Derived | None:
        """The conversation cleaned, or None if nothing in it changes."""
        turns: list[tuple[str, str]] = []
        steps: set[str] = set()
        first_changed: int | None = None
        before = ""
        for position, message in enumerate(path):
            role, content = self._contents[message]
            after = content
            if message in self._suspects:
                after, changed = self._cleaner.clean(Turn(role, content, before))
                steps.update(changed)
                self._count(message, role, changed)
            if after != content and first_changed is None:
                first_changed = position
            turns.append((role, after))
            before = content
        if first_changed is None:
            return None
        return Derived(conversation, self._cleaner.named(steps), tuple(turns), first_changed, tuple(path))

    def _count(self, message: bytes, role: str, changed: list[str]) -> None:
        if not changed or message in self._counted:
            return
        self._counted.add(message)
        self._report.messages_changed += 1
        self._report.by_step.update(changed)
        self._report.by_role[role] += 1


def cleaner_of(names: Sequence[str]) -> Cleaner:
    """The steps called NAMES.

    Raises UnknownName, RequestError if one is named twice.
    """
    if len(set(names)) < len(names):
        raise RequestError("a cleaning step is named twice; each is done once, in the order given")
    return Cleaner(tuple((name, CLEANING_STEPS.load(name)) for name in names))


def clean(store: "Store", settings: CleanSettings, advance: Progress | None = None) -> CleanReport:
    """Clean every current conversation; takes a reading and a writing turn a piece.

    Raises UnknownName for a step, MissingExtra for its library.
    """
    cleaner = cleaner_of(settings.steps)
    tell = advance or (lambda _amount: None)
    report = CleanReport()
    if settings.is_dry_run:
        for piece in _pieces(store, settings.limit):
            _clean_piece(store, cleaner, piece, report)
            tell(len(piece))
        return report
    asked = {
        "steps": [f"{name}/{step.step_version}" for name, step in cleaner.steps],
        "limit": settings.limit,
    }
    with run_of(store, "curate clean", asked) as run:
        for piece in _pieces(store, settings.limit):
            found = _clean_piece(store, cleaner, piece, report)
            if found:
                with store.write(run.run_id) as writing:
                    added = write_piece(writing, found, run.run_id)
                report.new_messages += added[0]
                report.new_conversations += added[1]
            tell(len(piece))
        run.finish(counts(report))
    return report


def counts(report: CleanReport) -> dict[str, object]:
    """The report as plain values, for `--json` and the run."""
    return {
        "seen": report.seen,
        "changed": report.changed,
        "unchanged": report.seen - report.changed,
        "messages_seen": report.messages_seen,
        "messages_changed": report.messages_changed,
        "by_step": dict(report.by_step.most_common()),
        "by_role": dict(report.by_role.most_common()),
        "new_conversations": report.new_conversations,
        "new_messages": report.new_messages,
        "examples": report.examples,
    }


def to_clean(store: "Store") -> int:
    """How many conversations there are to look at."""
    with store.read() as reading:
        return int(reading.rows("SELECT count(*) FROM current_conversations")[0][0])


def _pieces(store: "Store", limit: int | None) -> Iterator[list[bytes]]:
    """Ids of the current conversations, a piece at a time."""
    with store.read() as reading:
        table = reading.arrow(named_sql("curate", "to_clean"))
    yield from pieces(table.slice(0, limit), PIECE_MESSAGES)


def _clean_piece(store: "Store", cleaner: Cleaner, piece: list[bytes], report: CleanReport) -> list[Derived]:
    """Those of a piece that change, counted."""
    with store.read() as reading:
        paths, texts = read_piece(reading, piece)
    report.seen += len(paths)
    report.messages_seen += sum(map(len, paths.values()))
    suspects = cleaner.may_change(texts)
    if not suspects:
        return []
    work = PieceWork(cleaner, by_message(texts), suspects, report)
    found = [
        cleaned
        for conversation, path in paths.items()
        if not suspects.isdisjoint(path) and (cleaned := work.clean(conversation, path)) is not None
    ]
    report.changed += len(found)
    report.examples += [to_text("c1", one.derived_from) for one in found[: EXAMPLES - len(report.examples)]]
    return found
