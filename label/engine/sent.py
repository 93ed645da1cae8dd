"""What is kept of a request besides its answer: every field of its key, the texts only as hashes."""

import hashlib

from label.chat import KEY_VERSION, ChatRequest, canonical_json, request_key

TEXT_DIGITS = 16
"""Hex digits of a text's hash: enough to say that two texts differ, short enough to keep for each turn."""


def request_row(request: ChatRequest, key: str, created_at: str, run_id: str) -> dict[str, object]:
    """The row of `requests` for REQUEST, whose key is KEY."""
    repaired = request.repairs
    schema = request.response_schema
    return {
        "request_key": key,
        "key_version": KEY_VERSION,
        "provider": request.provider,
        "base_url": request.base_url,
        "model": request.model,
        "api_version": request.api_version,
        "messages": [message_digest(role, content) for role, content in request.messages],
        "response_schema": None if schema is None else canonical_json(schema),
        "sampling": canonical_json(dict(request.sampling)),
        "sample_index": request.sample_index,
        "repair_index": request.repair_index,
        "repairs": None if repaired is None else request_key(repaired),
        "created_at": created_at,
        "run_id": run_id,
    }


def message_digest(role: str, content: str) -> str:
    """A message as it is kept: role, hash of its text, characters."""
    return f"{role} {hashlib.sha256(content.encode()).hexdigest()[:TEXT_DIGITS]} {len(content)}"
