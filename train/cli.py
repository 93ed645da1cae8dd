"""The `train` command: export, check, run, evaluate, iterate, sweep."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from store.console import (
    CONTEXT,
    common_options,
    echo,
    echo_json,
    json_option,
    main_of,
    note,
    table,
)
from store.errors import CheckFailed
from train.commands.benchmarks import benchmarks
from train.commands.evaluate import evaluate
from train.commands.export import export
from train.commands.iterate import iterate
from train.commands.map import map_command
from train.commands.mt_bench import mt_bench
from train.commands.run import run
from train.commands.sweep import sweep

if TYPE_CHECKING:
    from train.checking.check import CheckReport

EXISTING = click.Path(path_type=Path, exists=True)


@click.group(
    context_settings=CONTEXT,
    epilog="""\b
Examples:
  train export crlft --layout messages --tokenizer models/base --out data/crlft
  train check data/crlft --show 3
  train run crlft --data data/crlft --model models/base --out runs/crlft
""",
)
@common_options
def cli() -> None:
    """Write training files from the store, look at what a trainer will see, and train."""


@cli.command(
    epilog="""\b
Examples:
  train check data/crlft --show 3
  train check data/dpo --held-out data/test --json
  train check data/sft --model models/base
  train check data/crlft/train-00000.jsonl --tokenizer models/base --batch-size 64
""",
)
@click.argument("path", type=EXISTING)
@click.option("--tokenizer", type=EXISTING, help="A directory with a tokenizer.  [default: the manifest's]")
@click.option("--template", help="The chat template.  [default: the manifest's]")
@click.option("--max-length", type=int, help="Tokens the trainer keeps of a row.  [default: the manifest's]")
@click.option(
    "--batch-tokens", default=200_000, show_default=True, help="Trained tokens of an optimizer step."
)
@click.option("--batch-size", type=int, help="Sequences of an optimizer step, in place of --batch-tokens.")
@click.option(
    "--max-cut-share", default=0.2, show_default=True, help="Share of cut rows above which the check fails."
)
@click.option(
    "--max-repeated-share",
    default=0.5,
    show_default=True,
    help="Share of rows that repeat an earlier one from which on the check fails.",
)
@click.option(
    "--held-out",
    type=EXISTING,
    multiple=True,
    help="An export, or a file of rows, whose prompts nothing may be trained on; repeatable.",
)
@click.option(
    "--model", type=EXISTING, help="A model's directory: are there rows for all tokens, and padding?"
)
@click.option("--show", default=0, metavar="N", help="Show the first N rows token by token.")
@json_option
def check(
    path: Path,
    *,
    tokenizer: Path | None,
    model: Path | None,
    held_out: tuple[Path, ...],
    as_json: bool,
    **options: Any,
) -> None:
    """Say what a trainer will really see of PATH, an export or a file of rows; exit 1 if it has faults."""
    from train.checking.check import CheckSettings, check_export, rules_for
    from train.checking.file_rows import open_export

    settings = CheckSettings(
        tokenizer=str(tokenizer) if tokenizer else None,
        model=str(model) if model else None,
        held_out=tuple(map(str, held_out)),
        **options,
    )
    report = check_export(path, settings)
    chat = rules_for(open_export(path), settings).chat if settings.show else None
    spoken = chat.tokenizer if chat else None
    if as_json:
        echo_json(_check_json(report, spoken))
    else:
        _print_check(report, spoken)
    if not report.is_ok:
        names = ", ".join(f"{fault} ({count})" for fault, count in sorted(report.faults.items()))
        raise CheckFailed(f"{path} has faults: {names}")


def _check_json(report: "CheckReport", tokenizer: Any) -> dict[str, object]:
    from train.checking.show import shown_json

    return {
        "recipe": report.recipe,
        "layout": report.layout,
        "rows": report.rows,
        "ok": report.is_ok,
        "faults": dict(sorted(report.faults.items())),
        "first_rows": report.first_rows,
        "cut": report.cut,
        "classes": {name: asdict(total) for name, total in sorted(report.classes.items())},
        "pairs": report.pairs.as_json(),
        "repeated": report.look.repeated(),
        "sequences_per_step": report.sequences_per_step,
        "shown": [shown_json(sight, tokenizer) for sight in report.shown],
        "warnings": report.warnings(),
    }


def _print_check(report: "CheckReport", tokenizer: Any) -> None:
    from train.checking.show import show

    for sight in report.shown:
        for line, is_trained in show(sight, tokenizer):
            click.secho(line, fg="green" if is_trained else None, bold=is_trained)
    columns = ["class", "rows", "tokens", "trained tokens", "weight sum", "weight share %"]
    total = sum(one.weight_sum for one in report.classes.values())
    lines = [
        [
            name,
            one.rows,
            one.tokens,
            one.trained_tokens,
            one.weight_sum,
            100 * one.weight_sum / (total or 1.0),
        ]
        for name, one in sorted(report.classes.items())
    ]
    echo(table(columns, lines))
    echo(f"{report.rows} rows, {report.cut} cut at max length")
    if lengths := report.pairs.as_json():
        echo(
            f"chosen {lengths['mean_chosen_characters']:g} characters on average, rejected"
            f" {lengths['mean_rejected_characters']:g}; chosen longer in {lengths['chosen_longer_share']:.0%}"
        )
    if report.sequences_per_step is not None:
        echo(f"{report.sequences_per_step:.1f} sequences in an optimizer step")
    for fault, count in sorted(report.faults.items()):
        first = report.first_rows.get(fault)
        echo(f"  ✗ {fault}: {count}" + ("" if first is None else f", first in row {first}"))
    for warning in report.warnings():
        note(f"warning: {warning}")
    if report.is_ok:
        echo("✓ no faults")


for command in (export, run, evaluate, iterate, sweep):
    cli.add_command(command)

for measure in (benchmarks, map_command, mt_bench):
    evaluate.add_command(measure)

main = main_of(cli)
