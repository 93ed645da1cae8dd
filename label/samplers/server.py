"""Policies behind vLLM, or behind any server that speaks OpenAI's chat completions.

With several servers of the same policy a prompt goes to the one that the hash of its id chooses, so that all
its draws find the prompt in that server's cache. With one of our templates the prompt is rendered and
tokenised here, as for training, and sent as tokens; without, the server renders its own.
"""

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from label.chat import CallError, Json, well_formed
from label.chat_models.wire import (
    EXCERPT_CHARACTERS,
    NEVER_SENT,
    checked_url,
    count,
    garbage,
    hidden,
    provider_keys,
    rate_limits,
)
from label.engine.endpoints import is_silence, named
from label.engine.rotation import Rotation
from label.local.prompt_tokens import PromptTokens
from label.sampler import Ask, Drawn, Reply, SamplerChoice, refuse
from label.samplers.space_probe import server_makes_space
from store.errors import BadSettings, MissingExtra

if TYPE_CHECKING:
    import httpx2

OPENAI_URL = "https://api.openai.com/v1"
ASKS_PER_SERVER = 64
VLLM_DRAWS_PER_ASK = 8
"""Eight draws share a request's overhead; what a kill can cost stays small."""

CONNECT_TIMEOUT_S = 10.0


class ServerSampler:
    """One policy behind one or more servers."""

    weights = None

    def __init__(
        self,
        policy: str,
        base_urls: Sequence[str],
        *,
        is_vllm: bool,
        prompt_tokens: PromptTokens | None = None,
    ) -> None:
        self.provider = "vllm" if is_vllm else "openai"
        self.policy = policy
        self.base_url = base_urls[0]
        self.draws_per_ask = VLLM_DRAWS_PER_ASK if is_vllm else 1
        self.asks_at_once = ASKS_PER_SERVER * len(base_urls)
        self._base_urls = tuple(base_urls)
        self._is_vllm = is_vllm
        self._prompt_tokens = prompt_tokens
        self._rotation = Rotation(base_urls)
        self._clients: dict[str, httpx2.AsyncClient] = {}
        self._secrets: dict[str, str] = {}
        self._makes_space: bool | None = None
        self._probing = asyncio.Lock()

    @property
    def makes_space(self) -> bool:
        """By the tokenizer where it is at hand, else as the server says; known with the first draw."""
        return bool(self._makes_space)

    def check(self) -> None:
        """Raises MissingExtra, or BadSettings if OpenAI is asked without a key."""
        for url in self._base_urls:
            self._secret(url)
        _import_client()
        if self._prompt_tokens is not None:
            self._prompt_tokens.check()

    async def draw(self, ask: Ask, timeout_s: float) -> Reply:
        """The draws of the server whose turn it is; an error names the server."""
        tokens = self._tokens_of(ask)
        url = self._rotation.choose(ask.prompt_id)
        try:
            async with asyncio.timeout(timeout_s):
                await self._learn_space(url, ask)
                reply = await self._ask(url, ask, tokens, timeout_s)
                await self._learn_space(url, ask, answers_draws=True)
        except TimeoutError:
            self._rotation.fell_silent(url)
            raise named(
                CallError(f"no answer within {timeout_s:g} s", code="timeout", may_be_charged=True), url
            ) from None
        except CallError as error:
            if is_silence(error):
                self._rotation.fell_silent(url)
            raise named(error, url) from error
        self._rotation.answered(url)
        return reply

    async def close(self) -> None:
        """Close the connections."""
        for client in self._clients.values():
            await client.aclose()
        self._clients.clear()

    async def _learn_space(self, url: str, ask: Ask, *, answers_draws: bool = False) -> None:
        """Find out once whether the template makes a space; a server that answers draws and not this cannot say."""
        async with self._probing:
            if self._makes_space is not None:
                return
            if self._prompt_tokens is not None:
                self._makes_space = self._prompt_tokens.makes_space
            elif self._is_vllm:
                client = self._client(url, self._secret(url))
                found = await server_makes_space(client, url, self.policy, _template_kwargs(ask))
                self._makes_space = False if found is None and answers_draws else found
            else:
                self._makes_space = False

    def _tokens_of(self, ask: Ask) -> list[int] | None:
        if self._prompt_tokens is None or ask.sampling.template is None:
            return None
        return self._prompt_tokens.encode(ask.turns)

    async def _ask(self, url: str, ask: Ask, tokens: list[int] | None, timeout_s: float) -> Reply:
        import httpx2

        path = "/chat/completions" if tokens is None else "/completions"
        body = self.body(ask, tokens)
        secret = self._secret(url)
        try:
            response = await self._client(url, secret).post(path, json=body, timeout=_timeout(timeout_s))
        except httpx2.TransportError as error:
            was_sent = type(error).__name__ not in NEVER_SENT
            raise CallError(
                hidden(f"{type(error).__name__} {error}".strip(), secret),
                code="connection",
                may_be_charged=was_sent,
            ) from None
        if response.status_code >= 400:
            raise _status_error(response, secret)
        return _reply(response, ask, secret)

    def _secret(self, url: str) -> str:
        if url not in self._secrets:
            self._secrets[url] = _key_for(url)
        return self._secrets[url]

    def _client(self, url: str, secret: str) -> "httpx2.AsyncClient":
        client = self._clients.get(url)
        if client is None:
            httpx2 = _import_client()
            headers = {"authorization": f"Bearer {secret}"} if secret else {}
            limits = httpx2.Limits(max_connections=None, max_keepalive_connections=None)
            client = httpx2.AsyncClient(base_url=url, headers=headers, limits=limits, trust_env=False)
            self._clients[url] = client
        return client

    def body(self, ask: Ask, tokens: list[int] | None) -> dict[str, Json]:
        """Every parameter is sent: a server's own defaults come from the model's files and may differ."""
        sampling = ask.sampling
        body: dict[str, Json] = {
            "model": self.policy,
            "n": ask.n,
            "seed": ask.first_seed,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "max_tokens": sampling.max_new_tokens,
        }
        if self._is_vllm:
            body |= {
                "top_k": sampling.top_k,
                "min_p": 0.0,
                "repetition_penalty": 1.0,
                "presence_penalty": 0.0,
                "frequency_penalty": 0.0,
                "return_token_ids": True,
            }
        if tokens is not None and self._prompt_tokens is not None:
            return {**body, "prompt": list(tokens), "stop_token_ids": [self._prompt_tokens.end_id]}
        if sampling.condition is not None:
            body["chat_template_kwargs"] = _template_kwargs(ask)
        return {**body, "messages": [{"role": role, "content": content} for role, content in ask.turns]}


def _template_kwargs(ask: Ask) -> dict[str, Json]:
    condition = ask.sampling.condition
    return {} if condition is None else {"condition": condition}


def open_openai(choice: SamplerChoice) -> ServerSampler:
    """A policy at OpenAI, or at servers that speak its interface."""
    refuse(bool(choice.engine), "--engine is for policies in this process")
    refuse(
        choice.template is not None or choice.condition is not None,
        "--template and --condition need a vLLM server: write --model vllm:NAME",
    )
    urls = [checked_url(url) for url in choice.base_urls or (OPENAI_URL,)]
    return ServerSampler(choice.model, list(dict.fromkeys(urls)), is_vllm=False)


def open_vllm_server(choice: SamplerChoice) -> ServerSampler:
    """A policy named as `vllm:http://host:8000/v1#name`, or as `vllm:name` at the servers given by base URLs."""
    refuse(bool(choice.engine), "--engine is for policies in this process")
    address, separator, name = choice.model.partition("#")
    urls = [address, *choice.base_urls] if separator else list(choice.base_urls)
    policy = name if separator else choice.model
    if not urls or not policy:
        raise BadSettings(f"write --model vllm:http://host:8000/v1#name, not vllm:{choice.model}")
    return ServerSampler(
        policy,
        list(dict.fromkeys(checked_url(url) for url in urls)),
        is_vllm=True,
        prompt_tokens=_prompt_tokens(choice),
    )


def _prompt_tokens(choice: SamplerChoice) -> PromptTokens | None:
    if choice.tokenizer is None:
        refuse(
            choice.template is not None,
            "--template is rendered here; name a folder with the policy's tokenizer with --tokenizer",
        )
        return None
    return PromptTokens(choice.tokenizer, choice.template, choice.condition)


def _import_client() -> Any:
    try:
        import httpx2
    except ModuleNotFoundError as error:
        raise MissingExtra.of("httpx2", "judge") from error
    return httpx2


def _timeout(timeout_s: float) -> Any:
    return _import_client().Timeout(timeout_s, connect=min(timeout_s, CONNECT_TIMEOUT_S))


def _key_for(base_url: str) -> str:
    """The key from the environment; only OpenAI itself insists on one."""
    key = provider_keys().openai_api_key
    if key is None and base_url == OPENAI_URL:
        raise BadSettings("no key for OpenAI; put it into the environment as OPENAI_API_KEY")
    return "" if key is None else key.get_secret_value()


def _status_error(response: "httpx2.Response", secret: str) -> CallError:
    message, codes = _told(response.text)
    return CallError(
        hidden(message or response.text[:EXCERPT_CHARACTERS] or response.reason_phrase, secret),
        status=response.status_code,
        code=" ".join(codes),
        retry_after=response.headers.get("retry-after"),
        limits=rate_limits(response.headers),
    )


def _told(text: str) -> tuple[str, list[str]]:
    """An error's message and the words for its kind, in the shapes OpenAI and vLLM have."""
    try:
        body = json.loads(text)
    except ValueError:
        return "", []
    error = body.get("error", body) if isinstance(body, dict) else {}
    if not isinstance(error, dict):
        return str(error), []
    return str(error.get("message") or ""), [str(error[key]) for key in ("code", "type") if error.get(key)]


def _reply(response: "httpx2.Response", ask: Ask, secret: str) -> Reply:
    limits = rate_limits(response.headers)
    try:
        body = json.loads(hidden(response.text, secret))
        choices = sorted(body["choices"], key=lambda choice: choice.get("index") or 0)[: ask.n]
        usage = body.get("usage") or {}
        completion_tokens = count(usage.get("completion_tokens"))
        draws = tuple(_drawn(choice, completion_tokens if len(choices) == 1 else None) for choice in choices)
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise garbage("a completion", response.text, secret, limits) from error
    if not draws:
        raise garbage("a completion with choices", response.text, secret, limits)
    return Reply(draws, count(usage.get("prompt_tokens")), completion_tokens or 0)


def _drawn(choice: Mapping[str, Any], only_tokens: int | None) -> Drawn:
    """One choice of a chat completion or of a completion."""
    message = choice.get("message")
    content = choice["text"] if message is None else message.get("content")
    if content is not None and not isinstance(content, str):
        raise TypeError("the content of a response is no text")
    ids = choice.get("token_ids")
    refusal = None if message is None else message.get("refusal")
    return Drawn(
        text=well_formed(content or ""),
        finish_reason=str(choice.get("finish_reason") or "unknown"),
        n_tokens=len(ids) if isinstance(ids, list) else only_tokens,
        refusal=well_formed(refusal) if isinstance(refusal, str) and refusal else None,
    )
