"""The suites of benchmarks as the papers put them together, and what each benchmark is."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from store.errors import MissingExtra, UnknownName

TASKS = Path(__file__).parent
"""One YAML file a benchmark: which files, how they are read and scored, and the task as lm-eval takes it."""


@dataclass(frozen=True, slots=True)
class Benchmark:
    """What is asked and how it is scored; the YAML files hold one each."""

    name: str
    title: str
    folder: str
    """What the name of its folder ends with, in small letters without signs."""
    test: tuple[str, ...]
    """Patterns of its files; the first that finds any counts."""
    examples: tuple[str, ...]
    """Patterns of the files the shown examples come from."""
    reader: str
    """One of READERS."""
    score: str
    """One of SCORES."""
    task: Mapping[str, Any]
    """The task, in lm-eval's words."""
    runs_code: bool = False
    subjects: tuple[str, ...] = ()
    """Only these; empty means all."""
    worked: tuple[str, ...] = ()
    """Patterns of files with worked examples, one a subject."""


@dataclass(frozen=True, slots=True)
class Suite:
    """Benchmarks that a paper reports together."""

    name: str
    origin: str
    shots: Mapping[str, int]
    """Benchmark → examples shown before each question."""


SUITES = {
    suite.name: suite
    for suite in (
        Suite(
            "camels",
            "Camels, table 3 and appendix E",
            # As scripts/eval/*.sh of open-instruct's first release call it: gsm.sh --n_shot 8 (200 questions),
            # bbh.sh with the three worked examples of a task's prompt (40 questions a task), tydiqa.sh --n_shot 1
            # with the passage given (100 questions a language), codex_humaneval.sh with 20 samples at 0.8.
            {"mmlu": 0, "gsm8k": 8, "bbh": 3, "tydiqa": 1, "codex_eval": 0},
        ),
        Suite("agieval", "OpenChat, table 1 (AGIEval, English multiple choice)", {"agieval": 0}),
        Suite(
            "rlhflow",
            "RLHF Workflow, table 6",
            {"gsm8k": 8, "mmlu": 5, "human_eval": 0, "truthfulqa": 0, "arc": 25, "mbpp": 0},
        ),
    )
}


def suite_named(name: str) -> Suite:
    """The suite called NAME.

    Raises UnknownName if there is none.
    """
    if name not in SUITES:
        raise UnknownName.of("suite", name, SUITES)
    return SUITES[name]


def benchmark_named(name: str) -> Benchmark:
    """The benchmark whose YAML file is called NAME."""
    try:
        import yaml
    except ImportError as error:
        raise MissingExtra.of("lm-eval", "bench") from error
    fields: dict[str, Any] = yaml.safe_load((TASKS / f"{name}.yaml").read_text(encoding="utf-8"))
    for key in ("test", "examples", "subjects", "worked"):
        fields[key] = tuple(fields.get(key, ()))
    return Benchmark(name=name, **fields)
