"""vLLM's engine in this process: a policy from a folder, all its draws batched as they come.

Prompts are rendered and tokenised here, with one of our templates or the policy's own. Draws have the same
seeds as behind a vLLM server, and a set begun with one may be finished with the other.
"""

import asyncio
from collections.abc import Mapping
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import Any

from label.chat import CallError, Json, well_formed
from label.engine.failures import UNFIT_PROMPT
from label.local.model_folder import fingerprint, model_folder, name_of
from label.local.prompt_tokens import PromptTokens
from label.local.vllm_library import children_on_stderr, import_vllm
from label.sampler import Ask, Drawn, Reply, SamplerChoice
from store.errors import BadSettings, PreferablyError

ASKS_AT_ONCE = 128
DRAWS_PER_ASK = 8


class EngineSampler:
    """The policy in a folder, behind an engine that starts with the first draw."""

    provider = "vllm"
    base_url = ""
    draws_per_ask = DRAWS_PER_ASK
    asks_at_once = ASKS_AT_ONCE

    def __init__(self, folder: Path, prompt_tokens: PromptTokens, arguments: Mapping[str, Json]) -> None:
        self.policy = name_of(folder)
        self._folder = folder
        self._prompt_tokens = prompt_tokens
        self._arguments = arguments
        self._engine: Any = None
        self._starting = asyncio.Lock()
        self._numbers = count()

    @cached_property
    def weights(self) -> str:
        """A fingerprint of the folder."""
        return fingerprint(self._folder)

    @cached_property
    def makes_space(self) -> bool:
        """As the template has it."""
        return self._prompt_tokens.makes_space

    def check(self) -> None:
        """Load vLLM and the tokenizer."""
        import_vllm()
        self._prompt_tokens.check()

    async def draw(self, ask: Ask, timeout_s: float) -> Reply:
        """The draws, once the engine has made them all; there is no server whose time could run out."""
        del timeout_s
        engine = await self._started()
        ids = self._prompt_tokens.encode(ask.turns)
        context = engine.model_config.max_model_len
        if len(ids) >= context:
            raise CallError(
                f"the prompt is too long: {len(ids)} tokens, and the engine takes {context} in all",
                status=400,
                code=UNFIT_PROMPT,
            )
        final = None
        async for output in engine.generate(
            {"prompt_token_ids": ids}, self._params(ask), f"draw-{next(self._numbers)}"
        ):
            final = output
        if final is None:
            raise CallError("the engine gave no answer", code="garbage")
        draws = tuple(_drawn(output) for output in sorted(final.outputs, key=lambda output: output.index))
        return Reply(draws, len(ids), sum(drawn.n_tokens or 0 for drawn in draws))

    async def close(self) -> None:
        """End the engine and its processes."""
        if self._engine is not None:
            self._engine.shutdown()
            self._engine = None

    async def _started(self) -> Any:
        async with self._starting:
            if self._engine is None:
                self._engine = _start(self._folder, self._arguments)
            return self._engine

    def _params(self, ask: Ask) -> Any:
        """Every parameter is said: what is left out would come from the model's files."""
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind

        sampling = ask.sampling
        return SamplingParams(
            n=ask.n,
            seed=ask.first_seed,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            top_k=sampling.top_k,
            min_p=0.0,
            repetition_penalty=1.0,
            presence_penalty=0.0,
            frequency_penalty=0.0,
            max_tokens=sampling.max_new_tokens,
            stop_token_ids=[self._prompt_tokens.end_id],
            output_kind=RequestOutputKind.FINAL_ONLY,
        )


def open_engine(choice: SamplerChoice) -> EngineSampler:
    """A policy named as `vllm:PATH`, a folder on this machine."""
    folder = model_folder(choice.model)
    tokens = PromptTokens(choice.tokenizer or str(folder), choice.template, choice.condition)
    return EngineSampler(folder, tokens, choice.engine)


def _start(folder: Path, arguments: Mapping[str, Json]) -> Any:
    """The engine, started.

    Raises BadSettings for arguments it does not take, PreferablyError if it does not come up.
    """
    vllm = import_vllm()
    from vllm.platforms import current_platform

    defaults: dict[str, Json] = {}
    if current_platform.is_cpu():
        # On CPUs the engine dies of a prompt that has a seed and is read in pieces (0.32: "CPU Generator does
        # not use offset").
        defaults["enable_chunked_prefill"] = False
    try:
        chosen = vllm.AsyncEngineArgs(model=str(folder), **{**defaults, **arguments})
    except (TypeError, ValueError) as error:
        raise BadSettings(f"vLLM does not take these --engine arguments: {error}") from error
    try:
        with children_on_stderr():
            return vllm.AsyncLLMEngine.from_engine_args(chosen)
    except (RuntimeError, ValueError, OSError) as error:
        raise PreferablyError(f"vLLM's engine did not start: {error}; its own words are above") from error


def _drawn(output: Any) -> Drawn:
    return Drawn(well_formed(output.text), str(output.finish_reason or "unknown"), len(output.token_ids))
