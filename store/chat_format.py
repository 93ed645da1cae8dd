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
from importlib import resources
from pathlib import Path
from typing import Any

from store.errors import BadInput, BadSettings, MissingExtra, UnknownName

END_OF_TURN = "<|end_of_turn|>"  # OpenChat, section 4: one special token after every turn
DEFAULT_CONDITION = "GPT4"
"""The condition a template falls back to, OpenChat's expert class."""

Turn = tuple[str, str]
"""(role, content)."""


@dataclass(frozen=True, slots=True)
class ChatTemplate:
    """A Jinja chat template with `{% generation %}` around what the assistant says."""

    name: str
    text: str
    end_of_turn: str
    """The token that closes a turn; it lies inside the `{% generation %}` block."""

    @property
    def sha256(self) -> str:
        """The hash of the template's text."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    def with_default(self, condition: str) -> "ChatTemplate":
        """This template, falling back to CONDITION where a caller names none."""
        if "'" in condition or "\\" in condition:
            raise BadSettings(f"a condition cannot hold a quote or a backslash: {condition!r}")
        fallback = f"default('{condition}', true)"
        return ChatTemplate(
            self.name, self.text.replace(f"default('{DEFAULT_CONDITION}', true)", fallback), self.end_of_turn
        )


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


def template_names() -> list[str]:
    """The names of the templates that come with the package."""
    folder = resources.files("store") / "chat_templates"
    return sorted(
        file.name.removesuffix(".jinja") for file in folder.iterdir() if file.name.endswith(".jinja")
    )


def load_template(name: str) -> ChatTemplate:
    """The template called NAME.

    Raises UnknownName if there is none.
    """
    if name not in template_names():
        raise UnknownName.of("chat template", name, template_names())
    file = resources.files("store") / "chat_templates" / f"{name}.jinja"
    return ChatTemplate(name, file.read_text(encoding="utf-8").rstrip("\n"), END_OF_TURN)


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


@dataclass(frozen=True, slots=True)
class ChatFormat:
    """A tokenizer and a template: together they decide which tokens a conversation is."""

    tokenizer: Any
    template: ChatTemplate

    @classmethod
    def load(cls, tokenizer_path: str | Path, template_name: str) -> "ChatFormat":
        """The tokenizer at a path, with the template's end of turn made a token where it is none yet."""
        template = load_template(template_name)
        tokenizer = load_tokenizer(tokenizer_path)
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
        """One text; with is_prompt it ends where the assistant is to begin, without a trailing space."""
        from transformers.utils.chat_template_utils import render_jinja_template

        texts, spans = render_jinja_template(
            conversations=[[{"role": role, "content": content} for role, content in turns]],
            chat_template=self.template.text,
            add_generation_prompt=is_prompt,
            # Tracking keeps its place in the shared compiled template, and prompts are rendered by threads.
            return_assistant_tokens_mask=not is_prompt,
            condition=condition,
            **self.tokenizer.special_tokens_map,
        )
        return Rendered(texts[0], () if is_prompt else tuple((start, end) for start, end in spans[0]))

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
