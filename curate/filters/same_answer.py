"""One and the same answer to many different prompts."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from store.named_sql import named_sql

if TYPE_CHECKING:
    from store.db import Reading


@dataclass(frozen=True, slots=True)
class SameAnswer:
    """Answers that stand, word for word, under many different prompts of the store."""

    rule_version: ClassVar[int] = 1

    min_prompts: int = 5
    """Different prompts from which on it is a reason."""
    min_chars: int = 20
    """Shorter answers (`Yes.`) may well repeat; in UTF-8."""

    def drops_across(
        self, reading: "Reading", upto: int
    ) -> "list[tuple[str, str | None, dict[str, object]]]":
        """Conversations with such an answer."""
        rows = reading.rows(
            named_sql("curate", "same_answers"),
            {"upto": upto, "min_prompts": self.min_prompts, "min_chars": self.min_chars},
        )
        return [
            (str(conversation), None, {"position": position, "score": n_prompts, "found": found})
            for conversation, position, n_prompts, found in rows
        ]
