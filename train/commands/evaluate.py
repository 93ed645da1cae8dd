"""The `train evaluate` commands: how good a model is at what it was trained for."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from label.commands.reward import reading_options
from store.console import (
    CONTEXT,
    echo,
    echo_json,
    json_option,
    note,
    progress,
    store_option,
    table,
    wait_option,
)
from store.errors import BadSettings
from train.commands.policy import policy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from store.db import Store
    from train.evaluating.accuracy import Accuracy
    from train.evaluating.contenders import Contender
    from train.evaluating.judge_contender import JudgeContender
    from train.evaluating.reward import EvaluationReport, GoldSet


@click.group(
    context_settings=CONTEXT,
    epilog="""\b
Examples:
  train evaluate reward reward-bench.parquet --model models/rm
""",
)
def evaluate() -> None:
    """Measure how good a model is."""


@evaluate.command(
    context_settings=CONTEXT,
    epilog="""\b
Examples:
  train evaluate reward reward-bench.parquet --model models/rm --prefer models/pm --json
  train evaluate reward reward-bench.parquet --model models/rm --judge gpt-4 --max-cost 20
  train evaluate reward chat_filtered.json code_filtered.json --model models/rm
  train evaluate reward --comparisons gpt-4 --scale xwin4 --model models/rm
  train evaluate reward --selection xwin-pair --part validation --model models/rm
  train evaluate reward --comparisons gpt-4 --model models/rm --length-bias --png rm.png
""",
)
@click.argument("files", nargs=-1, type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--model", "models", multiple=True, metavar="PATH", help="A reward model; repeatable.")
@click.option("--prefer", "preferring", multiple=True, metavar="PATH", help="A preference model; repeatable.")
@click.option("--judge", "judges", multiple=True, metavar="MODEL", help="A judge to be prompted; repeatable.")
@click.option("--comparisons", metavar="LABELER", help="The pairs that LABELER decided, by strength.")
@click.option("--scale", metavar="NAME", help="Only its verdicts on this scale.")
@click.option("--selection", metavar="NAME", help="The pairs of a selection.")
@click.option("--part", metavar="NAME", help="Only this part of it.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Only the first N pairs.")
@click.option(
    "--tie",
    type=click.FloatRange(min=0),
    default=1e-6,
    show_default=True,
    metavar="DIFFERENCE",
    help="Rewards, or probabilities, that differ by less are a tie: half a point.",
)
@click.option("--length-bias", is_flag=True, help="How stored rewards of each reward model go with length.")
@click.option(
    "--png",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write accuracies and heatmaps to this file.",
)
@click.option(
    "--judge-template", metavar="NAME", help="What a judge is told.  [default: what fits --judge-scale]"
)
@click.option("--judge-scale", default="binary", show_default=True, help="What a judge may answer.")
@click.option("--base-url", multiple=True, metavar="URL", help="The judge's server; several share the work.")
@click.option(
    "--max-cost", type=click.FloatRange(min=0), metavar="USD", help="Send a judge nothing beyond it."
)
@click.option(
    "--price-in", type=click.FloatRange(min=0), metavar="USD", help="A judge's million prompt tokens."
)
@click.option(
    "--price-out", type=click.FloatRange(min=0), metavar="USD", help="A judge's million reply tokens."
)
@reading_options
@click.option(
    "--resamples",
    type=click.IntRange(min=1),
    default=1000,
    show_default=True,
    metavar="N",
    help="Draws of whole prompts for the intervals.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of the draws.")
@wait_option
@json_option
@store_option
def reward(
    *,
    files: tuple[Path, ...],
    png: Path | None,
    wait_s: float,
    as_json: bool,
    store_path: Path,
    **options: Any,
) -> None:
    """Measure how often models find the better of two answers, side by side.

    FILES are in RewardBench's form (prompt, chosen, rejected, subset; sections are weighed as published) or
    in RM-Bench's (three answers each; easy, normal and hard). Without files the pairs come from the store.
    A tie is half a point, and so is a pair without a verdict; both are counted. The figures are kept with
    the run, in the store.
    """
    from label.measures import Resampling
    from store.db import Store
    from train.evaluating.accuracy_plots import save_accuracy_plots
    from train.evaluating.reward import evaluate_reward

    if not (options["models"] or options["preferring"] or options["judges"]):
        raise BadSettings("name who is to be evaluated: --model, --prefer or --judge")
    store = Store(store_path, wait_s=wait_s)
    gold = _gold(store, files, options)
    shown = {name: value for name, value in options.items() if value not in (None, ())}
    report = evaluate_reward(
        store,
        gold,
        _contenders(options),
        settings={**shown, "files": [str(path) for path in files]},
        resampling=Resampling(options["resamples"], options["seed"]),
        has_length_bias=options["length_bias"],
        bar=progress,
    )
    if png is not None:
        save_accuracy_plots(png, report)
    if as_json:
        echo_json(report.as_json())
    else:
        _echo_report(report)


def _gold(store: "Store", files: tuple[Path, ...], options: dict[str, Any]) -> "GoldSet":
    from train.evaluating.gold_items import read_items
    from train.evaluating.reward import GoldSet
    from train.evaluating.stored_gold import gold_of_labeler, gold_of_selection

    labeler, selection, limit = options["comparisons"], options["selection"], options["limit"]
    if sum((bool(files), labeler is not None, selection is not None)) != 1:
        raise BadSettings("give files, or --comparisons LABELER, or --selection NAME: one of the three")
    if files:
        return GoldSet(read_items(files)[:limit], "subset")
    with store.read() as reading:
        if labeler is not None:
            found = gold_of_labeler(reading, labeler, options["scale"])
        else:
            found = gold_of_selection(reading, selection, options["part"])
    return GoldSet(found.items[:limit], "strength", found.strengths, found.undecided)


def _contenders(options: dict[str, Any]) -> "Sequence[Contender]":
    from label.preference_model import PreferenceChoice, open_preference_model
    from label.reward_model import RewardChoice, open_reward_model
    from train.evaluating.contenders import PreferenceContender, RewardContender

    reading = {
        name: options[name] for name in ("template", "max_length", "truncation_side", "dtype", "batch_tokens")
    }
    sizes = {name: options[name] for name in ("dtype", "batch_tokens")}
    found: list[Contender] = []
    for name in options["models"]:
        model = open_reward_model(RewardChoice(name, **reading))
        model.check()
        found.append(RewardContender(model, options["tie"]))
    for name in options["preferring"]:
        preference = open_preference_model(PreferenceChoice(name, **sizes))
        preference.check()
        found.append(PreferenceContender(preference, options["tie"]))
    return [*found, *(_judge(name, options) for name in options["judges"])]


def _judge(name: str, options: dict[str, Any]) -> "JudgeContender":
    from label.chat import open_chat_model
    from label.comparing.comparison_job import template_for
    from label.engine.prices import price_of
    from store.config import Limits, Price, load_config
    from train.evaluating.judge_contender import JudgeContender, JudgeSettings

    config = load_config()
    model = open_chat_model(name, list(options["base_url"]) or None)
    price_in, price_out = options["price_in"], options["price_out"]
    if (price_in is None) != (price_out is None):
        raise BadSettings("--price-in and --price-out go together")
    given = None if price_in is None else Price(price_in, price_out)
    settings = JudgeSettings(
        price=price_of(model.model, model.base_url, given, config.prices),
        template=options["judge_template"] or template_for(options["judge_scale"]),
        scale=options["judge_scale"],
        max_cost_usd=options["max_cost"],
        limits=config.limits.get(model.model, Limits()),
    )
    judge = JudgeContender(model, settings)
    judge.check()
    return judge


def _echo_report(report: "EvaluationReport") -> None:
    names = [one.name for one in report.contenders]
    rows: dict[tuple[str, str | None], dict[str, Accuracy]] = {}
    for one in report.results:
        rows.setdefault((one.group, one.difficulty), {})[one.contender] = one
    has_styles = any(difficulty for _, difficulty in rows)
    columns = ["", *(["style"] if has_styles else []), "pairs", *names]
    lines = [
        [
            group,
            *([difficulty] if has_styles else []),
            next(iter(found.values())).n,
            *(_words(found.get(name)) for name in names),
        ]
        for (group, difficulty), found in rows.items()
    ]
    echo(table(columns, lines))
    for said in report.contenders:
        last = [one for one in report.results if one.contender == said.name][-1]
        cut = f", {said.n_truncated} answers cut" if said.n_truncated else ""
        cost = f", ${said.cost_usd:.4f}" if said.kind == "judge" else ""
        who = f"{said.name} ({said.kind.replace('_', ' ')})"
        echo(f"{who}: {last.ties:g} ties, {last.missing:g} without a verdict{cut}{cost}")
    if report.undecided:
        echo(f"{report.undecided} stored pairs left out: nobody won")
    for bias in report.length_bias:
        _echo_bias(bias)
    note(f"kept with run {report.run_id}")


def _words(found: "Accuracy | None") -> str:
    if found is None or found.value is None:
        return "–"
    return f"{found.value:.3f} [{found.low or 0:.3f}, {found.high or 0:.3f}]"


def _echo_bias(bias: Any) -> None:
    mean = bias.measures[0]
    words = "unknown" if mean.value is None else f"{mean.value:.3f} [{mean.low:.3f}, {mean.high:.3f}]"
    echo(
        f"{bias.reward_model}: r of reward and length over {bias.prompts} prompts with stored rewards: {words}"
    )
    heatmap = bias.heatmap
    if bias.prompts:
        rows = [[label, *counts] for label, counts in zip(heatmap.r_labels, heatmap.counts, strict=True)]
        echo(table(["r \\ mean characters", *heatmap.length_labels], rows[::-1]))


evaluate.add_command(policy)
