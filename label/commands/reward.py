"""`label reward`: numbers for responses from a reward model."""

from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from label.commands.tally import check_any_worked, counted_in_words, echo_stopped
from store.console import (
    CONTEXT,
    AnyCommand,
    echo,
    echo_json,
    json_option,
    note,
    progress,
    store_option,
    visible,
    wait_option,
    with_options,
)
from store.errors import BadSettings, PreferablyError

if TYPE_CHECKING:
    from label.local.exchange_tokens import TruncationSide
    from label.reward_model import RewardModel
    from label.rewarding.reward import RewardReport, RewardSettings, RewardTally
    from label.rewarding.scoring_plan import Origin
    from store.db import Store


READING = (
    click.option("--template", metavar="NAME", help="One of our chat templates, not the tokenizer's own."),
    click.option(
        "--max-length",
        type=click.IntRange(min=2),
        metavar="TOKENS",
        help="Cut what is longer, and say so.  [default: what the model holds]",
    ),
    click.option(
        "--truncation-side",
        type=click.Choice(["left", "right"]),
        default="left",
        show_default=True,
        help="Where to cut; left keeps the response.",
    ),
    click.option(
        "--dtype",
        type=click.Choice(["float32", "bfloat16", "float16"]),
        default="float32",
        show_default=True,
        help="Of the weights; the number is read in float32 always.",
    ),
    click.option(
        "--batch-tokens",
        type=click.IntRange(min=1),
        metavar="N",
        help="Tokens read at once, padding included.  [default: 1024 on a CPU, 16384 on a GPU]",
    ),
)


def reading_options(command: AnyCommand) -> AnyCommand:
    """Add the options that say how a model in a folder reads a conversation."""
    return with_options(READING, command)


@click.command(
    context_settings=CONTEXT,
    epilog="""\b
Examples:
  label reward --model models/rm --dry-run
  label reward --model models/rm --policy sft-7b --max-length 4096
  label reward --model hf:models/rm --from samples --selection xwin-set --dtype bfloat16
  label reward --model models/rm --from conversations --source sharegpt --json
  label reward --model vllm:models/rm --max-length 4096
  label reward --model vllm:http://host:8000/v1#rm --tokenizer models/rm
  label reward --import scores.jsonl --reward-model rm-70b
  label reward --model offline
""",
)
@click.option(
    "--model",
    help="The reward model: a folder (hf:PATH, vllm:PATH), a server (vllm:http://host:8000/v1#name), or the"
    " stand-in `offline`.",
)
@click.option(
    "--base-url", multiple=True, metavar="URL", help="More servers of the model; they share the work."
)
@click.option(
    "--tokenizer",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="A folder with the model's tokenizer, where the model is on a server.",
)
@click.option("--reward-model", metavar="NAME", help="The name the rewards bear, in place of the model's.")
@click.option(
    "--import",
    "imported",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Take numbers from a .jsonl or .parquet file of response_id and reward, of --reward-model.",
)
@click.option(
    "--from",
    "origin",
    type=click.Choice(["both", "samples", "conversations"]),
    default="both",
    show_default=True,
    help="Score draws of policies, answers of conversations, or both.",
)
@click.option(
    "--selection", metavar="NAME", help="Only what a selection of prompts, conversations or pairs holds."
)
@click.option("--source", "sources", multiple=True, metavar="NAME", help="Only this source; repeatable.")
@click.option(
    "--policy", "policies", multiple=True, metavar="NAME", help="Only this policy or model label; repeatable."
)
@click.option("--sample", type=click.IntRange(min=1), metavar="N", help="Only a draw of N prompts.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Score at most N responses.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the draw.")
@reading_options
@click.option("--dry-run", is_flag=True, help="Print how many would be scored; score and write nothing.")
@wait_option
@json_option
@store_option
def reward(
    *,
    model: str | None,
    base_url: tuple[str, ...],
    tokenizer: Path | None,
    reward_model: str | None,
    imported: Path | None,
    origin: str,
    selection: str | None,
    sources: tuple[str, ...],
    policies: tuple[str, ...],
    sample: int | None,
    limit: int | None,
    seed: int,
    template: str | None,
    max_length: int | None,
    truncation_side: str,
    dtype: str,
    batch_tokens: int | None,
    dry_run: bool,
    wait_s: float,
    as_json: bool,
    store_path: Path,
) -> None:
    """Score responses with a reward model: one number each, given the turns before it.

    Responses are draws of policies and the answers of conversations; equal texts under one prompt are
    scored once. Each number is kept with its tokens and whether any were cut. What this model, in this
    revision, has scored already is not scored again: the same command again continues.
    """
    from label.reward_model import RewardChoice, open_reward_model
    from label.rewarding.reward import RewardSettings
    from label.rewarding.scoring_plan import Scope
    from store.db import Store

    store = Store(store_path, wait_s=wait_s)
    if imported is not None:
        if dry_run:
            raise BadSettings("--import has no --dry-run; repeated, it takes in nothing twice")
        _import(store, imported, model, reward_model, as_json=as_json)
        return
    if model is None:
        raise BadSettings("say which reward model scores: --model PATH")
    choice = RewardChoice(
        model=model,
        template=template,
        max_length=max_length,
        truncation_side=cast("TruncationSide", truncation_side),
        dtype=dtype,
        batch_tokens=batch_tokens,
        base_urls=base_url,
        tokenizer=None if tokenizer is None else str(tokenizer),
    )
    settings = RewardSettings(
        scope=Scope(
            origin=cast("Origin", origin),
            selection=selection,
            sources=sources,
            policies=policies,
            sample=sample,
            seed=seed,
            limit=limit,
        ),
        reward_model=reward_model,
    )
    opened = open_reward_model(choice)
    if dry_run:
        _forecast(store, opened, settings, as_json=as_json)
    else:
        _score(store, opened, settings, as_json=as_json)


def _import(store: "Store", path: Path, model: str | None, name: str | None, *, as_json: bool) -> None:
    from label.rewarding.reward_import import import_rewards

    if model is not None or name is None or not name.strip():
        raise BadSettings(
            "--import takes numbers that exist already: say whose with --reward-model, and give no --model"
        )
    with progress("importing") as advance:
        report = import_rewards(store, path, name, advance=advance)
    if as_json:
        echo_json(report.as_json())
    else:
        _echo_report(report)
    for reason in report.reasons():
        note(f"not taken: {reason}")
    tally = report.tally
    if tally.requested == tally.fresh["failed"] > 0:
        raise PreferablyError(f"none of the {tally.requested} rows of {path} could be taken")


def _score(store: "Store", model: "RewardModel", settings: "RewardSettings", *, as_json: bool) -> None:
    from label.rewarding.reward import RewardTally, responses_to_score, score_store

    plan = responses_to_score(store, model, settings)
    tally = RewardTally()
    try:
        if plan.requested > plan.reused:
            model.check()
        with progress("scoring", plan.requested) as advance:
            report = score_store(store, model, settings, advance=advance, plan=plan, tally=tally)
    except (PreferablyError, KeyboardInterrupt):
        echo_stopped(tally, _counts(tally), as_json=as_json)
        raise
    finally:
        plan.close()
    if as_json:
        echo_json(report.as_json())
    else:
        _echo_report(report)
    for reason in report.reasons():
        note(f"no reward: {reason}")
    check_any_worked(tally.fresh["failed"], tally.fresh.total(), "responses")


def _counts(tally: "RewardTally") -> str:
    drawn = f" ({tally.draws} draws)" if tally.draws else ""
    return f"{tally.requested} responses{drawn}: {counted_in_words(tally)}"


def _echo_report(report: "RewardReport") -> None:
    tally = report.tally
    cut = f"; {tally.truncated} of them cut to what the model reads" if tally.truncated else ""
    echo(f"{_counts(tally)}{cut}")
    echo(f"rewards by {visible(report.reward_model)}, revision {report.revision}")


def _forecast(store: "Store", model: "RewardModel", settings: "RewardSettings", *, as_json: bool) -> None:
    from label.reward_model import reward_model_name
    from label.rewarding.scoring_plan import plan_scoring

    name = reward_model_name(model, settings.reward_model)
    plan = plan_scoring(store, settings.scope, name, model.revision)
    plan.close()
    to_score = plan.requested - plan.reused
    if as_json:
        echo_json(
            {
                "dry_run": True,
                "requested": plan.requested,
                "reused": plan.reused,
                "to_score": to_score,
                "draws": plan.draws,
                "cost_usd": 0.0,
                "reward_model": name,
                "revision": model.revision,
                "described": dict(model.described),
            }
        )
        return
    echo(
        f"{plan.requested} responses ({plan.draws} draws), {plan.reused} of them scored already: {to_score} to score"
    )
    echo(f"by {visible(name)}, revision {model.revision}")


COMMANDS = (reward,)
