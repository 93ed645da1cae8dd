"""How fast `curate decontaminate` looks at a store, and how much of rephrased evaluation sets each method finds.

    python benchmarks/bench_decontamination.py sharegpt.json --against FOLDER --factor 20
    python benchmarks/bench_decontamination.py --rephrased FOLDER --encoder MODEL

The first prints MB of message text per CPU second beside a Python set of word tuples. The second wants
`data/rephrase` of llm-decontaminator (Yang et al. 2023): sets whose questions a model put into other words or
into Chinese. Row i of a rephrased file belongs to row i of the set. False positives are rephrased texts for
which an item of a set they do not belong to is found.
"""

import argparse
import csv
import gzip
import json
import random
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import make_sharegpt_corpus
import numpy as np
import pyarrow as pa

from curate.contamination.decontaminate import DecontaminateSettings, decontaminate
from curate.contamination.items import Item, read_items
from curate.contamination.search import GramIndex, Index, MeaningIndex, NearIndex, words_by_message
from curate.deciding import Caution
from curate.encoder import Encoder
from curate.ingesting.ingest import IngestSettings, ingest_files
from curate.part_texts import TextPiece
from curate.shingles import text_buffer
from store.db import Store

SUBJECTS = ("abstract_algebra", "sociology", "high_school_us_history")


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sharegpt", nargs="?", type=Path, help="a ShareGPT array, perhaps gzipped")
    parser.add_argument(
        "--against", type=Path, help="a folder of evaluation sets; made-up items if not given"
    )
    parser.add_argument("--factor", type=int, default=20)
    parser.add_argument("--rephrased", type=Path, help="llm-decontaminator's data/rephrase")
    parser.add_argument("--encoder", type=Path)
    asked = parser.parse_args()
    if asked.rephrased:
        for line in rephrased_table(asked.rephrased, asked.encoder):
            print(line)
        return
    rng = random.Random(7)
    talks = make_sharegpt_corpus.load(asked.sharegpt) if asked.sharegpt else make_sharegpt_corpus.made_up(rng)
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "corpus.json"
        make_sharegpt_corpus.write(make_sharegpt_corpus.corpus(talks, asked.factor, 7), path, is_lines=False)
        store = Store(Path(scratch) / "s.duckdb")
        ingest_files(store, "sharegpt", [path], IngestSettings())
        against = asked.against or made_up_items(Path(scratch), talks)
        speed(store, against)


def made_up_items(folder: Path, talks: list[Any]) -> Path:
    """Answers of the corpus as a set, so that something is found."""
    path = folder / "items.jsonl"
    texts = [turn["value"] for talk in talks[:50] for turn in talk["conversations"]]
    path.write_text("\n".join(json.dumps({"text": text}) for text in texts if text.strip()))
    return path


def speed(store: Store, against: Path) -> None:
    """Print MB per CPU second of each way."""
    with store.read() as reading:
        texts = [row[0] for row in reading.rows("SELECT content FROM messages")]
    size = sum(len(text.encode()) for text in texts) / 1e6
    items = list(read_items(str(against)))
    grams = {run for item in items for text in item.texts for run in runs_of(text)}
    print(
        f"{len(texts):,} messages, {size:.0f} MB of text, {len(items):,} items, {len(grams):,} runs of 13 words"
    )
    some = texts[: len(texts) // 5]
    part = sum(len(text.encode()) for text in some) / 1e6
    timed("Python set of word tuples", part, lambda: [not grams.isdisjoint(runs_of(text)) for text in some])
    dry = Caution(is_dry_run=True)
    for name, near in (("word runs", None), ("word runs and near", 0.6)):
        started = time.process_time()
        settings = DecontaminateSettings((str(against),), near=near, caution=dry)
        empty = Store(store.path.with_name("empty.duckdb"))
        with empty.write():
            pass
        decontaminate(empty, settings)
        loading = time.process_time() - started
        report = timed(
            f"curate decontaminate, {name}", size, lambda s=settings: decontaminate(store, s), less=loading
        )
        print(f"  {report.flagged:,} conversations found; reading the sets took {loading:.1f} s")


def runs_of(text: str) -> list[tuple[str, ...]]:
    """Runs of 13 words."""
    words = text.lower().split()
    return [tuple(words[i : i + 13]) for i in range(len(words) - 12)]


def timed(name: str, megabytes: float, work: Callable[[], Any], less: float = 0.0) -> Any:
    """Do WORK and print its speed."""
    started = time.process_time()
    result = work()
    print(f"{name:44} {megabytes / (time.process_time() - started - less):8.1f} MB/CPU s", flush=True)
    return result


def rephrased_table(folder: Path, encoder: Path | None) -> list[str]:
    """Recall and false positives of each method, as rows of Markdown."""
    sets = {name: questions(folder / f"{name}_test.csv") for name in SUBJECTS}
    items = [Item(name, str(i), (text,)) for name in SUBJECTS for i, text in enumerate(sets[name])]
    ways: dict[str, Index] = {
        "13-word runs": GramIndex(items, 13, 8, 10),
        "8-word runs": GramIndex(items, 8, 8, 10),
        "near, Jaccard .6": NearIndex(items, 0.6),
    }
    if encoder is not None:
        ways["embedding, cosine .8"] = MeaningIndex(items, Encoder(encoder), 0.8)
    texts: dict[str, dict[tuple[str, int], str]] = {"verbatim": {}, "rephrased": {}, "Chinese": {}}
    for name in SUBJECTS:
        texts["verbatim"] |= {(name, i): text for i, text in enumerate(sets[name])}
        for kind, pattern in (("rephrased", f"{name}_test_rephrase_*"), ("Chinese", f"{name}_test_chinese*")):
            for path in folder.glob(pattern):
                texts[kind] |= {(name, i): text for i, text in enumerate(lines(path)) if text.strip()}
    others = [text for text in lines(folder / "rephrase_gsm8k.jsonl.gz") if text.strip()]
    rows = [
        "| method | verbatim | rephrased | translated into Chinese | false positives |",
        "|---|---|---|---|---|",
    ]
    for way, index in ways.items():
        cells = [recall(index, items, known) for known in texts.values()]
        wrong = len({number for number, _ in found(index, others)})
        rows.append(f"| {way} | {' | '.join(cells)} | {wrong} of {len(others)} |")
    return rows


def questions(path: Path) -> list[str]:
    """The questions of an MMLU file, options after them."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        return ["\n".join(row[:5]) for row in csv.reader(file)]


def lines(path: Path) -> list[str]:
    """The texts of a file of `{"text": …}`."""
    data = path.read_bytes()
    text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode()
    return [str(json.loads(line)["text"]) for line in text.split("\n") if line.strip()]


def recall(index: Index, items: Sequence[Item], known: dict[tuple[str, int], str]) -> str:
    """How many of KNOWN texts are found with the set they belong to."""
    names = list(known)
    hits = {
        number
        for number, item in found(index, list(known.values()))
        if items[item].benchmark == names[number][0]
    }
    return f"{len(hits) / max(1, len(names)):.3f} of {len(names)}"


def found(index: Index, texts: list[str]) -> list[tuple[int, int]]:
    """(text, item) of everything found."""
    data, cuts = text_buffer(pa.array(texts, pa.large_string()))
    piece = TextPiece(
        np.arange(len(texts)), data, cuts, np.arange(len(texts) + 1), np.ones(len(texts), dtype=np.int64)
    )
    return [(one.conversation, one.item) for one in index.find(piece, words_by_message(piece))]


if __name__ == "__main__":
    main()
