"""What an id is: a 128-bit hash of the thing itself, tagged with the algorithm that made it.

Stored as UUID (16 bytes). On screen, in files and on the command line an id is its tag, a dash and
32 hex digits: `m1-…` for a message, `c1-…` for a conversation, `s1-…` for a source, `k1-…` for a
request key, `x1-…` for an export, `p1-…` for a comparison, `e1-…` for a selection. The digit is the
version of the canonical form below; a change of that form is a new digit.

Canonical form, version 1: BLAKE2b with a 16-byte digest, personalised with `pref.<tag>`, over
- message: the 16 bytes of the parent's id (zeros at the root), the role in UTF-8, a zero byte, the
  content in UTF-8;
- everything else: its fields as UTF-8, each preceded by its length in bytes (8 bytes, little endian).

The fields of a conversation that came from a file are its reader, external id, leaf (16 bytes), model label
and occurrence; those of one derived from another are the word `derived`, the other's id (16 bytes), the
step that made it and its own leaf (16 bytes).
"""

import hashlib
import re
from itertools import pairwise

from store.errors import RequestError

ROOT = bytes(16)
"""The parent of a message that opens a conversation."""

ID_TEXT = re.compile(r"([a-z]1)-([0-9a-f]{32})")


def message_digest(parent: bytes, role: str, content: str) -> bytes:
    """The 16 bytes of the id of a message under PARENT.

    Raises UnicodeEncodeError if the content holds a lone surrogate.
    """
    return hashlib.blake2b(
        b"".join((parent, role.encode(), b"\0", content.encode())), digest_size=16, person=b"pref.m1"
    ).digest()


def path_digests(messages: "list[tuple[str, str]] | tuple[tuple[str, str], ...]") -> list[bytes]:
    """The ids along a conversation of (role, content), root first."""
    digests: list[bytes] = []
    parent = ROOT
    for role, content in messages:
        parent = message_digest(parent, role, content)
        digests.append(parent)
    return digests


def digest_of(tag: str, *fields: str | bytes) -> bytes:
    """The 16 bytes of the id of a thing of kind TAG (`c1`, `s1`, …) made of FIELDS."""
    parts: list[bytes] = []
    for value in fields:
        encoded = value if isinstance(value, bytes) else value.encode()
        parts += (len(encoded).to_bytes(8, "little"), encoded)
    return hashlib.blake2b(b"".join(parts), digest_size=16, person=f"pref.{tag}".encode()).digest()


def conversation_digest(reader: str, external_id: str, leaf: bytes, model: str, occurrence: int) -> bytes:
    """The 16 bytes of a conversation's id; OCCURRENCE counts identical records of one source from 0."""
    return digest_of("c1", reader, external_id, leaf, model, str(occurrence))


def derived_digest(derived_from: bytes, step: str, leaf: bytes) -> bytes:
    """The 16 bytes of the id of a conversation that STEP made of another."""
    return digest_of("c1", "derived", derived_from, step, leaf)


def to_text(tag: str, value: object) -> str:
    """An id as people see it, from its 16 bytes, its UUID or its UUID text."""
    digits = value.hex() if isinstance(value, bytes) else str(value).replace("-", "")
    return f"{tag}-{digits}"


def to_uuid(text: str, tag: str | None = None) -> str:
    """The UUID text (what DuckDB compares) of an id as people see it.

    Raises RequestError if TEXT is no id, or not one of kind TAG.
    """
    match = ID_TEXT.fullmatch(text)
    if match is None or (tag is not None and match[1] != tag):
        wanted = f"{tag}-" if tag else "such as c1-"
        raise RequestError(f"{text!r} is not an id; an id is {wanted} and 32 hex digits")
    return uuid_text(bytes.fromhex(match[2]))


def uuid_text(digest: bytes) -> str:
    """The usual text of a UUID with these 16 bytes."""
    digits = digest.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def id_ranges(pieces: int) -> list[tuple[str, str]]:
    """All ids cut into PIECES ranges, each as its first and last UUID."""
    bounds = [2**128 * piece // pieces for piece in range(pieces + 1)]
    return [
        (uuid_text(low.to_bytes(16)), uuid_text((high - 1).to_bytes(16))) for low, high in pairwise(bounds)
    ]
