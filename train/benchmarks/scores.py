"""How an answer to a benchmark's question is scored, 0 to 1; the functions take what lm-eval hands them."""

import math
import re
import string
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from train.benchmarks.run_code import passes

Score = Callable[[Mapping[str, Any], Sequence[Any]], float]

_NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?")
_STATED = re.compile(r"answer is:?\s*(.+?)\.?\s*(?:\n|$)", re.IGNORECASE)
_OPTION = re.compile(r"\(([A-Z])\)")


def last_number(row: Mapping[str, Any], answers: Sequence[Any]) -> float:
    """Whether the last number said is the one after #### (GSM8K)."""
    said = _NUMBER.findall(_only(answers))
    meant = _NUMBER.findall(row["answer"].rpartition("####")[2])
    return float(bool(said) and _value(said[-1]) == _value(meant[-1]))


def _value(number: str) -> float:
    return float(number.replace(",", ""))


def stated_answer(row: Mapping[str, Any], answers: Sequence[Any]) -> float:
    """Whether what follows `answer is`, or else the first line, is the target (BBH)."""
    text = _only(answers).strip()
    stated = _STATED.search(text)
    said = stated.group(1) if stated else text.partition("\n")[0]
    return float(_bare(said) == _bare(row["target"]))


def _bare(text: str) -> str:
    option = _OPTION.search(text)
    return option.group(1) if option else text.strip().rstrip(".").lower()


def word_overlap(row: Mapping[str, Any], answers: Sequence[Any]) -> float:
    """F1 over words, against the nearest of the given answers (SQuAD's measure, TydiQA)."""
    said = _words(_only(answers))
    return max(_f1(said, _words(answer)) for answer in row["answers"])


def _words(text: str) -> list[str]:
    lowered = text.lower().translate(str.maketrans("", "", string.punctuation))
    return [word for word in lowered.split() if word not in ("a", "an", "the")]


def _f1(said: list[str], meant: list[str]) -> float:
    if not said or not meant:
        return float(said == meant)
    common = (Counter(said) & Counter(meant)).total()
    return 2 * common / (len(said) + len(meant))


def likeliest(row: Mapping[str, Any], chances: Sequence[Any]) -> float:
    """Whether the choice of the highest log-likelihood is right."""
    return float(_highest([chance[0] for chance in chances]) == row["answer"])


def likeliest_by_length(row: Mapping[str, Any], chances: Sequence[Any]) -> float:
    """The same, log-likelihoods divided by characters (ARC)."""
    values = [chance[0] / max(1, len(choice)) for chance, choice in zip(chances, row["choices"], strict=True)]
    return float(_highest(values) == row["answer"])


def _highest(values: Sequence[float]) -> int:
    return max(range(len(values)), key=values.__getitem__)


def share_of_the_true(row: Mapping[str, Any], chances: Sequence[Any]) -> float:
    """What of the choices' probability goes to the true ones (TruthfulQA, MC2)."""
    top = max(chance[0] for chance in chances)
    weights = [math.exp(chance[0] - top) for chance in chances]
    return sum(weights[: row["n_true"]]) / sum(weights)


def pass_rate(row: Mapping[str, Any], answers: Sequence[Any]) -> float:
    """The share of completions that pass their tests (pass@1)."""
    return pass_at(1, row, answers)


def pass_at_10(row: Mapping[str, Any], answers: Sequence[Any]) -> float:
    """The chance that one of ten completions passes."""
    return pass_at(10, row, answers)


def pass_at(k: int, row: Mapping[str, Any], answers: Sequence[Any]) -> float:
    """Chen et al. 2021, section 2.1: unbiased from n completions of which c pass."""
    completions = answers[0]
    n, c = len(completions), sum(passes(program_of(row, text)) for text in completions)
    return 1.0 - math.comb(n - c, min(k, n)) / math.comb(n, min(k, n))


def program_of(row: Mapping[str, Any], completion: str) -> str:
    """A completion with its tests, of HumanEval's or of MBPP's form."""
    if "entry_point" in row:
        return f"{row['prompt']}{completion}\n\n{row['test']}\n\ncheck({row['entry_point']})\n"
    return "\n".join([row["setup"], completion, *row["test_list"], ""])


def _only(answers: Sequence[Any]) -> str:
    """The one completion of a question that is answered once."""
    return str(answers[0][0])


SCORES: dict[str, Score] = {
    score.__name__: score
    for score in (
        last_number,
        likeliest,
        likeliest_by_length,
        pass_at_10,
        pass_rate,
        share_of_the_true,
        stated_answer,
        word_overlap,
    )
}
"""Name in a benchmark's YAML file → what scores."""
