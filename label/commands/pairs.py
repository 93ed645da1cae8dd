"""`label pairs`, and `label gather`, which puts what it chose together."""

from collections.abc import Sequence
from dataclasses import asdict, fields
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from label.commands.rank import scoring_options
from store.console import (
    CONTEXT,
    AnyCommand,
    at_option,
    echo,
    echo_json,
    json_option,
    store_option,
    table,
    wait_option,
    with_options,
)
from store.errors import BadSettings

if TYPE_CHECKING:
    from label.pairs.choose import Kept, PairSettings, Plan
    from label.pairs.judged import Judged
    from label.pairs.mixed import Share
    from label.pairs.rules import PairRule
    from label.pairs.source_rules import MixtureSettings
    from label.ranking.scores import Scoring

PRESET = "rlhf-workflow"
RULES = ("best-worst", "best-rank-k", "best-random", "all-above-gap", "threshold", "shp", "judged")

RULE = (
    click.option(
        "--rule",
        type=click.Choice(RULES),
        default="best-worst",
        show_default=True,
        help="Which two responses of a prompt are paired.",
    ),
    click.option("--rank", type=int, metavar="K", help="The rank that best-rank-k rejects."),
    click.option(
        "--min-gap", type=float, default=0.0, metavar="X", help="Only pairs whose scores lie X apart."
    ),
    click.option(
        "--chosen-min", type=float, metavar="X", help="threshold: a chosen response scores X or more."
    ),
    click.option(
        "--rejected-max",
        type=float,
        metavar="X",
        help="threshold: a rejected one less than X.  [default: --chosen-min]",
    ),
    click.option(
        "--min-ratio",
        type=click.FloatRange(min=1),
        metavar="X",
        help="shp, judged: positive scores with a larger ratio than X.  [default: 2 by shp]",
    ),
    click.option(
        "--max-per-prompt",
        type=click.IntRange(min=1),
        metavar="M",
        help="At most M pairs of a prompt, drawn by hash.  [default: all; shp: 5]",
    ),
    click.option("--seed", type=int, default=0, show_default=True, help="Of what is drawn by hash."),
    click.option(
        "--by", multiple=True, metavar="WHO", help="judged: a name, `people`, `judges`.  [default: all]"
    ),
    click.option(
        "--min-margin",
        type=click.FloatRange(0, 1),
        default=0.0,
        metavar="X",
        help="judged: only as clear as X.",
    ),
    click.option("--with-weak", is_flag=True, help="judged: also where one order ties."),
    click.option(
        "--drop-contradicted",
        "drops_contradicted",
        is_flag=True,
        help="judged: drop pairs whose rejected response scores higher.",
    ),
    click.option(
        "--keep-unscored",
        "keeps_unscored",
        is_flag=True,
        help="judged: keep pairs without scores, whatever --min-gap or --min-ratio ask.",
    ),
)


def rule_options(command: AnyCommand) -> AnyCommand:
    """Add which responses are paired, given to the command together as `rule` and `judged`."""

    @wraps(command)
    def gathered(**options: Any) -> Any:
        from label.pairs.judged import Judged
        from label.pairs.rules import PairRule

        options["by"] = options["by"] or ("all",)
        rule = PairRule(**{field.name: options.pop(field.name) for field in fields(PairRule)})
        judged = Judged(**{field.name: options.pop(field.name) for field in fields(Judged)})
        return command(rule=rule, judged=judged, **options)

    return with_options(RULE, gathered)


@click.command(
    context_settings=CONTEXT,
    epilog="""\b
Examples:
  label pairs dpo-1 --dry-run
  label pairs dpo-1 --rule best-rank-k --rank 32 --reward-model rm-70b
  label pairs iter-1 --length-penalty 0.001 --policy iter-0
  label pairs ultrafeedback --ratings gpt-4 --rule all-above-gap --min-gap 0.5 --max-per-prompt 4
  label pairs rm-train --rule judged --by gpt-4 --min-margin 0.5 --parts train=0.9,validation=0.1
  label pairs helpsteer --ratings "helpsteer annotators" --aspect helpfulness --rule all-above-gap --min-gap 0.5
  label pairs rm-train --preset rlhf-workflow --prompts mix2 --min-gap 0.5
""",
)
@click.argument("name")
@click.option(
    "--preset",
    type=click.Choice([PRESET]),
    help="Pairs of every source by the rule that its labels ask for (see docs/rlhf-workflow.md).",
)
@rule_options
@scoring_options
@click.option(
    "--parts", "split", metavar="NAME=SHARE,…", help="Put each pair in a part; its prompt's hash decides."
)
@click.option("--dry-run", is_flag=True, help="Print the audit and write nothing.")
@at_option
@wait_option
@json_option
@store_option
def pairs(
    *,
    name: str,
    preset: str | None,
    rule: "PairRule",
    judged: "Judged",
    scoring: "Scoring",
    split: str | None,
    dry_run: bool,
    at: str | None,
    wait_s: float,
    as_json: bool,
    store_path: Path,
) -> None:
    """Pair responses by a rule, print the audit, and keep the pairs as the selection NAME.

    The chosen response is the better one by the very score that picked the two, length penalty included.
    Equal texts and ties are never paired. Each step's counts and the rule are kept with the selection;
    the same store, rule and seed give the same pairs, and asking again writes nothing.

    With --preset rlhf-workflow every source with labels gives pairs by its own rule: verdicts that its own scores do
    not contradict, of SHP's only those with a ratio of votes above 2 and at most 5 of a prompt, or every two rated
    answers that differ; --min-gap drops small margins. --source or --prompts say which sources.
    """
    from label.comparing.pairing import Split
    from label.pairs.choose import PairSettings, keep_pairs, plan_pairs
    from label.pairs.mixed import plan_mixture
    from store.db import Store
    from store.selections import check_name

    check_name(name)
    settings = PairSettings(
        rule=rule,
        scoring=scoring,
        judged=judged,
        split=Split() if split is None else Split.parse(split),
    )
    store = Store(store_path, at=at, wait_s=wait_s)
    shares: Sequence[Share] = ()
    if preset is None:
        plan = plan_pairs(store, settings)
    else:
        mixture = plan_mixture(store, _mixture_settings(settings))
        plan, shares = mixture.plan, mixture.shares
    if not as_json:
        if shares:
            rows = [(one.source, one.rule, one.read, one.pairs) for one in shares]
            echo(table(("source", "by", "in", "pairs"), rows))
        _echo_audit(plan)
    kept = None if dry_run else keep_pairs(Store(store_path, wait_s=wait_s), name, settings, plan)
    if as_json:
        told = {"sources": [asdict(one) for one in shares]} if preset else {}
        echo_json({"name": name, "dry_run": dry_run, **told, **plan.as_json(), **_kept_as_json(kept)})
    else:
        echo(_kept_in_words(name, kept))


def _mixture_settings(settings: "PairSettings") -> "MixtureSettings":
    """What of SETTINGS a preset leaves open.

    Raises BadSettings if anything else was asked for.
    """
    from label.pairs.judged import Judged
    from label.pairs.rules import SHP_RATIO, PairRule
    from label.pairs.source_rules import MixtureSettings
    from label.ranking.scores import Scoring

    rule, scoring = settings.rule, settings.scoring
    left = PairRule(min_gap=rule.min_gap, min_ratio=None, max_per_prompt=rule.max_per_prompt, seed=rule.seed)
    own = Scoring(sources=scoring.sources, prompts=scoring.prompts, with_truncated=scoring.with_truncated)
    if rule != left or settings.judged != Judged() or scoring != own:
        raise BadSettings(
            "--preset says how pairs are made; beside it go --prompts, --source, --min-gap, --max-per-prompt,"
            " --with-truncated, --parts and --seed"
        )
    return MixtureSettings(
        sources=scoring.sources,
        prompts=scoring.prompts,
        min_gap=rule.min_gap,
        min_ratio=SHP_RATIO,
        max_per_prompt=rule.max_per_prompt,
        with_truncated=scoring.with_truncated,
        seed=rule.seed,
    )


def _echo_audit(plan: "Plan") -> None:
    rows: list[tuple[object, ...]] = []
    for step in plan.steps:
        rows.append((step.name, step.unit, step.read, step.kept, None, ""))
        rows += [("", "", None, None, count, reason) for reason, count in step.dropped.items()]
    echo(table(("step", "of", "in", "kept", "left out", "because"), rows))
    echo(table(("figure", "value"), plan.audit.lines()))


def _kept_as_json(kept: "Kept | None") -> dict[str, object]:
    from store.ids import to_text

    if kept is None:
        return {"selection_id": None, "version": None, "is_new": False}
    return {
        "selection_id": to_text("e1", kept.selection_id),
        "version": kept.version,
        "is_new": kept.is_new,
    }


def _kept_in_words(name: str, kept: "Kept | None") -> str:
    if kept is None:
        return "dry run: nothing was written"
    words = "kept as" if kept.is_new else "nothing new: these are the pairs of"
    return f"{words} {name}@v{kept.version}"


@click.command(
    context_settings=CONTEXT,
    epilog="""\b
Examples:
  label gather history-2 iter-1 iter-2
  label gather history-1 offline-pairs iter-1 --json
""",
)
@click.argument("name")
@click.argument("parts", nargs=-1, required=True, metavar="SELECTION...")
@wait_option
@json_option
@store_option
def gather(*, name: str, parts: tuple[str, ...], wait_s: float, as_json: bool, store_path: Path) -> None:
    """Put the pairs of several selections together as the selection NAME.

    A pair that several of them hold comes once, with the scores of the first. Asking again writes nothing.
    """
    from label.pairs.gather import gather_pairs
    from store.db import Store
    from store.selections import check_name

    check_name(name)
    gathered = gather_pairs(Store(store_path, wait_s=wait_s), name, parts)
    if as_json:
        echo_json({"name": name, **gathered.as_json()})
        return
    words = "kept as" if gathered.is_new else "nothing new:"
    repeated = f" ({gathered.repeated} came more than once)" if gathered.repeated else ""
    echo(f"{gathered.pairs} pairs{repeated}; {words} {name}@v{gathered.version}")


COMMANDS = (pairs, gather)
