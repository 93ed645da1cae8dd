"""A pairwise preference model that transformers runs in this process: a causal model that answers A or B."""

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from label.local.model_folder import device, fingerprint, load_weights, model_folder, model_positions, name_of
from label.local.token_batches import batch_tokens_on, in_halves, token_batches
from label.preference_model import Contest, Odds, PreferenceChoice
from label.preference_models.pair_tokens import PairTokens, load_pair_tokens
from label.reward_model import revision_of
from store.errors import BadInput


class InProcessPreference:
    """The preference model in a folder: safetensors weights, a fast tokenizer, a chat template."""

    def __init__(self, folder: Path, choice: PreferenceChoice) -> None:
        self.name = name_of(folder)
        self._folder = folder
        self._choice = choice

    @cached_property
    def described(self) -> Mapping[str, object]:
        """Weights, format, template, tokenizer, precision and bound."""
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

    def weigh(self, contests: Sequence[Contest]) -> Iterator[tuple[int, Odds]]:
        """Batches of like lengths, the longest first."""
        rows: dict[int, list[int]] = {}
        for place, ids in enumerate(self._tokens.encode(contests)):
            if isinstance(ids, str):
                yield place, Odds("failed", None, why=ids)
            else:
                rows[place] = ids
        places = list(rows)
        budget = batch_tokens_on(device(), self._choice.batch_tokens)
        for batch in token_batches([len(rows[place]) for place in places], budget):
            chosen = [places[index] for index in batch]
            found = in_halves(self._odds, [rows[place] for place in chosen])
            yield from zip(chosen, found, strict=True)

    def close(self) -> None:
        """Nothing is open; the memory goes with the object."""

    @cached_property
    def _tokens(self) -> PairTokens:
        positions = model_positions(self._folder)
        return load_pair_tokens(self._folder, max_length=self._choice.max_length, positions=positions)

    @cached_property
    def _model(self) -> Any:
        model, missing = load_weights("AutoModelForCausalLM", self._folder, self._choice.dtype)
        if missing:
            raise BadInput(f"{self._folder} holds no causal model: it has no weights for {missing[0]}")
        return model

    def _odds(self, batch: Sequence[Sequence[int]]) -> list[Odds]:
        """Padded on the left, so that every row's last token is the one before the answer."""
        import torch

        longest = max(len(ids) for ids in batch)
        pads = [longest - len(ids) for ids in batch]
        where = self._model.device
        input_ids = torch.tensor(
            [[*[ids[0]] * pad, *ids] for pad, ids in zip(pads, batch, strict=True)], device=where
        )
        places = torch.arange(longest, device=where)[None, :] - torch.tensor(pads, device=where)[:, None]
        with torch.inference_mode():
            logits = self._model(
                input_ids=input_ids,
                attention_mask=(places >= 0).long(),
                position_ids=places.clamp(min=0),
                logits_to_keep=1,
                use_cache=False,
            ).logits[:, -1]
            shares = logits.float().softmax(-1)[:, list(self._tokens.label_ids)]
        return [_odds_of(first, second) for first, second in shares.tolist()]


def _odds_of(first: float, second: float) -> Odds:
    mass = first + second
    if not math.isfinite(mass) or mass <= 0:
        return Odds("failed", None, why=f"the model gives A and B together a probability of {mass}")
    return Odds("done", first / mass, max(0.0, 1 - mass))


def open_in_process(choice: PreferenceChoice) -> InProcessPreference:
    """A preference model named as `hf:PATH` or PATH, a folder on this machine."""
    return InProcessPreference(model_folder(choice.model), choice)
