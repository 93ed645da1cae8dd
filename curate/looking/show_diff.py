"""`curate show --diff`: a conversation before and after it was cleaned, turn by turn."""

from dataclasses import dataclass
from difflib import unified_diff

from curate.looking.finding import find
from curate.looking.show import ShownMessage, messages_of, path_of_conversation
from store.db import Reading, Store
from store.errors import RequestError
from store.ids import to_text


@dataclass(frozen=True, slots=True)
class TurnDiff:
    """One turn, before and after; each with the labels it has."""

    position: int
    """Counted from 1."""
    role: str
    before: ShownMessage | None
    after: ShownMessage | None

    @property
    def is_changed(self) -> bool:
        """Whether its text changed; its id changes with any turn before it too."""
        return self.before is None or self.after is None or self.before.content != self.after.content

    def lines(self) -> list[str]:
        """The change as a unified diff without its head."""
        old, new = ((one.content if one else "").splitlines() for one in (self.before, self.after))
        return list(unified_diff(old, new, lineterm="", n=2))[2:]


@dataclass(frozen=True, slots=True)
class ConversationDiff:
    """From the record as it came in to what was made of it last."""

    before: str
    after: str
    steps: tuple[str, ...]
    """What was done, first to last."""
    turns: tuple[TurnDiff, ...]


def show_diff(store: Store, given: str) -> ConversationDiff:
    """What became of the conversation GIVEN, which may be the old one or the new one.

    Raises RequestError if it never changed.
    """
    with store.read() as reading:
        found = find(reading, given)
        if found.tag != "c1":
            raise RequestError(f"{given} is not a conversation; only conversations are cleaned")
        chain = _chain(reading, found.uuid)
        if len(chain) < 2:
            raise RequestError(
                f"{given} was never cleaned; see it, and what it was cut into, with: curate show {given}"
            )
        first, last = chain[0][0], chain[-1][0]
        before = messages_of(reading, path_of_conversation(reading, first))
        after = messages_of(reading, path_of_conversation(reading, last))
    return ConversationDiff(
        to_text("c1", first), to_text("c1", last), tuple(step for _, step in chain[1:]), _turns(before, after)
    )


def _turns(before: tuple[ShownMessage, ...], after: tuple[ShownMessage, ...]) -> tuple[TurnDiff, ...]:
    found = []
    for i in range(max(len(before), len(after))):
        old = before[i] if i < len(before) else None
        new = after[i] if i < len(after) else None
        named = new or old
        assert named is not None
        found.append(TurnDiff(i + 1, named.role, old, new))
    return tuple(found)


def _chain(reading: Reading, uuid: str) -> list[tuple[str, str]]:
    """(conversation, the step that cleaned it) from the first to the newest made of it, by way of UUID.

    Cutting into blocks ends a chain on either side: its turns are elsewhere, not otherwise.
    """
    back = [(uuid, "")]
    while True:
        rows = reading.rows(
            "SELECT CAST(derived_from AS VARCHAR), derived_step FROM conversations"
            " WHERE conversation_id = CAST(? AS UUID) AND derived_from IS NOT NULL"
            " AND derived_step NOT LIKE 'blocks/%'",
            [back[0][0]],
        )
        if not rows:
            break
        back[0] = (back[0][0], rows[0][1])
        back.insert(0, (rows[0][0], ""))
    while True:
        rows = reading.rows(
            "SELECT CAST(conversation_id AS VARCHAR), derived_step FROM conversations"
            " WHERE derived_from = CAST(? AS UUID) AND derived_step NOT LIKE 'blocks/%'"
            " ORDER BY version DESC, conversation_id LIMIT 1",
            [back[-1][0]],
        )
        if not rows:
            return back
        back.append((rows[0][0], rows[0][1]))
