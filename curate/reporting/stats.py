"""What a store holds, by source (or file) and by class: the columns of Camels, Table 1, and of Xwin, Table 1.

Rounds are answers that directly follow a user's turn. Lengths are means over turns: prompts are the
user's turns, completions the assistant's; a conversation is as long as both together. Every distinct
message is measured once, set-based.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from store.db import Reading, Store

Unit = Literal["words", "tokens"]

Count = Callable[[Sequence[str]], list[int]]
"""The length of each of some texts."""

BATCH_TEXTS = 2_000
MODELS_SHOWN = 2
NOT_SAID = "not said"

TEXTS = """
SELECT CAST(message_id AS VARCHAR) AS message_id, content
FROM messages
WHERE role IN ('user', 'assistant')
"""


@dataclass(frozen=True, slots=True)
class Group:
    """The conversations of one source or one class."""

    name: str
    conversations: int
    rounds: float | None
    """Mean number of rounds; None without conversations."""
    mean_prompt: float | None
    """Mean length of a user's turn; None without any."""
    mean_completion: float | None
    """Mean length of an assistant's turn; None without any."""
    turns: float | None = None
    """Mean number of the user's turns; None without conversations."""
    mean_conversation: float | None = None
    """Mean length of a conversation; None without any."""
    models: tuple[tuple[str, int], ...] = ()
    """(model label, conversations), the most frequent first; empty where the file did not say."""
    files: int | None = None
    """How many files a source was taken in from; None for a class."""
    path: str | None = None
    """The file, where every file has its line."""

    @property
    def sourced_from(self) -> str:
        """Who wrote the answers, as far as the files say, in a few words."""
        if len(self.models) == 1:
            return self.models[0][0] or NOT_SAID
        shown = [
            f"{label or NOT_SAID} {_percent(count / self.conversations)}"
            for label, count in self.models[:MODELS_SHOWN]
        ]
        n_more = len(self.models) - len(shown)
        return ", ".join([*shown, f"{n_more} more"] if n_more else shown)


def _percent(share: float) -> str:
    """A share in whole percent; neither all nor nothing is rounded to one."""
    if share < 0.01:
        return "<1%"
    return ">99%" if 0.99 < share < 1 else f"{share:.0%}"


@dataclass(frozen=True, slots=True)
class Stats:
    """Both tables, and what their lengths count."""

    unit: Unit
    sources: list[Group]
    classes: list[Group]


MEASURE_TURNS = """
CREATE TEMP TABLE turns AS
SELECT
    message_id,
    role = 'user' AS is_prompt,
    role = 'assistant' AND parent_role = 'user' AS is_round,
    lengths.length
FROM (
    SELECT messages.message_id, messages.role, parents.role AS parent_role
    FROM messages
    LEFT JOIN messages AS parents ON parents.message_id = messages.parent_id
    WHERE messages.role IN ('user', 'assistant')
)
JOIN lengths USING (message_id)
"""

MEASURE_CONVERSATIONS = """
CREATE TEMP TABLE measured AS
SELECT
    places.conversation_id,
    count(*) FILTER (is_prompt) AS prompts,
    count(*) FILTER (NOT is_prompt) AS completions,
    count(*) FILTER (is_round) AS rounds,
    sum(length) FILTER (is_prompt) AS prompt_length,
    sum(length) FILTER (NOT is_prompt) AS completion_length
FROM (SELECT conversation_id, unnest(message_ids) AS message_id FROM current_conversations) AS places
JOIN turns USING (message_id)
GROUP BY places.conversation_id
"""

SUM_UP = """
count(conversations.conversation_id) AS conversations,
sum(coalesce(rounds, 0))::DOUBLE / nullif(count(conversations.conversation_id), 0) AS rounds,
sum(prompt_length)::DOUBLE / nullif(sum(prompts), 0) AS mean_prompt,
sum(completion_length)::DOUBLE / nullif(sum(completions), 0) AS mean_completion,
sum(coalesce(prompts, 0))::DOUBLE / nullif(count(conversations.conversation_id), 0) AS turns,
(sum(coalesce(prompt_length, 0)) + sum(coalesce(completion_length, 0)))::DOUBLE
    / nullif(count(conversations.conversation_id), 0) AS mean_conversation
"""

MODELS_BY_SOURCE = """
SELECT source AS name, model, count(*) AS conversations
FROM current_conversations
GROUP BY ALL
ORDER BY conversations DESC, model
"""

MODELS_BY_FILE = """
SELECT CAST(source_id AS VARCHAR) AS name, model, count(*) AS conversations
FROM current_conversations
GROUP BY ALL
ORDER BY conversations DESC, model
"""

MODELS_BY_CLASS = """
SELECT class AS name, model, count(*) AS conversations
FROM current_conversations
GROUP BY ALL
ORDER BY conversations DESC, model
"""

FROM_SOURCES = """
FROM current_sources AS sources
LEFT JOIN current_conversations AS conversations ON conversations.source_id = sources.source_id
LEFT JOIN measured ON measured.conversation_id = conversations.conversation_id
"""

BY_SOURCE = f"""
SELECT sources.name AS key, sources.name, count(DISTINCT sources.path) AS files, {SUM_UP}
{FROM_SOURCES}
GROUP BY sources.name
ORDER BY sources.name
"""

BY_FILE = f"""
SELECT CAST(sources.source_id AS VARCHAR) AS key, sources.name, 1 AS files, any_value(sources.path) AS path, {SUM_UP}
{FROM_SOURCES}
GROUP BY sources.source_id, sources.name
ORDER BY sources.name, path, sources.source_id
"""

BY_CLASS = f"""
SELECT conversations.class AS key, conversations.class AS name, {SUM_UP}
FROM current_conversations AS conversations
LEFT JOIN measured ON measured.conversation_id = conversations.conversation_id
GROUP BY conversations.class
ORDER BY conversations.class
"""


def measure(store: "Store", tokenizer: Path | None = None, *, by_file: bool = False) -> Stats:
    """Statistics of the current conversations, in tokens of the tokenizer saved at TOKENIZER or in words.

    A source is all files that were taken in under one name, unless each file has its own line.
    Raises MissingExtra without transformers, BadInput where there is no tokenizer.
    """
    with store.read() as reading:
        unit = prepare(reading, tokenizer)
        by = (BY_FILE, MODELS_BY_FILE) if by_file else (BY_SOURCE, MODELS_BY_SOURCE)
        sources = groups(reading, *by)
        classes = groups(reading, BY_CLASS, MODELS_BY_CLASS)
    return Stats(unit, sources, classes)


def prepare(reading: "Reading", tokenizer: Path | None) -> Unit:
    """Make the tables `turns` and `measured` for the rest of the turn."""
    unit = measure_texts(reading, tokenizer)
    reading.con.execute(MEASURE_TURNS)
    reading.con.execute(MEASURE_CONVERSATIONS)
    return unit


def groups(reading: "Reading", measures: str, labels: str) -> list[Group]:
    """One line a source or class, once the tables are prepared."""
    models: dict[str, list[tuple[str, int]]] = {}
    for name, model, count in reading.rows(labels):
        models.setdefault(name, []).append((model, count))
    rows = reading.dicts(measures)
    return [Group(**row, models=tuple(models.get(key, ()))) for row in rows for key in (row.pop("key"),)]


def count_words(texts: Sequence[str]) -> list[int]:
    """How many words each text has; four times as fast as a regular expression in SQL."""
    return [len(text.split()) for text in texts]


def _token_counter(path: Path) -> Count:
    from store.chat_format import count_tokens, load_tokenizer

    tokenizer = load_tokenizer(path)
    return lambda texts: count_tokens(tokenizer, texts)


def measure_texts(reading: "Reading", tokenizer: Path | None) -> Unit:
    """Make the table `lengths`: every user's and assistant's message once, in tokens of TOKENIZER or in words."""
    import pyarrow as pa

    count = count_words if tokenizer is None else _token_counter(tokenizer)
    ids: list[pa.Array] = []
    lengths: list[int] = []
    for batch in reading.batches(TEXTS, rows=BATCH_TEXTS):
        ids.append(
            pa.array(batch.column(0).to_pylist(), pa.string())
        )  # the column itself keeps the texts, too
        lengths += count(batch.column(1).to_pylist())
    columns = {"message_id": pa.chunked_array(ids, pa.string()), "length": pa.array(lengths, pa.int64())}
    reading.con.register("counted", pa.table(columns))
    reading.con.execute(
        "CREATE TEMP TABLE lengths AS SELECT CAST(message_id AS UUID) AS message_id, length FROM counted"
    )
    reading.con.unregister("counted")
    return "words" if tokenizer is None else "tokens"
