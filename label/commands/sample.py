"""`label sample`: responses of a policy, n under each prompt."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from label.commands.tally import counted_in_words, echo_stopped
from store.console import (
    CONTEXT,
    echo,
    echo_json,
    json_option,
    note,
    progress,
    store_option,
    wait_option,
)
from store.errors import BadSettings, PreferablyError

if TYPE_CHECKING:
    from label.chat import Json
    from label.engine.prices import PriceTag
    from label.sampler import Sampler
    from label.sampling.sample import SampleForecast, SampleReport
    from label.sampling.sampling_job import SampleSettings, SampleTally
    from store.db import Store


@click.command(
    context_settings=CONTEXT,
    epilog="""\b
Examples:
  label sample --model vllm:http://localhost:8000/v1#sft-7b --dry-run
  label sample --model vllm:http://localhost:8000/v1#sft-7b --preset xwin-set --prompts train-prompts
  label sample --model vllm:sft-7b --base-url http://host-a:8000/v1 --base-url http://host-b:8000/v1 --n 16
  label sample --model vllm:sft-7b --base-url http://host-a:8000/v1 --base-url http://host-b:8000/v1 --n 64
  label sample --model vllm:checkpoints/sft-7b --engine max_model_len=4096 --preset rlhf-workflow
  label sample --model hf:runs/crlft/model --template openchat --condition GPT4 --n 4
  label sample --model offline --preset xwin-pair --json
""",
)
@click.option(
    "--model",
    required=True,
    help="The policy: vllm:http://host:8000/v1#name, vllm:PATH, hf:PATH, a name at --base-url, or `offline`.",
)
@click.option(
    "--base-url",
    multiple=True,
    metavar="URL",
    help="A server of the policy, such as http://host:8000/v1; several share the prompts.",
)
@click.option("--policy", metavar="NAME", help="The name the draws bear, in place of the model's.")
@click.option("--prompts", "selection", metavar="NAME", help="Answer the prompts of this selection.")
@click.option("--part", metavar="NAME", help="Only this part of the selection.")
@click.option("--source", metavar="NAME", help="Only the user turns of this source's conversations.")
@click.option("--sample", type=click.IntRange(min=1), metavar="N", help="Answer a draw of N prompts.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Answer the first N prompts.")
@click.option(
    "--preset",
    type=click.Choice(["xwin-set", "xwin-pair", "rlhf-workflow"]),
    help="The paper's n and temperatures: 64 at 0.7; 2 at 0.7 and 0.3; 8 at 1.0 and 0.7.",
)
@click.option(
    "--n", type=click.IntRange(1, 100_000), metavar="N", help="Draws under each prompt.  [default: 64]"
)
@click.option(
    "--temperature",
    "temperatures",
    type=click.FloatRange(0, 5),
    multiple=True,
    metavar="T",
    help="Of several the draws take turns.  [default: 0.7]",
)
@click.option(
    "--top-p", type=click.FloatRange(0, 1, min_open=True), default=1.0, show_default=True, metavar="P"
)
@click.option(
    "--top-k", type=click.IntRange(min=0), default=0, show_default=True, metavar="K", help="0 is no bound."
)
@click.option(
    "--max-new-tokens",
    type=click.IntRange(min=1),
    metavar="N",
    help="The longest response.  [default: 2048]",
)
@click.option("--template", metavar="NAME", help="Render prompts with our template, such as openchat.")
@click.option("--condition", metavar="TEXT", help="What a conditional policy is to be, such as GPT4.")
@click.option(
    "--tokenizer", metavar="PATH", help="The policy's tokenizer, to render here what a server is shown."
)
@click.option(
    "--engine",
    multiple=True,
    metavar="KEY=VALUE",
    help="For the engine in this process: of vLLM any argument, of transformers `batch_size`.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of every draw, and of --sample.")
@click.option("--concurrency", type=click.IntRange(min=1), metavar="N", help="Most requests at once.")
@click.option(
    "--draws-per-request", type=click.IntRange(min=1), metavar="N", help="Most draws one request asks for."
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=600.0,
    show_default=True,
    metavar="SECONDS",
    help="For one request.",
)
@click.option(
    "--max-cost", type=click.FloatRange(min=0), metavar="USD", help="Send nothing that could pass this cost."
)
@click.option("--price-in", type=click.FloatRange(min=0), metavar="USD", help="A million prompt tokens.")
@click.option("--price-out", type=click.FloatRange(min=0), metavar="USD", help="A million response tokens.")
@click.option("--dry-run", is_flag=True, help="Print draws, requests and tokens; ask and write nothing.")
@wait_option
@json_option
@store_option
def sample(
    *,
    model: str,
    base_url: tuple[str, ...],
    policy: str | None,
    selection: str | None,
    part: str | None,
    source: str | None,
    sample: int | None,
    limit: int | None,
    preset: str | None,
    n: int | None,
    temperatures: tuple[float, ...],
    top_p: float,
    top_k: int,
    max_new_tokens: int | None,
    template: str | None,
    condition: str | None,
    tokenizer: str | None,
    engine: tuple[str, ...],
    seed: int,
    concurrency: int | None,
    draws_per_request: int | None,
    timeout: float,
    max_cost: float | None,
    price_in: float | None,
    price_out: float | None,
    dry_run: bool,
    wait_s: float,
    as_json: bool,
    store_path: Path,
) -> None:
    """Draw responses from a policy: n under each prompt, which is a user turn with the turns before it.

    Every draw is kept as it comes, with its seed, its parameters, why it ended and its tokens. What is
    drawn already is not drawn again: the same command again continues, and a larger --n tops a set up.
    Prompts the policy cannot take (too long, say) are counted and kept with the reason.
    """
    from label.sampler import SamplerChoice, open_sampler
    from label.sampling.sample import PRESETS
    from label.sampling.sampling_job import SampleSettings
    from label.sampling.sampling_plan import PromptChoice
    from store.db import Store

    if part is not None and selection is None:
        raise BadSettings(f"--part {part} names a part of a selection; name the selection with --prompts")
    if selection is not None and source is not None:
        raise BadSettings("--prompts and --source both choose prompts; give one of them")
    chosen = PRESETS[preset or "xwin-set"]
    template = None if template == "own" else template
    settings = SampleSettings(
        choice=PromptChoice(selection, part, source, sample, limit),
        n=n or chosen.n,
        temperatures=temperatures or chosen.temperatures,
        top_p=top_p,
        top_k=top_k,
        max_new_tokens=max_new_tokens or chosen.max_new_tokens,
        template=template,
        condition=condition,
        policy=policy,
        seed=seed,
        draws_per_ask=draws_per_request,
        concurrency=concurrency,
        timeout_s=timeout,
        max_cost_usd=max_cost,
    )
    sampler = open_sampler(SamplerChoice(model, base_url, template, condition, tokenizer, _engine(engine)))
    price = _price_tag(sampler, base_url, price_in, price_out)
    store = Store(store_path, wait_s=wait_s)
    if dry_run:
        _forecast(store, sampler, price, settings, as_json=as_json)
    else:
        sampler.check()
        _sample(store, sampler, price, settings, as_json=as_json)


def _engine(given: tuple[str, ...]) -> "dict[str, Json]":
    """Arguments as JSON values where they are any, else as text."""
    arguments: dict[str, Any] = {}
    for text in given:
        name, separator, value = text.partition("=")
        if not separator or not name:
            raise BadSettings(f"--engine {text}: write it as KEY=VALUE, such as max_model_len=4096")
        try:
            arguments[name.replace("-", "_")] = json.loads(value)
        except ValueError:
            arguments[name.replace("-", "_")] = value
    return arguments


def _price_tag(
    sampler: "Sampler", base_urls: tuple[str, ...], price_in: float | None, price_out: float | None
) -> "PriceTag":
    """The price in force: nothing on engines and vLLM servers, which are the user's own, unless given."""
    from label.engine.prices import price_of
    from store.config import Price, load_config

    if (price_in is None) != (price_out is None):
        raise BadSettings("--price-in and --price-out go together")
    given = None if price_in is None or price_out is None else Price(price_in, price_out)
    is_own = sampler.provider != "openai"
    url = "" if is_own else sampler.base_url
    return price_of(sampler.policy, url, given, load_config().prices)


def _sample(
    store: "Store", sampler: "Sampler", price: "PriceTag", settings: "SampleSettings", *, as_json: bool
) -> None:
    from label.sampling.sample import only_run_of, plan_samples, policy_of, sample_store
    from label.sampling.sampling_job import SampleTally

    policy = policy_of(sampler, settings.policy)
    tally = SampleTally()
    with store.read():
        pass  # says so if there is no store
    try:
        with only_run_of(store, policy):
            with store.write():
                pass  # takes in what a run that died left in its journal
            plan = plan_samples(store, settings, policy)
            with progress("drawing", plan.requested - plan.reused) as advance:
                report = sample_store(store, sampler, price, settings, plan, advance=advance, tally=tally)
    except (PreferablyError, KeyboardInterrupt):
        echo_stopped(tally, _counts(tally), as_json=as_json)
        raise
    if as_json:
        echo_json(report.as_json())
    else:
        _echo_report(report)
    for reason in report.reasons():
        note(f"not drawn: {reason}")
    if report.tally.has_only_failed:
        raise PreferablyError(
            f"all {report.tally.fresh['failed']} draws failed; the same command tries again"
        )


def _counts(tally: "SampleTally") -> str:
    return f"{tally.requested} draws: {counted_in_words(tally)}; ${tally.cost_usd:.4f}"


def _echo_report(report: "SampleReport") -> None:
    echo(_counts(report.tally))
    ended = ", ".join(f"{count} {reason}" for reason, count in sorted(report.tally.finish_reasons.items()))
    echo(
        f"{report.policy}: {report.n} draws under each of {report.prompts} prompts;"
        f" {report.tally.completion_tokens:,} tokens in {report.elapsed_s:.1f} s"
        f" ({report.tokens_per_s:,.0f} tokens/s){f'; ended by {ended}' if ended else ''}"
    )


def _forecast(
    store: "Store", sampler: "Sampler", price: "PriceTag", settings: "SampleSettings", *, as_json: bool
) -> None:
    from dataclasses import asdict

    from label.sampling.sample import forecast

    expected = forecast(store, sampler, price, settings)
    if as_json:
        echo_json({"dry_run": True, **asdict(expected), "price": asdict(price)})
    else:
        _echo_forecast(expected)


def _echo_forecast(expected: "SampleForecast") -> None:
    echo(
        f"{expected.requested} draws under {expected.prompts} prompts, {expected.reused} of them there already:"
        f" {expected.asks} requests to {expected.policy}"
    )
    echo(
        f"about {expected.prompt_tokens:,} prompt tokens, at most {expected.completion_tokens_at_most:,}"
        f" response tokens, at most ${expected.cost_usd_at_most:.4f}"
    )


COMMANDS = (sample,)
