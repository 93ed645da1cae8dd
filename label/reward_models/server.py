"""A reward model behind vLLM's server (`vllm serve PATH --runner pooling`), asked at `/classify`.

Responses are rendered, tokenised and cut here, with the tokenizer in a folder; the server sees tokens only.
"""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from functools import cached_property
from pathlib import Path
from typing import Any

from label.chat_models.wire import EXCERPT_CHARACTERS, checked_url, hidden, provider_keys
from label.exchange import Exchange
from label.local.exchange_tokens import ExchangeTokens, TokenizedExchange, load_exchange_tokens
from label.local.token_batches import batch_tokens_on, token_batches
from label.reward_model import Reward, RewardChoice, only_number, revision_of, reward_of
from store.errors import BadInput, BadSettings, MissingExtra, ProviderStopped

BATCHES_AT_ONCE = 4
"""For each server."""
TRIES = 6
LONGEST_WAIT_S = 20.0
TIMEOUT_S = 600.0
WAITED_FOR = (408, 409, 429, 500, 502, 503, 504)


class ServerReward:
    """One reward model behind one or more servers; batches go to them in turn."""

    def __init__(self, name: str, urls: Sequence[str], choice: RewardChoice, tokenizer: Path) -> None:
        self.name = name
        self._urls = tuple(urls)
        self._choice = choice
        self._tokenizer = tokenizer

    @cached_property
    def described(self) -> Mapping[str, object]:
        """What the server is called, and how its input is made; its weights it does not tell."""
        return {
            "engine": "vllm server",
            "served": self.name,
            "urls": list(self._urls),
            **self._tokens.described,
        }

    @cached_property
    def revision(self) -> str:
        """The hash of all that."""
        return revision_of(self.described)

    def check(self) -> None:
        """Raises ProviderStopped if no server answers, BadSettings if it serves another model."""
        _ = self._tokens

    def score(self, exchanges: Sequence[Exchange]) -> Iterator[tuple[int, Reward]]:
        """Batches of like lengths, several under way at each server."""
        rows: dict[int, TokenizedExchange] = {}
        for place, one in enumerate(self._tokens.encode(exchanges)):
            if isinstance(one, str):
                yield place, Reward("failed", None, None, is_truncated=False, why=one)
            else:
                rows[place] = one
        places = list(rows)
        budget = batch_tokens_on("server", self._choice.batch_tokens)
        batches = [
            [places[index] for index in batch]
            for batch in token_batches([len(rows[place].ids) for place in places], budget)
        ]
        pool = ThreadPoolExecutor(BATCHES_AT_ONCE * len(self._urls))
        try:
            asked = {
                pool.submit(self._classify, [rows[place].ids for place in batch], number): batch
                for number, batch in enumerate(batches)
            }
            for answer in as_completed(asked):
                for place, value in zip(asked[answer], answer.result(), strict=True):
                    yield place, reward_of(rows[place], value)
        finally:
            pool.shutdown(cancel_futures=True)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    @cached_property
    def _client(self) -> Any:
        try:
            import httpx2
        except ModuleNotFoundError as error:
            raise MissingExtra.of("httpx2", "judge") from error
        headers = {"authorization": f"Bearer {self._secret}"} if self._secret else {}
        return httpx2.Client(headers=headers, timeout=TIMEOUT_S, trust_env=False)

    @cached_property
    def _secret(self) -> str:
        key = provider_keys().openai_api_key
        return "" if key is None else key.get_secret_value()

    @cached_property
    def _tokens(self) -> ExchangeTokens:
        return load_exchange_tokens(
            self._tokenizer,
            template=self._choice.template,
            max_length=self._choice.max_length,
            positions=min(self._positions(url) for url in self._urls),
            truncation_side=self._choice.truncation_side,
        )

    def _positions(self, url: str) -> int:
        """How many tokens the model at URL holds."""
        served = self._asked("GET", f"{url}/v1/models", None).get("data")
        found = [one for one in served or [] if isinstance(one, dict) and one.get("id") == self.name]
        if not found:
            names = ", ".join(str(one.get("id")) for one in served or [] if isinstance(one, dict))
            raise BadSettings(f"{url} serves {names or 'nothing'}, not {self.name}")
        positions = found[0].get("max_model_len")
        if not isinstance(positions, int):
            raise BadSettings(f"{url} does not say how many tokens {self.name} holds; is it a vLLM server?")
        return positions

    def _classify(self, batch: list[list[int]], number: int) -> list[float]:
        """The numbers of a batch; a server that is silent is passed over for the next."""
        body = {"model": self.name, "input": batch, "use_activation": False}
        order = [self._urls[(number + turn) % len(self._urls)] for turn in range(len(self._urls))]
        answer = self._asked("POST", [f"{url}/classify" for url in order], body)
        rows = answer.get("data")
        if not isinstance(rows, list) or len(rows) != len(batch):
            raise BadInput(f"{order[0]} answers {len(batch)} texts with something else: {str(answer)[:200]}")
        return [only_number(row["probs"], self.name) for row in sorted(rows, key=lambda row: row["index"])]

    def _asked(self, method: str, urls: "str | Sequence[str]", body: object) -> dict[str, Any]:
        """The JSON object a server answers with, after as many tries as it takes within bounds.

        Raises ProviderStopped where none answers, BadInput where the request is refused.
        """
        import httpx2

        addresses = [urls] if isinstance(urls, str) else list(urls)
        why = ""
        for attempt in range(TRIES * len(addresses)):
            url = addresses[attempt % len(addresses)]
            if attempt >= len(addresses) and attempt % len(addresses) == 0:
                time.sleep(min(LONGEST_WAIT_S, 0.5 * 2 ** (attempt // len(addresses))))
            try:
                response = self._client.request(method, url, json=body)
            except httpx2.TransportError as error:
                why = hidden(f"{url}: {type(error).__name__} {error}".strip(), self._secret)
                continue
            if response.status_code in WAITED_FOR:
                why = f"{url}: status {response.status_code}"
                continue
            text = hidden(response.text[:EXCERPT_CHARACTERS], self._secret)
            if response.status_code >= 400:
                raise BadInput(f"{url} refuses the request with status {response.status_code}: {text}")
            try:
                answer = json.loads(response.text)
            except ValueError as error:
                raise BadInput(f"{url} answers with something that is no JSON: {text}") from error
            if not isinstance(answer, dict):
                raise BadInput(f"{url} answers with something else: {text}")
            return answer
        raise ProviderStopped(f"no server answers: {why}; the same command again continues")


def open_server(choice: RewardChoice) -> ServerReward:
    """A reward model named as `vllm:http://host:8000/v1#name`, or as `vllm:name` at the servers given by base URLs."""
    address, separator, name = choice.model.partition("#")
    urls = [address, *choice.base_urls] if separator else list(choice.base_urls)
    served = name if separator else choice.model
    if not served or not urls:
        raise BadSettings(f"write --model vllm:http://host:8000/v1#name, not vllm:{choice.model}")
    if choice.tokenizer is None:
        raise BadSettings(
            "responses are rendered and tokenised here; name a folder with the model's tokenizer: --tokenizer"
        )
    roots = [checked_url(url).removesuffix("/v1") for url in urls]
    return ServerReward(served, list(dict.fromkeys(roots)), choice, Path(choice.tokenizer))
