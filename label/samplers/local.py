"""A transformers policy in this process, on the GPU if there is one: many draws at once, padded on the left.

Every draw has random numbers of its own, made from its seed, so that what it comes to does not depend on which
draws share its batch, as far as the model's arithmetic goes.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from label.chat import CallError, well_formed
from label.engine.failures import UNFIT_PROMPT
from label.local.batches_of_asks import AskBatches
from label.local.model_folder import device, fingerprint, load_weights, model_folder, name_of
from label.local.prompt_tokens import PromptTokens
from label.sampler import Ask, Drawn, Reply, SamplerChoice, refuse, seeds
from store.errors import BadSettings

BATCH_SIZE = 32
ENGINE_ARGUMENTS = ("batch_size", "dtype")


@dataclass(frozen=True, slots=True)
class Row:
    """One draw to make."""

    prompt: list[int]
    seed: int
    temperature: float
    room: int
    """The most tokens it may have."""


class LocalSampler:
    """The policy in a folder: safetensors weights and a fast tokenizer."""

    provider = "transformers"
    base_url = ""

    def __init__(self, folder: Path, prompt_tokens: PromptTokens, batch_size: int, dtype: str | None) -> None:
        self.policy = name_of(folder)
        self.draws_per_ask = batch_size
        self.asks_at_once = 2 * batch_size
        self._folder = folder
        self._prompt_tokens = prompt_tokens
        self._dtype = dtype
        self._is_given_up = threading.Event()
        self._batches = AskBatches(self._answer, batch_size, self._is_given_up.set)

    @cached_property
    def weights(self) -> str:
        """A fingerprint of the folder."""
        return fingerprint(self._folder)

    @cached_property
    def makes_space(self) -> bool:
        """As the template has it."""
        return self._prompt_tokens.makes_space

    def check(self) -> None:
        """Load tokenizer and weights."""
        self._prompt_tokens.check()
        _ = self._model

    async def draw(self, ask: Ask, timeout_s: float) -> Reply:
        """The draws, made together with those of other asks; there is no server whose time could run out."""
        del timeout_s
        return await self._batches.draw(ask)

    async def close(self) -> None:
        """End the batch under way; the memory goes with the object."""
        await self._batches.close()

    @cached_property
    def _model(self) -> Any:
        where = device()
        default = "bfloat16" if where == "cuda" else "float32"
        model, _ = load_weights("AutoModelForCausalLM", self._folder, self._dtype or default)
        return model

    @cached_property
    def _context(self) -> int | None:
        """The most tokens of prompt and response together."""
        return getattr(self._model.config, "max_position_embeddings", None)

    @cached_property
    def _end_ids(self) -> list[int]:
        """The tokens that end a response."""
        known = self._model.generation_config.eos_token_id
        listed = known if isinstance(known, list) else [] if known is None else [known]
        return [*dict.fromkeys([*listed, self._prompt_tokens.end_id])]

    def _answer(self, asks: Sequence[Ask]) -> list[Reply | CallError]:
        """One outcome for each ask; runs in a thread."""
        prompts = [self._prompt(ask) for ask in asks]
        rows = [
            row
            for ask, prompt in zip(asks, prompts, strict=True)
            if isinstance(prompt, list)
            for row in self._rows(ask, prompt)
        ]
        drawn = iter(self._draw(rows, asks[0]) if rows else [])
        return [
            _reply([next(drawn) for _ in range(ask.n)], prompt) if isinstance(prompt, list) else prompt
            for ask, prompt in zip(asks, prompts, strict=True)
        ]

    def _prompt(self, ask: Ask) -> list[int] | CallError:
        try:
            ids = self._prompt_tokens.encode(ask.turns)
        except CallError as error:
            return error
        if self._context is not None and len(ids) >= self._context:
            return CallError(
                f"the prompt is too long: {len(ids)} tokens, and the model takes {self._context} in all",
                status=400,
                code=UNFIT_PROMPT,
            )
        return ids

    def _rows(self, ask: Ask, prompt: list[int]) -> list[Row]:
        most = ask.sampling.max_new_tokens
        room = most if self._context is None else min(most, self._context - len(prompt))
        return [Row(prompt, seed, ask.sampling.temperature, room) for seed in seeds(ask)]

    def _draw(self, rows: Sequence[Row], ask: Ask) -> list[Drawn]:
        """One draw for each row; top-p and top-k are the same for a whole run."""
        ids = decode(
            self._model,
            rows,
            end_ids=self._end_ids,
            top_p=ask.sampling.top_p,
            top_k=ask.sampling.top_k,
            is_given_up=self._is_given_up,
        )
        return [self._drawn(row_ids) for row_ids in ids]

    def _drawn(self, ids: list[int]) -> Drawn:
        has_ended = bool(ids) and ids[-1] in self._end_ids
        text = self._prompt_tokens.format.tokenizer.decode(
            ids[:-1] if has_ended else ids, skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        return Drawn(well_formed(text), "stop" if has_ended else "length", len(ids))


def _reply(draws: Sequence[Drawn], prompt: list[int]) -> Reply:
    return Reply(tuple(draws), len(prompt), sum(drawn.n_tokens or 0 for drawn in draws))


def open_local(choice: SamplerChoice) -> LocalSampler:
    """A policy named as `hf:PATH`, a folder on this machine."""
    refuse(bool(choice.base_urls), f"hf:{choice.model} runs in this process; leave --base-url out")
    unknown = sorted(set(choice.engine) - set(ENGINE_ARGUMENTS))
    refuse(
        bool(unknown),
        f"transformers takes --engine {' and '.join(ENGINE_ARGUMENTS)}, not {', '.join(unknown)}",
    )
    batch_size = choice.engine.get("batch_size", BATCH_SIZE)
    if not isinstance(batch_size, int) or batch_size < 1:
        raise BadSettings(f"--engine batch_size is a number of draws, not {batch_size!r}")
    dtype = choice.engine.get("dtype")
    if dtype not in (None, "float32", "bfloat16", "float16"):
        raise BadSettings(f"--engine dtype is float32, bfloat16 or float16, not {dtype!r}")
    folder = model_folder(choice.model)
    tokens = PromptTokens(choice.tokenizer or str(folder), choice.template, choice.condition)
    return LocalSampler(folder, tokens, batch_size, None if dtype is None else str(dtype))


def decode(
    model: Any,
    rows: Sequence[Row],
    *,
    end_ids: Sequence[int],
    top_p: float,
    top_k: int,
    is_given_up: threading.Event,
) -> list[list[int]]:
    """The tokens each row draws, up to and with its end token, or as many as it has room for."""
    import torch

    where = model.device
    longest = max(len(row.prompt) for row in rows)
    padded = [[0] * (longest - len(row.prompt)) + row.prompt for row in rows]
    mask = torch.tensor(
        [[0] * (longest - len(row.prompt)) + [1] * len(row.prompt) for row in rows], device=where
    )
    ids = torch.tensor(padded, device=where)
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    steps = max(row.room for row in rows)
    uniforms = torch.stack([_uniforms(row.seed, steps) for row in rows]).to(where)
    temperatures = torch.tensor([row.temperature for row in rows], device=where, dtype=torch.float32)
    ends = torch.tensor(list(end_ids), device=where)
    rooms = torch.tensor([row.room for row in rows], device=where)
    is_done = torch.zeros(len(rows), dtype=torch.bool, device=where)
    cache, drawn = None, []
    with torch.inference_mode():
        for step in range(steps):
            output = model(
                input_ids=ids,
                attention_mask=mask,
                position_ids=positions,
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=1,
            )
            cache = output.past_key_values
            chosen = choose(output.logits[:, -1], temperatures, uniforms[:, step], top_p, top_k)
            drawn.append(chosen)
            is_done |= torch.isin(chosen, ends) | (rooms <= step + 1)
            if bool(is_done.all()) or is_given_up.is_set():
                break
            ids = chosen[:, None]
            mask = torch.cat([mask, mask.new_ones(len(rows), 1)], dim=1)
            positions = positions[:, -1:] + 1
    return [
        _up_to_end(row_ids[: row.room], end_ids)
        for row, row_ids in zip(rows, torch.stack(drawn, dim=1).tolist(), strict=True)
    ]


def _uniforms(seed: int, count: int) -> Any:
    """The random numbers of one draw, the same ones on every device."""
    import torch

    return torch.rand(count, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def choose(logits: Any, temperatures: Any, uniforms: Any, top_p: float, top_k: int) -> Any:
    """One token a row: the likeliest at temperature 0, else where the row's random number falls.

    LOGITS has the shape (rows, vocabulary).
    """
    import torch

    is_greedy = temperatures == 0
    scaled = logits.float() / torch.where(is_greedy, 1.0, temperatures)[:, None]
    order = None
    if top_k > 0 or top_p < 1:
        order = scaled.argsort(dim=-1, descending=True, stable=True)
        scaled = scaled.gather(-1, order)
    likely = scaled.softmax(-1, dtype=torch.float64)
    if top_k > 0:
        likely[:, top_k:] = 0.0
        likely /= likely.sum(-1, keepdim=True)
    if top_p < 1:
        before = likely.cumsum(-1) - likely
        likely = likely.masked_fill(before >= top_p, 0.0)
    reached = likely.cumsum(-1)
    wanted = uniforms[:, None] * reached[:, -1:]
    place = torch.searchsorted(reached, wanted, right=True).clamp(max=reached.shape[-1] - 1)
    drawn = place if order is None else order.gather(-1, place)
    return torch.where(is_greedy, logits.argmax(-1), drawn[:, 0])


def _up_to_end(ids: list[int], end_ids: Sequence[int]) -> list[int]:
    end = next((place for place, token in enumerate(ids) if token in end_ids), None)
    return ids if end is None else ids[: end + 1]
