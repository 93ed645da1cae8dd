"""OpenAssistant trees: nested exports, one tree a record, and flat ones, one message a record.

Every path from a prompt to a leaf is a conversation. A message that was deleted or failed its review is a
reject, with what hangs below it; the path ends before it. Ranks among siblings and what the volunteers
said of a message (its quality, say) become ratings of the answers, each once a file.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from curate.format import Format, first_of, has_keys
from curate.reader import Inspection, Rating, ReaderSettings, Record, Reject, Remark
from curate.readers.drafts import Draft, Refusal, has_any, records_of
from curate.readers.fields import Fields, Unreadable, kind_of
from curate.readers.rows import Row, inspect_rows, rows_of

ROLE_OF = {"prompter": "user", "user": "user", "assistant": "assistant"}
LABELER = "oasst-volunteers"
RANKING = "oasst-ranking"
REVIEW = "oasst-review"
RANK_SCALE = "minus-rank"
"""-1 is the best, so that the higher number is the better answer."""
ANCESTRY = ("replies", "text", "role", "parent_id", "message_tree_id", "user_id")
"""What a message says of its place in the tree, and who wrote it: not repeated in the metadata."""

Node = dict[str, Any]


class Rated(NamedTuple):
    """A message on the way down a tree."""

    role: str
    text: str
    node: Node


def tree_drafts(fields: Fields) -> Iterator[Draft | Refusal]:
    """The conversations of a nested tree: under `prompt`, or the record is its first message itself."""
    is_wrapped = isinstance(fields.see("prompt"), dict)
    root = fields.take("prompt") if is_wrapped else {key: fields.see(key) for key in fields.keys()}  # noqa: SIM118
    about = fields.rest() if is_wrapped else None
    yield from paths_of(root, about)


def paths_of(root: Node, about: str | None) -> Iterator[Draft | Refusal]:
    """The conversations below ROOT; ABOUT is JSON text of what is said of the whole tree."""
    told: set[int] = set()
    waiting: list[tuple[Node, tuple[Rated, ...]]] = [(root, ())]
    while waiting:
        node, above = waiting.pop()
        reason = _reason_against(node) or (None if above else _reason_against_root(node))
        if reason is not None:
            below = sum(1 for _ in _all_below(node)) - 1
            yield Refusal(reason + (f"; {below} below it go with it" if below else ""), _excerpt(node))
            continue
        path = (*above, Rated(ROLE_OF[node["role"]], node["text"], node))
        replies = _replies(node)
        alive = [reply for reply in replies if _reason_against(reply) is None]
        if not alive:
            yield _draft(path, about, told)
        waiting += [(reply, path) for reply in reversed(replies)]


def _replies(node: Node) -> list[Node]:
    replies = node.get("replies") or []
    if not isinstance(replies, list):
        raise Unreadable(f"replies is {kind_of(replies)}, not a list")
    return replies


def _reason_against(node: object) -> str | None:
    if not isinstance(node, dict):
        return f"a message is {kind_of(node)}, not an object"
    name = f"message {str(node.get('message_id'))[:80]}"
    if not isinstance(node.get("role"), str) or node["role"] not in ROLE_OF:
        return f"{name}: no role is known for {str(node.get('role'))[:80]!r}"
    if not isinstance(node.get("text"), str):
        return f"{name}: its text is {kind_of(node.get('text'))}, not text"
    if node.get("deleted") is True:
        return f"{name} was deleted"
    if node.get("review_result") is False:
        return f"{name} failed its review"
    return None


def _reason_against_root(node: Node) -> str | None:
    if ROLE_OF[node["role"]] == "user":
        return None
    return f"message {str(node.get('message_id'))[:80]} answers nothing: it has no parent"


def _all_below(node: object) -> Iterator[object]:
    """A message and everything that hangs on it."""
    waiting: list[object] = [node]
    while waiting:
        one = waiting.pop()
        yield one
        if isinstance(one, dict) and isinstance(one.get("replies"), list):
            waiting += one["replies"]


def _excerpt(node: object) -> str:
    text = node.get("text") if isinstance(node, dict) else None
    return text[:200] if isinstance(text, str) else ""


def _draft(path: tuple[Rated, ...], about: str | None, told: set[int]) -> Draft:
    leaf = path[-1].node
    models = {str(one.node.get("model_name") or "") for one in path if one.role == "assistant"}
    ratings = []
    for place, one in enumerate(path):
        if id(one.node) not in told:
            told.add(id(one.node))
            ratings += [(place, rating) for rating in _ratings_of(one)]
    turns = [
        {key: value for key, value in one.node.items() if key not in ANCESTRY and value is not None}
        for one in path
    ]
    fields = Fields.of_json(about.encode()) if about else Fields({})
    fields.drop("message_id")
    language = leaf.get("lang")
    return Draft(
        tuple((one.role, one.text) for one in path),
        external_id=str(leaf.get("message_id") or ""),
        model=models.pop() if len(models) == 1 else "",
        language=language if isinstance(language, str) else None,
        metadata=fields.rest([("turns", turns)]),
        ratings=tuple(ratings),
    )


def _ratings_of(one: Rated) -> Iterator[Rating]:
    """What the volunteers said of an answer: its rank among its siblings, 0 the best there, and its labels."""
    if one.role != "assistant":
        return
    rank = one.node.get("rank")
    if isinstance(rank, int | float) and not isinstance(rank, bool):
        yield Rating(LABELER, "person", RANKING, RANK_SCALE, -1 - float(rank), aspect="rank")
    for aspect, value in _labels_of(one.node.get("labels")):
        yield Rating(LABELER, "person", REVIEW, "0-1", value, aspect=aspect)


def _labels_of(labels: object) -> Iterator[tuple[str, float]]:
    """(name, mean value) of each label; {name: {value, count}} in exports, parallel lists in tables."""
    if not isinstance(labels, dict):
        return
    names, values = labels.get("name"), labels.get("value")
    if isinstance(names, list) and isinstance(values, list) and len(names) == len(values):
        pairs = list(zip(names, values, strict=True))
    else:
        pairs = [(name, label.get("value")) for name, label in labels.items() if isinstance(label, dict)]
    for name, value in pairs:
        if isinstance(name, str) and isinstance(value, int | float) and not isinstance(value, bool):
            yield name, float(value)


class OasstReader:
    """Reads nested and flat exports."""

    def inspect(self, path: Path) -> Inspection:
        """The file's hash and sizes.

        Raises BadInput if it cannot hold records.
        """
        return inspect_rows(path)

    def __call__(self, path: Path, settings: ReaderSettings) -> Iterator[Record | Reject | Remark]:
        """Every conversation.

        Raises BadInput if nothing in the file could be a record.
        """
        del settings
        is_record = has_any("message_id", "message_tree_id")
        first = next((row for row in rows_of(path, is_record) if isinstance(row, Row)), None)
        if first is None or "replies" in first.fields or isinstance(first.fields.see("prompt"), dict):
            yield from records_of(rows_of(path, is_record), tree_drafts)
        else:
            yield from records_of(_trees(path), tree_drafts)


@dataclass(slots=True)
class _Tree:
    """The messages of a flat export that belong together."""

    place: tuple[int, int]
    """Line and offset of the first."""
    nodes: list[Node] = field(default_factory=list)


def _trees(path: Path) -> Iterator[Row | Reject]:
    """The trees of a flat export, each when its last message has come by."""
    is_record = has_any("message_id")
    last: dict[str, int] = {}
    for row in rows_of(path, is_record):
        if isinstance(row, Row):
            last[_tree_of(row)] = row.record_number
    open_trees: dict[str, _Tree] = {}
    for row in rows_of(path, is_record):
        if isinstance(row, Reject):
            yield row
            continue
        name = _tree_of(row)
        tree = open_trees.setdefault(name, _Tree((row.line, row.byte_offset)))
        tree.nodes.append({key: row.fields.see(key) for key in row.fields.keys()})  # noqa: SIM118
        if last[name] == row.record_number:
            yield from _grown(open_trees.pop(name), row)


def _tree_of(row: Row) -> str:
    return str(row.fields.see("message_tree_id") or row.fields.see("message_id"))


def _grown(tree: _Tree, row: Row) -> Iterator[Row | Reject]:
    """The messages of a tree, hung under one another; one that hangs on nothing is a reject."""
    line, offset = tree.place
    by_id = {str(node.get("message_id")): node for node in tree.nodes}
    for node in tree.nodes:
        node["replies"] = []
    roots: list[Node] = []
    for node in tree.nodes:
        parent = by_id.get(str(node.get("parent_id")))
        if node.get("parent_id") is None:
            roots.append(node)
        elif parent is not None:
            parent["replies"].append(node)
    hanging = {id(node) for root in roots for node in _all_below(root)}
    for node in tree.nodes:
        if id(node) not in hanging:
            reason = f"message {str(node.get('message_id'))[:80]} hangs on no prompt: an ancestor is not in its tree"
            yield Reject(row.record_number, line, offset, reason, _excerpt(node))
    for root in roots:
        about = {"message_tree_id": root.get("message_tree_id"), "prompt": root}
        yield Row(row.record_number, line, offset, Fields(about), _excerpt(root))


OASST = OasstReader()
FORMAT = Format(
    "OpenAssistant trees, nested or flat: each path a conversation, ranks and labels become ratings",
    '{"message_tree_id": "t1", "tree_state": "ready_for_export", "prompt": {"message_id": "t1", "role": "prompter", '
    '"text": "Hi", "lang": "en", "deleted": false, "review_result": true, "replies": [{"message_id": "a1", '
    '"parent_id": "t1", "role": "assistant", "text": "Hello.", "lang": "en", "deleted": false, "review_result": true, '
    '"rank": 0, "replies": []}]}}',
    first_of(
        has_keys("message_tree_id", "prompt", confidence=0.98),
        has_keys("message_id", "text", "role", confidence=0.95),
    ),
)
