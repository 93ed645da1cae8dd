"""The rows of a benchmark from local files: JSON, JSON Lines and CSV (plain or gzip) and Parquet."""

import csv
import gzip
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from store.errors import BadInput
from train.benchmarks.suites import Benchmark

Row = dict[str, Any]
Rows = Iterator[tuple[str, Row]]
"""(subject, row), in the order of the files."""

LETTERS = "ABCDEFGHIJ"
MBPP_TEST = range(11, 511)  # Austin et al. 2021, section 2.1
AFTER_CANARY = "-----\n"
"""What ends the head of a file of worked examples."""


@dataclass(slots=True)
class Subject:
    """One subject of a benchmark."""

    name: str
    test: list[Row] = field(default_factory=list)
    examples: list[Row] = field(default_factory=list)
    held_out: bool = False
    """Whether the examples are the first rows of the test, which are then not asked."""


def read_subjects(folder: Path, benchmark: Benchmark, shots: int) -> list[Subject]:
    """The subjects of a benchmark, by name, each with SHOTS examples.

    Where no file holds examples, the first rows of a subject are taken for them and are not asked.
    Raises BadInput where files are missing, cannot be read or hold too few examples.
    """
    home = _home(folder, benchmark)
    found: dict[str, Subject] = {}
    for name, row in _rows(home, benchmark, benchmark.test):
        found.setdefault(name, Subject(name)).test.append(row)
    subjects = [found[name] for name in sorted(found) if found[name].test]
    if not subjects:
        raise BadInput(f"{home} holds no row of {benchmark.title}")
    if not shots:
        return subjects
    given: dict[str, list[Row]] = {}
    for name, row in _rows(home, benchmark, benchmark.examples):
        if len(given.setdefault(name, [])) < shots:
            given[name].append(row)
    for subject in subjects:
        _show(subject, given.get(subject.name, []), shots, home)
    return subjects


def _show(subject: Subject, given: list[Row], shots: int, home: Path) -> None:
    if subject.test[0].get("worked"):
        return
    if not given:
        subject.held_out = True
        given, subject.test = subject.test[:shots], subject.test[shots:]
    if len(given) < shots or not subject.test:
        words = f" of {subject.name}" if subject.name else ""
        raise BadInput(f"{home} has too few rows{words} to show {shots} examples and ask the others")
    subject.examples = given


def _home(folder: Path, benchmark: Benchmark) -> Path:
    """The folder of a benchmark: a subfolder whose name ends with the benchmark's, as in `eval_gsm8k`."""
    children = sorted(path for path in folder.iterdir() if path.is_dir())
    found = [path for path in children if _plain(path.name).endswith(benchmark.folder)]
    if len(found) > 1:
        raise BadInput(f"{folder} has two folders for {benchmark.title}: {found[0].name} and {found[1].name}")
    if not found:
        raise BadInput(
            f"{folder} has no folder for {benchmark.title}, one whose name ends with {benchmark.folder!r};"
            f" put its files there, or leave it out by naming the others with --only"
        )
    return found[0]


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _rows(home: Path, benchmark: Benchmark, patterns: tuple[str, ...]) -> Rows:
    worked = {path.stem: _after_canary(path) for path in _files(home, benchmark.worked)}
    for path in _files(home, patterns):
        subject = _subject_of(path)
        if benchmark.subjects and subject not in benchmark.subjects:
            continue
        try:
            for name, row in READERS[benchmark.reader](subject, records_of(path)):
                yield name, {**row, "worked": worked.get(name, "")} if benchmark.worked else row
        except (KeyError, ValueError, TypeError, IndexError, OSError) as error:
            raise BadInput(f"{path} is not in the form of {benchmark.title}: {error!r}") from error


def _files(home: Path, patterns: tuple[str, ...]) -> list[Path]:
    for pattern in patterns:
        found = sorted(home.rglob(pattern))
        if found:
            return found
    return []


def _after_canary(path: Path) -> str:
    return path.read_text(encoding="utf-8").partition(AFTER_CANARY)[2].strip()


def _subject_of(path: Path) -> str:
    stem = path.name.partition(".")[0]
    return re.sub(r"_(test|dev|val|train)$", "", stem)


def records_of(path: Path) -> Iterator[Any]:
    """The records of a file: objects of JSON, JSON Lines and Parquet, lists of a CSV's cells."""
    name = path.name.removesuffix(".gz")
    if name.endswith(".parquet"):
        import pyarrow.parquet as pq

        for batch in pq.ParquetFile(path).iter_batches():
            yield from batch.to_pylist()
        return
    opens = gzip.open if path.suffix == ".gz" else open
    with opens(path, "rt", encoding="utf-8-sig", newline="") as text:
        if name.endswith(".csv"):
            yield from csv.reader(text)
        elif name.endswith(".json"):
            whole = json.load(text)
            yield from whole["examples"] if isinstance(whole, dict) else whole
        else:
            yield from (json.loads(line) for line in text if line.strip())


def _plain_rows(_subject: str, records: Iterator[Any]) -> Rows:
    return (("", record) for record in records)


def _mmlu(subject: str, records: Iterator[Any]) -> Rows:
    for question, *choices, letter in records:
        yield subject, {"question": question.strip(), "choices": choices, "answer": LETTERS.index(letter)}


def _bbh(subject: str, records: Iterator[Any]) -> Rows:
    return ((subject, {"input": record["input"], "target": record["target"]}) for record in records)


def _tydiqa(_subject: str, records: Iterator[Any]) -> Rows:
    """Questions that have a short answer, with the passage it is in; offsets count bytes."""
    for record in records:
        text = record["document_plaintext"].encode()
        answers, passage = [], ""
        for said in record["annotations"]:
            start = said["minimal_answer"]["plaintext_start_byte"]
            end = said["minimal_answer"]["plaintext_end_byte"]
            place = said["passage_answer"]["candidate_index"]
            if start < 0 or place < 0:
                continue
            bounds = record["passage_answer_candidates"][place]
            passage = passage or _cut(text, bounds["plaintext_start_byte"], bounds["plaintext_end_byte"])
            answers.append(_cut(text, start, end))
        if answers:
            asked = {"passage": passage, "question": record["question_text"], "answers": answers}
            yield record["language"], asked


def _cut(text: bytes, start: int, end: int) -> str:
    return text[start:end].decode("utf-8", "replace").strip()


def _truthfulqa(_subject: str, records: Iterator[Any]) -> Rows:
    header = next(records)
    for cells in records:
        row = dict(zip(header, cells, strict=True))
        true, false = (_listed(row[f"{kind} Answers"]) for kind in ("Correct", "Incorrect"))
        choices = list(dict.fromkeys([row["Best Answer"].strip(), *true]))
        yield (
            "",
            {
                "question": row["Question"],
                "choices": [*choices, *false],
                "n_true": len(choices),
                "answer": 0,
            },
        )


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(";") if part.strip()]


def _arc(_subject: str, records: Iterator[Any]) -> Rows:
    """AI2's own form, or the one of its data set on the hub."""
    for record in records:
        question = record["question"]
        if isinstance(question, dict):
            labels = [choice["label"] for choice in question["choices"]]
            texts = [choice["text"] for choice in question["choices"]]
            question = question["stem"]
        else:
            labels, texts = list(record["choices"]["label"]), list(record["choices"]["text"])
        yield "", {"question": question, "choices": texts, "answer": labels.index(record["answerKey"])}


def _agieval(subject: str, records: Iterator[Any]) -> Rows:
    """Questions with one right answer of several."""
    for record in records:
        if record["options"] and isinstance(record["label"], str):
            letters = list(LETTERS[: len(record["options"])])
            yield (
                subject,
                {
                    "passage": record["passage"] or "",
                    "question": record["question"],
                    "options": record["options"],
                    "choices": letters,
                    "answer": letters.index(record["label"]),
                },
            )


def _mbpp(_subject: str, records: Iterator[Any]) -> Rows:
    for record in records:
        if record["task_id"] in MBPP_TEST:
            yield (
                "",
                {
                    "text": record.get("text") or record["prompt"],
                    "code": record["code"],
                    "test_list": list(record["test_list"]),
                    "setup": record.get("test_setup_code") or "\n".join(record.get("test_imports") or []),
                },
            )


READERS: dict[str, Callable[[str, Iterator[Any]], Rows]] = {
    "agieval": _agieval,
    "arc": _arc,
    "bbh": _bbh,
    "mbpp": _mbpp,
    "mmlu": _mmlu,
    "plain": _plain_rows,
    "truthfulqa": _truthfulqa,
    "tydiqa": _tydiqa,
}
"""Which benchmark's records are turned into rows by what."""
