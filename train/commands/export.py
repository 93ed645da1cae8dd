"""The command `train export`: one recipe after another, each with the options that mean something to it."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from store.console import CONTEXT, at_option, echo, echo_json, json_option, note, store_option, wait_option
from store.errors import BadSettings
from train.commands.ratings import NAMES, rating_options, read_rating_options

if TYPE_CHECKING:
    from train.exporting.export import ExportReport, ExportSettings
    from train.exporting.plan import ExportPlan

FOLDER = click.Path(path_type=Path, file_okay=False)
EXISTING = click.Path(path_type=Path, exists=True)

MEANT_FOR = {
    "only_classes": ("crlft", "sft"),
    "only_sources": ("crlft", "sft"),
    "selection": ("crlft", "sft"),
    "beta": ("crlft",),
    "weights": ("crlft",),
    **dict.fromkeys(NAMES, ("crlft",)),
    "no_reward": ("crlft",),
    "no_condition": ("crlft",),
    "refusals": ("crlft", "sft"),
    "turns": ("sft",),
    "pairs": ("rm", "pm", "dpo", "kto"),
    "seed": ("pm",),
    **dict.fromkeys(
        ("reward_models", "ratings", "policies", "prompts", "length_penalty", "rank", "candidates"), ("rsft",)
    ),
}
"""Option → the recipes it means something to."""

SPELLED = {
    "only_classes": "--only-class",
    "only_sources": "--source",
    "reward_models": "--reward-model",
    "weights": "--weight",
    "policies": "--policy",
}


@click.command(
    context_settings=CONTEXT,
    epilog="""\b
Examples:
  train export crlft --tokenizer models/base --out data/crlft
  train export crlft --layout openchat --out data/openchat --at before-filter
  train export crlft --layout tokenized --tokenizer models/base --out data/t --no-reward
  train export crlft --weight-by-rating gpt-4 --beta 0.3 --unrated 5 --out data/by-rating
  train export crlft --class-by-rating gpt-4 --thresholds 5,8 --class-names Poor,Fair,Good --out data/three
  train export sft --selection tulu-mix --template tulu --tokenizer models/base --out data/sft
  train export rsft --reward-model rm-70b --policy sft-70b --tokenizer models/sft --out data/rsft
  train export rm --pairs xwin-pair --part train --tokenizer models/sft --out data/rm
  train export dpo --pairs best-rank-32 --layout pairs-full --out data/dpo
  train export sft --tokenizer models/base --out data/sft --dry-run
""",
)
@click.argument("recipe")
@click.option("--layout", help="How the rows are written.  [default: the recipe's usual layout]")
@click.option("--out", required=True, type=FOLDER, help="The directory to write.")
@click.option("--tokenizer", type=EXISTING, help="A directory with a tokenizer, to count and cut by.")
@click.option("--template", help="The chat template, `own` for the tokenizer's.  [default: the recipe's]")
@click.option(
    "--max-length",
    type=int,
    metavar="TOKENS",
    help="Tokens a trainer keeps of a row.  [default: the recipe's, see the docs]",
)
@click.option("--format", "file_format", help="parquet or jsonl.  [default: the layout's usual one]")
@click.option(
    "--only-class",
    "only_classes",
    multiple=True,
    metavar="NAME",
    help="crlft, sft: only this class; repeatable.",
)
@click.option(
    "--source",
    "only_sources",
    multiple=True,
    metavar="NAME",
    help="crlft, sft: only this source; repeatable.",
)
@click.option("--selection", metavar="NAME", help="crlft, sft: only the conversations of this selection.")
@click.option(
    "--pairs", metavar="NAME", help="rm, pm, dpo, kto: the pairs of this selection; see `label pairs`."
)
@click.option("--part", metavar="PART", help="Only this part of the selection, such as train.")
@click.option("--beta", type=float, metavar="B", help="crlft: weigh classes by exp(reward / B).")
@click.option(
    "--weight",
    "weights",
    multiple=True,
    metavar="CLASS=W",
    help="crlft: a class's weight in this export alone.",
)
@rating_options
@click.option("--no-reward", is_flag=True, help="crlft: all weights 1 (OpenChat's ablation).")
@click.option("--no-condition", is_flag=True, help="crlft: one condition for all (OpenChat's ablation).")
@click.option(
    "--refusals",
    type=click.Choice(["zero", "keep", "drop"]),
    help="crlft: refusal turns weigh nothing (zero, the default) or as much as others (keep); sft: rows with"
    " refusals stay (keep, the default) or are left out (drop).",
)
@click.option(
    "--turns", type=click.Choice(["all", "last"]), help="sft: the answers trained on.  [default: all]"
)
@click.option(
    "--reward-model",
    "reward_models",
    multiple=True,
    metavar="NAME",
    help="rsft: whose rewards rank responses.",
)
@click.option("--ratings", metavar="LABELER", help="rsft: whose ratings rank them instead.")
@click.option(
    "--policy", "policies", multiple=True, metavar="NAME", help="rsft: only responses of this policy."
)
@click.option("--prompts", metavar="NAME", help="rsft: only prompts of this selection.")
@click.option("--length-penalty", type=float, metavar="X", help="rsft: what each character takes off.")
@click.option(
    "--rank",
    type=click.IntRange(min=1),
    metavar="K",
    help="rsft: the rank that is taken.  [default: 1, the best]",
)
@click.option(
    "--candidates", type=click.IntRange(min=1), metavar="N", help="rsft: only the first N draws compete."
)
@click.option(
    "--seed", type=int, help="pm: of the order in which the two answers of a row are shown.  [default: 0]"
)
@click.option(
    "--control-tokens",
    type=click.Choice(["drop", "keep"]),
    default="drop",
    show_default=True,
    help="What becomes of rows whose text holds a control token.",
)
@click.option("--overwrite", is_flag=True, help="Replace an earlier export.")
@click.option("--dry-run", is_flag=True, help="Count rows and tokens; write nothing.")
@at_option
@wait_option
@json_option
@store_option
def export(
    recipe: str,
    *,
    out: Path,
    store_path: Path,
    at: str | None,
    wait_s: float,
    as_json: bool,
    overwrite: bool,
    dry_run: bool,
    **options: Any,
) -> None:
    """Write the files RECIPE (crlft, sft, rsft, rm, pm, dpo, kto) trains on to a directory, with a card and a manifest.

    crlft and sft take conversations, rsft the best response of each prompt, the others a selection of pairs.
    The same version of the store and the same settings give the same bytes. Every row can be traced back
    with `curate trace`.
    """
    from store.db import Store
    from train.exporting.export import export_store
    from train.exporting.plan import plan_export

    settings = _settings(recipe, options)
    store = Store(store_path, at=at, wait_s=wait_s)
    if dry_run:
        _print_plan(plan_export(store, out, settings, overwrite=overwrite), as_json=as_json)
        return
    _print_export(export_store(store, out, settings, overwrite=overwrite), as_json=as_json)


def _settings(name: str, options: dict[str, Any]) -> "ExportSettings":
    from train.exporter import EXPORTERS, FORMATS
    from train.exporting.export import ExportSettings
    from train.recipe import recipe_named

    recipe = recipe_named(name)
    layout = options["layout"] or recipe.layouts[0]
    EXPORTERS.load(layout)
    tokenizer = options["tokenizer"]
    return ExportSettings(
        layout=layout,
        file_format=options["file_format"] or FORMATS.get(layout, ("parquet",))[0],
        tokenizer=str(tokenizer) if tokenizer else None,
        template=options["template"] or recipe.template,
        max_length=recipe.max_length if options["max_length"] is None else options["max_length"],
        recipe=_recipe_settings(name, options),
        recipe_name=name,
    )


def _recipe_settings(name: str, options: dict[str, Any]) -> Any:
    """The recipe's own settings from the options that were given.

    Raises BadSettings for an option that means nothing to the recipe.
    """
    from train.recipes.crlft import CrlftSettings
    from train.recipes.pairs import PairSettings
    from train.recipes.pm import PmSettings
    from train.recipes.rsft import RsftSettings
    from train.recipes.sft import SftSettings

    given = {key: value for key, value in options.items() if key in MEANT_FOR and value}
    for key in given:
        if name not in MEANT_FOR[key]:
            spelled = SPELLED.get(key, "--" + key.replace("_", "-"))
            raise BadSettings(f"{spelled} is for {' and '.join(MEANT_FOR[key])}, not for {name}")
    given = read_rating_options(given)
    if "weights" in given:
        given["weights"] = tuple(_weight(text) for text in given["weights"])
    common = {"part": options["part"], "control_tokens": options["control_tokens"]}
    if name in MEANT_FOR["pairs"]:
        if "pairs" not in given:
            raise BadSettings(
                f"{name} trains on pairs; name a selection of them with --pairs, see: label pairs --help"
            )
        return (PmSettings if name == "pm" else PairSettings)(**given, **common)
    if name == "rsft":
        if options["part"]:
            raise BadSettings("--part is a part of --selection or --pairs; rsft takes --prompts")
        return RsftSettings(**given, control_tokens=options["control_tokens"])
    kind = CrlftSettings if name == "crlft" else SftSettings
    wrong = {"crlft": "drop", "sft": "zero"}[name]
    if given.get("refusals") == wrong:
        raise BadSettings(f"--refusals {wrong} is not for {name}; see: train export --help")
    return kind(**given, **common)


def _weight(text: str) -> tuple[str, float]:
    name, _, weight = text.rpartition("=")
    try:
        return name, float(weight)
    except ValueError as error:
        raise BadSettings(f"--weight is written CLASS=NUMBER, not {text!r}") from error


def _print_plan(plan: "ExportPlan", *, as_json: bool) -> None:
    if as_json:
        echo_json(plan.as_json())
        return
    tokens = (
        "" if plan.tokens is None else f", {plan.tokens} tokens, {plan.trained_tokens} of them trained on"
    )
    echo(f"{plan.rows} rows{tokens}, {sum(plan.dropped.values())} left out")
    _print_steps(plan)
    replaced = ", in place of the export that is there" if plan.replaces else ""
    echo(
        f"would be written to {plan.out} as {plan.layout}, {plan.file_format}, from v{plan.at_version}{replaced}"
    )


def _print_steps(counted: "ExportReport | ExportPlan") -> None:
    for reason, count in counted.dropped.items():
        echo(f"  left out  {count:>8}  {reason}")
    for step, count in counted.changed.items():
        echo(f"  changed   {count:>8}  {step}")


def _print_export(report: "ExportReport", *, as_json: bool) -> None:
    from store.ids import to_text

    if as_json:
        echo_json(
            {
                "rows": report.rows,
                "dropped": report.dropped,
                "changed": report.changed,
                "files": report.files,
                "manifest": str(report.manifest),
                "sha256": report.sha256,
                "export_id": to_text("x1", report.export_id),
            }
        )
        return
    echo(f"{report.rows} rows, {sum(report.dropped.values())} left out: {report.manifest.parent}")
    _print_steps(report)
    note(f"export {to_text('x1', report.export_id)}; look at it with: train check {report.manifest.parent}")
