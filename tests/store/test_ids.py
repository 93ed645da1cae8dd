"""Ids are functions of the thing itself, and stay what they are."""

import hashlib
import subprocess
import sys
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store import ids
from store.errors import RequestError

TEXT = st.text(st.characters(exclude_categories=["Cs"]))


def test_the_canonical_form_of_a_message_is_the_documented_one() -> None:
    expected = hashlib.blake2b(bytes(16) + b"user\0Hello", digest_size=16, person=b"pref.m1").hexdigest()
    assert ids.to_text("m1", ids.message_digest(ids.ROOT, "user", "Hello")) == f"m1-{expected}"
    assert ids.message_digest(ids.ROOT, "user", "Hello").hex() == "82ec630d0b526b69dabae47ea53a7298"


def test_ids_are_the_same_in_another_process() -> None:
    code = "from store import ids; print(ids.conversation_digest('sharegpt', 'a_0', bytes(16), 'gpt-4', 1).hex())"
    other = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.strip()
    assert other == ids.conversation_digest("sharegpt", "a_0", bytes(16), "gpt-4", 1).hex()


@given(TEXT, TEXT, TEXT, TEXT)
def test_moving_a_character_between_fields_changes_the_id(a: str, b: str, c: str, d: str) -> None:
    if (a, b) != (c, d):
        assert ids.digest_of("s1", a, b) != ids.digest_of("s1", c, d)
    assert ids.digest_of("s1", a, b) != ids.digest_of("c1", a, b)


@given(st.lists(st.tuples(st.sampled_from(["user", "assistant"]), TEXT), min_size=1, max_size=5), TEXT)
def test_a_shared_prefix_has_the_same_ids(path: list[tuple[str, str]], more: str) -> None:
    longer = ids.path_digests([*path, ("user", more)])
    assert longer[:-1] == ids.path_digests(path)


@given(st.binary(min_size=16, max_size=16))
def test_text_and_uuid_name_the_same_bytes(digest: bytes) -> None:
    text = ids.to_text("c1", digest)
    assert ids.to_uuid(text, "c1") == ids.uuid_text(digest)
    assert ids.to_text("c1", ids.uuid_text(digest)) == text


@pytest.mark.parametrize("text", ["", "c1-xyz", "m1-" + "0" * 32, "c1-" + "0" * 31, "0" * 32])
def test_what_is_no_conversation_id_is_refused(text: str) -> None:
    with pytest.raises(RequestError, match="c1-"):
        ids.to_uuid(text, "c1")


def test_ranges_of_ids_cover_every_id_once() -> None:
    ranges = [
        (int(low.replace("-", ""), 16), int(high.replace("-", ""), 16)) for low, high in ids.id_ranges(7)
    ]
    assert (ranges[0][0], ranges[-1][1]) == (0, 2**128 - 1)
    assert all(before[1] + 1 == after[0] for before, after in pairwise(ranges))
