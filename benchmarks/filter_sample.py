"""A sample of real messages for labelling by a person, and how filters do on it.

    python benchmarks/filter_sample.py show DATA [FIRST LAST]   the sample, to be read and labelled
    python benchmarks/filter_sample.py measure DATA             precision and recall from filter_labels.json
    python benchmarks/filter_sample.py mistakes DATA FILTER     where the filter and the labels differ

DATA is the folder of shared data. The sample is drawn by cheap clues that are not the filters' own, each
message in the first stratum whose clue it has, by the order of their ids (which are hashes). The labels hold
ids only, no text: they were given by reading, before the filters' verdicts were looked at. After the filters
had been corrected by their mistakes on it, some messages outside the sample were checked (`held_out`).
"""

import json
import re
import sys
import tempfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from curate.filter import FILTERS, Filter
from curate.ingesting.ingest import IngestSettings, ingest_files
from store.db import Store
from store.ids import to_text

FILES = (
    "conversations/derived/sharegpt92k_stripped.json",
    "conversations/derived/sharegpt_labeled_from_outputs.json.gz",
    "conversations/sharegpt_mnbvc/sample_file/vicuna_sample_230629.json",
    "preferences/medicalgpt_dpo/data/sft/sharegpt_zh_1K_format.jsonl.gz",
)
LABELS = Path(__file__).parent / "filter_labels.json"
DECLINING = re.compile(r"sorry|apolog|unable|cannot|can't|as an ai|无法|抱歉", re.IGNORECASE)
CONTACT = re.compile(
    r"[\w.]{2,}@[\w-]+\.\w{2,}|\+\d{1,3}[ .-]\d|\(\d{3}\) ?\d{3}|\b\d{3}[-.]\d{3}[-.]\d{4}\b|"
    r"\b\d{4}[ -]\d{4}[ -]\d{4}\b"
)
KEY = re.compile(
    r"(?:api[_-]?key|secret|token|passw(?:or)?d)\W{1,5}[\w-]{12,}|PRIVATE KEY|\bsk-\w|AKIA|://\w+:\w+@",
    re.IGNORECASE,
)
TEMPLATE = re.compile(r"<\||\[/?INST|</?s>|<</?SYS|### ?(?:Human|Assistant|Instruction)|_of_turn>")
NUMBERS = re.compile(r"\d[\d .()-]{7,}\d")


@dataclass(frozen=True, slots=True)
class Sampled:
    """One message to be labelled."""

    message: str
    role: str
    content: str
    before: str
    stratum: str


def _ratio(text: str) -> float:
    raw = text.encode()
    return len(raw) / len(zlib.compress(raw, 1))


def _foreign(text: str) -> bool:
    return sum(not char.isascii() for char in text[:500]) > 0.1 * min(500, len(text))


STRATA: dict[str, tuple[int, Callable[[str, str], bool]]] = {
    "damaged": (20, lambda _, text: re.search("[\ufffd\x01-\x08\x0b-\x0c\x0e-\x1f]|â€|Ã©", text) is not None),
    "contact": (50, lambda _, text: CONTACT.search(text) is not None),
    "key": (20, lambda _, text: KEY.search(text) is not None),
    "template": (15, lambda _, text: TEMPLATE.search(text) is not None),
    "looping": (15, lambda role, text: role == "assistant" and len(text) >= 200 and _ratio(text) >= 6),
    "fence first": (15, lambda role, text: role == "assistant" and text.lstrip().startswith("```")),
    "personal": (45, lambda _, text: "@" in text or NUMBERS.search(text) is not None),
    "declining": (50, lambda role, text: role == "assistant" and DECLINING.search(text[:400]) is not None),
    "open end": (
        50,
        lambda role, text: role == "assistant" and len(text) >= 100 and text.rstrip()[-1:].isalnum(),
    ),
    "compressible": (30, lambda role, text: role == "assistant" and len(text) >= 200 and _ratio(text) >= 3),
    "fenced": (30, lambda role, text: role == "assistant" and "```" in text),
    "foreign": (25, lambda _, text: _foreign(text)),
    "short": (15, lambda role, text: role == "assistant" and len(text) < 40),
    "rest": (60, lambda role, _: role == "assistant"),
}
"""Stratum → how many messages, and the clue."""


def messages(data: Path) -> Iterator[tuple[str, str, str, str]]:
    """(id, role, content, content of the message before) of every message, by id."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "s.duckdb")
        ingest_files(store, "sharegpt", [data / name for name in FILES], IngestSettings())
        with store.read() as reading:
            rows = reading.rows(
                "SELECT CAST(here.message_id AS VARCHAR), here.role, here.content, coalesce(above.content, '')"
                " FROM messages AS here LEFT JOIN messages AS above ON above.message_id = here.parent_id"
                " ORDER BY here.message_id"
            )
    yield from rows


def draw(data: Path) -> tuple[list[Sampled], Counter[str]]:
    """The sample, and how many messages each stratum has."""
    sizes: Counter[str] = Counter()
    sample: list[Sampled] = []
    for message, role, content, before in messages(data):
        for name, (wanted, has_clue) in STRATA.items():
            if has_clue(role, content):
                sizes[name] += 1
                if sizes[name] <= wanted:
                    sample.append(Sampled(to_text("m1", message), role, content, before, name))
                break
    order = list(STRATA)
    return sorted(sample, key=lambda one: (order.index(one.stratum), one.message)), sizes


def show(data: Path, first: int, last: int) -> None:
    """Print what a person needs to label."""
    sample, _ = draw(data)
    for i, one in enumerate(sample[first:last], start=first):
        text = one.content.replace("\n", "⏎")
        shown = text if len(text) <= 420 else f"{text[:230]} […] {text[-170:]}"
        print(f"#{i} {one.stratum} {one.role} {len(text)} <{one.before[-70:]!r}> {shown}")
        if one.stratum == "personal":
            for match in re.finditer(r".{0,25}(?:\S*@\S+|\d[\d .()-]{7,}\d).{0,15}", one.content):
                print("     ~", match[0][:110])
        if one.stratum == "compressible":
            print("     ~", round(_ratio(one.content), 1), text[400:700])


def stratum_of(role: str, content: str) -> str | None:
    """The first stratum whose clue a message has."""
    return next((name for name, (_, has_clue) in STRATA.items() if has_clue(role, content)), None)


@dataclass(frozen=True, slots=True)
class Measured:
    """How a filter does on the labelled messages; weighted figures stand for all messages."""

    name: str
    labelled: int
    found: int
    right: int
    precision: float | None
    recall: float | None
    weighted_precision: float | None
    weighted_recall: float | None


def measure(data: Path) -> list[Measured]:
    """Precision and recall of every filter that judges messages; `truncated` without its prompts to go on."""
    labels: dict[str, list[str]] = labels_of("sample")
    sizes: Counter[str] = Counter()
    rows = []
    for message, role, content, _ in messages(data):
        stratum = stratum_of(role, content)
        if stratum is not None:
            sizes[stratum] += 1
        if to_text("m1", message) in labels:
            rows.append((to_text("m1", message), role, content, str(stratum)))
    sampled = Counter(row[3] for row in rows)
    texts = pl.DataFrame(
        {
            "row": range(len(rows)),
            "role": [row[1] for row in rows],
            "content": [row[2] for row in rows],
        },
        schema={"row": pl.Int64, "role": pl.String, "content": pl.String},
    )
    weights = [sizes[row[3]] / sampled[row[3]] for row in rows]
    return [measured_one(name, texts, [labels[row[0]] for row in rows], weights) for name in FILTERS_MEASURED]


FILTERS_MEASURED = (
    "refusal",
    "truncated",
    "repetition",
    "code-only",
    "language",
    "pii",
    "encoding",
    "control-tokens",
)


def labels_of(part: str) -> Any:
    """One part of the labels: `sample`, message → what it is (`?` where unsure); `held_out`, filter → right or not."""
    return json.loads(LABELS.read_text(encoding="utf-8"))[part]


def held_out(data: Path) -> dict[str, tuple[int, int]]:
    """Filter → (found, right) among messages outside the sample that a person checked after the filters were done.

    Only those that the filter still finds count.
    """
    given: dict[str, dict[str, bool]] = labels_of("held_out")
    wanted = {message for checked in given.values() for message in checked}
    rows = [(to_text("m1", row[0]), *row[1:3]) for row in messages(data) if to_text("m1", row[0]) in wanted]
    texts = pl.DataFrame(
        {
            "row": range(len(rows)),
            "role": [role for _, role, _ in rows],
            "content": [content for _, _, content in rows],
        },
        schema={"row": pl.Int64, "role": pl.String, "content": pl.String},
    )
    counts = {}
    for name, checked in given.items():
        rule = FILTERS.load(name)()
        assert isinstance(rule, Filter)
        noticed = rule.notice(texts)
        assert noticed is not None
        said = noticed.filter(~pl.col("label").is_in(["en", "continue"])).get_column("row").to_list()
        found = [rows[i][0] for i in said if rows[i][0] in checked]
        counts[name] = (len(found), sum(checked[message] for message in found))
    return counts


def measured_one(name: str, texts: pl.DataFrame, labels: list[list[str]], weights: list[float]) -> Measured:
    """One filter, with its default options; what a person was not sure of does not count."""
    rule = FILTERS.load(name)()
    assert isinstance(rule, Filter)
    noticed = rule.notice(texts)
    assert noticed is not None
    if name == "language":
        noticed = noticed.filter(pl.col("label") != "en")
    if name == "truncated":
        noticed = noticed.filter(pl.col("label") != "continue")
    found = set(noticed.get_column("row").to_list())
    sure = [i for i, given in enumerate(labels) if f"?{name}" not in given]
    true = {i for i in sure if any(one.split(":")[0] == name for one in labels[i])}
    said = found & set(sure)
    right = true & said

    def ratio(part: set[int], whole: set[int], by: list[float]) -> float | None:
        total = sum(by[i] for i in whole)
        return sum(by[i] for i in part) / total if total else None

    ones = [1.0] * len(labels)
    return Measured(
        name,
        len(true),
        len(said),
        len(right),
        ratio(right, said, ones),
        ratio(right, true, ones),
        ratio(right, said, weights),
        ratio(right, true, weights),
    )


def mistakes(data: Path, name: str) -> None:
    """Print what a filter found in vain and what it missed."""
    labels: dict[str, list[str]] = labels_of("sample")
    rule = FILTERS.load(name)()
    assert isinstance(rule, Filter)
    for message, role, content, _ in messages(data):
        given = labels.get(to_text("m1", message))
        if given is None or f"?{name}" in given:
            continue
        texts = pl.DataFrame({"row": [0], "role": [role], "content": [content]})
        noticed = rule.notice(texts)
        said = noticed is not None and noticed.filter(~pl.col("label").is_in(["en", "continue"])).height > 0
        if said != any(one.split(":")[0] == name for one in given):
            text = content.replace("\n", "⏎")
            print("in vain" if said else "missed ", role, len(text), text[:150], "[…]", text[-150:])


def main() -> None:
    """Do what the command line says."""
    action, data, *rest = sys.argv[1:]
    if action == "show":
        show(Path(data), *([int(number) for number in rest] or [0, 10_000]))
    elif action == "mistakes":
        mistakes(Path(data), rest[0])
    else:
        for one in measure(Path(data)):
            shares = (one.precision, one.recall, one.weighted_precision, one.weighted_recall)
            words = "  ".join("–" if share is None else f"{share:.2f}" for share in shares)
            print(
                f"{one.name:15} labelled {one.labelled:3}  found {one.found:3}  right {one.right:3}  {words}"
            )
        for name, (found, right) in held_out(Path(data)).items():
            print(f"{name:15} outside the sample: found {found:3}  right {right:3}")


if __name__ == "__main__":
    main()
