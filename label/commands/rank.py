"""`label rank`, and the options that say what a score is made of."""

from dataclasses import fields
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from store.console import (
    CONTEXT,
    AnyCommand,
    at_option,
    decimals,
    echo,
    echo_json,
    json_option,
    note,
    store_option,
    table,
    wait_option,
    with_options,
)
from store.errors import BadSettings

if TYPE_CHECKING:
    from label.ranking.rank import Curves, PolicyRank, RankReport
    from label.ranking.scores import Scoring, Step

LENGTH_PENALTY = 0.001  # RLHF Workflow (arXiv 2405.07863): r - 0.001 · characters

SCORING = (
    click.option(
        "--reward-model",
        "reward_models",
        multiple=True,
        metavar="NAME",
        help="Whose rewards are the score; NAME@REVISION where there are several revisions; repeatable.",
    ),
    click.option(
        "--together", is_flag=True, help="Several reward models are one score: the mean of their z-scores."
    ),
    click.option(
        "--ratings", metavar="LABELER", help="Mean ratings by LABELER are the score, aspects alike."
    ),
    click.option(
        "--aspect", "aspects", multiple=True, metavar="NAME", help="Only ratings of this; repeatable."
    ),
    click.option(
        "--scale", metavar="NAME", help="Only ratings on this scale, or verdicts where no ratings are named."
    ),
    click.option("--template", metavar="NAME", help="The same by template."),
    click.option(
        "--source",
        "sources",
        multiple=True,
        metavar="NAME",
        help="Only ratings and verdicts that came with this source; repeatable.",
    ),
    click.option(
        "--length-penalty",
        type=click.FloatRange(min=0),
        default=0.0,
        metavar="X",
        help=f"Take X off the score for each character; RLHF Workflow uses {LENGTH_PENALTY}.",
    ),
    click.option(
        "--policy", "policies", multiple=True, metavar="NAME", help="Only its responses; repeatable."
    ),
    click.option("--prompts", metavar="SELECTION", help="Only prompts of this selection."),
    click.option(
        "--candidates",
        type=click.IntRange(min=1),
        metavar="N",
        help="Only the first N draws of each policy under a prompt.",
    ),
    click.option("--with-truncated", is_flag=True, help="Let responses that were cut off take part."),
    click.option(
        "--trim-texts", "trims", is_flag=True, help="Texts equal but for white space at the ends are one."
    ),
    click.option(
        "--epsilon",
        type=click.FloatRange(min=0),
        default=1e-4,
        show_default=True,
        metavar="X",
        help="Scores closer than X are a tie.",
    ),
)


def scoring_options(command: AnyCommand) -> AnyCommand:
    """Add what a score is made of, given to the command together as `scoring`."""

    @wraps(command)
    def gathered(**options: Any) -> Any:
        from label.ranking.scores import Scoring

        scoring = Scoring(**{field.name: options.pop(field.name) for field in fields(Scoring)})
        return command(scoring=scoring, **options)

    return with_options(SCORING, gathered)


@click.command(
    context_settings=CONTEXT,
    epilog="""\b
Examples:
  label rank
  label rank --reward-model rm-7b --policy sft-7b --policy rs-7b --plot
  label rank --reward-model rm-7b --reward-model rm-70b --together --png ranks.png
  label rank --policy sft-70b --policy rs-7b --policy-rank rs-7b --json
""",
)
@scoring_options
@click.option(
    "--best-of", default="1,2,4,8,16,32,64", show_default=True, metavar="N,…", help="Sizes of best-of-n."
)
@click.option("--by", multiple=True, metavar="WHO", help="Whose verdicts give win rates.  [default: all]")
@click.option("--against", metavar="POLICY", help="Win rates against this policy only.")
@click.option(
    "--policy-rank", metavar="POLICY", help="Find the rank whose mean score is closest to this policy's."
)
@click.option(
    "--sample",
    type=click.IntRange(min=1),
    default=500,
    show_default=True,
    metavar="N",
    help="Prompts for --policy-rank.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of that sample.")
@click.option("--plot", "has_plot", is_flag=True, help="Plot the curves here.")
@click.option("--png", type=click.Path(dir_okay=False, path_type=Path), help="Write the plots to this file.")
@at_option
@wait_option
@json_option
@store_option
def rank(
    *,
    scoring: "Scoring",
    best_of: str,
    by: tuple[str, ...],
    against: str | None,
    policy_rank: str | None,
    sample: int,
    seed: int,
    has_plot: bool,
    png: Path | None,
    at: str | None,
    wait_s: float,
    as_json: bool,
    store_path: Path,
) -> None:
    """Show what the best of n responses is worth, for each reward model and policy.

    Expected best-of-n over every choice of n draws with its bound on the KL divergence, log n - (n-1)/n;
    the mean score of each rank; how scores lie; and where responses were compared, how often judges
    prefer the best of n. Ranks are of different texts; closer scores than --epsilon are a tie.
    """
    from label.ranking.rank import RankSettings, rank_report
    from store.db import Store

    settings = RankSettings(
        scoring=scoring,
        sizes=_sizes(best_of),
        by=by or ("all",),
        against=against,
        policy_rank=policy_rank,
        sample=sample,
        seed=seed,
    )
    report = rank_report(Store(store_path, at=at, wait_s=wait_s), settings)
    if as_json:
        echo_json(report.as_json())
    else:
        _echo_rank(report, has_plot=has_plot)
    if png is not None:
        from label.ranking.plots import save_plots

        save_plots(png, report.curves)
        note(f"plots: {png}")


def _sizes(text: str) -> tuple[int, ...]:
    try:
        return tuple(sorted({int(part) for part in text.split(",")}))
    except ValueError:
        raise BadSettings(f"--best-of takes numbers with commas, such as 1,2,4,8; not {text!r}") from None


def _echo_rank(report: "RankReport", *, has_plot: bool) -> None:
    for score, step in report.steps.items():
        echo(f"score: {score}; {step_in_words(step)}")
    columns = (
        "policy",
        "score",
        "prompts",
        "responses",
        "draws",
        "ties",
        "mean",
        "sd",
        "5 %",
        "half",
        "95 %",
    )
    echo(table(columns, [_grid_row(one) for one in report.curves]))
    _echo_grid(report)
    for one in report.curves:
        echo()
        _echo_curves(one)
    if report.policy_rank is not None:
        echo()
        echo(_policy_rank_in_words(report.policy_rank))
    if has_plot:
        from label.ranking.plots import terminal_plots

        echo(terminal_plots(report.curves))


def _grid_row(one: "Curves") -> tuple[object, ...]:
    spread = one.distribution
    figures = (
        spread.mean, spread.deviation, spread.quantiles["5%"], spread.quantiles["50%"], spread.quantiles["95%"],
    )  # fmt: skip
    counts = (one.prompts, one.responses, one.draws, one.ties)
    return one.policy, one.score, *counts, *(f"{value:.3f}" for value in figures)


def _echo_grid(report: "RankReport") -> None:
    """Scores against policies at the largest n that every cell has; the win rate behind, where there is one."""
    if len(report.curves) < 2:
        return
    scores, policies = (list(dict.fromkeys(names)) for names in _cells(report))
    shared = set.intersection(*({point.x for point in one.best_of} for one in report.curves))
    if not shared:
        return
    n = max(shared)
    found = {(one.score, one.policy): _cell(one, n) for one in report.curves}
    echo()
    echo(f"best of {n}: expected score (and win rate)")
    rows = [(score, *(found.get((score, policy), "") for policy in policies)) for score in scores]
    echo(table(("score", *policies), rows))


def _cells(report: "RankReport") -> tuple[list[str], list[str]]:
    return [one.score for one in report.curves], [one.policy for one in report.curves]


def _cell(one: "Curves", n: int) -> str:
    value = next(point.value for point in one.best_of if point.x == n)
    won = next((rate.value for rate in one.win_rates if rate.n == n), None)
    return f"{value:.3f}" + ("" if won is None else f" ({won:.2f})")


def _echo_curves(one: "Curves") -> None:
    from label.ranking.best_of import kl_bound

    echo(f"{one.policy} by {one.score}")
    wins = {rate.n: rate for rate in one.win_rates}
    rows = [
        (
            point.x,
            f"{kl_bound(point.x):.3f}",
            decimals(point.value, 4),
            _interval(point.low, point.high),
            point.prompts,
            decimals(wins[point.x].value, 4) if point.x in wins else None,
            f"{wins[point.x].judged:.0%}" if point.x in wins else None,
        )
        for point in one.best_of
    ]
    echo(table(("best of", "KL at most", "score", "95 %", "prompts", "win rate", "judged"), rows))
    shown = [point for point in one.by_rank if point.x <= 4 or point.x & (point.x - 1) == 0]
    if one.by_rank and one.by_rank[-1] not in shown:
        shown.append(one.by_rank[-1])
    ranks = [(p.x, decimals(p.value, 4), _interval(p.low, p.high), p.prompts) for p in shown]
    echo(table(("rank", "score", "95 %", "prompts"), ranks))


def _interval(low: float | None, high: float | None) -> str | None:
    return None if low is None else f"{low:.4f} … {high:.4f}"


def _policy_rank_in_words(found: "PolicyRank") -> str:
    return (
        f"{found.policy} scores {found.mean:.4f} on {found.prompts} prompts; closest is rank {found.rank}"
        f" with {found.rank_mean:.4f}"
    )


def step_in_words(step: "Step") -> str:
    """What a step kept, and why it left out the rest."""
    dropped = ", ".join(f"{count:,} {reason}" for reason, count in step.dropped.items())
    return f"{step.kept:,} of {step.read:,} {step.unit}" + (f" ({dropped} left out)" if dropped else "")


COMMANDS = (rank,)
