"""How `train check` shows rows: stretches of tokens that are trained on or not, with their weight.

A mark and a word say what a stretch is; colour only repeats it.
"""

from collections.abc import Iterator
from itertools import groupby
from typing import Any

from store.console import visible
from train.checking.faults import Sight
from train.checking.file_rows import FileRow
from train.supervise import IGNORED, Supervised

TRAINED, CONTEXT = "▶", "·"
BETWEEN_TOKENS = "│"
MAX_TOKENS = 60
"""Tokens of one stretch that are written out; the middle of longer ones is left out."""


def show(sight: Sight, tokenizer: Any | None) -> Iterator[tuple[str, bool]]:
    """Lines of a row, each with whether it is trained on."""
    row, tokens = sight.row, sight.tokens
    yield visible("  ".join(_heading(row))), False
    if tokens is None:
        for role, content in row.turns or ():
            yield f"  {visible(role)}: {visible(content)[:200]}", False
        return
    for start, end, is_trained, weight, ids in stretches_of(tokens):
        mark, word = (TRAINED, "trained") if is_trained else (CONTEXT, "context")
        where = f"{start:>6}–{end - 1:<6}"
        yield f"  {mark} {word} {where} ×{weight:<6.4g} {_text(ids, tokenizer)}", is_trained
    if tokens.is_cut:
        yield f"  ✂ cut: {tokens.n_tokens - len(tokens.input_ids)} tokens more in the conversation", False


def _heading(row: FileRow) -> Iterator[str]:
    yield f"row {row.number}"
    yield row.conversation_id
    if row.side is not None:
        yield row.side
    if row.label is not None:
        yield "a good answer" if row.label else "a bad answer"
    if row.source_class != "none":
        yield f"class {row.source_class}"
    if row.condition is not None:
        yield f"condition {row.condition or 'missing'}"


def shown_json(sight: Sight, tokenizer: Any | None) -> dict[str, object]:
    """A row as an object: its stretches of tokens, or its turns where there are none."""
    row, tokens = sight.row, sight.tokens
    found: dict[str, object] = {
        "row": row.number,
        "conversation_id": row.conversation_id,
        "side": row.side,
        "label": row.label,
        "class": row.source_class,
        "condition": row.condition,
    }
    if tokens is None:
        return {**found, "turns": [{"role": role, "content": content} for role, content in row.turns or ()]}
    stretches = [
        {"start": start, "end": end, "trained": is_trained, "weight": weight, "text": _whole(ids, tokenizer)}
        for start, end, is_trained, weight, ids in stretches_of(tokens)
    ]
    return {
        **found,
        "tokens": len(tokens.input_ids),
        "tokens_before_cut": tokens.n_tokens,
        "stretches": stretches,
    }


def stretches_of(tokens: Supervised) -> Iterator[tuple[int, int, bool, float, list[int]]]:
    """(start, end, whether trained on, weight, ids) of tokens that are treated alike."""
    position = 0
    triples = zip(tokens.input_ids, tokens.labels, tokens.loss_weights, strict=False)
    for (is_trained, weight), part in groupby(triples, key=lambda one: (one[1] != IGNORED, one[2])):
        ids = [token for token, _, _ in part]
        yield position, position + len(ids), is_trained, weight, ids
        position += len(ids)


def _whole(ids: list[int], tokenizer: Any | None) -> str | None:
    if tokenizer is None:
        return None
    text: str = tokenizer.decode(ids, clean_up_tokenization_spaces=False)
    return text


def _text(ids: list[int], tokenizer: Any | None) -> str:
    if len(ids) <= MAX_TOKENS:
        return _tokens(ids, tokenizer)
    half = MAX_TOKENS // 2
    left_out = len(ids) - 2 * half
    return f"{_tokens(ids[:half], tokenizer)} … {left_out} tokens … {_tokens(ids[-half:], tokenizer)}"


def _tokens(ids: list[int], tokenizer: Any | None) -> str:
    if tokenizer is None:
        return " ".join(map(str, ids))
    pieces = [tokenizer.decode([token], clean_up_tokenization_spaces=False) for token in ids]
    return BETWEEN_TOKENS.join(visible(piece).replace("\n", "⏎").replace("\t", "⇥") for piece in pieces)
