"""One and the same answer to many different prompts."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from store.named_sql import named_sql

if TYPE_CHECKING:
    import pyarrow as pa

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
        answers = reading.arrow(named_sql("curate", "answer_words"), {"upto": upto})
        return self.drops_among(reading, upto, answers)

    def drops_among(
        self, reading: "Reading", upto: int, answers: "pa.Table"
    ) -> "list[tuple[str, str | None, dict[str, object]]]":
        """The same where the answers' hashes are known."""
        reading.con.register("answer_words", answers)
        rows = reading.rows(
            named_sql("curate", "same_answers"),
            {"upto": upto, "min_prompts": self.min_prompts, "min_chars": self.min_chars},
        )
        reading.con.unregister("answer_words")
        return [
            (str(conversation), None, {"position": position, "score": n_prompts, "found": found})
            for conversation, position, n_prompts, found in rows
        ]
