"""How a conversation that ends with a response becomes tokens for a model that reads it, while training and after.

One template renders the whole, one call tokenises it. Exactly one beginning-of-text token stands first where
the tokenizer or the template puts one; an end-of-text token stands last only where one of them puts it. What
is too long is cut on one side, and says so; the beginning token stays.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from label.exchange import Exchange, Turn
from store.chat_format import load_tokenizer, tokenizer_sha256
from store.chat_template import OWN, template_for
from store.errors import BadInput, BadSettings

TruncationSide = Literal["left", "right"]

LARGEST_LENGTH = 1_000_000
"""Tokenizers that know no bound say a number beyond this."""


@dataclass(frozen=True, slots=True)
class TokenizedExchange:
    """An exchange as the model reads it; the last token is the one whose state the score is read from."""

    ids: list[int]
    n_tokens: int
    """Before any were cut."""

    @property
    def is_truncated(self) -> bool:
        """Whether some were."""
        return self.n_tokens > len(self.ids)


@dataclass(frozen=True, slots=True)
class ExchangeTokens:
    """A tokenizer, a template and a bound: together they decide which tokens an exchange is."""

    tokenizer: Any
    template: str
    """Jinja."""
    max_length: int
    truncation_side: TruncationSide = "left"

    @property
    def described(self) -> Mapping[str, object]:
        """Everything that decides the tokens, as hashes."""
        bos, eos = put_by_itself(self.tokenizer)
        return {
            "template_sha256": hashlib.sha256(self.template.encode()).hexdigest(),
            "tokenizer_sha256": tokenizer_sha256(self.tokenizer),
            "bos": bos,
            "eos": eos,
            "max_length": self.max_length,
            "truncation_side": self.truncation_side,
        }

    def encode(self, exchanges: Sequence[Exchange]) -> list[TokenizedExchange | str]:
        """The tokens of each exchange; where the template refuses one, what it says."""
        from jinja2 import TemplateError

        texts: list[str] = []
        places: list[int] = []
        found: list[TokenizedExchange | str] = []
        for place, exchange in enumerate(exchanges):
            try:
                texts.append(self.render(exchange.turns))
                places.append(place)
                found.append("")
            except TemplateError as error:
                found.append(f"the chat template refuses the conversation: {error}")
        if texts:
            batch = self.tokenizer(
                texts, add_special_tokens=False, return_attention_mask=False, verbose=False
            )
            bos, eos = put_by_itself(self.tokenizer)
            for place, ids in zip(places, batch["input_ids"], strict=True):
                whole = framed(list(ids), bos, eos)
                found[place] = self._bounded(whole) if whole else "the chat template renders nothing"
        return found

    def render(self, turns: Sequence[Turn]) -> str:
        """The conversation as one text; a system turn joins the first user's where the template has no place for it."""
        from jinja2 import TemplateError

        messages = [{"role": role, "content": content} for role, content in turns]
        try:
            return self._render(messages)
        except TemplateError:
            if turns[0][0] != "system" or len(turns) < 3:
                raise
            joined = f"{turns[0][1]}\n\n{turns[1][1]}"
            return self._render([{**messages[1], "content": joined}, *messages[2:]])

    def _render(self, messages: list[dict[str, str]]) -> str:
        return str(
            self.tokenizer.apply_chat_template(
                messages, chat_template=self.template, tokenize=False, add_generation_prompt=False
            )
        )

    def _bounded(self, ids: list[int]) -> TokenizedExchange:
        if len(ids) <= self.max_length:
            return TokenizedExchange(ids, len(ids))
        if self.truncation_side == "right":
            return TokenizedExchange(ids[: self.max_length], len(ids))
        first = ids[:1] if ids[0] == self.tokenizer.bos_token_id else []
        return TokenizedExchange([*first, *ids[len(ids) - self.max_length + len(first) :]], len(ids))


def put_by_itself(tokenizer: Any) -> tuple[int | None, int | None]:
    """The tokens that TOKENIZER itself puts first and last; None where it leaves that to the template."""
    plain = tokenizer("a")["input_ids"]
    bos, ends = tokenizer.bos_token_id, (tokenizer.eos_token_id, tokenizer.sep_token_id)
    first = plain[0] if plain[0] in (bos, tokenizer.cls_token_id) and len(plain) > 1 else None
    return first, plain[-1] if plain[-1] in ends else None


def framed(ids: list[int], bos: int | None, eos: int | None) -> list[int]:
    """IDS with the tokenizer's own first and last token, neither of them twice."""
    first = [] if bos is None or ids[:1] == [bos] else [bos]
    last = [] if eos is None or ids[-1:] == [eos] else [eos]
    return [*first, *ids, *last]


def load_exchange_tokens(
    folder: Path,
    *,
    template: str | None = None,
    max_length: int | None = None,
    positions: int | None = None,
    truncation_side: TruncationSide = "left",
) -> ExchangeTokens:
    """The tokenizer in FOLDER with its own chat template, or with ours called TEMPLATE.

    POSITIONS is how many tokens the model holds, where that is known.
    Raises BadInput for a tokenizer without a template, BadSettings for a bound the model cannot hold.
    """
    tokenizer = load_tokenizer(folder)
    bounds = [bound for bound in (positions, tokenizer.model_max_length) if bound and bound <= LARGEST_LENGTH]
    if max_length is not None and positions is not None and max_length > positions:
        raise BadSettings(f"--max-length {max_length} is more than the {positions} tokens the model holds")
    if max_length is None and not bounds:
        raise BadSettings(f"{folder} does not say how many tokens it holds; say --max-length")
    return ExchangeTokens(
        tokenizer, _template_text(tokenizer, folder, template), max_length or min(bounds), truncation_side
    )


def _template_text(tokenizer: Any, folder: Path, name: str | None) -> str:
    if name is None or name == OWN:
        if not isinstance(tokenizer.chat_template, str):
            raise BadInput(
                f"the tokenizer in {folder} has no chat template; save one with it, or name one with --template"
            )
        return tokenizer.chat_template
    ours = template_for(tokenizer, name)
    if ours.end_of_turn not in tokenizer.get_vocab():
        raise BadInput(
            f"template {name!r} ends turns with {ours.end_of_turn}, which the tokenizer in {folder} does not know"
        )
    return ours.text
