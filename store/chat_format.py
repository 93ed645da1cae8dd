"""How a conversation becomes tokens: one Jinja render, tokenised whole, with the assistant's part marked.

Rendering once and tokenising the whole text is what keeps training and inference alike: tokenised
piece by piece, byte-level BPE loses the space after `Assistant:`. Curate (lengths), label (prompts) and
train (rows) all come here, so that no two of them can disagree.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from store.chat_template import ChatTemplate, template_for
from store.errors import BadInput, MissingExtra

Turn = tuple[str, str]
"""(role, content)."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """A conversation as one text, with the characters (start, end) of every assistant part."""

    text: str
    spans: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Encoded:
    """A conversation as tokens, with the tokens (start, end) of every assistant part."""

    input_ids: list[int]
    spans: tuple[tuple[int, int], ...]
    is_aligned: bool
    """Whether every assistant part begins and ends where a token does."""


def load_tokenizer(path: str | Path) -> Any:
    """The fast tokenizer saved at PATH (a directory).

    Raises MissingExtra without transformers, BadInput where PATH holds no fast tokenizer.
    """
    try:
        from transformers import AutoTokenizer
    except ImportError as error:
        raise MissingExtra.of("transformers", "local") from error
    if not Path(path).is_dir():
        raise BadInput(f"there is no directory {path}; name one that holds a tokenizer")
    try:
        tokenizer = AutoTokenizer.from_pretrained(str(path), trust_remote_code=False, local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        raise BadInput(f"no tokenizer can be read from {path}: {str(error).splitlines()[0]}") from error
    if not tokenizer.is_fast:
        raise BadInput(f"the tokenizer at {path} is not a fast one, and only those tell where a token begins")
    return tokenizer


def add_end_of_turn(tokenizer: Any, template: ChatTemplate) -> list[int]:
    """Make the template's end of turn one token of TOKENIZER; the ids that are new, if any."""
    if template.end_of_turn in tokenizer.get_added_vocab():
        return []
    from tokenizers import AddedToken

    size = len(tokenizer)
    tokenizer.add_tokens(
        [AddedToken(template.end_of_turn, special=True, normalized=False)], special_tokens=True
    )
    return list(range(size, len(tokenizer)))


def tokenizer_sha256(tokenizer: Any) -> str:
    """The hash of what a fast tokenizer does to a text: vocabulary, merges, normalisation, added tokens."""
    rules = json.loads(tokenizer.backend_tokenizer.to_str())
    rules.pop("truncation", None)
    rules.pop("padding", None)
    return hashlib.sha256(json.dumps(rules, sort_keys=True, ensure_ascii=True).encode()).hexdigest()


def count_tokens(tokenizer: Any, texts: Sequence[str]) -> list[int]:
    """How many tokens each text is, without special tokens around it."""
    if not texts:
        return []
    batch = tokenizer(list(texts), add_special_tokens=False, return_attention_mask=False, verbose=False)
    return [len(ids) for ids in batch["input_ids"]]


@lru_cache(maxsize=16)
def _control_pattern(tokens: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(re.escape(token) for token in sorted(tokens, key=len, reverse=True)))


def control_tokens_in(text: str, tokens: tuple[str, ...]) -> list[str]:
    """Which of TOKENS stand in TEXT, where they would become control tokens; none for plain text."""
    return sorted(set(_control_pattern(tokens).findall(text))) if tokens else []


def last_control_token(text: str, tokens: tuple[str, ...]) -> int | None:
    """Where the last of TOKENS in TEXT begins, None if none is there."""
    found = [one.start() for one in _control_pattern(tokens).finditer(text)] if tokens else []
    return found[-1] if found else None


@dataclass(frozen=True, slots=True)
class ChatFormat:
    """A tokenizer and a template: together they decide which tokens a conversation is."""

    tokenizer: Any
    template: ChatTemplate

    @classmethod
    def load(cls, tokenizer_path: str | Path, template_name: str) -> "ChatFormat":
        """The tokenizer at a path, with the template's end of turn made a token where it is none yet."""
        tokenizer = load_tokenizer(tokenizer_path)
        template = template_for(tokenizer, template_name)
        add_end_of_turn(tokenizer, template)
        return cls(tokenizer, template)

    @property
    def end_of_turn_id(self) -> int:
        """The id of the token that closes a turn."""
        return int(self.tokenizer.convert_tokens_to_ids(self.template.end_of_turn))

    @property
    def control_tokens(self) -> tuple[str, ...]:
        """Every string the tokenizer turns into a single token wherever it stands, blanks aside."""
        return tuple(sorted(token for token in self.tokenizer.get_added_vocab() if token.strip()))

    def render(
        self, turns: Sequence[Turn], condition: str | None = None, *, is_prompt: bool = False
    ) -> Rendered:
        """One text; with is_prompt it ends where the assistant is to begin, without a trailing space.

        Raises BadInput where the template does not take these roles, or does not write a conversation as
        the beginning of a longer one and so hides which part the assistant's is.
        """
        if is_prompt:
            return Rendered(self._write(turns, condition, is_prompt=True)[0], ())
        text, spans = self._write(turns, condition, is_prompt=False)
        if self.template.marks_answers:
            return Rendered(text, spans)
        return Rendered(text, tuple(self._answer_spans(turns, condition, text)))

    def text(self, turns: Sequence[Turn], condition: str | None = None) -> str:
        """A whole conversation as one text, where only its length matters.

        Raises BadInput where the template does not take these roles.
        """
        return self._write(turns, condition, is_prompt=False)[0]

    def _write(
        self, turns: Sequence[Turn], condition: str | None, *, is_prompt: bool
    ) -> tuple[str, tuple[tuple[int, int], ...]]:
        from jinja2 import TemplateError
        from transformers.utils.chat_template_utils import render_jinja_template

        # Tracking keeps its place in the shared compiled template, and prompts are rendered by threads.
        is_tracked = self.template.marks_answers and not is_prompt
        try:
            texts, spans = render_jinja_template(
                conversations=[[{"role": role, "content": content} for role, content in turns]],
                chat_template=self.template.text,
                add_generation_prompt=is_prompt,
                return_assistant_tokens_mask=is_tracked,
                condition=condition,
                **{"bos_token": "", **self.tokenizer.special_tokens_map},
            )
        except TemplateError as error:
            raise BadInput(f"the chat template {self.template.name} takes no such turns: {error}") from error
        return texts[0], tuple((start, end) for start, end in spans[0]) if is_tracked else ()

    def _answer_spans(
        self, turns: Sequence[Turn], condition: str | None, text: str
    ) -> Iterator[tuple[int, int]]:
        """The assistant's parts of TEXT: from where a prompt would end to the token that closes the turn."""
        for position, (role, _) in enumerate(turns):
            if role != "assistant":
                continue
            prompt = self._write(turns[:position], condition, is_prompt=True)[0]
            until = self._write(turns[: position + 1], condition, is_prompt=False)[0]
            closed = until.rstrip()
            is_beginning = text.startswith(until) and until.startswith(prompt)
            if not is_beginning or not closed.endswith(self.template.end_of_turn):
                raise BadInput(
                    f"the chat template {self.template.name} does not write the first {position + 1} turns as the"
                    " beginning of a longer conversation; choose another --template"
                )
            yield len(prompt), len(closed)

    def generation_prompt(self, condition: str | None = None) -> str:
        """What the template writes before an answer, such as `GPT4 Assistant:`."""
        question: list[Turn] = [("user", "?")]
        prompt = self.render(question, condition, is_prompt=True).text
        return prompt[len(self.render(question, condition).text) :]

    def encode(self, rendered: Sequence[Rendered]) -> Iterator[Encoded]:
        """The tokens of whole renders; no special token is added that the template did not write."""
        if not rendered:
            return
        batch = self.tokenizer(
            [one.text for one in rendered],
            add_special_tokens=False,
            return_attention_mask=False,
            return_offsets_mapping=True,
            verbose=False,
        )
        for one, ids, offsets in zip(rendered, batch["input_ids"], batch["offset_mapping"], strict=True):
            yield _encoded(ids, offsets, one.spans)

    def decode(self, ids: list[int]) -> str:
        """The text of tokens, control tokens included, as it is."""
        return str(self.tokenizer.backend_tokenizer.decode(ids, skip_special_tokens=False))

    def encode_prompts(
        self, prompts: Sequence[Sequence[Turn]], condition: str | None = None
    ) -> list[list[int]]:
        """The tokens of prompts to be answered under a condition."""
        rendered = [self.render(prompt, condition, is_prompt=True) for prompt in prompts]
        return [one.input_ids for one in self.encode(rendered)]


def _encoded(ids: list[int], offsets: list[tuple[int, int]], spans: tuple[tuple[int, int], ...]) -> Encoded:
    """Token spans from character spans, by the tokens' own offsets.

    A tokenizer may trim the space off a token's offsets, so a span begins at the first token that ends
    inside it and closes after the last one that begins inside it.
    """
    import numpy as np

    bounds = np.asarray(offsets, dtype=np.int64).reshape(-1, 2)
    starts = np.maximum.accumulate(bounds[:, 0]) if len(bounds) else bounds[:, 0]
    ends = np.maximum.accumulate(bounds[:, 1]) if len(bounds) else bounds[:, 1]
    token_spans = tuple(
        (int(np.searchsorted(ends, start, side="right")), int(np.searchsorted(starts, end, side="left")))
        for start, end in spans
    )
    is_aligned = all(
        first < last and starts[first] >= start and ends[last - 1] <= end
        for (first, last), (start, end) in zip(token_spans, spans, strict=True)
    )
    return Encoded(ids, token_spans, is_aligned)
