"""How good policies are on prompts that they were not trained on, from draws, rewards and verdicts of the store.

The draws, rewards and verdicts are made by our own commands; here they are only put side by side.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from label.comparing.stored_verdicts import merge_orders, read_verdicts
from label.ranking.best_of import Point, point_of
from label.trust.win_rates import outcomes_of
from store.db import Reading, Store
from store.errors import BadSettings
from store.named_sql import named_sql
from store.selections import selection_named

RunCommand = Callable[[Sequence[str]], Mapping[str, Any]]
Words = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Contestant:
    """A policy under one condition."""

    name: str
    """The name its draws bear."""
    model: str | None
    """Its folder, or what else `label sample --model` takes; None where its draws are there already."""
    condition: str | None = None


@dataclass(frozen=True, slots=True)
class PolicySettings:
    """What is evaluated, on what, and by whom."""

    store: Path
    contestants: Sequence[Contestant]
    prompts: str
    """A selection of prompts."""
    reward_model: str | None
    reward_name: str | None
    """NAME@REVISION of its rewards."""
    n: int = 1
    temperature: float = 0.7
    max_new_tokens: int = 2048
    against: str | None = None
    judge: str | None = None
    """A model that is asked; None takes the verdicts that are there."""
    by: str | None = None
    """Whose verdicts count."""
    seed: int = 0

    def __post_init__(self) -> None:
        if self.reward_model is None and self.against is None:
            raise BadSettings("say what is measured: --reward-model, or --against a policy, or both")
        if self.judge is not None and self.against is None:
            raise BadSettings("--judge compares with a policy: name it with --against")


@dataclass(frozen=True, slots=True)
class PolicyFigures:
    """What one contestant came to."""

    policy: str
    condition: str | None
    prompts: int
    draws: int
    characters: float | None
    best_of: Sequence[Point]
    """By the reward model; empty without one."""
    win_rate: Point | None
    """Against the reference; None where nobody judged, or for the reference itself."""

    def as_json(self) -> dict[str, object]:
        """What a script reads."""
        return asdict(self)


def contestants_of(policies: Sequence[str], conditions: Sequence[str]) -> list[Contestant]:
    """The policies, each written NAME=FOLDER or NAME, under every condition.

    Raises BadSettings for conditions of draws that are there already.
    """
    found = []
    for text in policies:
        name, _, folder = text.partition("=")
        if not folder and conditions:
            raise BadSettings(f"--condition decides how draws are made: write --policy {name}=FOLDER")
        wanted: Sequence[str | None] = conditions or [None]
        for condition in wanted:
            found.append(
                Contestant(f"{name} as {condition}" if condition else name, folder or None, condition)
            )
    return found


def commands_of(settings: PolicySettings) -> Iterator[Words]:
    """The commands that make what is missing: draws, rewards and verdicts."""
    for one in settings.contestants:
        if one.model is not None:
            condition = ("--condition", one.condition) if one.condition else ()
            yield _words(
                settings,
                *("label", "sample", "--model", sampled_model(one.model), "--policy", one.name, *condition),
                *("--prompts", settings.prompts, "--n", settings.n, "--temperature", settings.temperature),
                *("--max-new-tokens", settings.max_new_tokens, "--seed", settings.seed),
            )
    names = [one.name for one in settings.contestants]
    if settings.reward_model is not None:
        named = [word for name in names for word in ("--policy", name)]
        common = ("label", "reward", "--model", settings.reward_model, "--from", "samples")
        yield _words(settings, *common, "--selection", settings.prompts, *named)
    if settings.judge is not None:
        rivals = ",".join(name for name in names if name != settings.against)
        asked = ("--policies", rivals, "--against", settings.against, "--pairs", "first-two")
        yield _words(settings, "label", "compare", "--model", settings.judge, *asked)


def sampled_model(model: str) -> str:
    """A policy's folder, or what else names it, as `label sample --model` takes it."""
    return f"hf:{model}" if Path(model).is_dir() else model


def evaluate_policies(settings: PolicySettings, run: RunCommand) -> list[PolicyFigures]:
    """Make what is missing with RUN, then measure every contestant."""
    for words in commands_of(settings):
        outcome = run(words)
        if words[1] == "compare" and settings.by is None:
            settings = replace(settings, by=str(outcome["labeler"]))
    curves = _curves(settings, run) if settings.reward_model is not None else {}
    with Store(settings.store).read() as reading:
        sizes = {
            one.name: reading.dicts(
                named_sql("train", "policy_draws"),
                {
                    "policy": one.name,
                    "selection": selection_named(reading, settings.prompts, "prompts").selection_id,
                },
            )[0]
            for one in settings.contestants
        }
        wins = _win_rates(reading, settings)
    return [
        PolicyFigures(
            one.name,
            one.condition,
            **sizes[one.name],
            best_of=curves.get(one.name, ()),
            win_rate=wins.get(one.name),
        )
        for one in settings.contestants
    ]


def _curves(settings: PolicySettings, run: RunCommand) -> dict[str, list[Point]]:
    named = [word for one in settings.contestants for word in ("--policy", one.name)]
    sizes = sorted({1, *(2**power for power in range(1, 11) if 2**power < settings.n), settings.n})
    asked = ("--prompts", settings.prompts, "--best-of", ",".join(map(str, sizes)), "--with-truncated")
    words = _words(settings, "label", "rank", "--reward-model", settings.reward_name, *named, *asked)
    return {
        curve["policy"]: [
            Point(point["n"], point["value"], point["low"], point["high"], point["prompts"])
            for point in curve["best_of"]
        ]
        for curve in run(words)["curves"]
    }


def _win_rates(reading: Reading, settings: PolicySettings) -> dict[str, Point]:
    """Policy → its share of the points against the reference, over prompts; a tie and a conflict are half."""
    if settings.against is None:
        return {}
    chosen = reading.rows(
        "SELECT CAST(prompt_id AS VARCHAR) FROM selection_prompts WHERE selection_id = CAST(? AS UUID)",
        [selection_named(reading, settings.prompts, "prompts").selection_id],
    )
    prompts = {prompt_id for (prompt_id,) in chosen}
    merged = [
        one
        for one in merge_orders(read_verdicts(reading))
        if settings.by in (None, one.labeler) and one.item.prompt_id in prompts
    ]
    scores: dict[str, dict[str, list[float]]] = {}
    for outcome in outcomes_of(merged):
        first, second = outcome.item.policies
        if settings.against in (first, second) and first != second:
            rival, score = (
                (first, outcome.score) if second == settings.against else (second, 1 - outcome.score)
            )
            scores.setdefault(rival, {}).setdefault(outcome.item.prompt_id, []).append(score)
    return {rival: _mean_over_prompts(list(given.values())) for rival, given in scores.items()}


def _mean_over_prompts(scores: Sequence[Sequence[float]]) -> Point:
    means = [sum(given) / len(given) for given in scores]
    return point_of(1, sum(means), sum(value * value for value in means), len(means))


def write_alpaca(store: Store, policy: str, prompts: str, path: Path) -> tuple[int, int]:
    """Write POLICY's first draws in AlpacaEval's form; returns how many, and how many prompts were left out.

    AlpacaEval knows an instruction and no turns before it: prompts with more than one turn are left out.
    """
    with store.read() as reading:
        selection = selection_named(reading, prompts, "prompts")
        rows = reading.dicts(
            named_sql("train", "alpaca_outputs"), {"policy": policy, "selection": selection.selection_id}
        )
    outputs = [
        {"dataset": prompts, "instruction": row["instruction"], "output": row["output"], "generator": policy}
        for row in rows
        if row["instruction"] is not None
    ]
    staging = path.with_name(f".{path.name}.tmp")
    staging.write_text(json.dumps(outputs, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    staging.replace(path)
    return len(outputs), len(rows) - len(outputs)


def _words(settings: PolicySettings, *words: object) -> Words:
    return tuple(str(word) for word in (*words, "--store", settings.store, "--json"))
