"""Rows on their way into a trainer, on real lengths: tokenising, packing, and training packed against padded.

Run: python benchmarks/bench_rows.py [SHAREGPT_FILE] [--factor 2] [--rounds 5] [--length 2048] [--batch 8]
Tokenising: `train export sft --layout tokenized` from the store to Parquet and what `train run` does with an
export of messages, each beside `datasets.map` with TRL's own function for a row. Packing: ours, which carries a
weight for every token, beside `trl.pack_dataset` without. Training: one tiny Llama over the same rows, padded to
the longest of a batch and packed to LENGTH. Each pair is measured in turn; printed are medians with quartiles of
rates by processor time, which other processes hardly touch (training: by the clock), and of the ratio of neighbours.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ |= {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "TOKENIZERS_PARALLELISM": "false"}
os.environ |= {"HF_DATASETS_DISABLE_PROGRESS_BARS": "1"}

import make_sharegpt_corpus  # after the environment is set

VOCABULARY = 8_000


@dataclass(frozen=True)
class Corpus:
    """The same conversations in the store, as messages, as tokens, and the tokenizer of all three."""

    folder: Path
    store: Any
    tokenizer: Path
    messages: Any
    """An export of `train.checking.file_rows`."""
    n_rows: int


def main() -> None:
    """Print one line a figure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sharegpt", nargs="?", type=Path)
    for name, default in (("factor", 2), ("rounds", 5), ("length", 2048), ("batch", 8), ("steps", 12)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--talks", type=int, help="take only so many conversations")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        corpus = make_corpus(Path(folder), asked)
        time_tokenising(corpus, asked)
        rows = tokenised(corpus, asked)
        time_packing(rows, corpus, asked)
        time_training(rows, corpus, asked)


def make_corpus(folder: Path, asked: argparse.Namespace) -> Corpus:
    """A store of the conversations, a tokenizer trained on them, and their export as messages."""
    import random

    from curate.ingesting.ingest import IngestSettings, ingest_files
    from store.db import Store
    from train.checking.file_rows import open_export
    from train.exporting.export import export_store

    rng = random.Random(7)
    talks = make_sharegpt_corpus.load(asked.sharegpt) if asked.sharegpt else make_sharegpt_corpus.made_up(rng)
    talks = talks[: asked.talks]
    path, store = folder / "sharegpt.json", Store(folder / "store.duckdb")
    make_sharegpt_corpus.write(make_sharegpt_corpus.corpus(talks, asked.factor, 7), path, is_lines=False)
    ingest_files(store, "sharegpt", [path], IngestSettings())
    tokenizer = folder / "tokenizer"
    make_tokenizer(talks).save_pretrained(tokenizer)
    report = export_store(store, folder / "messages", export_settings("messages", None, asked.length))
    return Corpus(folder, store, tokenizer, open_export(folder / "messages"), report.rows)


def make_tokenizer(talks: list[dict[str, Any]]) -> Any:
    """A byte-level BPE tokenizer of the conversations' own words, with Tülu's template."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    from store.chat_template import load_template

    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=["<s>", "</s>", "<pad>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    texts = (turn["value"] or "" for talk in talks for turn in talk["conversations"])
    core.train_from_iterator(texts, trainer)
    made = PreTrainedTokenizerFast(
        tokenizer_object=core, bos_token="<s>", eos_token="</s>", pad_token="<pad>"
    )
    made.chat_template = load_template("tulu").text
    return made


def export_settings(layout: str, tokenizer: Path | None, length: int) -> Any:
    """How the recipe `sft` is written."""
    from train.exporting.export import ExportSettings
    from train.recipes.sft import SftSettings

    path = None if tokenizer is None else str(tokenizer)
    return ExportSettings(layout, "parquet", path, "tulu", length, SftSettings(), "sft")


def time_tokenising(corpus: Corpus, asked: argparse.Namespace) -> None:
    """Rows a second of the two ways that tokenise, beside a row at a time as TRL does it."""
    from datasets import Dataset
    from transformers import AutoTokenizer

    from store.chat_format import ChatFormat
    from train.exporting.export import export_store
    from train.running.prepare import prepare_rows

    tokenizer = AutoTokenizer.from_pretrained(corpus.tokenizer)
    chat = ChatFormat.load(corpus.tokenizer, "tulu")
    messages = Dataset.from_parquet([str(path) for path in corpus.messages.files])

    def as_trl_does(row: dict[str, Any]) -> dict[str, Any]:
        made = tokenizer.apply_chat_template(
            row["messages"], return_dict=True, return_assistant_tokens_mask=True, truncation=False
        )
        return {"input_ids": made["input_ids"], "assistant_masks": made["assistant_masks"]}

    def plain() -> None:
        tokens = messages.map(as_trl_does, remove_columns=messages.column_names, load_from_cache_file=False)
        tokens.to_parquet(corpus.folder / "plain.parquet")

    ours = export_settings("tokenized", corpus.tokenizer, asked.length)
    ways: dict[str, Callable[[], object]] = {
        "train export --layout tokenized": lambda: export_store(
            corpus.store, corpus.folder / "tokenized", ours, overwrite=True
        ),
        "train run, preparing messages": lambda: prepare_rows(
            corpus.messages, chat, asked.length, corpus.folder / "prepared.arrow"
        ),
        "datasets.map and apply_chat_template": plain,
    }
    tell_rates(f"tokenising {corpus.n_rows:,} conversations", ways, corpus.n_rows, asked.rounds)


def tokenised(corpus: Corpus, asked: argparse.Namespace) -> Any:
    """The rows as `train run` hands them to its trainer."""
    from datasets import Dataset

    from store.chat_format import ChatFormat
    from train.running.prepare import prepare_rows

    path = corpus.folder / "rows.arrow"
    prepare_rows(corpus.messages, ChatFormat.load(corpus.tokenizer, "tulu"), asked.length, path)
    return Dataset.from_file(str(path))


def time_packing(rows: Any, corpus: Corpus, asked: argparse.Namespace) -> None:
    """Rows a second of packing with weights, and TRL's without."""
    from trl import pack_dataset

    from train.trainers.weighted import pack

    bare = rows.select_columns(["input_ids", "labels"])
    ways: dict[str, Callable[[], object]] = {
        "packing, weights beside the tokens": lambda: pack(rows, asked.length),
        "trl.pack_dataset, tokens and labels": lambda: pack_dataset(bare, asked.length, "bfd"),
    }
    tell_rates(f"packing {len(rows):,} rows to {asked.length}", ways, len(rows), asked.rounds)


def time_training(rows: Any, corpus: Corpus, asked: argparse.Namespace) -> None:
    """Tokens a second of one trainer over padded and over packed rows, in turn, about as many tokens a step."""
    import torch
    from bench_trainers import taken
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    from train.running.run_settings import RunSettings
    from train.trainers.weighted import make_trainer, pack

    tokenizer = AutoTokenizer.from_pretrained(corpus.tokenizer)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=asked.length,
        pad_token_id=tokenizer.pad_token_id,
    )
    lengths = [len(ids) for ids in rows["input_ids"]]
    packed = pack(rows, asked.length)
    per_row = sum(lengths) / len(packed)
    together = max(1, round(asked.batch * statistics.mean(lengths) / per_row))

    def trainer(name: str, *, packing: bool) -> Any:
        settings = RunSettings(
            "",
            "",
            steps=asked.steps,
            batch_size=together if packing else asked.batch,
            accumulation=1,
            packing=packing,
            max_length=asked.length,
            log_every=10**6,
        )
        return make_trainer(LlamaForCausalLM(config), tokenizer, rows, settings, corpus.folder / name)

    padded_steps, packed_steps = (
        taken(trainer("padded", packing=False)),
        taken(trainer("packed", packing=True)),
    )
    pairs = [(next(padded_steps), next(packed_steps)) for _ in range(asked.steps + 2)][2:]
    print(
        f"{len(rows):,} rows of {statistics.median(lengths):,.0f} tokens at the median are {len(packed):,} packed"
        f" ones; padding is {padding_of_batches(lengths, asked.batch):.1%} of a batch of {asked.batch} rows drawn"
        f" by chance, and {1 - per_row / asked.length:.1%} of packed rows is left empty",
        flush=True,
    )
    for place, name in ((0, "padded"), (1, "packed")):
        tell(f"{name} tokens/s", [pair[place][1] / pair[place][0] for pair in pairs], ",.0f")
    tell("packed over padded", [two[1] / two[0] / (one[1] / one[0]) for one, two in pairs], ".2f")


def padding_of_batches(lengths: list[int], batch: int) -> float:
    """The share of padding where rows are put together by chance."""
    import random

    order = random.Random(0).sample(lengths, len(lengths))
    batches = [order[start : start + batch] for start in range(0, len(order), batch)]
    slots = sum(max(one) * len(one) for one in batches)
    return 1 - sum(lengths) / slots


def tell_rates(title: str, ways: dict[str, Callable[[], object]], n_rows: int, rounds: int) -> None:
    """Rows a second of each way, in turn, by processor time and by the clock; the last is what the others beat."""
    spent: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, work in ways.items():
            started, used = time.perf_counter(), time.process_time()
            work()
            spent[name].append((time.process_time() - used, time.perf_counter() - started))
    print(f"{title}:", flush=True)
    *_, last = ways
    for name, times in spent.items():
        tell(f"  {name}, rows per CPU second", [n_rows / cpu for cpu, _ in times], ",.0f")
        if name != last:
            ratios = [other[0] / one[0] for one, other in zip(times, spent[last], strict=True)]
            tell(f"  … over {last}", ratios, ".2f")


def tell(name: str, values: list[float], form: str) -> None:
    """Print the median and the quartiles."""
    low, middle, high = statistics.quantiles(values, n=4) if len(values) > 1 else values * 3
    print(f"{name}: {middle:{form}} ({low:{form}} to {high:{form}})", flush=True)


if __name__ == "__main__":
    main()
