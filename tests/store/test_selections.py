"""Named choices of prompts, conversations and pairs."""

from collections.abc import Callable

import pytest

from store.db import Store
from store.errors import RequestError, UnknownName
from store.selections import selection_named, selections, write_selection
from store.verify import verify

AddMessages = Callable[[Store, list[tuple[str, str]]], list[str]]


def choose(store: Store, name: str, prompt_id: str) -> str:
    with store.write() as writing:
        return write_selection(
            writing,
            name,
            "prompts",
            "SELECT message_id AS prompt_id, 'train' AS part FROM messages WHERE message_id = CAST(? AS UUID)",
            [prompt_id],
            settings={"rule": "one"},
            steps={"seen": 2, "kept": 1},
            run_id=None,
        )


def test_a_name_means_its_newest_choice_and_a_version_the_older(
    store: Store, add_messages: AddMessages
) -> None:
    first, second = add_messages(store, [("user", "Hi"), ("assistant", "Hello")])
    old = choose(store, "mine", first)
    new = choose(store, "mine", second)
    with store.read() as reading:
        assert selection_named(reading, "mine").selection_id == new
        older = selection_named(reading, f"mine@v{selections(reading)[0].version}")
        assert older.selection_id == old
        assert (older.settings, older.steps, older.row_count) == ({"rule": "one"}, {"seen": 2, "kept": 1}, 1)
    assert verify(store).is_ok


def test_what_cannot_be_meant_is_refused(store: Store, add_messages: AddMessages) -> None:
    prompt, _ = add_messages(store, [("user", "Hi"), ("assistant", "Hello")])
    choose(store, "mine", prompt)
    with store.read() as reading:
        with pytest.raises(UnknownName, match="did you mean 'mine'"):
            selection_named(reading, "mone")
        with pytest.raises(RequestError, match="holds prompts, not pairs"):
            selection_named(reading, "mine", "pairs")
        with pytest.raises(RequestError, match="after @ stands a version"):
            selection_named(reading, "mine@yesterday")
    with pytest.raises(RequestError, match="cannot name a selection"):
        choose(store, "v3", prompt)


def test_verify_finds_a_selection_that_lost_rows(store: Store, add_messages: AddMessages) -> None:
    prompt, _ = add_messages(store, [("user", "Hi"), ("assistant", "Hello")])
    chosen = choose(store, "mine", prompt)
    with store.write() as writing:
        writing.append("selection_prompts", [{"selection_id": chosen, "prompt_id": prompt}])
    assert verify(store).problems == {"selection_row_count": 1}
