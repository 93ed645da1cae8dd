"""The options by which a command chooses a chat model, how fast and for how much it is asked, and their meaning."""

from dataclasses import dataclass, fields
from functools import wraps
from typing import TYPE_CHECKING, Any, Protocol

import click

from store.console import AnyCommand, echo, with_options
from store.errors import BadSettings

if TYPE_CHECKING:
    from label.chat import ChatModel
    from label.engine.prices import PriceTag
    from store.config import Config, Limits, Price


@dataclass(frozen=True, slots=True)
class Asking:
    """What the user said about the model and how to ask it."""

    model: str
    base_url: tuple[str, ...]
    max_cost: float | None
    rpm: float | None
    tpm: float | None
    concurrency: int | None
    timeout: float
    price: float | None
    price_in: float | None
    price_out: float | None
    temperature: str
    max_tokens: int
    max_unparsed: float
    canaries: int
    min_canaries: float | None
    labeler: str | None

    def open_model(self) -> "ChatModel":
        """The chat model."""
        from label.chat import open_chat_model

        return open_chat_model(self.model, list(self.base_url) or None)

    def chosen_temperature(self) -> float | None:
        """None leaves it to the server."""
        if self.temperature == "none":
            return None
        try:
            value = float(self.temperature)
        except ValueError:
            value = -1.0
        if not 0 <= value <= 2:
            raise BadSettings(f"--temperature is a number from 0 to 2, or `none`; not {self.temperature!r}")
        return value

    def price_tag(self, config: "Config", model: "ChatModel") -> "PriceTag":
        """The price in force; several servers must cost the same."""
        from label.engine.prices import price_of

        given = self._given_price()
        urls = self.base_url or (model.base_url,)
        tags = {price_of(model.model, url, given, config.prices) for url in urls}
        if len({(tag.input, tag.cached, tag.output) for tag in tags}) > 1:
            raise BadSettings(
                "the servers cost differently; say what the dearest does with --price-in and --price-out"
            )
        return price_of(model.model, model.base_url, given, config.prices)

    def _given_price(self) -> "Price | None":
        from store.config import Price

        both, price_in, price_out = self.price, self.price_in, self.price_out
        if both is not None and (price_in is not None or price_out is not None):
            raise BadSettings("--price stands for --price-in and --price-out; give either it or them")
        if both is not None:
            return Price(both, both)
        if price_in is None and price_out is None:
            return None
        if price_in is None or price_out is None:
            raise BadSettings("--price-in and --price-out go together")
        return Price(price_in, price_out)

    def limits(self, config: "Config", model: "ChatModel") -> "Limits":
        """Limits from the command line, else from the settings file."""
        from store.config import Limits

        configured = config.limits.get(model.model, Limits())
        return Limits(
            rpm=configured.rpm if self.rpm is None else self.rpm,
            tpm=configured.tpm if self.tpm is None else self.tpm,
            concurrency=configured.concurrency if self.concurrency is None else self.concurrency,
        )


class Costs(Protocol):
    """What a run would take, as a dry run expects it."""

    @property
    def prompt_tokens(self) -> int:
        """Expected."""

    @property
    def completion_tokens(self) -> int:
        """Expected."""

    @property
    def cost_usd(self) -> float:
        """Expected."""

    @property
    def cost_usd_at_most(self) -> float:
        """In the worst case, without repairs."""


def echo_costs(expected: Costs, price: "PriceTag") -> None:
    """The tokens and the money that a run would take, and the price they are reckoned by."""
    echo(f"about {expected.prompt_tokens:,} prompt and {expected.completion_tokens:,} reply tokens")
    echo(
        f"about ${expected.cost_usd:.4f}, at most ${expected.cost_usd_at_most:.4f} before repairs"
        f" (${price.input:g} in, ${price.output:g} out per million tokens, {price.source}, {price.date})"
    )


def canary_words(count: int) -> str:
    """What a forecast says of them."""
    return f", and {count} canaries" if count else ""


OPTIONS = (
    click.option(
        "--model",
        required=True,
        help="The judge: gpt-4, claude-…, vllm:http://host:8000/v1#name, hf:PATH, or the stand-in `offline`.",
    ),
    click.option(
        "--base-url",
        multiple=True,
        metavar="URL",
        help="Any OpenAI-compatible server, such as http://host:8000/v1; several share the work.",
    ),
    click.option(
        "--max-cost",
        type=click.FloatRange(min=0),
        metavar="USD",
        help="Send nothing that could pass this cost.",
    ),
    click.option(
        "--rpm", type=click.FloatRange(min=0, min_open=True), metavar="N", help="Most requests a minute."
    ),
    click.option(
        "--tpm", type=click.FloatRange(min=0, min_open=True), metavar="N", help="Most tokens a minute."
    ),
    click.option(
        "--concurrency", type=click.IntRange(min=1), metavar="N", help="Most requests at once.  [default: 16]"
    ),
    click.option(
        "--timeout",
        type=click.FloatRange(min=0, min_open=True),
        default=120.0,
        show_default=True,
        metavar="SECONDS",
        help="For one request.",
    ),
    click.option(
        "--price",
        type=click.FloatRange(min=0),
        metavar="USD",
        help="A million tokens, prompt or reply alike.",
    ),
    click.option("--price-in", type=click.FloatRange(min=0), metavar="USD", help="A million prompt tokens."),
    click.option("--price-out", type=click.FloatRange(min=0), metavar="USD", help="A million reply tokens."),
    click.option(
        "--temperature", default="0", show_default=True, metavar="T", help="`none` leaves it to the server."
    ),
    click.option(
        "--max-tokens",
        type=click.IntRange(min=1),
        metavar="N",
        default=2048,
        show_default=True,
        help="The longest reply.",
    ),
    click.option(
        "--max-unparsed",
        type=click.FloatRange(0, 1),
        metavar="SHARE",
        default=0.02,
        show_default=True,
        help="Stop when a larger share of the first 200 replies carries no verdict.",
    ),
    click.option(
        "--canaries",
        type=click.IntRange(0, 100),
        default=4,
        show_default=True,
        metavar="N",
        help="Ask N questions with a known answer first; they are kept apart from the labels.",
    ),
    click.option(
        "--min-canaries",
        type=click.FloatRange(0, 1),
        metavar="SHARE",
        help="Stop with exit code 1 if a smaller share of the canaries is answered right.",
    ),
    click.option("--labeler", metavar="NAME", help="Sign the labels with NAME instead of the model's."),
)


def model_options(command: AnyCommand) -> AnyCommand:
    """Add the options above, given to the command together as `asking`."""

    @wraps(command)
    def gathered(**options: Any) -> Any:
        asking = Asking(**{field.name: options.pop(field.name) for field in fields(Asking)})
        return command(asking=asking, **options)

    return with_options(OPTIONS, gathered)
