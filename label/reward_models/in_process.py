"""A reward model that transformers runs in this process, on the GPU if there is one."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from label.exchange import Exchange, Turn
from label.local.exchange_tokens import ExchangeTokens, TokenizedExchange
from label.local.model_folder import device, fingerprint, model_folder, name_of
from label.local.token_batches import batch_tokens_on, in_halves, shared_beginning, token_batches
from label.reward_model import Reward, RewardChoice, revision_of, reward_of
from label.reward_models.classifier import Prefix, can_share_prefixes, load_classifier, load_tokens, values_of
from store.errors import BadSettings

WORTH_SHARING = 64
"""Tokens that reading a prompt once for all its responses must save."""
KEPT_SHARE = 8
"""A token that was read before takes this part of what one that is read takes."""


class InProcessReward:
    """The reward model in a folder: safetensors weights with one output, a fast tokenizer, a chat template."""

    def __init__(self, folder: Path, choice: RewardChoice) -> None:
        self.name = name_of(folder)
        self._folder = folder
        self._choice = choice

    @cached_property
    def described(self) -> Mapping[str, object]:
        """Weights, template, tokenizer, precision and bound."""
        return {
            "weights": fingerprint(self._folder),
            "dtype": self._choice.dtype,
            **self._tokens.described,
        }

    @cached_property
    def revision(self) -> str:
        """The hash of all that."""
        return revision_of(self.described)

    def check(self) -> None:
        """Load the model."""
        _ = self._tokens, self._model

    def score(self, exchanges: Sequence[Exchange]) -> Iterator[tuple[int, Reward]]:
        """Batches of like lengths, the longest first."""
        encoded = self._tokens.encode(exchanges)
        rows: dict[int, TokenizedExchange] = {}
        for place, one in enumerate(encoded):
            if isinstance(one, str):
                yield place, Reward("failed", None, None, is_truncated=False, why=one)
            else:
                rows[place] = one
        alone, groups = self._grouped(exchanges, rows)
        for places in groups:
            yield from self._score_group(places, rows)
        yield from self._score_batches(alone, rows)

    def _grouped(
        self, exchanges: Sequence[Exchange], rows: Mapping[int, TokenizedExchange]
    ) -> tuple[list[int], list[list[int]]]:
        """The places to score for themselves, and those that answer one prompt, which is worth reading once."""
        by_prompt: dict[tuple[Turn, ...], list[int]] = defaultdict(list)
        for place in rows:
            by_prompt[exchanges[place].prompt].append(place)
        alone: list[int] = []
        groups: list[list[int]] = []
        for places in by_prompt.values():
            saved = shared_beginning([rows[place].ids for place in places]) * (len(places) - 1)
            if saved >= WORTH_SHARING and can_share_prefixes(self._model):
                groups.append(places)
            else:
                alone += places
        return alone, groups

    def _score_group(
        self, places: list[int], rows: Mapping[int, TokenizedExchange]
    ) -> Iterator[tuple[int, Reward]]:
        """Responses to one prompt, which is read once."""
        shared = shared_beginning([rows[place].ids for place in places])
        before = Prefix(self._model, rows[places[0]].ids[:shared])
        yield from self._score_batches(places, rows, before)

    def _score_batches(
        self, places: list[int], rows: Mapping[int, TokenizedExchange], before: Prefix | None = None
    ) -> Iterator[tuple[int, Reward]]:
        start = 0 if before is None else before.n_tokens
        lengths = [len(rows[place].ids) - start for place in places]
        budget = batch_tokens_on(device(), self._choice.batch_tokens)
        read = partial(values_of, self._model, before=before)
        for batch in token_batches(lengths, budget, besides=start // KEPT_SHARE):
            chosen = [places[index] for index in batch]
            values = in_halves(read, [rows[place].ids[start:] for place in chosen])
            for place, value in zip(chosen, values, strict=True):
                yield place, reward_of(rows[place], value)

    def close(self) -> None:
        """Nothing is open; the memory goes with the object."""

    @cached_property
    def _tokens(self) -> ExchangeTokens:
        return load_tokens(self._folder, self._choice)

    @cached_property
    def _model(self) -> Any:
        return load_classifier(self._folder, self._choice.dtype)


def open_in_process(choice: RewardChoice) -> InProcessReward:
    """A reward model named as `hf:PATH` or PATH, a folder on this machine."""
    if choice.base_urls:
        raise BadSettings("a folder runs in this process; leave --base-url out, or write vllm:NAME")
    return InProcessReward(model_folder(choice.model), choice)
