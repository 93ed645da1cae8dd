"""What a model's tokens cost, where the figure is from and of which day it is."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from ipaddress import ip_address
from urllib.parse import urlsplit

from store.config import Price
from store.errors import BadSettings, MissingExtra

MILLION = 1_000_000

BATCH_SHARE = 0.5
"""What a batch costs of the price of the same requests one by one, where nobody says otherwise."""


@dataclass(frozen=True, slots=True)
class PriceTag:
    """USD per million tokens."""

    input: float
    cached: float
    output: float
    source: str
    """Who says so: the user, the settings file, a price table and its version."""
    date: str
    """The day the price was looked up."""
    cache_written: float | None = None
    """Of prompt tokens that the provider writes into its cache; None: as `input`."""
    batch_input: float | None = None
    """Of prompt tokens in a batch; None: BATCH_SHARE of `input`."""
    batch_output: float | None = None
    """Of reply tokens in a batch; None: BATCH_SHARE of `output`."""

    def cost_usd(
        self,
        prompt_tokens: int,
        completion_tokens: int,
        cached_tokens: int = 0,
        cache_written_tokens: int = 0,
    ) -> float:
        """What a request with these tokens costs; the cached and the written ones are part of the prompt's."""
        fresh = prompt_tokens - cached_tokens - cache_written_tokens
        written = self.input if self.cache_written is None else self.cache_written
        prompt = fresh * self.input + cached_tokens * self.cached + cache_written_tokens * written
        return (prompt + completion_tokens * self.output) / MILLION

    def most_usd(self, prompt_tokens: int, completion_tokens: int) -> float:
        """The most it could cost: every prompt token at the dearest of its prices."""
        dearest = max(self.input, self.cached, self.cache_written or 0.0)
        return (prompt_tokens * dearest + completion_tokens * self.output) / MILLION

    def for_batch(self) -> "PriceTag":
        """What the same tokens cost in a batch; what a cache saves or adds keeps its proportion."""
        batch_input = self.input * BATCH_SHARE if self.batch_input is None else self.batch_input
        share = batch_input / self.input if self.input else 1.0
        return PriceTag(
            input=batch_input,
            cached=self.cached * share if self.input else batch_input,
            output=self.output * BATCH_SHARE if self.batch_output is None else self.batch_output,
            source=f"{self.source}, in a batch",
            date=self.date,
            cache_written=None if self.cache_written is None else self.cache_written * share,
        )

    def as_json(self) -> str:
        """The price as it is stored with each completion."""
        return json.dumps({**asdict(self), "unit": "USD per million tokens"}, sort_keys=True)


def price_of(
    model: str, base_url: str, given: Price | None = None, configured: Mapping[str, Price] | None = None
) -> PriceTag:
    """The price in force: as given, else from the settings file, else from the price table, else 0 at home.

    Raises BadSettings for a model nobody has a price for, unless its server is this machine.
    """
    if given is not None:
        return _tag(given, "given")
    if configured and model in configured:
        return _tag(configured[model], "settings file")
    if not base_url:
        return _tag(Price(0, 0), "no server")
    listed = _listed(model, base_url)
    if listed is not None:
        return listed
    if is_loopback(base_url):
        return _tag(Price(0, 0), "own machine")
    raise BadSettings(
        f"no price is known for {model!r} at {base_url}; say what a million tokens cost with"
        " --price-in and --price-out (0 if they are free)"
    )


def is_loopback(base_url: str) -> bool:
    """Whether a server is this machine."""
    host = urlsplit(base_url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _tag(price: Price, source: str) -> PriceTag:
    cached = price.input if price.cached is None else price.cached
    return PriceTag(
        price.input,
        cached,
        price.output,
        source,
        _today(),
        batch_input=price.batch_input,
        batch_output=price.batch_output,
    )


def _listed(model: str, base_url: str) -> PriceTag | None:
    """The price in the offline table: of this server's provider, else of whoever makes the model."""
    try:
        import genai_prices
    except ModuleNotFoundError as error:
        raise MissingExtra.of("genai-prices", "judge") from error
    for provider_url in (base_url, None):
        try:
            return _listed_at(model, provider_url, f"genai-prices {genai_prices.__version__}")
        except LookupError:
            continue
    return None


PRICED_TOKENS = 1000
"""Tokens priced to learn the rate: few, so that surcharges for very long prompts stay out."""


def _listed_at(model: str, provider_url: str | None, source: str) -> PriceTag:
    """The rates of one provider; a batch's are left open where the table has none of its own."""
    fresh, reply = {"input_tokens": PRICED_TOKENS}, {"output_tokens": PRICED_TOKENS}
    in_usd = _per_million(model, provider_url, **fresh)
    out_usd = _per_million(model, provider_url, **reply)
    batch_in = _per_million(model, provider_url, "batch", **fresh)
    batch_out = _per_million(model, provider_url, "batch", **reply)
    return PriceTag(
        in_usd,
        _per_million(model, provider_url, **fresh, cache_read_tokens=PRICED_TOKENS),
        out_usd,
        source,
        _today(),
        _per_million(model, provider_url, **fresh, cache_write_tokens=PRICED_TOKENS),
        batch_input=batch_in if batch_in < in_usd else None,
        batch_output=batch_out if batch_out < out_usd else None,
    )


def _per_million(model: str, provider_url: str | None, processing: str = "", /, **tokens: int) -> float:
    from genai_prices import Usage, calc_price

    context = {"processing": processing} if processing else None
    price = calc_price(Usage(**tokens), model, provider_api_url=provider_url, price_context=context)
    return float(price.total_price) * MILLION / PRICED_TOKENS


def _today() -> str:
    return datetime.now(UTC).date().isoformat()
