"""The faults of rows that hold tokens: what was lost, split or put elsewhere before they were written."""

from collections.abc import Iterable, Iterator
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

from train.checking.wording import squeezed
from train.supervise import IGNORED

if TYPE_CHECKING:
    from store.chat_format import ChatFormat
    from train.checking.faults import Rules, Sight


def token_faults(sight: "Sight", rules: "Rules") -> Iterable[str]:
    """The names of these faults, for a row whose file holds its tokens."""
    if sight.tokens is None or sight.row.turns is not None:
        return
    yield from _packing(sight, rules)
    if rules.chat is None:
        return
    yield from _vocabulary(sight, rules)
    yield from _pieces(sight, rules.chat)
    yield from _padding(sight, rules.chat)
    yield from _words(sight, rules)


def _vocabulary(sight: "Sight", rules: "Rules") -> Iterator[str]:
    """Every token is one of the tokenizer's."""
    assert sight.tokens is not None
    assert rules.chat is not None
    ids = sight.tokens.input_ids
    if ids and not 0 <= min(ids) <= max(ids) < len(rules.chat.tokenizer):
        yield "token beyond the vocabulary"


def _packing(sight: "Sight", rules: "Rules") -> Iterator[str]:
    """A packed row says where its conversations begin, and none is trained to go on from another."""
    assert sight.tokens is not None
    ids, pieces = sight.tokens.input_ids, sight.row.pieces
    if pieces is not None and sum(pieces) != len(ids):
        yield "lengths of a packed row not those of its tokens"
        return
    starts = starts_of(sight)
    bos = None if rules.chat is None else rules.chat.tokenizer.bos_token_id
    if bos is not None and ids[:1] == [bos]:
        # a beginning right after another is no second conversation, and has a check of its own
        begun = [0, *(place for place in range(1, len(ids)) if ids[place] == bos and ids[place - 1] != bos)]
        if len(begun) > 1 and starts != begun:
            yield "rows packed without where each begins"
    if any(sight.tokens.labels[start] != IGNORED for start in starts[1:]):
        yield "packed row trained across its conversations"


def starts_of(sight: "Sight") -> list[int]:
    """Where the conversations of a row begin, as its file says."""
    return [0, *list(accumulate(sight.row.pieces or ()))[:-1]]


def _pieces(sight: "Sight", chat: "ChatFormat") -> Iterator[str]:
    """The end of a turn is one token, not the letters of its name."""
    assert sight.tokens is not None
    written = _decode(chat, sight.tokens.input_ids).count(chat.template.end_of_turn)
    if written > sight.tokens.input_ids.count(chat.end_of_turn_id):
        yield "end of turn split into pieces"


def _padding(sight: "Sight", chat: "ChatFormat") -> Iterator[str]:
    """No padding is trained on, not even where it is the token that ends a turn."""
    assert sight.tokens is not None
    pad, end = chat.tokenizer.pad_token_id, chat.end_of_turn_id
    labels = sight.tokens.labels
    is_repeated = any(one == other == end for one, other in pairwise(labels))
    if is_repeated or (pad is not None and pad != end and pad in labels):
        yield "padding trained on"


def _words(sight: "Sight", rules: "Rules") -> Iterator[str]:
    """What stands before each answer is what the template writes there, under the row's condition."""
    assert sight.tokens is not None
    assert rules.chat is not None
    chat, condition = rules.chat, sight.row.condition
    wording = rules.wording(chat, condition)
    if wording is None:
        return
    starts, before = set(starts_of(sight)), 0
    for start, end in sight.trained_runs:
        begun = max(place for place in starts if place <= start)
        is_first = begun >= before
        text = _decode(chat, sight.tokens.input_ids[begun if is_first else before : start])
        if not (wording.begins(text) if is_first else wording.goes_on(text)):
            has_condition = bool(condition) and chat.template.takes_condition
            yield (
                "condition not where the template puts it"
                if has_condition
                else "turns not as the template writes them"
            )
            return
        before = end


def untrained_answers(sight: "Sight", rules: "Rules") -> list[str]:
    """The answers in a row of tokens that nothing is trained on, as texts; a last one that was cut is none."""
    if sight.tokens is None or sight.row.turns is not None or rules.chat is None:
        return []
    prompt = rules.generation_prompt(rules.chat, sight.row.condition)
    ids, labels, end = sight.tokens.input_ids, sight.tokens.labels, rules.chat.end_of_turn_id
    size = len(prompt)
    found = []
    for start in range(size, len(ids)):
        is_context = labels[start] == IGNORED and bool(prompt) and ids[start - 1] == prompt[-1]
        if is_context and ids[start - size : start] == prompt and end in ids[start:]:
            found.append(_decode(rules.chat, ids[start : ids.index(end, start)]))
    return found


def has_head(content: str, heads: Iterable[str]) -> bool:
    """Whether content begins with what a template writes before a turn."""
    bare = squeezed(content[:200])
    return any(bare.startswith(head) for head in heads)


def _decode(chat: "ChatFormat", ids: list[int]) -> str:
    known = len(chat.tokenizer)
    text: str = chat.tokenizer.decode(
        [token for token in ids if 0 <= token < known], clean_up_tokenization_spaces=False
    )
    return text
