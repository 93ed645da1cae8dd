"""How fast `curate dedup --near` goes through a store and how many of the near duplicates it finds, in one run
beside datasketch and beside the bare path that it is made of.

    python benchmarks/bench_duplicates.py sharegpt.json --factor 50

Printed are MB of message text per CPU second, all threads. Recall is over all pairs of copies of one
conversation, whose exact Jaccard index is computed from Python sets of word tuples.

    python benchmarks/bench_duplicates.py --crowded 4000

prints recall among so many texts of one template, which share bands with nearly all others: pairs that are nearly the
same among pairs that have the template in common only.
"""

import argparse
import itertools
import random
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import make_sharegpt_corpus
import numpy as np
import pyarrow as pa

from curate.deciding import Caution
from curate.duplicates import banding
from curate.duplicates.dedup import DedupSettings, counts, dedup
from curate.duplicates.near import N_BANDS, Near, band_hashes, min_hashes
from curate.ingesting.ingest import IngestSettings, ingest_files
from curate.shingles import grams_of, jaccard, text_buffer, words_of
from store.db import Store

PIECE = 150
WORD = re.compile(r"[　-鿿]|[0-9A-Za-z\u0080-⿿ꀀ-\U0010ffff]+")
"""A word as `curate.shingles` sees it."""
LEVELS = (0.7, 0.8, 0.9)
DATASKETCH_TEXTS = 400


def rate(name: str, megabytes: float, work: Callable[[], Any]) -> Any:
    """Do WORK, print its speed, give its result."""
    started = time.process_time()
    result = work()
    spent = time.process_time() - started
    print(f"{name:52} {megabytes / spent:8.1f} MB/CPU s", flush=True)
    return result


def texts_of(store: Store) -> dict[str, str]:
    """External id → text of each conversation."""
    with store.read() as reading:
        rows = reading.rows(
            "SELECT external_id, string_agg(content, chr(10) ORDER BY position) FROM (SELECT external_id,"
            " unnest(message_ids) AS message_id, generate_subscripts(message_ids, 1) AS position FROM conversations)"
            " JOIN messages USING (message_id) GROUP BY external_id"
        )
    return dict(rows)


def bare(texts: list[str]) -> None:
    """Shingles by NumPy, sketches by rensa, bands; no store, nothing verified."""
    for start in range(0, len(texts), PIECE):
        data, cuts = text_buffer(pa.array(texts[start : start + PIECE], pa.large_string()))
        grams = grams_of(words_of(data, cuts, np.arange(len(cuts))), 5)
        band_hashes(min_hashes(grams.hashes, grams.bounds))


def rensa_on_sets(texts: list[str]) -> None:
    """Rensa as its page shows it."""
    from rensa import RMinHash

    for text in texts:
        words = text.lower().split()
        one = RMinHash(num_perm=128, seed=42)
        one.update([" ".join(words[i : i + 5]) for i in range(max(1, len(words) - 4))])


def by_datasketch(texts: list[str]) -> None:
    """Datasketch at its best: a batch of bytes at a time, and its own index."""
    from datasketch import MinHash, MinHashLSH

    index = MinHashLSH(threshold=0.8, num_perm=128)
    for number, text in enumerate(texts):
        words = text.lower().split()
        one = MinHash(num_perm=128)
        one.update_batch([" ".join(words[i : i + 5]).encode() for i in range(max(1, len(words) - 4))])
        index.query(one)
        index.insert(number, one)


def exact_pairs(texts: dict[str, str], least: float) -> Iterator[tuple[str, str, float]]:
    """Pairs of copies of one conversation with their exact Jaccard index."""
    families: dict[str, list[str]] = {}
    for name in texts:
        families.setdefault(re.sub(r"-c\d+(-exact|-near)?$", "", name), []).append(name)
    for names in families.values():
        sets = {name: _word_tuples(texts[name]) for name in names}
        for one, other in itertools.combinations(names, 2):
            common = len(sets[one] & sets[other])
            score = common / max(1, len(sets[one]) + len(sets[other]) - common)
            if score >= least:
                yield one, other, score


def _word_tuples(text: str) -> set[tuple[str, ...]]:
    words = [word.lower() if word.isascii() else word for word in WORD.findall(text)]
    return {tuple(words[i : i + 5]) for i in range(max(1, len(words) - 4))} if words else set()


def found_pairs(store: Store) -> set[frozenset[str]]:
    """Pairs of conversations that were compared and reached the threshold, or have the same text."""
    with store.read() as reading:
        rows = reading.rows(
            "WITH named AS (SELECT external_id, text_hash FROM sketches JOIN conversations USING (conversation_id))"
            " SELECT a.external_id, b.external_id FROM compared_texts JOIN named AS a ON a.text_hash = text_hash_a"
            " JOIN named AS b ON b.text_hash = text_hash_b WHERE score >= ?"
            " UNION SELECT a.external_id, b.external_id FROM named AS a JOIN named AS b USING (text_hash)"
            " WHERE a.external_id < b.external_id",
            [LEVELS[0]],
        )
    return {frozenset(row) for row in rows}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sharegpt", nargs="?", type=Path, help="a ShareGPT array, perhaps gzipped")
    parser.add_argument("--factor", type=int, default=20)
    parser.add_argument("--crowded", type=int, metavar="N", help="recall among N texts of one template")
    asked = parser.parse_args()
    if asked.crowded:
        crowded(asked.crowded)
        return
    rng = random.Random(7)
    talks = make_sharegpt_corpus.load(asked.sharegpt) if asked.sharegpt else make_sharegpt_corpus.made_up(rng)
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "corpus.json"
        make_sharegpt_corpus.write(make_sharegpt_corpus.corpus(talks, asked.factor, 7), path, is_lines=False)
        store = Store(Path(scratch) / "s.duckdb")
        ingest_files(store, "sharegpt", [path], IngestSettings())
        measure(store)


def of_one_template(n_texts: int, n_own: int, rng: random.Random) -> list[str]:
    """Texts of 200 words of which N_OWN are their own; every second one repeats the one before but for three."""
    frame = [f"frame{i}" for i in range(200 - n_own)]
    texts = []
    for i in range(n_texts // 2):
        own = [f"own{i}x{k}" for k in range(n_own)]
        changed = list(own)
        for place in rng.sample(range(n_own), 3):
            changed[place] = f"other{place}"
        texts += [" ".join([*frame, *own]), " ".join([*frame, *changed])]
    rng.shuffle(texts)
    return texts


def crowded(n_texts: int) -> None:
    """Print how many of the nearly equal pairs are proposed, for templates of two lengths."""
    print(
        "| template | Jaccard index of others | pairs at .8 | proposed of them | proposed | left out, at most |"
    )
    print("|---|---|---|---|---|---|")
    for n_own in (40, 24):
        texts = of_one_template(n_texts, n_own, random.Random(7))
        data, cuts = text_buffer(pa.array(texts, pa.large_string()))
        grams = grams_of(words_of(data, cuts, np.arange(len(cuts))), 5)
        bands = band_hashes(min_hashes(grams.hashes, grams.bounds))
        places: dict[str, list[int]] = {}
        for place, text in enumerate(texts):
            own = next(word for word in text.split() if word.startswith("own"))
            places.setdefault(own.partition("x")[0], []).append(place)
        twins = [(a, b) for a, b in places.values() if jaccard(grams.of(a), grams.of(b)) >= 0.8]
        codes = np.array([a * n_texts + b for a, b in twins])
        others = np.mean([jaccard(grams.of(0), grams.of(i)) for i in range(1, 50)])
        crowds, found, n_proposed = banding.Crowds(), np.zeros(len(codes), dtype=bool), 0
        for band in range(N_BANDS):
            for some in banding.sharing(bands, band, crowds):
                n_proposed += len(some)
                found |= np.isin(codes, some[:, 0] * n_texts + some[:, 1])
        print(
            f"| {200 - n_own} of 200 words | {others:.2f} | {len(codes):,} | {found.mean():.3f} |"
            f" {n_proposed:,} | {crowds.left_out:,} |",
            flush=True,
        )


def measure(store: Store) -> None:
    """Print every line."""
    texts = texts_of(store)
    listed = list(texts.values())
    size = sum(len(text.encode()) for text in listed) / 1e6
    print(f"{len(texts):,} conversations, {size:.0f} MB of text")
    some = listed[:DATASKETCH_TEXTS]
    part = sum(len(text.encode()) for text in some) / 1e6
    bare(some)  # tables are made
    rate("datasketch, 128 hashes and its index", part, lambda: by_datasketch(some))
    rate("rensa on Python sets", part, lambda: rensa_on_sets(some))
    rate("bare path: NumPy shingles, rensa, bands", size, lambda: bare(listed))
    sure = Caution(is_sure=True)
    settings = DedupSettings(Near(LEVELS[0]), caution=sure)
    report = rate("curate dedup --near: store to verified decisions", size, lambda: dedup(store, settings))
    rate("curate dedup --near again, sketches in the store", size, lambda: dedup(store, settings))
    rate(
        "curate dedup --exact",
        size,
        lambda: dedup(store, DedupSettings(_exact(), caution=Caution(is_dry_run=True))),
    )
    found = counts(report)
    print({name: found[name] for name in ("seen", "kept", "dropped", "reasons", "pairs")})
    hits = found_pairs(store)
    real = list(exact_pairs(texts, LEVELS[0]))
    for level in LEVELS:
        wanted = [frozenset(pair[:2]) for pair in real if pair[2] >= level]
        share = sum(pair in hits for pair in wanted) / max(1, len(wanted))
        print(f"recall at a Jaccard index of {level} and more: {share:.4f} of {len(wanted):,} pairs")
    known = {frozenset(pair[:2]) for pair in real}
    print(f"reported pairs of one conversation's copies below {LEVELS[0]}: {_wrong(hits, known)}")


def _exact() -> Any:
    from curate.duplicates.exact import Exact

    return Exact()


def _wrong(hits: set[frozenset[str]], known: set[frozenset[str]]) -> int:
    base = re.compile(r"-c\d+(-exact|-near)?$")
    same = [pair for pair in hits if len({base.sub("", name) for name in pair}) == 1]
    return sum(pair not in known for pair in same)


if __name__ == "__main__":
    main()
