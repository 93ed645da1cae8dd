"""How well a cosine tells a rephrased question of an evaluation set from another question of the same set.

    python benchmarks/bench_rephrased.py BENCHMARKS --encoder MODEL --vectors FOLDER

BENCHMARKS holds `data/rephrase` of llm-decontaminator (Yang et al. 2023), GSM8K (`test.jsonl`, `train.jsonl`) and
`HumanEval.jsonl`, anywhere below it, perhaps gzipped. Positives are all texts of llm-decontaminator whose question is
there: MMLU's three subjects and GSM8K in other words, the subjects in Chinese, HumanEval in five other languages.
Negatives are hard: every question itself, compared with all other questions of its set (what is found is its nearest
neighbour), and questions of GSM8K's training set against its test set. Texts of fewer than eight words are never
found, as `curate decontaminate` does it. *One text each* leaves out sets whose questions share their text with another
(more than half have a neighbour at .95): history's share passages. Vectors are kept in FOLDER, so that a run that was
cut off goes on.
"""

import argparse
import csv
import gzip
import json
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from curate.contamination.search import NEAR_MIN_WORDS, words_of_texts
from curate.encoder import Encoder

SUBJECTS = ("abstract_algebra", "sociology", "high_school_us_history")
LEVELS = (0.60, 0.65, 0.70, 0.75, 0.80, 0.85, 0.90, 0.95)
N_TASKS = 164
"""Of HumanEval: every language of `humaneval_multi` has so many rows, in their order."""
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Rephrased:
    """Texts, each the place of its question in the set."""

    name: str
    texts: list[str]
    places: list[int]


@dataclass(frozen=True)
class Set:
    """An evaluation set's questions, what was made of them, and questions that look like them and are others."""

    name: str
    questions: list[str]
    rephrased: list[Rephrased]
    others: list[str]


def main() -> None:
    """Measure and print tables as Markdown."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("benchmarks", type=Path)
    parser.add_argument("--encoder", type=Path, required=True)
    parser.add_argument("--vectors", type=Path, required=True)
    parser.add_argument("--sets", default="", help="only sets with this in their name")
    asked = parser.parse_args()
    asked.vectors.mkdir(parents=True, exist_ok=True)
    vectors = Vectors(Encoder(asked.encoder), asked.vectors)
    for line in report([one for one in read_sets(asked.benchmarks) if asked.sets in one.name], vectors):
        print(line, flush=True)


class Vectors:
    """An encoder that remembers what it was asked."""

    def __init__(self, encoder: Encoder, folder: Path) -> None:
        self.encoder, self.folder = encoder, folder

    def of(self, name: str, texts: Sequence[str]) -> Floats:
        """The vectors of TEXTS, kept under NAME."""
        path = self.folder / f"{re.sub(r'[^a-z0-9]+', '-', name.lower())}-{len(texts)}.npy"
        if not path.is_file():
            started = time.process_time()
            np.save(path, self.encoder.encode(texts))
            print(f"<!-- {name}: {len(texts) / (time.process_time() - started):.0f} texts a CPU second -->")
        found: Floats = np.load(path)
        return found


def read_sets(folder: Path) -> Iterator[Set]:
    """Everything there is; a row without a text was filtered out by the set's makers."""
    for subject in SUBJECTS:
        path = one_file(folder, f"{subject}_test.csv")
        with path.open(newline="", encoding="utf-8-sig") as file:
            questions = [row[0] for row in csv.reader(file)]
        made = [
            rephrased(kind, lines(next(path.parent.glob(f"{subject}_test_{pattern}*"))))
            for kind, pattern in (("in other words", "rephrase"), ("in Chinese", "chinese"))
        ]
        yield Set(f"MMLU {subject.replace('_', ' ')}", questions, made, [])
    rows = [json.loads(line) for line in text_of(one_file(folder, "test.jsonl", "gsm8k")).splitlines()]
    made_of = lines(one_file(folder, "rephrase_gsm8k.jsonl"))
    places = aligned([(row["question"], answer_of(row["answer"])) for row in rows], made_of)
    known = Rephrased(
        "in other words",
        [text.removeprefix("Question: ").split("\nAnswer:")[0] for text in (made_of[i] for i in places)],
        list(range(len(places))),
    )
    train = text_of(one_file(folder, "train.jsonl", "gsm8k")).splitlines()
    yield Set(
        "GSM8K test",
        [row["question"] for row in rows],
        [known],
        [json.loads(row)["question"] for row in train],
    )
    tasks = [json.loads(line) for line in text_of(one_file(folder, "HumanEval.jsonl")).splitlines()]
    numbers = {int(task["task_id"].rpartition("/")[2]): place for place, task in enumerate(tasks)}
    made_of = lines(one_file(folder, "humaneval_multi.jsonl")) + lines(one_file(folder, "humaneval_js.jsonl"))
    there = [(text, numbers[i % N_TASKS]) for i, text in enumerate(made_of) if i % N_TASKS in numbers]
    known = Rephrased("in five other languages", [text for text, _ in there], [place for _, place in there])
    yield Set("HumanEval", [task["prompt"] + task["canonical_solution"] for task in tasks], [known], [])


def rephrased(kind: str, texts: Sequence[str]) -> Rephrased:
    """Row i belongs to question i."""
    rows = [(text, i) for i, text in enumerate(texts) if text.strip()]
    return Rephrased(kind, [text for text, _ in rows], [i for _, i in rows])


def aligned(questions: Sequence[tuple[str, str]], made_of: Sequence[str]) -> list[int]:
    """For each (question, answer) the row of MADE_OF that rephrases it: same order, same answer, most words in common.

    Some rows of the set may be missing, so that the numbers of the rows say nothing.
    """
    theirs = [set(re.findall(r"\w+", text.lower())) for text in made_of]
    answers = np.array([answer_of(text) for text in made_of])
    best = np.zeros(len(made_of) + 1)
    came: list[NDArray[np.int64]] = []
    for question, answer in questions:
        words = set(re.findall(r"\w+", question.lower()))
        score = np.array([len(words & other) / len(words | other) for other in theirs])
        taken = best[:-1] + np.where(answers == answer, score, -1e6)
        best = np.concatenate([[-1e9], np.maximum.accumulate(taken)])
        is_new = np.concatenate([[True], taken[1:] > np.maximum.accumulate(taken)[:-1]])
        came.append(np.maximum.accumulate(np.where(is_new, np.arange(len(taken)), 0)))
    places: list[int] = []
    end = len(made_of)
    for row in reversed(came):
        place = int(row[end - 1])
        places.append(place)
        end = place
    return places[::-1]


def answer_of(text: str) -> str:
    """The number after GSM8K's mark."""
    return text.rpartition("####")[2].strip()


def one_file(folder: Path, name: str, under: str = "") -> Path:
    """The file of that name below FOLDER, perhaps gzipped, in a folder with UNDER in its name."""
    return next(path for path in sorted(folder.rglob(f"{name}*")) if under in str(path.parent))


def text_of(path: Path) -> str:
    """Its text."""
    data = path.read_bytes()
    return (gzip.decompress(data) if path.suffix == ".gz" else data).decode()


def lines(path: Path) -> list[str]:
    """The texts of a file of `{"text": …}`."""
    return [str(json.loads(line)["text"]) for line in text_of(path).split("\n") if line.strip()]


def report(sets: Sequence[Set], vectors: Vectors) -> Iterator[str]:
    """Of each kind of positives and negatives what is found; then precision and recall together."""
    yield "| " + " | ".join(["least cosine", *(f"{level:.2f}" for level in LEVELS)]) + " |"
    yield "|---" * (len(LEVELS) + 1) + "|"
    found: dict[str, list[Floats]] = {
        "in other words": [],
        "of all kinds": [],
        "in other words, one text each": [],
    }
    wrong: dict[str, list[Floats]] = {kind: [] for kind in found}
    for one in sets:
        questions, is_asked = vectors.of(one.name, one.questions), is_long(one.questions)
        cosines = questions @ questions.T
        cosines[same_texts(one.questions) | ~is_asked[:, None] | ~is_asked[None, :]] = -1
        nearest = [cosines.max(1)]
        lines = [row(f"{one.name}, nearest other question, of {len(questions)}", nearest[0])]
        if one.others:
            nearest.append((vectors.of(f"{one.name} train", one.others) @ questions.T).max(1))
            nearest[-1][~is_long(one.others)] = -1
            lines.append(row(f"{one.name}, questions of its training set, of {len(one.others)}", nearest[-1]))
        shares_texts = (nearest[0] >= LEVELS[-1]).mean() > 0.5
        kinds = {"of all kinds"}
        for made in one.rephrased:
            cosine = (vectors.of(f"{one.name} {made.name}", made.texts) * questions[made.places]).sum(1)
            cosine[~is_asked[made.places] | ~is_long(made.texts)] = -1
            yield row(f"{one.name} {made.name}, found of {len(cosine)}", cosine)
            of = {"of all kinds"} | ({made.name} & found.keys())
            if made.name in found and not shares_texts:
                of.add(f"{made.name}, one text each")
            kinds |= of
            for kind in of:
                found[kind].append(cosine)
        yield from lines
        for kind in kinds:
            wrong[kind] += nearest
    for kind, own in found.items():
        yield from together(kind, own, wrong[kind])


def same_texts(questions: Sequence[str]) -> NDArray[np.bool_]:
    """Which pairs are one question: itself, and copies of it within the set."""
    plain = np.array([" ".join(text.lower().split()) for text in questions])
    return np.asarray(plain[:, None] == plain[None, :])


def is_long(texts: Sequence[str]) -> NDArray[np.bool_]:
    """Which are looked for by meaning."""
    return np.asarray(np.diff(words_of_texts(list(texts)).bounds) >= NEAR_MIN_WORDS)


def row(name: str, cosines: Floats) -> str:
    """The share at or above each level."""
    return f"| {name} | " + " | ".join(f"{(cosines >= level).mean():.3f}" for level in LEVELS) + " |"


def together(kind: str, positives: Sequence[Floats], negatives: Sequence[Floats]) -> Iterator[str]:
    """Precision, recall and F1 with as many negatives as positives."""
    if not positives:
        return
    found, wrong = np.concatenate(positives), np.concatenate(negatives)
    yield ""
    yield (
        "| "
        + " | ".join([f"{kind}: {len(found)}, {len(wrong)}", *(f"{level:.2f}" for level in LEVELS)])
        + " |"
    )
    yield "|---" * (len(LEVELS) + 1) + "|"
    recall = np.array([(found >= level).mean() for level in LEVELS])
    false = np.array([(wrong >= level).mean() for level in LEVELS])
    precision = recall / np.maximum(recall + false, 1e-9)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-9)
    for name, values in (("recall", recall), ("precision", precision), ("F1", f1)):
        yield f"| {name} | " + " | ".join(f"{value:.3f}" for value in values) + " |"


if __name__ == "__main__":
    main()
