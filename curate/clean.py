"""`curate clean`: dirt taken out of the current conversations, as new paths beside the old ones.

A conversation that changes becomes a new conversation, with `derived_from` and the steps that made it; the
old one is superseded and stays. Ids are hashes of what was made of what, so that a run that was killed, or
comes again, adds only what is missing.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pyarrow as pa

from curate.cleaning import CLEANING_STEPS, CleaningStep, Turn
from curate.known_ids import uuid_array
from curate.piece import nullable_uuid_array
from store.errors import RequestError
from store.ids import ROOT, derived_digest, message_digest, to_text
from store.named_sql import named_sql
from store.runs import run_of

if TYPE_CHECKING:
    import polars as pl

    from store.db import Reading, Store, Writing

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


@dataclass(frozen=True, slots=True)
class Cleaned:
    """A conversation that changed."""

    derived_from: bytes
    derived_step: str
    turns: tuple[tuple[str, str], ...]
    """(role, content)."""
    first_changed: int
    old_path: tuple[bytes, ...]


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

    def clean(self, conversation: bytes, path: list[bytes]) -> Cleaned | None:
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
        return Cleaned(conversation, self._cleaner.named(steps), tuple(turns), first_changed, tuple(path))

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
                    _write(writing, found, run.run_id, report)
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
    """Ids of the current conversations, so many at a time that their messages make one piece."""
    with store.read() as reading:
        table = reading.arrow(named_sql("curate", "to_clean"))
    piece: list[bytes] = []
    n_messages = 0
    for batch in table.slice(0, limit).to_batches():
        for id_, count in zip(
            batch.column("id").to_pylist(), batch.column("n_messages").to_pylist(), strict=True
        ):
            piece.append(id_)
            n_messages += count
            if n_messages >= PIECE_MESSAGES:
                yield piece
                piece, n_messages = [], 0
    if piece:
        yield piece


def _clean_piece(store: "Store", cleaner: Cleaner, piece: list[bytes], report: CleanReport) -> list[Cleaned]:
    """Those of a piece that change, counted."""
    with store.read() as reading:
        paths, texts = _read(reading, piece)
    report.seen += len(paths)
    report.messages_seen += sum(map(len, paths.values()))
    suspects = cleaner.may_change(texts)
    if not suspects:
        return []
    contents = {
        message: (role, content)
        for message, role, content in zip(
            *(texts.get_column(name).to_list() for name in texts.columns), strict=True
        )
    }
    work = PieceWork(cleaner, contents, suspects, report)
    found = [
        cleaned
        for conversation, path in paths.items()
        if not suspects.isdisjoint(path) and (cleaned := work.clean(conversation, path)) is not None
    ]
    report.changed += len(found)
    report.examples += [to_text("c1", one.derived_from) for one in found[: EXAMPLES - len(report.examples)]]
    return found


def _read(reading: "Reading", piece: list[bytes]) -> "tuple[dict[bytes, list[bytes]], pl.DataFrame]":
    """The path of each conversation, and the texts of all their messages."""
    import polars as pl

    con = reading.con
    con.register("piece", pa.table({"id": uuid_array(piece)}))
    places = reading.arrow(named_sql("curate", "piece_paths"))
    paths: dict[bytes, list[bytes]] = {}
    for conversation, message in zip(
        places.column("conversation").to_pylist(), places.column("message").to_pylist(), strict=True
    ):
        paths.setdefault(conversation, []).append(message)
    ids = list({message for path in paths.values() for message in path})
    con.register("piece_messages", pa.table({"id": uuid_array(ids)}))
    versions = [row[0] for row in reading.rows(named_sql("curate", "piece_versions"))]
    texts = pl.from_arrow(reading.arrow(named_sql("curate", "piece_texts"), {"versions": versions}))
    con.unregister("piece")
    con.unregister("piece_messages")
    assert isinstance(texts, pl.DataFrame)
    return paths, texts


def _write(writing: "Writing", found: list[Cleaned], run_id: str, report: CleanReport) -> None:
    """Store the new messages and conversations of a piece that are not there, and carry over what people keep."""
    messages, conversations = _tables(found)
    con = writing.con
    con.register("cleaned_messages", messages)
    con.register("cleaned", conversations)
    writing.append_from("decisions", named_sql("curate", "carry_keeps"), {"run_id": run_id})
    report.new_messages += writing.append_from("messages", named_sql("curate", "add_cleaned_messages"))
    report.new_conversations += writing.append_from(
        "conversations", named_sql("curate", "add_cleaned_conversations")
    )
    con.unregister("cleaned_messages")
    con.unregister("cleaned")


def _tables(found: list[Cleaned]) -> tuple[pa.Table, pa.Table]:
    """New messages, each once, and new conversations, as rows for the store."""
    rows: dict[bytes, tuple[bytes, str, str, int]] = {}
    paths: list[list[bytes]] = []
    for one in found:
        path = list(one.old_path[: one.first_changed])
        for role, content in one.turns[one.first_changed :]:
            parent = path[-1] if path else ROOT
            digest = message_digest(parent, role, content)
            rows.setdefault(digest, (parent, role, content, len(path)))
            path.append(digest)
        paths.append(path)
    parents, roles, contents, depths = zip(*rows.values(), strict=True)
    offsets = [0]
    for path in paths:
        offsets.append(offsets[-1] + len(path))
    messages = pa.table(
        {
            "message_id": uuid_array(list(rows)),
            "parent_id": nullable_uuid_array(parents),
            "role": pa.array(roles, pa.string()),
            "content": pa.array(contents, pa.string()),
            "depth": pa.array(depths, pa.int32()),
        }
    )
    new_ids = [
        derived_digest(one.derived_from, one.derived_step, path[-1])
        for one, path in zip(found, paths, strict=True)
    ]
    conversations = pa.table(
        {
            "conversation_id": uuid_array(new_ids),
            "leaf_id": uuid_array([path[-1] for path in paths]),
            "message_ids": pa.ListArray.from_arrays(
                pa.array(offsets, pa.int32()), uuid_array([id_ for path in paths for id_ in path])
            ),
            "derived_from": uuid_array([one.derived_from for one in found]),
            "derived_step": pa.array([one.derived_step for one in found], pa.string()),
        }
    )
    return messages, conversations
