"""The command `train run`: one recipe on exported files, with a paper's settings where the user says nothing."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from store.console import CONTEXT, echo, echo_json, json_option, note, store_option

if TYPE_CHECKING:
    from train.running.launch import RunReport
    from train.running.plan import RunPlan
    from train.running.run_settings import RunSettings

FOLDER = click.Path(path_type=Path, file_okay=False)
EXISTING = click.Path(path_type=Path, exists=True)

DEFAULT_BATCH_SIZE = 4


@click.command(
    context_settings=CONTEXT,
    epilog="""\b
Examples:
  train run crlft --data data/crlft --model models/base --out runs/crlft
  train run crlft --data data/crlft --model models/tiny --from-scratch --steps 60 --lr 3e-3 --out runs/tiny
  train run sft --preset tulu-7b --data data/sft --model models/base --out runs/sft --dry-run
  train run rm --preset xwin-7b-rm --data data/rm --model runs/sft/model --out runs/rm
  train run dpo --data data/dpo --model runs/rsft/model --reference runs/sft/model --out runs/dpo
  train run dpo --data data/dpo --model runs/sft/model --lora-rank 64 --processes 8 --out runs/dpo
""",
)
@click.argument("recipe")
@click.option("--data", required=True, type=EXISTING, help="An export, in any layout of the recipe.")
@click.option("--model", required=True, type=FOLDER, help="A directory with a model and its tokenizer.")
@click.option("--out", required=True, type=FOLDER, help="Where settings, metrics, checkpoints and model go.")
@click.option(
    "--preset", metavar="NAME", help="A paper's settings, such as xwin-7b-dpo.  [default: the recipe's]"
)
@click.option("--from-scratch", is_flag=True, help="Random weights in the shape of the model's config.json.")
@click.option("--template", help="The chat template, `own` for the tokenizer's.  [default: the preset's]")
@click.option(
    "--condition", default="GPT4", show_default=True, help="crlft: the condition used at inference."
)
@click.option(
    "--reference",
    type=FOLDER,
    help="dpo, kto: the policy to hold to.  [default: the model the run starts from]",
)
@click.option("--beta", type=float, help="dpo, kto: how firmly to hold to it.")
@click.option("--steps", type=int, help="Optimizer steps, in place of --epochs.")
@click.option("--epochs", type=float, help="Passes over the data.")
@click.option(
    "--lr", type=float, help="Peak learning rate.  [default: the preset's, scaled with the batch's root]"
)
@click.option(
    "--schedule",
    type=click.Choice(["linear", "cosine", "cosine_with_min_lr", "constant"]),
    help="Of the rate.",
)
@click.option("--warmup", type=float, help="Below 1 a share of all steps, else steps.")
@click.option("--weight-decay", type=float, help="Of AdamW.")
@click.option(
    "--batch-size", default=DEFAULT_BATCH_SIZE, show_default=True, help="Rows a process takes at once."
)
@click.option("--accumulation", type=int, help="Batches of an optimizer step.  [default: the preset's batch]")
@click.option("--max-length", type=int, help="Tokens kept of a row.")
@click.option("--packing", is_flag=True, default=None, help="Put short rows together up to --max-length.")
@click.option(
    "--lora-rank", type=int, metavar="R", help="Train adapters of this rank; they are merged at the end."
)
@click.option("--lora-alpha", type=int, help="[default: twice the rank]")
@click.option("--lora-dropout", default=0.0, show_default=True)
@click.option(
    "--processes",
    type=click.IntRange(min=1),
    help="Processes, one for each GPU.  [default: 1, or what --accelerate's file says]",
)
@click.option(
    "--accelerate",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="FILE",
    help="Start with accelerate and this settings file (DeepSpeed ZeRO, FSDP, several machines).",
)
@click.option("--seed", default=0, show_default=True, help="Decides weights and order.")
@click.option("--log-every", default=10, show_default=True, help="Steps between two lines of metrics.")
@click.option("--save-every", default=200, show_default=True, help="Steps between two checkpoints.")
@click.option("--gradient-checkpointing", is_flag=True, help="Less memory, more time.")
@click.option("--plot", "has_plot", is_flag=True, help="Plot the loss at the end.")
@click.option(
    "--dry-run", is_flag=True, help="Check and count rows, steps and rate; train and write nothing."
)
@store_option
@json_option
def run(
    recipe: str,
    *,
    data: Path,
    model: Path,
    out: Path,
    has_plot: bool,
    dry_run: bool,
    store_path: Path,
    as_json: bool,
    **options: Any,
) -> None:
    """Train with RECIPE (crlft, sft, rsft, rm, pm, dpo, kto) on exported files; the model is left in OUT/model.

    What is not said comes from a preset, a row of one of the papers' tables. The same command again goes on
    from the last checkpoint. Where the store exists, the run is noted in it. Where TRL alone could do the
    run, OUT/trl.yaml says how.
    """
    from train.running.launch import run_noted
    from train.running.loss_plot import loss_plot
    from train.running.plan import plan_run
    from train.running.run_settings import FEW_SEQUENCES, RunFiles

    settings = _settings(recipe, str(model), options)
    if recipe == "crlft" and settings.batch < FEW_SEQUENCES and not settings.packing:
        note(
            f"warning: {settings.batch} sequences a step are few: below about {FEW_SEQUENCES} the weights of the"
            " classes partly cancel; use a larger batch"
        )
    if dry_run:
        _print_plan(plan_run(data, out, settings), as_json=as_json)
        return
    report = run_noted(store_path, data, out, settings)
    _print_run(report, as_json=as_json)
    if has_plot and not as_json and (drawn := loss_plot(RunFiles(out).metrics)) is not None:
        echo(drawn)


def _settings(recipe: str, model: str, options: dict[str, Any]) -> "RunSettings":
    """The preset's settings with what the user gave in their place."""
    from train.running.presets import USUAL, preset_named, scaled_lr
    from train.running.run_settings import RunSettings, processes_of

    name = options.pop("preset")
    preset = preset_named(name, recipe)
    given = {key: value for key, value in options.items() if value is not None}
    given |= {key: str(value) for key, value in given.items() if isinstance(value, Path)}
    if "processes" not in given and "accelerate" in given:
        given["processes"] = processes_of(Path(given["accelerate"]))
    fields = {"processes": 1, **preset.settings, **given}
    if "accumulation" not in given:
        fields["accumulation"] = max(1, round(preset.batch / (fields["batch_size"] * fields["processes"])))
    settings = RunSettings("", model, recipe, name or USUAL[recipe], **fields)
    if "lr" in given or settings.batch == preset.batch:
        return settings
    lr = scaled_lr(settings.lr, settings.batch, preset.batch)
    note(
        f"learning rate {lr:.3g}: {settings.preset} has {settings.lr:g} for {preset.batch} rows a step, and this run"
        f" takes {settings.batch}; it is scaled with the root of their ratio (--lr sets it)"
    )
    return replace(settings, lr=lr)


def _print_plan(plan: "RunPlan", *, as_json: bool) -> None:
    if as_json:
        echo_json(plan.as_json())
        return
    tokens = "" if plan.trained_tokens is None else f", {plan.trained_tokens} trained tokens a pass"
    echo(f"{plan.rows} rows{tokens}, {plan.dropped} left out by their length")
    steps = "as many steps as packing leaves" if plan.steps is None else f"{plan.steps} steps"
    warmup = "" if plan.warmup_steps is None else f" after {plan.warmup_steps} steps of warm-up"
    echo(f"{steps} of {plan.rows_a_step} rows; learning rate {plan.lr:.3g}, {plan.schedule}{warmup}")
    several = "1 process" if plan.processes == 1 else f"{plan.processes} processes, one for each GPU"
    echo(f"started by accelerate as {plan.accelerate} says" if plan.accelerate else several)
    written = "" if plan.checkpoints is None else f", {plan.checkpoints} checkpoints on the way"
    words = {"new": "would be written to", "finished": "is finished already in"}
    echo(f"{words.get(plan.state, f'would go on from {plan.state} in')} {plan.out}{written}")


def _print_run(report: "RunReport", *, as_json: bool) -> None:
    if as_json:
        echo_json(asdict(report))
        return
    words = "was finished before" if report.was_finished else "finished"
    loss = "" if report.loss is None else f", loss {report.loss:.4f}"
    left_out = f" ({report.dropped} left out)" if report.dropped else ""
    echo(f"{words} after {report.steps} steps on {report.rows} rows{left_out}{loss}: {report.model}")
