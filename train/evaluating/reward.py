"""`train evaluate reward`: who finds the better answer, side by side, kept with a run."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from label.measures import Measure, Resampling, check_statistics
from label.trust.rating_length import Heatmap, PromptLength, heatmap_of, length_measures
from store.errors import RequestError
from store.named_sql import named_sql
from store.runs import run_of
from train.evaluating.accuracy import Accuracy, accuracies
from train.evaluating.contenders import Contender, RewardContender, Verdicts
from train.evaluating.gold_items import GoldItem

if TYPE_CHECKING:
    from store.console import Advance
    from store.db import Store

Bar = Callable[[str, float], AbstractContextManager["Advance"]]


@dataclass(frozen=True, slots=True)
class GoldSet:
    """What contenders are asked about."""

    items: list[GoldItem]
    kind: str
    """What the groups are: `subset` or `strength`."""
    order: tuple[str, ...] = ()
    undecided: int = 0
    """Stored pairs left out because nobody won."""


@dataclass(frozen=True, slots=True)
class LengthBias:
    """How one reward model's stored rewards go with length, prompt by prompt."""

    reward_model: str
    prompts: int
    measures: list[Measure]
    heatmap: Heatmap


@dataclass(frozen=True, slots=True)
class EvaluationReport:
    """A finished evaluation."""

    run_id: str
    items: int
    undecided: int
    contenders: tuple[Verdicts, ...]
    results: tuple[Accuracy, ...]
    length_bias: tuple[LengthBias, ...]

    def as_json(self) -> dict[str, object]:
        """The object that `--json` prints."""
        return {
            "run_id": self.run_id,
            "items": self.items,
            "undecided": self.undecided,
            "contenders": [
                {
                    "name": one.name,
                    "kind": one.kind,
                    "revision": one.revision,
                    "truncated": one.n_truncated,
                    "cost_usd": round(one.cost_usd, 6),
                }
                for one in self.contenders
            ],
            "results": [one.as_json() for one in self.results],
            "length_bias": [asdict(one) for one in self.length_bias],
        }


def evaluate_reward(
    store: "Store",
    gold: GoldSet,
    contenders: Sequence[Contender],
    *,
    settings: dict[str, object],
    resampling: Resampling,
    has_length_bias: bool,
    bar: Bar,
) -> EvaluationReport:
    """Ask every contender about every item; the figures are stored with the run.

    Raises RequestError where there is nothing to ask, or two contenders of one name and revision.
    """
    if not gold.items:
        raise RequestError("there is no pair to evaluate on")
    _check_names(contenders)
    if has_length_bias:
        check_statistics()
    with run_of(store, "train evaluate reward", settings) as run:
        verdicts = []
        for contender in contenders:
            with bar(contender.name, len(gold.items)) as advance:
                verdicts.append(contender.decide(gold.items, run, advance))
        results = [
            one
            for said in verdicts
            for one in accuracies(gold.items, said, gold.kind, resampling, gold.order)
        ]
        run.drain()
        bias = _length_bias(store, contenders, resampling) if has_length_bias else ()
        report = EvaluationReport(
            run.run_id, len(gold.items), gold.undecided, tuple(verdicts), tuple(results), tuple(bias)
        )
        run.finish(report.as_json(), cost_usd=sum(one.cost_usd for one in verdicts))
    return report


def _check_names(contenders: Sequence[Contender]) -> None:
    names = [contender.name for contender in contenders]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise RequestError(
            f"two of the models are called {twice[0]!r}; rename a folder, or evaluate them one after the other"
        )


def _length_bias(store: "Store", contenders: Sequence[Contender], resampling: Resampling) -> list[LengthBias]:
    """RLHF Workflow, figure 3, from the rewards that `label reward` stored."""
    found = []
    for contender in contenders:
        if not isinstance(contender, RewardContender):
            continue
        with store.read() as reading:
            rows = reading.rows(
                named_sql("train", "reward_lengths"),
                {"reward_model": contender.name, "revision": contender.revision},
            )
        prompts = [
            PromptLength(prompt_id, mean, float("nan") if r is None else r) for prompt_id, mean, r in rows
        ]
        found.append(
            LengthBias(
                contender.name,
                len(prompts),
                length_measures(prompts, resampling),
                heatmap_of(contender.name, prompts),
            )
        )
    return found
