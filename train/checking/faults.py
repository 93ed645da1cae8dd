"""The faults that make training go wrong in silence, each found by a small function from one row.

They are the bugs real projects shipped: an end of turn that is never trained, two beginnings, masks off
by one, control tokens in user text, weights that do not fit.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import compress, groupby, repeat
from operator import ne

from store.chat_format import ChatFormat, Encoded, Rendered, control_tokens_in, last_control_token
from train.checking.file_rows import FileRow
from train.checking.promise import Promise
from train.checking.promise_faults import (
    check_class,
    check_ids,
    check_scored_labels,
    check_shown,
    check_trained_answers,
    check_whole_pairs,
)
from train.checking.token_faults import starts_of, token_faults
from train.checking.wording import Wording, wording_of
from train.exporting.steps import alternates
from train.supervise import IGNORED, Supervised


@dataclass(frozen=True)
class Rules:
    """What rows are held against."""

    chat: ChatFormat | None
    max_length: int | None
    promise: Promise = field(default_factory=Promise)
    """What the manifest says of the rows."""

    @property
    def needs_condition(self) -> bool:
        """Whether the recipe is C-RLFT, whose rows name their condition."""
        return self.promise.recipe == "crlft"

    @cached_property
    def control_tokens(self) -> tuple[str, ...]:
        """Strings that must not stand in content."""
        return self.chat.control_tokens if self.chat else ()

    @cached_property
    def _wordings(self) -> dict[str | None, Wording | None]:
        return {}

    def wording(self, chat: ChatFormat, condition: str | None) -> Wording | None:
        """What the template writes around turns under a condition."""
        if condition not in self._wordings:
            self._wordings[condition] = wording_of(chat, condition)
        return self._wordings[condition]

    @cached_property
    def _prompts(self) -> dict[str | None, list[int]]:
        return {}

    def generation_prompt(self, chat: ChatFormat, condition: str | None) -> list[int]:
        """The tokens the template writes before an answer under a condition."""
        if condition not in self._prompts:
            question = [("user", "?")]
            [asked] = chat.encode([chat.render(question, condition)])
            prompt = chat.encode_prompts([question], condition)[0]
            self._prompts[condition] = prompt[len(asked.input_ids) :]
        return self._prompts[condition]


@dataclass(frozen=True)
class Sight:
    """A row as the trainer sees it; parts are None where they could not be made or do not apply."""

    row: FileRow
    tokens: Supervised | None
    rendered: Rendered | None = None
    encoded: Encoded | None = None

    @cached_property
    def trained_runs(self) -> list[tuple[int, int]]:
        """The stretches (start, end) of tokens that are trained on."""
        if self.tokens is None:
            return []
        runs: list[tuple[int, int]] = []
        position = 0
        for is_trained, part in groupby(_is_trained(self.tokens)):
            length = len(list(part))
            if is_trained:
                runs.append((position, position + length))
            position += length
        return runs


def _is_trained(tokens: Supervised) -> Iterator[bool]:
    """Token by token, without a step of Python for each: rows are looked at while a trainer waits for them."""
    return map(ne, tokens.labels, repeat(IGNORED))


Check = Callable[[Sight, Rules], Iterable[str]]


def check_roles(sight: Sight, _rules: Rules) -> Iterator[str]:
    """Roles are known and alternate, and the assistant has the last word."""
    if sight.row.turns is None:
        return
    roles = [role for role, _ in sight.row.turns]
    if not roles or roles[-1] != "assistant":
        yield "last turn not by the assistant"
    elif not alternates(roles):
        yield "roles do not alternate"


def check_content(sight: Sight, _rules: Rules) -> Iterator[str]:
    """No turn is empty."""
    if sight.row.turns is not None and not all(content.strip() for _, content in sight.row.turns):
        yield "empty content"


def check_control_tokens(sight: Sight, rules: Rules) -> Iterator[str]:
    """No content holds a string that the tokenizer turns into a control token."""
    if any(control_tokens_in(content, rules.control_tokens) for _, content in sight.row.turns or ()):
        yield "control token in content"


def check_condition(sight: Sight, rules: Rules) -> Iterator[str]:
    """Every row of C-RLFT has a condition; TRL fails on a row without template arguments."""
    condition = sight.row.condition
    if sight.row.turns is not None and (condition == "" or (condition is None and rules.needs_condition)):
        yield "condition missing"


def check_turn_weights(sight: Sight, _rules: Rules) -> Iterator[str]:
    """There is one weight a turn, finite, none below 0, and only answers weigh anything."""
    turns, weights = sight.row.turns, sight.row.turn_weights
    if turns is None or weights is None:
        return
    if len(weights) != len(turns):
        yield "weights not as long as the turns"
        return
    yield from _weight_values(weights)
    if any(weight and role != "assistant" for (role, _), weight in zip(turns, weights, strict=True)):
        yield "context trained on"


def _weight_values(weights: Iterable[float]) -> Iterator[str]:
    values = set(weights)
    if not all(math.isfinite(weight) for weight in values):
        yield "weight not finite"
    if any(weight < 0 for weight in values):
        yield "weight below zero"


def check_lengths(sight: Sight, _rules: Rules) -> Iterator[str]:
    """Tokens, labels and weights are of one length."""
    tokens = sight.tokens
    if tokens and not len(tokens.input_ids) == len(tokens.labels) == len(tokens.loss_weights):
        yield "weights or labels not as long as the tokens"


def check_token_weights(sight: Sight, _rules: Rules) -> Iterator[str]:
    """Weights are finite and stand exactly where labels do."""
    tokens = sight.tokens
    if tokens is None:
        return
    yield from _weight_values(tokens.loss_weights)
    if any(map(ne, _is_trained(tokens), map(bool, tokens.loss_weights))):
        yield "weights and labels disagree"


def check_labels(sight: Sight, _rules: Rules) -> Iterator[str]:
    """Something is trained on, and every label is its own token (the model does the shifting)."""
    tokens = sight.tokens
    if tokens is None:
        return
    if tokens.n_trained == 0:
        yield "nothing trained on"
    others = compress(tokens.labels, map(ne, tokens.labels, tokens.input_ids))
    if not {IGNORED}.issuperset(others):
        yield "labels shifted against the tokens"


def check_length(sight: Sight, rules: Rules) -> Iterator[str]:
    """Rows in tokens are cut already."""
    tokens = sight.tokens
    if tokens and rules.max_length is not None and len(tokens.input_ids) > rules.max_length:
        yield "longer than max length"


def check_beginning(sight: Sight, rules: Rules) -> Iterator[str]:
    """There is exactly one beginning token, at the front, where the template writes one."""
    if sight.tokens is None or rules.chat is None or rules.chat.tokenizer.bos_token_id is None:
        return
    if "bos_token" not in rules.chat.template.text:
        return
    found = sight.tokens.input_ids.count(rules.chat.tokenizer.bos_token_id)
    if found > len(starts_of(sight)):
        yield "more than one beginning token"
    elif sight.tokens.input_ids[:1] != [rules.chat.tokenizer.bos_token_id]:
        yield "no beginning token in front"


def check_ends(sight: Sight, rules: Rules) -> Iterator[str]:
    """Every answer ends with a trained end of turn; only a cut row may stop without one."""
    if sight.tokens is None or rules.chat is None:
        return
    ids, end_of_turn = sight.tokens.input_ids, rules.chat.end_of_turn_id
    for _, end in sight.trained_runs:
        if ids[end - 1] == end_of_turn:
            continue
        if end < len(ids) and ids[end] == end_of_turn:
            yield "end of turn not trained on"
        elif not (sight.tokens.is_cut and end == len(ids)):
            yield "end of turn missing"


def check_starts(sight: Sight, rules: Rules) -> Iterator[str]:
    """What is trained on begins right after the template's prompt for an answer, and is one answer."""
    if sight.tokens is None or rules.chat is None:
        return
    ids, end_of_turn = sight.tokens.input_ids, rules.chat.end_of_turn_id
    prompt = rules.generation_prompt(rules.chat, sight.row.condition)
    for start, end in sight.trained_runs:
        if _ends_with(ids, start, prompt):
            if end_of_turn in ids[start : end - 1]:
                yield "context trained on"
        elif any(_ends_with(ids, start + shift, prompt) for shift in (-1, 1)):
            yield "mask off by one"
        else:
            yield "context trained on"


def _ends_with(ids: list[int], end: int, part: list[int]) -> bool:
    return end >= len(part) and ids[end - len(part) : end] == part


def check_spans(sight: Sight, rules: Rules) -> Iterator[str]:
    """Decoding what is trained on gives content and end of turn back."""
    if sight.encoded is None or sight.rendered is None or rules.chat is None or sight.row.turns is None:
        return
    answers = [content for role, content in sight.row.turns if role == "assistant"]
    if len(answers) != len(sight.encoded.spans):
        yield "answers not marked for training"
        return
    for answer, (start, end) in zip(answers, sight.encoded.spans, strict=True):
        text = rules.chat.decode(sight.encoded.input_ids[start:end])
        if text.removeprefix(" ") != answer.removeprefix(" ") + rules.chat.template.end_of_turn:
            yield "trained text differs from the answer"


def check_prefix(sight: Sight, rules: Rules) -> Iterator[str]:
    """The tokens of the prompt are the first tokens of prompt and answer: training is as inference will be."""
    if sight.encoded is None or rules.chat is None or sight.row.turns is None or not sight.encoded.spans:
        return
    prompt = rules.chat.render(sight.row.turns[:-1], sight.row.condition, is_prompt=True)
    before = sight.encoded.input_ids[: sight.encoded.spans[-1][0]]
    if not sight.encoded.is_aligned or not (
        _ends_like(before, prompt, sight, rules) or _tokens_of(rules.chat, prompt.text) == before
    ):
        yield "prompt not a prefix of prompt and answer"


def _ends_like(before: list[int], prompt: Rendered, sight: Sight, rules: Rules) -> bool:
    """Whether the prompt's text begins the row's, and its tokens from the last control token on are the same.

    A control token parts a text for the tokenizer, so what stands before it cannot differ then, and is not
    tokenised twice.
    """
    assert rules.chat is not None
    assert sight.rendered is not None
    if not sight.rendered.text.startswith(prompt.text):
        return False
    last = last_control_token(prompt.text, rules.control_tokens)
    return last is not None and _ends_with(before, len(before), _tokens_of(rules.chat, prompt.text[last:]))


def _tokens_of(chat: ChatFormat, text: str) -> list[int]:
    return next(chat.encode([Rendered(text, ())])).input_ids


ROW_CHECKS: tuple[Check, ...] = (
    check_roles,
    check_content,
    check_control_tokens,
    check_condition,
    check_turn_weights,
    check_lengths,
    check_token_weights,
    check_labels,
    check_length,
    check_beginning,
    check_ends,
    check_starts,
    check_spans,
    check_prefix,
    check_shown,
    check_ids,
    check_scored_labels,
    check_class,
    check_trained_answers,
    check_whole_pairs,
    token_faults,
)


def row_faults(sight: Sight, rules: Rules) -> set[str]:
    """The names of all faults of a row."""
    return {fault for check in ROW_CHECKS for fault in check(sight, rules)}
