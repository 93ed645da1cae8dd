"""vLLM's engine in this process as a reward model: it pools the last token's state into one number.

Responses are rendered, tokenised and cut here, as for the model in transformers; the engine sees tokens only.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from label.exchange import Exchange
from label.local.exchange_tokens import ExchangeTokens, TokenizedExchange
from label.local.model_folder import fingerprint, model_folder, name_of
from label.local.vllm_library import children_on_stderr, import_vllm
from label.reward_model import Reward, RewardChoice, only_number, revision_of, reward_of
from label.reward_models.classifier import load_tokens
from store.errors import PreferablyError


class EngineReward:
    """The reward model in a folder, behind an engine that starts with the first response."""

    def __init__(self, folder: Path, choice: RewardChoice) -> None:
        self.name = name_of(folder)
        self._folder = folder
        self._choice = choice

    @cached_property
    def described(self) -> Mapping[str, object]:
        """Weights, template, tokenizer, precision, bound, and that vLLM computes."""
        return {
            "engine": "vllm",
            "weights": fingerprint(self._folder),
            "dtype": self._choice.dtype,
            **self._tokens.described,
        }

    @cached_property
    def revision(self) -> str:
        """The hash of all that."""
        return revision_of(self.described)

    def check(self) -> None:
        """Load vLLM and the tokenizer."""
        import_vllm()
        _ = self._tokens

    def score(self, exchanges: Sequence[Exchange]) -> Iterator[tuple[int, Reward]]:
        """All at once: the engine makes its own batches."""
        rows: dict[int, TokenizedExchange] = {}
        for place, one in enumerate(self._tokens.encode(exchanges)):
            if isinstance(one, str):
                yield place, Reward("failed", None, None, is_truncated=False, why=one)
            else:
                rows[place] = one
        if not rows:
            return
        vllm = import_vllm()
        found = self._engine.classify(
            [{"prompt_token_ids": row.ids} for row in rows.values()],
            pooling_params=vllm.PoolingParams(task="classify", use_activation=False),
            use_tqdm=False,
        )
        for (place, row), output in zip(rows.items(), found, strict=True):
            yield place, reward_of(row, only_number(output.outputs.probs, self.name))

    def close(self) -> None:
        """End the engine and its processes."""
        if "_engine" in self.__dict__:
            self._engine.llm_engine.engine_core.shutdown()
            del self.__dict__["_engine"]

    @cached_property
    def _tokens(self) -> ExchangeTokens:
        return load_tokens(self._folder, self._choice)

    @cached_property
    def _engine(self) -> Any:
        vllm = import_vllm()
        try:
            with children_on_stderr():
                return vllm.LLM(
                    model=str(self._folder),
                    runner="pooling",
                    dtype=self._choice.dtype,
                    max_model_len=self._tokens.max_length,
                )
        except (RuntimeError, ValueError, OSError) as error:
            raise PreferablyError(f"vLLM's engine did not start: {error}; its own words are above") from error


def open_engine(choice: RewardChoice) -> EngineReward:
    """A reward model named as `vllm:PATH`, a folder on this machine."""
    return EngineReward(model_folder(choice.model), choice)
