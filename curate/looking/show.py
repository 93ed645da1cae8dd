"""`curate show`: one conversation, or the path down to one message, with its labels."""

from dataclasses import dataclass

from curate.looking.finding import find
from store.db import Reading, Store
from store.errors import RequestError
from store.ids import to_text


@dataclass(frozen=True, slots=True)
class ShownMessage:
    """One turn with what judges said of it."""

    message: str
    role: str
    content: str
    ratings: tuple[tuple[str, float | None, str], ...]
    """(labeler, value, state)."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A path of messages, root first, with what is known of the conversation if it is one."""

    id: str
    about: dict[str, object]
    messages: tuple[ShownMessage, ...]


def show(store: Store, given: str) -> Shown:
    """The conversation or message with the id GIVEN.

    Raises RequestError if there is none.
    """
    with store.read() as reading:
        found = find(reading, given)
        if found.tag == "x1":
            raise RequestError(f"{given} is an export; look at its rows with: train check")
        about = _about(reading, found.uuid) if found.tag == "c1" else {}
        path = (
            path_of_conversation(reading, found.uuid) if found.tag == "c1" else _path_to(reading, found.uuid)
        )
        return Shown(found.text, about, messages_of(reading, path))


def _about(reading: Reading, uuid: str) -> dict[str, object]:
    return reading.dicts(
        """
        SELECT
            source, external_id, model, class, language, verdict, verdict_reason, record_numbers, line,
            'c1-' || replace(CAST(derived_from AS VARCHAR), '-', '') AS derived_from,
            derived_step,
            (
                SELECT
                    string_agg(
                        'c1-' || replace(CAST(later.conversation_id AS VARCHAR), '-', ''), ', '
                        ORDER BY CAST(regexp_extract(later.derived_step, ': (\\d+) of', 1) AS VARCHAR).lpad(9, '0'),
                            later.conversation_id
                    )
                FROM conversations AS later
                WHERE later.derived_from = all_conversations.conversation_id
            ) AS superseded_by
        FROM all_conversations
        WHERE conversation_id = CAST(? AS UUID)
        """,
        [uuid],
    )[0]


def path_of_conversation(reading: Reading, uuid: str) -> list[str]:
    """The ids of a conversation's messages, root first, as UUID text."""
    sql = "SELECT CAST(message_ids AS VARCHAR[]) FROM conversations WHERE conversation_id = CAST(? AS UUID)"
    return list(reading.rows(sql, [uuid])[0][0])


def _path_to(reading: Reading, uuid: str) -> list[str]:
    """From the root to a message; a conversation that holds it has the path stored."""
    stored = reading.rows(
        "SELECT CAST(message_ids[:list_position(message_ids, CAST($id AS UUID))] AS VARCHAR[]) FROM conversations"
        " WHERE list_contains(message_ids, CAST($id AS UUID)) LIMIT 1",
        {"id": uuid},
    )
    if stored:
        return list(stored[0][0])
    path: list[str] = []
    step: str | None = uuid
    while step is not None:
        path.append(step)
        rows = reading.rows(
            "SELECT CAST(parent_id AS VARCHAR) FROM messages WHERE message_id = CAST(? AS UUID)", [step]
        )
        step = rows[0][0]
    return path[::-1]


def messages_of(reading: Reading, path: list[str]) -> tuple[ShownMessage, ...]:
    """The messages along PATH with their ratings."""
    texts = {
        message_id: (role, content)
        for message_id, role, content in reading.rows(
            "SELECT CAST(message_id AS VARCHAR), role, content FROM messages"
            " WHERE message_id IN (SELECT CAST(unnest(?) AS UUID))",
            [path],
        )
    }
    ratings: dict[str, list[tuple[str, float | None, str]]] = {}
    for message_id, labeler, value, state in reading.rows(
        "SELECT CAST(response_id AS VARCHAR), labeler, value, state FROM current_ratings"
        " WHERE response_id IN (SELECT CAST(unnest(?) AS UUID)) ORDER BY ALL",
        [path],
    ):
        ratings.setdefault(message_id, []).append((labeler, value, state))
    return tuple(
        ShownMessage(to_text("m1", step), *texts[step], ratings=tuple(ratings.get(step, ()))) for step in path
    )
