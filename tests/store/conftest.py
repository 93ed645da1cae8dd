from collections.abc import Callable
from pathlib import Path

import pytest

from store.db import Store
from store.ids import path_digests, uuid_text


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A new store with its tables."""
    store = Store(tmp_path / "s.duckdb", wait_s=20)
    with store.write():
        pass
    return store


AddMessages = Callable[[Store, list[tuple[str, str]]], list[str]]


@pytest.fixture
def add_messages() -> AddMessages:
    """A function that stores a path of (role, content) and gives the ids as UUID text."""

    def add(store: Store, messages: list[tuple[str, str]]) -> list[str]:
        ids = [uuid_text(digest) for digest in path_digests(messages)]
        rows = [
            {
                "message_id": ids[i],
                "parent_id": ids[i - 1] if i else None,
                "role": role,
                "content": content,
                "depth": i,
            }
            for i, (role, content) in enumerate(messages)
        ]
        with store.write() as writing:
            writing.append("messages", rows)
        return ids

    return add


@pytest.fixture
def mark_row() -> Callable[[int], dict[str, object]]:
    """A function that makes a row of `marks` telling itself apart by a number."""

    def row(number: int) -> dict[str, object]:
        return {
            "target_kind": "message",
            "target_id": f"00000000-0000-0000-0000-{number:012d}",
            "mark": "flag",
            "annotator": "ann",
            "created_at": "2026-01-01T00:00:00",
        }

    return row
