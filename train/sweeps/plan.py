"""The plan of a sweep: every command of every point, known before any of them runs."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from store.errors import BadSettings
from train.recipe import recipe_named
from train.sweeps.grid import Axis, Point, label_of, points_of, slug_of
from train.sweeps.options import PREFIXES, Assignment, Options
from train.sweeps.outcome import CHARACTERS

MODELS_OF_PAIRS = {"rm": "--model", "pm": "--prefer"}
"""Recipe whose model says which of two is better → how `train evaluate reward` is given it."""
BEST_OF_1, WIN_RATE, ACCURACY = "best of 1", "win rate", "accuracy"


@dataclass(frozen=True, slots=True)
class Measuring:
    """How a point's model is measured."""

    validation: str | None = None
    """A selection: of prompts for a policy, of pairs for a reward or preference model."""
    validation_part: str | None = None
    """Only this part of the pairs."""
    files: tuple[str, ...] = ()
    """Files of pairs in place of a selection."""
    reward_model: str | None = None
    """As `label reward --model` takes it."""
    n: int = 1
    temperature: float = 0.7
    max_new_tokens: int = 2048
    against: str | None = None
    """A policy whose draws are there, that win rates are against."""
    judge: str | None = None
    by: str | None = None
    draw_seed: int = 0

    def sizes(self) -> list[int]:
        """The n of best-of-n that are measured."""
        return sorted({1, *(2**power for power in range(1, 11) if 2**power < self.n), self.n})

    def measures(self, recipe: str) -> tuple[str, ...]:
        """The figures a point has, the usual one first."""
        if recipe in MODELS_OF_PAIRS:
            return (ACCURACY,)
        sizes = [f"best of {n}" for n in self.sizes()] if self.reward_model else []
        return (*sizes, *([WIN_RATE] if self.against else []))

    def check(self, recipe: str) -> None:
        """Raise BadSettings if RECIPE's models cannot be measured like this."""
        if recipe in MODELS_OF_PAIRS:
            if bool(self.validation) == bool(self.files):
                raise BadSettings(
                    f"say which pairs measure a {recipe}: --validation NAME, or --pairs-file FILE"
                )
            return
        if self.files or self.validation_part:
            raise BadSettings(f"--pairs-file and --validation-part are for rm and pm, not for {recipe}")
        if self.validation is None:
            raise BadSettings("name the held-out prompts with --validation, see: curate unfold --help")
        if self.reward_model is None and self.against is None:
            raise BadSettings("say who measures: --reward-model, or --against a policy, with --judge or --by")
        if self.judge is not None and self.against is None:
            raise BadSettings("--judge compares with a policy: name it with --against")


@dataclass(frozen=True, slots=True)
class SweepSettings:
    """What decides the outcome of a sweep."""

    name: str
    """What its draws and selections are called after."""
    recipe: str
    axes: tuple[Axis, ...]
    given: tuple[Assignment, ...]
    """Options that are the same at every point."""
    measuring: Measuring
    measure: str
    """The figure that is compared and plotted."""
    baseline: tuple[Assignment, ...]
    out: Path
    store: Path
    version: int
    """Of the store: what was in it when the sweep began is what is exported."""

    def points(self) -> list[Point]:
        """Every point."""
        return points_of(self.axes)

    def policy(self, point: Point) -> str:
        """The name under which the draws of a point's model are stored."""
        return f"{self.name}-{point.slug}"

    def as_json(self) -> dict[str, Any]:
        """The settings as a run keeps them."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class SweepStep:
    """One command of a sweep."""

    place: str
    """The points it serves: the values that decide it."""
    name: str
    words: tuple[str, ...]
    """The command line."""
    log: Path
    """Where what it says goes."""


class Plan:
    """The commands of a sweep, by point. Those of several points with the same words are one command."""

    def __init__(self, sweep: SweepSettings, options: Options) -> None:
        self.sweep = sweep
        self.options = options
        self._check()

    def shared(self, point: Point) -> Iterator[SweepStep]:
        """What comes before training: the choice of what is trained on, and the export."""
        values = self._values(point)
        chosen = {
            command: f"{self.sweep.name}-{slug_of(self._own(point, command) or [(command, 'all')])}"
            for command in PREFIXES
            if self.options.of([command], values)
        }
        for command, name in chosen.items():
            yield self._choosing(point, command, name)
        exported = self._own(point, "mix", "pairs", "export")
        pinned = () if chosen or "at" in dict(values) else ("--at", f"v{self.sweep.version}")
        selected = [
            word
            for command, name in chosen.items()
            for word in ({"mix": "--selection", "pairs": "--pairs"}[command], name)
        ]
        tokenizer = () if "tokenizer" in dict(values) else ("--tokenizer", dict(values)["model"])
        yield self._step(
            label_of(exported),
            "export",
            *("train", "export", self.sweep.recipe, *self.options.words("export", values), *selected),
            *(*tokenizer, *pinned, "--out", self._rows(point), "--overwrite"),
            log=self._rows(point).with_suffix(".log"),
        )

    def own(self, point: Point) -> Iterator[SweepStep]:
        """What belongs to one point alone: training and measuring."""
        folder = self.sweep.out / "points" / point.slug
        yield self._step(
            point.label,
            "training",
            *("train", "run", self.sweep.recipe, "--data", self._rows(point)),
            *(*self.options.words("run", self._values(point)), "--out", folder / "run"),
            log=folder / "log.txt",
        )
        measured = (
            self._pair_words(folder)
            if self.sweep.recipe in MODELS_OF_PAIRS
            else self._policy_words(point, folder)
        )
        yield self._step(point.label, "measuring", *measured, log=folder / "log.txt")

    def steps(self) -> list[SweepStep]:
        """Every command once: first all that comes before training, then point by point."""
        points = self.sweep.points()
        every = [step for point in points for step in self.shared(point)]
        every += [step for point in points for step in self.own(point)]
        return list({(step.place, step.name): step for step in every}.values())

    def _check(self) -> None:
        takes = recipe_named(self.sweep.recipe).takes
        named = [name for name, _ in self._values(self.sweep.points()[0])]
        for command, wanted, option in (
            ("mix", "conversations", "selection"),
            ("pairs", "pairs", "pairs"),
        ):
            if not any(taken.command == command for name in named for taken in self.options.named(name)):
                continue
            if takes != wanted:
                raise BadSettings(
                    f"{command}- options choose {wanted}; {self.sweep.recipe} trains on {takes}"
                )
            if option in named:
                raise BadSettings(
                    f"--{option} is what the {command}- options make; narrow them instead, with --{command}-NAME"
                )
        if "model" not in named:
            raise BadSettings("name the model that training starts from with --model, or vary it with --grid")

    def _values(self, point: Point) -> tuple[Assignment, ...]:
        return (*self.sweep.given, *point.values)

    def _own(self, point: Point, *commands: str) -> list[Assignment]:
        """The point's values that decide what these commands do; the tokenizer comes with the model."""
        names = {name for name, _ in self.options.of(commands, point.values)}
        if "export" in commands and "tokenizer" not in dict(self._values(point)):
            names.add("model")
        return [(name, value) for name, value in point.values if name in names]

    def _rows(self, point: Point) -> Path:
        return self.sweep.out / "exports" / slug_of(self._own(point, "mix", "pairs", "export"))

    def _choosing(self, point: Point, command: str, name: str) -> SweepStep:
        typed = {"mix": ("curate", "mix"), "pairs": ("label", "pairs")}[command]
        pinned = ("--at", f"v{self.sweep.version}") if command == "pairs" else ()
        words = (*typed, name, *self.options.words(command, self._values(point)), *pinned)
        log = self.sweep.out / "exports" / f"{name}.log"
        return self._step(label_of(self._own(point, command)), command, *words, log=log)

    def _policy_words(self, point: Point, folder: Path) -> Sequence[object]:
        how = self.sweep.measuring
        name = self.sweep.policy(point)
        scored = ("--reward-model", how.reward_model) if how.reward_model else ()
        rival = ("--policy", how.against, "--against", how.against) if how.against else ()
        judged = ("--judge", how.judge) if how.judge else ()
        counted = ("--by", how.by) if how.by else ()
        return (
            *("train", "evaluate", "policy", "--policy", f"{name}={folder / 'run' / 'model'}"),
            *("--prompts", how.validation, *scored, *rival, *judged, *counted, "--n", how.n),
            *("--temperature", how.temperature, "--max-new-tokens", how.max_new_tokens),
            *("--seed", how.draw_seed),
        )

    def _pair_words(self, folder: Path) -> Sequence[object]:
        how = self.sweep.measuring
        part = ("--part", how.validation_part) if how.validation_part else ()
        pairs = ("--selection", how.validation, *part) if how.validation else how.files
        flag = MODELS_OF_PAIRS[self.sweep.recipe]
        return ("train", "evaluate", "reward", *pairs, flag, folder / "run" / "model")

    def _step(self, place: str, name: str, *words: object, log: Path) -> SweepStep:
        common = ("--store", self.sweep.store, "--json")
        return SweepStep(place, name, tuple(str(word) for word in (*words, *common)), log)


def figures_of(outcome: Mapping[str, Any], policy: str) -> dict[str, Mapping[str, float | None]]:
    """What the last step of a point printed, as figures by name: value, low, high."""
    if "results" in outcome:
        return {ACCURACY: _span(outcome["results"][-1])}
    (mine,) = [one for one in outcome["policies"] if one["policy"] == policy]
    found: dict[str, Mapping[str, float | None]] = {
        f"best of {point['x']}": _span(point) for point in mine["best_of"]
    }
    if mine["win_rate"] is not None:
        found[WIN_RATE] = _span(mine["win_rate"])
    found[CHARACTERS] = {"value": mine["characters"], "low": None, "high": None}
    return found


def _span(found: Mapping[str, Any]) -> Mapping[str, float | None]:
    return {key: found[key] for key in ("value", "low", "high")}
