"""New conversations made of old ones: paths read in pieces, and what became of them written beside them.

A new conversation names the one it was made of and the step that made it; the old one is superseded and stays.
Ids are hashes of what was made of what, so that a run that was killed, or comes again, adds only what is missing.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from curate.ingesting.known_ids import uuid_array
from curate.ingesting.piece import nullable_uuid_array
from store.ids import ROOT, derived_digest, message_digest
from store.named_sql import named_sql

if TYPE_CHECKING:
    import polars as pl

    from store.db import Reading, Writing


@dataclass(frozen=True, slots=True)
class Derived:
    """A conversation made of another; one may become several."""

    derived_from: bytes
    derived_step: str
    turns: tuple[tuple[str, str], ...]
    """(role, content)."""
    first_new: int
    """Before it turns and their ids are those of the old path."""
    old_path: tuple[bytes, ...]


def pieces(table: pa.Table, size: int) -> Iterator[list[bytes]]:
    """The conversations of TABLE (`id`, `n_messages`), so many at a time that they have SIZE messages."""
    piece: list[bytes] = []
    n_messages = 0
    for batch in table.to_batches():
        for id_, count in zip(
            batch.column("id").to_pylist(), batch.column("n_messages").to_pylist(), strict=True
        ):
            piece.append(id_)
            n_messages += count
            if n_messages >= size:
                yield piece
                piece, n_messages = [], 0
    if piece:
        yield piece


def by_message(texts: "pl.DataFrame") -> dict[bytes, tuple[str, str]]:
    """Message → (role, content)."""
    columns: Iterable[list[object]] = (texts.get_column(name).to_list() for name in texts.columns)
    return {message: (role, content) for message, role, content in zip(*columns, strict=True)}


def read_piece(reading: "Reading", piece: list[bytes]) -> "tuple[dict[bytes, list[bytes]], pl.DataFrame]":
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


def write_piece(writing: "Writing", found: Sequence[Derived], run_id: str) -> tuple[int, int]:
    """Store the new messages and conversations of a piece that are not there, and carry over what people keep.

    Returns how many messages and how many conversations were new.
    """
    messages, conversations = _tables(found)
    con = writing.con
    con.register("cleaned_messages", messages)
    con.register("cleaned", conversations)
    writing.append_from("decisions", named_sql("curate", "carry_keeps"), {"run_id": run_id})
    new_messages = writing.append_from("messages", named_sql("curate", "add_cleaned_messages"))
    new_conversations = writing.append_from("conversations", named_sql("curate", "add_cleaned_conversations"))
    con.unregister("cleaned_messages")
    con.unregister("cleaned")
    return new_messages, new_conversations


def _tables(found: Sequence[Derived]) -> tuple[pa.Table, pa.Table]:
    """New messages, each once, and new conversations, as rows for the store."""
    rows: dict[bytes, tuple[bytes, str, str, int]] = {}
    paths: list[list[bytes]] = []
    for one in found:
        path = list(one.old_path[: one.first_new])
        for role, content in one.turns[one.first_new :]:
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
