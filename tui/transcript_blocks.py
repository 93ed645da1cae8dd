"""What a transcript shows: texts under headings."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Block:
    """A heading, a text under it, and lines that follow the text."""

    heading: str
    text: str
    kind: str = "other"
    """user, assistant or other: how the heading is coloured."""
    notes: tuple[str, ...] = ()
