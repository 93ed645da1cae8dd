"""ChatGPT's account export (`conversations.json`): each conversation a tree of messages.

Every path from the root to a leaf is a conversation; the metadata says which one the person last looked
at (`current_node`). Messages nobody saw (empty system prompts, hidden ones, the model's thoughts) are left
out and counted. A message the assistant sends to a tool is a `tool_call`.
"""

from collections.abc import Iterator
from typing import Any

from curate.format import Format, has_keys
from curate.readers.chat_turns import tool_call
from curate.readers.drafts import Draft, DraftReader, Refusal, has_any
from curate.readers.fields import Fields, Unreadable, kind_of

UNSEEN_TYPES = ("thoughts", "reasoning_recap", "user_editable_context", "model_editable_context")
ROLES = ("system", "user", "assistant", "tool")
EVERYONE = "all"

Node = dict[str, Any]


def export_drafts(fields: Fields) -> Iterator[Draft | Refusal]:
    """The conversations of one tree."""
    mapping = fields.take("mapping")
    if not isinstance(mapping, dict) or not mapping:
        raise Unreadable(f"mapping is {kind_of(mapping)}, not an object with nodes")
    current = fields.take("current_node")
    external_id = fields.take_id("conversation_id" if "conversation_id" in fields else "id")
    leaves = _leaves(mapping)
    told: set[tuple[tuple[str, str], ...]] = set()
    for leaf in leaves:
        branch: dict[str, object] = {"leaf": leaf, "is_current": leaf == current, "branches": len(leaves)}
        try:
            draft = _draft(_path(mapping, leaf), fields, external_id, branch)
        except Unreadable as error:
            yield Refusal(f"the branch to {leaf[:80]}: {error}")
            continue
        if draft.messages not in told:  # two leaves may differ only in what nobody saw
            told.add(draft.messages)
            yield draft


def _leaves(mapping: dict[str, Any]) -> list[str]:
    """The nodes that are nobody's parent, in the file's order."""
    for name, node in mapping.items():
        if not isinstance(node, dict):
            raise Unreadable(f"node {name[:80]} is {kind_of(node)}, not an object")
    parents = {parent for node in mapping.values() if isinstance(parent := node.get("parent"), str)}
    leaves = [name for name in mapping if name not in parents]
    if not leaves:
        raise Unreadable("the message tree has no leaf: its nodes form a ring")
    return leaves


def _path(mapping: dict[str, Any], leaf: str) -> list[Node]:
    """The nodes from the root to LEAF."""
    path: list[Node] = []
    name: object = leaf
    seen: set[object] = set()
    while name is not None:
        node = mapping.get(name) if isinstance(name, str) else None
        if node is None:
            raise Unreadable(f"its parent {str(name)[:80]} is not in the file")
        if name in seen:
            raise Unreadable(f"node {str(name)[:80]} is its own ancestor")
        seen.add(name)
        path.append(node)
        name = node.get("parent")
    return path[::-1]


def _draft(path: list[Node], fields: Fields, external_id: str, branch: dict[str, object]) -> Draft:
    messages: list[tuple[str, str]] = []
    models: list[str] = []
    n_hidden = 0
    for node in path:
        message = node.get("message")
        if message is None:
            continue
        found = _message_of(message)
        if found is None:
            n_hidden += 1
            continue
        messages.append(found)
        if found[0] in ("assistant", "tool_call"):
            models.append(_model_of(message))
    if not messages:
        raise Unreadable("no message that anybody saw")
    several = sorted(set(models))
    about: list[tuple[str, object]] = [("branch", branch)]
    about += [("hidden_messages", n_hidden)] if n_hidden else []
    about += [("models", models)] if len(several) > 1 else []
    return Draft(
        tuple(messages),
        external_id=external_id,
        model=several[0] if len(several) == 1 else "",
        metadata=fields.rest(about),
    )


def _model_of(message: Node) -> str:
    metadata = message.get("metadata")
    slug = metadata.get("model_slug") if isinstance(metadata, dict) else None
    return slug if isinstance(slug, str) else ""


def _message_of(message: object) -> tuple[str, str] | None:
    """(role, content) of a message, None if nobody saw it."""
    if not isinstance(message, dict):
        raise Unreadable(f"a message is {kind_of(message)}, not an object")
    author, content = message.get("author"), message.get("content")
    role = author.get("role") if isinstance(author, dict) else None
    if role not in ROLES:
        raise Unreadable(f"no role is known for the author {str(role)[:80]!r}")
    if not isinstance(content, dict):
        raise Unreadable(f"the content of a message is {kind_of(content)}, not an object")
    if _is_hidden(message) or content.get("content_type") in UNSEEN_TYPES:
        return None
    text = _text_of(content)
    if role == "system" and not text:
        return None
    recipient = message.get("recipient") or EVERYONE
    if role == "assistant" and recipient != EVERYONE:
        return "tool_call", tool_call(str(recipient), text)
    return role, text


def _is_hidden(message: Node) -> bool:
    metadata = message.get("metadata")
    return isinstance(metadata, dict) and bool(metadata.get("is_visually_hidden_from_conversation"))


def _text_of(content: Node) -> str:
    parts = content.get("parts")
    if isinstance(parts, list):
        return "\n".join(_part_text(part) for part in parts)
    texts = [content[key] for key in ("title", "url", "text", "result", "summary") if key in content]
    if not texts or not any(isinstance(text, str) for text in texts):
        raise Unreadable(f"a message of type {str(content.get('content_type'))[:80]!r} holds no text")
    return "\n".join(text for text in texts if isinstance(text, str) and text)


def _part_text(part: object) -> str:
    if isinstance(part, str):
        return part
    if isinstance(part, dict) and isinstance(part.get("text"), str):
        return str(part["text"])
    kind = part.get("content_type") if isinstance(part, dict) else kind_of(part)
    raise Unreadable(f"a part of a message is {str(kind)[:80]}, not text")


CHATGPT_EXPORT = DraftReader(export_drafts, has_any("mapping"))
FORMAT = Format(
    "ChatGPT's account export: a tree of messages, each branch a conversation",
    '{"id": "e1", "title": "Sums", "current_node": "b", "mapping": {"r": {"id": "r", "message": null, "parent": null, '
    '"children": ["a"]}, "a": {"id": "a", "parent": "r", "children": ["b"], "message": {"author": {"role": "user"}, '
    '"content": {"content_type": "text", "parts": ["2+2?"]}, "recipient": "all"}}, "b": {"id": "b", "parent": "a", '
    '"children": [], "message": {"author": {"role": "assistant"}, "content": {"content_type": "text", "parts": ["4"]}, '
    '"recipient": "all", "metadata": {"model_slug": "gpt-4"}}}}}',
    has_keys("mapping", confidence=0.95),
)
