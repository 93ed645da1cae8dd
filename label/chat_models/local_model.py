"""A transformers chat model in this process.

Requests are answered one by one, so that no answer depends on what else was asked at the time. Where speed
matters, serve the model with vLLM and name it `vllm:http://host:8000/v1#name`.
"""

import asyncio
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from label.chat import CallError, ChatReply, ChatRequest, Json, ModelChoice, request_key, well_formed
from label.comparing.label_probability import MOST_TOKENS, FirstToken
from label.local.model_folder import device, fingerprint, load_weights, model_folder, name_of
from store.chat_format import load_tokenizer
from store.errors import BadInput, BadSettings

LARGEST_SEED = 2**63

Turns = list[dict[str, str]]


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model that is in memory."""

    model: Any
    tokenizer: Any


class LocalModel:
    """The chat model in a folder: safetensors weights, a fast tokenizer and its chat template."""

    provider = "transformers"
    base_url = ""
    takes_schema = False
    most_at_once = 1

    def __init__(self, folder: Path) -> None:
        self.model = self.labeler = name_of(folder)
        self._folder = folder
        self._turn = threading.Lock()

    @cached_property
    def api_version(self) -> str:
        """A fingerprint of the folder: the same name with other weights is another model."""
        return f"transformers/{fingerprint(self._folder)}"

    def sampling(self, temperature: float | None, max_tokens: int) -> dict[str, Json]:
        """Greedy at 0; else drawn from the whole distribution with a seed made from the request."""
        chosen: dict[str, Json] = {} if temperature is None else {"temperature": temperature, "top_p": 1.0}
        return {**chosen, "max_tokens": max_tokens, "dtype": _dtype_on(device())}

    def label_sampling(self, labels: Sequence[str]) -> dict[str, Json]:
        """No draw at all: the probabilities of the labels and of the likeliest tokens after the prompt."""
        return {"max_tokens": 1, "labels": list[Json](labels), "dtype": _dtype_on(device())}

    def check(self) -> None:
        """Load the model; raises MissingExtra, or BadInput for a folder that holds no chat model."""
        _ = self._loaded

    async def complete(self, request: ChatRequest, timeout_s: float) -> ChatReply:
        """The model's answer, made in a thread that ends with the time it has."""
        return await asyncio.to_thread(self._answer, request, timeout_s)

    async def close(self) -> None:
        """Nothing is open; the memory goes with the object."""

    @cached_property
    def _loaded(self) -> Loaded:
        return load(self._folder)

    def _answer(self, request: ChatRequest, timeout_s: float) -> ChatReply:
        with self._turn:
            loaded = self._loaded
            prompt = encode(loaded, request)
            if "labels" in request.sampling:
                return self._weighed(loaded, prompt, request)
            started = time.monotonic()
            ids = generate(loaded, prompt, request, timeout_s)
            if time.monotonic() - started >= timeout_s:
                raise CallError(f"no answer within {timeout_s:g} s", code="timeout")
        ended = bool(ids) and ids[-1] in _end_ids(loaded)
        return ChatReply(
            text=well_formed(loaded.tokenizer.decode(ids, skip_special_tokens=True)),
            finish_reason="stop" if ended else "length",
            model_returned=self.model,
            prompt_tokens=len(prompt),
            completion_tokens=len(ids),
        )

    def _weighed(self, loaded: Loaded, prompt: list[int], request: ChatRequest) -> ChatReply:
        tokens = first_tokens(loaded, prompt, request.sampling["labels"])
        likeliest = max(tokens, key=lambda token: token[1])[0]
        return ChatReply(
            text=likeliest,
            finish_reason="length",
            model_returned=self.model,
            prompt_tokens=len(prompt),
            completion_tokens=1,
            first_token=tokens,
        )


def open_local(choice: ModelChoice) -> LocalModel:
    """A model named as `hf:PATH`, a folder on this machine."""
    if choice.base_url is not None:
        raise BadSettings(f"hf:{choice.model} runs in this process; leave --base-url out")
    return LocalModel(model_folder(choice.model))


def load(folder: Path) -> Loaded:
    """The model and its tokenizer."""
    dtype = _dtype_on(device())
    tokenizer = load_tokenizer(folder)
    if not tokenizer.chat_template:
        raise BadInput(f"the tokenizer in {folder} has no chat template; save one with it")
    model, _ = load_weights("AutoModelForCausalLM", folder, dtype)
    return Loaded(model, tokenizer)


def encode(loaded: Loaded, request: ChatRequest) -> list[int]:
    """The prompt as tokens, the system message put before the first user's where the template has no place for it.

    Raises CallError if prompt and answer do not fit into the model.
    """
    from jinja2 import TemplateError

    turns = [{"role": role, "content": content} for role, content in request.messages]
    try:
        text = _rendered(loaded, turns)
    except TemplateError:
        text = _rendered(loaded, _without_system(turns))
    ids = list(loaded.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])
    room = getattr(loaded.model.config, "max_position_embeddings", None)
    if room is not None and len(ids) + request.max_tokens > room:
        raise CallError(
            f"{len(ids)} prompt tokens and {request.max_tokens} for the answer are more than the model's {room}",
            status=400,
            code="context_length_exceeded",
        )
    return ids


def _rendered(loaded: Loaded, turns: Turns) -> str:
    return str(loaded.tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True))


def _without_system(turns: Turns) -> Turns:
    system = [turn["content"] for turn in turns if turn["role"] == "system"]
    first, *rest = [turn for turn in turns if turn["role"] != "system"]
    return [{**first, "content": "\n\n".join([*system, first["content"]])}, *rest]


def generate(loaded: Loaded, prompt: list[int], request: ChatRequest, timeout_s: float) -> list[int]:
    """The tokens of the answer; the same request draws the same ones."""
    import torch

    ids = torch.tensor([prompt], device=loaded.model.device)
    seed = int(request_key(request).replace("-", ""), 16) % LARGEST_SEED
    with torch.random.fork_rng(), torch.inference_mode():
        torch.manual_seed(seed)
        output = loaded.model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            generation_config=_generation(loaded, request),
            max_time=timeout_s,
        )
    return [int(token) for token in output[0, len(prompt) :]]


def first_tokens(loaded: Loaded, prompt: list[int], labels: object) -> FirstToken:
    """The likeliest tokens after PROMPT and every token that is one of LABELS, with log-probabilities.

    They are computed in float32: in bfloat16 close ones would tie.
    """
    import torch

    with torch.inference_mode():
        ids = torch.tensor([prompt], device=loaded.model.device)
        logits = loaded.model(ids, use_cache=False).logits[0, -1].float()
        scores = torch.log_softmax(logits, dim=-1).cpu()
    likeliest = torch.topk(scores, min(MOST_TOKENS, len(scores))).indices.tolist()
    words = labels if isinstance(labels, list) else []
    spellings = {f"{space}{label}" for label in words for space in ("", " ", "\n")}
    ids_of = {tuple(loaded.tokenizer(text, add_special_tokens=False)["input_ids"]) for text in spellings}
    chosen = dict.fromkeys([*likeliest, *(one[0] for one in sorted(ids_of) if len(one) == 1)])
    return tuple((well_formed(loaded.tokenizer.decode([token])), float(scores[token])) for token in chosen)


def _generation(loaded: Loaded, request: ChatRequest) -> Any:
    """The sampling of REQUEST; where it names none, the model's own."""
    from transformers import GenerationConfig

    ends = _end_ids(loaded)
    fixed = {"max_new_tokens": request.max_tokens, "eos_token_id": ends, "pad_token_id": ends[0]}
    temperature = request.sampling.get("temperature")
    if temperature is None:
        return GenerationConfig.from_dict({**loaded.model.generation_config.to_dict(), **fixed})
    if temperature == 0:
        return GenerationConfig(do_sample=False, **fixed)
    return GenerationConfig(
        do_sample=True, temperature=temperature, top_p=request.sampling.get("top_p", 1.0), top_k=0, **fixed
    )


def _end_ids(loaded: Loaded) -> list[int]:
    """The tokens that end an answer."""
    ends = loaded.model.generation_config.eos_token_id
    known = ends if isinstance(ends, list) else [] if ends is None else [ends]
    return [*dict.fromkeys([*known, loaded.tokenizer.eos_token_id])]


def _dtype_on(device: str) -> str:
    return "bfloat16" if device == "cuda" else "float32"
