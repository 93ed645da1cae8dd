"""`train evaluate benchmarks`: a suite over local files, asked by lm-eval, scored here, kept with a run."""

import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from store.db import Store
from store.errors import BadInput, BadSettings, MissingExtra, UnknownName
from store.runs import run_of
from train.benchmarks.rows import Subject, read_subjects
from train.benchmarks.scores import SCORES
from train.benchmarks.suites import Benchmark, Suite, benchmark_named, suite_named

if TYPE_CHECKING:
    from store.console import Advance

Bar = Callable[[str, float], AbstractContextManager["Advance"]]
CHATTY = ("lm_eval", "transformers", "datasets", "accelerate")


@dataclass(frozen=True, slots=True)
class BenchmarkSettings:
    """What decides the figures of an evaluation."""

    model: str
    """The directory of a model."""
    data: str
    """The directory with a folder for each benchmark."""
    suite: str
    only: tuple[str, ...] = ()
    """Only these benchmarks of the suite; empty means all."""
    limit: int | None = None
    """Questions of each subject; None means all."""
    max_tokens: int | None = None
    """Of an answer; None means each benchmark's own bound."""
    run_code: bool = False
    """Whether programs that the model writes may be run."""
    chat: bool = False
    """Whether questions are put through the model's chat template."""
    batch_size: int = 8
    dtype: str = "auto"
    seed: int = 0


@dataclass(frozen=True, slots=True)
class SubjectScore:
    """How one subject of a benchmark went."""

    subject: str
    n: int
    score: float
    held_out: int
    """Rows that were shown as examples for want of a file of them, and not asked."""


@dataclass(frozen=True, slots=True)
class BenchmarkScore:
    """How one benchmark went: the mean of its subjects (Camels, appendix F)."""

    benchmark: str
    title: str
    shots: int
    n: int
    score: float
    subjects: tuple[SubjectScore, ...]


@dataclass(frozen=True, slots=True)
class BenchmarkReport:
    """A finished evaluation."""

    model: str
    suite: str
    origin: str
    benchmarks: tuple[BenchmarkScore, ...]
    left_out: tuple[str, ...]
    """Benchmarks of the suite that were not asked for."""
    run_id: str | None = None
    """The run the figures are kept with, where there is a store."""

    @property
    def average(self) -> float:
        """The mean of the benchmarks' means, whatever their numbers of subjects and questions."""
        return fmean(one.score for one in self.benchmarks)

    def as_json(self) -> dict[str, object]:
        """The object that `--json` prints."""
        return {**asdict(self), "average": self.average}


def evaluate_noted(store_path: Path, settings: BenchmarkSettings, bar: Bar) -> BenchmarkReport:
    """The same as evaluate_benchmarks, kept with a run of the store where there is one."""
    if not store_path.exists():
        return evaluate_benchmarks(settings, bar)
    with run_of(Store(store_path), "train evaluate benchmarks", asdict(settings)) as run:
        report = replace(evaluate_benchmarks(settings, bar), run_id=run.run_id)
        run.finish(report.as_json())
        return report


def evaluate_benchmarks(settings: BenchmarkSettings, bar: Bar) -> BenchmarkReport:
    """Ask the model everything; nothing is fetched.

    Raises BadSettings where code would have to be run without leave, BadInput where files are missing.
    """
    suite = suite_named(settings.suite)
    chosen = _chosen(suite, settings)
    subjects = {one.name: read_subjects(Path(settings.data), one, suite.shots[one.name]) for one in chosen}
    if not (Path(settings.model) / "config.json").is_file():
        raise BadInput(f"{settings.model} holds no config.json; name the directory of a model")
    with _quiet(), _without_bars():
        model = _open_model(settings)
        scores = []
        with bar("benchmarks", len(chosen)) as advance:
            for one in chosen:
                advance(0, words=one.title)
                scores.append(_ask(model, one, subjects[one.name], suite.shots[one.name], settings))
                advance(1)
    left_out = tuple(name for name in suite.shots if name not in subjects)
    return BenchmarkReport(settings.model, suite.name, suite.origin, tuple(scores), left_out)


def _chosen(suite: Suite, settings: BenchmarkSettings) -> list[Benchmark]:
    for name in settings.only:
        if name not in suite.shots:
            raise UnknownName.of(f"benchmark of {suite.name}", name, suite.shots)
    chosen = [benchmark_named(name) for name in suite.shots if not settings.only or name in settings.only]
    running = [one.name for one in chosen if one.runs_code]
    if running and not settings.run_code:
        raise BadSettings(
            f"{' and '.join(running)} runs programs that the model writes; allow it with --run-code on a machine"
            f" you can lose, or name the other benchmarks with --only"
        )
    return chosen


@contextmanager
def _quiet() -> Iterator[None]:
    """No network, no bars and no chatter while lm-eval is at work."""
    for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_HUB_DISABLE_TELEMETRY"):
        os.environ[name] = "1"
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    levels = {name: logging.getLogger(name).level for name in CHATTY}
    for name in CHATTY:
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)


@contextmanager
def _without_bars() -> Iterator[None]:
    """No bars but our own; lm-eval draws one over the questions it puts together and has no switch for it."""
    try:
        from lm_eval.api import task
    except ImportError as error:
        raise MissingExtra.of("lm-eval", "bench") from error
    from transformers.utils.logging import (
        disable_progress_bar,
        enable_progress_bar,
        is_progress_bar_enabled,
    )

    drawn, had_bars = task.tqdm, is_progress_bar_enabled()
    task.tqdm = partial(drawn, disable=True)
    disable_progress_bar()
    try:
        yield
    finally:
        task.tqdm = drawn
        if had_bars:
            enable_progress_bar()


def _open_model(settings: BenchmarkSettings) -> Any:
    import torch
    from lm_eval.models.huggingface import HFLM

    class WithoutBars(HFLM):  # type: ignore[misc]  # lm-eval ships no types
        """A model that draws no bars of its own."""

        def loglikelihood(self, requests: Any, disable_tqdm: bool = True) -> Any:  # noqa: FBT001
            return super().loglikelihood(requests, disable_tqdm=disable_tqdm)

        def generate_until(self, requests: Any, disable_tqdm: bool = True) -> Any:  # noqa: FBT001
            return super().generate_until(requests, disable_tqdm=disable_tqdm)

    device = "cuda" if torch.cuda.is_available() else "cpu"
    return WithoutBars(
        pretrained=settings.model, device=device, dtype=settings.dtype, batch_size=settings.batch_size
    )


def _ask(
    model: Any, benchmark: Benchmark, subjects: list[Subject], shots: int, settings: BenchmarkSettings
) -> BenchmarkScore:
    from lm_eval.evaluator import evaluate
    from transformers import set_seed

    set_seed(settings.seed)
    asked = subjects if settings.limit is None else [_first(one, settings.limit) for one in subjects]
    tasks = {f"{benchmark.name}/{one.name}": _task(benchmark, one, settings) for one in asked}
    found = evaluate(
        model,
        {"tasks": tasks, "groups": {}, "group_map": {}},
        bootstrap_iters=0,
        log_samples=False,
        apply_chat_template=settings.chat,
        fewshot_as_multiturn=settings.chat,
        confirm_run_unsafe_code=settings.run_code,
    )
    scores = tuple(
        SubjectScore(
            one.name,
            len(one.test),
            float(found["results"][f"{benchmark.name}/{one.name}"]["score,none"]),
            len(one.examples) if one.held_out else 0,
        )
        for one in asked
    )
    return BenchmarkScore(
        benchmark.name,
        benchmark.title,
        shots,
        sum(one.n for one in scores),
        fmean(one.score for one in scores),
        scores,
    )


def _first(subject: Subject, limit: int) -> Subject:
    return Subject(subject.name, subject.test[:limit], subject.examples, subject.held_out)


def _task(benchmark: Benchmark, subject: Subject, settings: BenchmarkSettings) -> Any:
    """A subject as a task of lm-eval, with its rows and our score in it."""
    from datasets import Dataset
    from lm_eval.api.task import ConfigurableTask

    score = SCORES[benchmark.score]
    rows = {"test": Dataset.from_list(subject.test), "examples": Dataset.from_list(subject.examples)}
    return ConfigurableTask(
        config={
            **_bounded(benchmark.task, settings.max_tokens),
            "task": f"{benchmark.name}/{subject.name}",
            "custom_dataset": lambda: rows,
            "test_split": "test",
            "fewshot_split": "examples",
            "fewshot_config": {"sampler": "first_n"},
            "num_fewshot": len(subject.examples),
            "unsafe_code": benchmark.runs_code,
            "process_results": lambda row, results: {"score": score(row, results)},
            "metric_list": [{"metric": "score", "aggregation": "mean", "higher_is_better": True}],
            **_kept_answers(benchmark),
        }
    )


def _bounded(task: Mapping[str, Any], max_tokens: int | None) -> dict[str, Any]:
    if max_tokens is None or "generation_kwargs" not in task:
        return dict(task)
    return {**task, "generation_kwargs": {**task["generation_kwargs"], "max_gen_toks": max_tokens}}


def _kept_answers(benchmark: Benchmark) -> dict[str, Any]:
    """Of texts every draw is scored, not the first alone."""
    if benchmark.task["output_type"] != "generate_until":
        return {}
    return {"filter_list": [{"name": "none", "filter": [{"function": "custom", "filter_fn": _as_they_are}]}]}


def _as_they_are(responses: Any, _rows: Any) -> Any:
    return responses
