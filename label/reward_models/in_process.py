"""A reward model that transformers runs in this process, on the GPU if there is one."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from label.exchange import Exchange
from label.exchange_tokens import ExchangeTokens, TokenizedExchange
from label.model_folder import fingerprint, model_folder
from label.reward_model import Reward, RewardChoice, revision_of, reward_of
from label.reward_models.classifier import load_classifier, load_tokens, values_of
from label.token_batches import in_halves, token_batches
from store.errors import BadSettings


class InProcessReward:
    """The reward model in a folder: safetensors weights with one output, a fast tokenizer, a chat template."""

    def __init__(self, folder: Path, choice: RewardChoice) -> None:
        self.name = folder.resolve().name
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
        places = list(rows)
        for batch in token_batches([len(rows[place].ids) for place in places], self._choice.batch_tokens):
            chosen = [places[index] for index in batch]
            values = in_halves(partial(values_of, self._model), [rows[place].ids for place in chosen])
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
