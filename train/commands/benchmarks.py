"""The command `train evaluate benchmarks`: a paper's benchmarks over local files."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from store.console import CONTEXT, echo, echo_json, json_option, note, progress, store_option, table

if TYPE_CHECKING:
    from train.benchmarks.evaluate import BenchmarkReport

FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)


@click.command(
    context_settings=CONTEXT,
    epilog="""\b
Examples:
  train evaluate benchmarks --model runs/sft/model --suite camels --data benchmarks --run-code
  train evaluate benchmarks --model runs/dpo/model --suite rlhflow --data benchmarks --only mmlu --only arc
  train evaluate benchmarks --model runs/crlft/model --suite agieval --data benchmarks --chat --limit 100 --json
""",
)
@click.option("--model", required=True, type=FOLDER, help="A directory with a model and its tokenizer.")
@click.option("--suite", required=True, metavar="NAME", help="camels, agieval or rlhflow.")
@click.option("--data", required=True, type=FOLDER, help="A directory with a folder for each benchmark.")
@click.option("--only", multiple=True, metavar="NAME", help="Only this benchmark of the suite; repeatable.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Only N questions of each subject.")
@click.option(
    "--max-tokens", type=click.IntRange(min=1), help="Of an answer  [default: each benchmark's own]"
)
@click.option("--run-code", is_flag=True, help="Run the programs that the model writes.")
@click.option("--chat", is_flag=True, help="Ask through the model's chat template.")
@click.option("--batch-size", type=click.IntRange(min=1), default=8, show_default=True, help="Rows at once.")
@click.option("--dtype", default="auto", show_default=True, help="Of the parameters.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of what is drawn.")
@store_option
@json_option
def benchmarks(*, store_path: Path, as_json: bool, **options: Any) -> None:
    """Ask MODEL the questions of a paper's benchmarks, with the paper's number of examples, and score it.

    Questions come from files under --data; nothing is fetched. A benchmark counts as the mean of its
    subjects, and the average as the mean of the benchmarks. Where the store exists, the figures are kept
    with a run in it.
    """
    from train.benchmarks.evaluate import BenchmarkSettings, evaluate_noted

    paths: dict[str, Any] = {name: str(options.pop(name)) for name in ("model", "data")}
    report = evaluate_noted(store_path, BenchmarkSettings(**paths, **options), progress)
    if as_json:
        echo_json(report.as_json())
    else:
        _echo_report(report)


def _echo_report(report: "BenchmarkReport") -> None:
    rows: list[list[object]] = [
        [one.title, one.shots, len(one.subjects), one.n, 100 * one.score] for one in report.benchmarks
    ]
    subjects = sum(len(one.subjects) for one in report.benchmarks)
    questions = sum(one.n for one in report.benchmarks)
    rows.append(["average", None, subjects, questions, 100 * report.average])
    echo(table(["benchmark", "shots", "subjects", "questions", "score %"], rows))
    if report.left_out:
        echo(f"not asked: {', '.join(report.left_out)}")
    for one in report.benchmarks:
        held_out = sum(subject.held_out for subject in one.subjects)
        if held_out:
            note(f"{one.title}: {held_out} rows were shown as examples and not asked; no file holds examples")
    if report.run_id is not None:
        note(f"kept with run {report.run_id}")
