"""verify finds what is wrong, by name, and nothing where all is well."""

from collections.abc import Callable

import duckdb
import pytest

from store.db import Store
from store.ids import conversation_digest, digest_of, uuid_text
from store.verify import verify

AddMessages = Callable[[Store, list[tuple[str, str]]], list[str]]


@pytest.fixture
def sound(store: Store, add_messages: AddMessages) -> Store:
    path = add_messages(store, [("user", "a"), ("assistant", "b"), ("user", "c"), ("assistant", "d")])
    source = uuid_text(digest_of("s1", "x"))
    leaf = bytes.fromhex(path[-1].replace("-", ""))
    conversation = {
        "conversation_id": uuid_text(conversation_digest("sharegpt", "e", leaf, "gpt-4", 0)),
        "leaf_id": path[-1],
        "message_ids": path,
        "source_id": source,
        "record_numbers": [1],
        "line": 1,
        "byte_offset": 0,
        "reader": "sharegpt",
        "external_id": "e",
        "model": "gpt-4",
        "occurrence": 0,
    }
    counts = {"records_read": 2, "records_kept": 1, "records_rejected": 1}
    names = {
        "name": "n",
        "reader": "sharegpt",
        "path": "p",
        "sha256": "0",
        "settings": "{}",
        "state": "finished",
    }
    reject = {
        "source_id": source,
        "sha256": "0",
        "record_number": 2,
        "line": 2,
        "byte_offset": 9,
        "reason": "r",
    }
    with store.write() as writing:
        writing.append("conversations", [conversation])
        writing.append("sources", [{"source_id": source, "bytes": 1, **counts, **names}])
        writing.append("rejects", [{**reject, "excerpt": ""}])
    return store


def test_a_sound_store_has_no_problem(sound: Store) -> None:
    result = verify(sound)
    assert result.is_ok
    assert result.checked == {"messages": 4, "conversations": 1}


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        ("UPDATE messages SET content = 'other' WHERE depth = 2", "message_hash"),
        ("UPDATE messages SET depth = 9 WHERE depth = 2", "conversation_path"),
        ("DELETE FROM messages WHERE depth = 1", "message_parent"),
        ("INSERT INTO messages SELECT * FROM messages WHERE depth = 1", "message_twice"),
        ("UPDATE conversations SET model = 'gpt-3.5'", "conversation_hash"),
        ("UPDATE conversations SET message_ids = message_ids[:2]", "conversation_leaf"),
        ("DELETE FROM sources", "conversation_source"),
        ("DELETE FROM rejects", "source_rejects"),
        ("UPDATE sources SET records_kept = 5", "source_counts"),
        ("DELETE FROM versions WHERE version = 1", "version_gap"),
        ("UPDATE versions SET rows_by_table = '{\"messages\": 77}' WHERE version = 1", "rows_of_messages"),
        (
            "INSERT INTO ratings SELECT uuid(), 'j', 'judge', 't', 's', 'overall', 0, 5, '', 'done', NULL, '1',"
            " now()::TIMESTAMP, NULL, 2, 0, NULL, NULL",
            "rating_message",
        ),
        (
            "INSERT INTO samples SELECT parent_id, message_id, 0, 'p', '{}', NULL, 'stop', 1, NULL, 1, uuid(), 1"
            " FROM messages WHERE depth = 1",
            "label_source",
        ),
    ],
)
def test_each_kind_of_damage_is_found(sound: Store, damage: str, problem: str) -> None:
    con = duckdb.connect(str(sound.path))
    con.execute(damage)
    con.close()
    assert problem in verify(sound).problems
