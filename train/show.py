"""How `train check` shows rows: stretches of tokens that are trained on or not, with their weight.

A mark and a word say what a stretch is; colour only repeats it.
"""

from collections.abc import Iterator
from itertools import groupby
from typing import Any

from store.console import visible
from train.faults import Sight
from train.supervise import IGNORED

TRAINED, CONTEXT = "▶", "·"
BETWEEN_TOKENS = "│"
MAX_TOKENS = 60
"""Tokens of one stretch that are written out; the middle of longer ones is left out."""


def show(sight: Sight, tokenizer: Any | None) -> Iterator[tuple[str, bool]]:
    """Lines of a row, each with whether it is trained on."""
    row, tokens = sight.row, sight.tokens
    yield (
        f"row {row.number}  {row.conversation_id}  class {row.source_class}  condition {row.condition}",
        False,
    )
    if tokens is None:
        for role, content in row.turns or ():
            yield f"  {role}: {visible(content)[:200]}", False
        return
    position = 0
    triples = zip(tokens.input_ids, tokens.labels, tokens.loss_weights, strict=False)
    for (is_trained, weight), part in groupby(triples, key=lambda one: (one[1] != IGNORED, one[2])):
        ids = [token for token, _, _ in part]
        mark, word = (TRAINED, "trained") if is_trained else (CONTEXT, "context")
        where = f"{position:>6}–{position + len(ids) - 1:<6}"
        yield f"  {mark} {word} {where} ×{weight:<6.4g} {_text(ids, tokenizer)}", is_trained
        position += len(ids)
    if tokens.is_cut:
        yield f"  ✂ cut: {tokens.n_tokens - len(tokens.input_ids)} tokens more in the conversation", False


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
