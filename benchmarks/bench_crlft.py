"""Time of a C-RLFT optimizer step over that of TRL's plain SFT trainer, on the same rows.

Run: python benchmarks/bench_crlft.py [--steps 40] [--batch 4] [--accumulation 2] [--length 256]
Both trainers take their steps in turn in one process, so the machine's mood meets both alike; each step
goes through the trainer's own data loader, collator and loss. The figures are medians of the ratios of
neighbouring steps, with their quartiles, once by the clock and once by processor time, which other
processes hardly touch; the target is 1.03 at most.
"""

import argparse
import os
import random
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ |= {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "TOKENIZERS_PARALLELISM": "false"}

VOCABULARY = 8_000
ROWS = 512
TARGET = 1.03


def main() -> None:
    """Print the ratio of the two step times."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name, default in (("steps", 40), ("batch", 4), ("accumulation", 2), ("length", 256)):
        parser.add_argument(f"--{name}", type=int, default=default)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        ours, plain = trainers(Path(folder), asked)
        print_ratio(
            times(ours, asked.steps, asked.accumulation), times(plain, asked.steps, asked.accumulation)
        )


def trainers(folder: Path, asked: argparse.Namespace) -> tuple[Any, Any]:
    """Our trainer and TRL's over the same rows and the same weights."""
    from trl import SFTTrainer

    from train.running.run_settings import RunSettings
    from train.trainers.weighted import WeightedSFTTrainer, arguments

    settings = RunSettings("", "", steps=asked.steps, batch_size=asked.batch, accumulation=asked.accumulation)
    rows, tokenizer = make_rows(asked.length), make_tokenizer()
    args = arguments(settings, folder)
    ours = WeightedSFTTrainer(make_model(), args, train_dataset=rows, processing_class=tokenizer)
    unweighted = rows.select_columns(["input_ids", "labels"])
    plain = SFTTrainer(
        make_model(), arguments(settings, folder), train_dataset=unweighted, processing_class=tokenizer
    )
    return ours, plain


def make_rows(length: int) -> Any:
    """Rows of half to full LENGTH, the second half of each trained on, weights 1.0 and 0.1."""
    from datasets import Dataset

    draw = random.Random(0)
    rows: dict[str, list[Any]] = {"input_ids": [], "labels": [], "loss_weights": []}
    for number in range(ROWS):
        ids = [draw.randrange(3, VOCABULARY) for _ in range(draw.randint(length // 2, length))]
        half, weight = len(ids) // 2, 1.0 if number % 11 == 0 else 0.1
        rows["input_ids"].append(ids)
        rows["labels"].append([-100] * half + ids[half:])
        rows["loss_weights"].append([0.0] * half + [weight] * (len(ids) - half))
    return Dataset.from_dict(rows)


def make_tokenizer() -> Any:
    """The least tokenizer a trainer accepts; the rows are tokens already."""
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    core = Tokenizer(models.WordLevel({"<s>": 0, "</s>": 1, "<pad>": 2}, unk_token="</s>"))
    return PreTrainedTokenizerFast(
        tokenizer_object=core, bos_token="<s>", eos_token="</s>", pad_token="<pad>"
    )


def make_model() -> Any:
    """A Llama of 12 million parameters with fresh weights."""
    from transformers import LlamaConfig, LlamaForCausalLM, set_seed

    set_seed(0)
    shape = {"hidden_size": 384, "intermediate_size": 1024, "num_hidden_layers": 4, "num_attention_heads": 6}
    return LlamaForCausalLM(LlamaConfig(vocab_size=VOCABULARY, bos_token_id=0, eos_token_id=1, **shape))


Times = Iterator[tuple[float, float]]
"""(seconds by the clock, seconds of processor time) of one step after another."""


def times(trainer: Any, steps: int, accumulation: int) -> Times:
    """What one optimizer step after another takes; the first one warms up."""
    optimizer = trainer.create_optimizer()
    batches = endless(trainer)
    trainer.current_gradient_accumulation_steps = accumulation
    for _ in range(steps + 1):
        started = time.perf_counter(), time.process_time()
        micro_batches, total = trainer.get_batch_samples(batches, accumulation, trainer.args.device)
        for inputs in micro_batches:
            trainer.training_step(trainer.model, inputs, total)
        optimizer.step()
        optimizer.zero_grad()
        yield time.perf_counter() - started[0], time.process_time() - started[1]


def endless(trainer: Any) -> Iterator[Any]:
    """The trainer's own batches, over and over."""
    while True:
        yield from trainer.get_train_dataloader()


def print_ratio(ours: Times, plain: Times) -> None:
    """Take steps in turn and print what ours cost over the plain ones."""
    pairs = list(zip(ours, plain, strict=True))[1:]
    for number, name in enumerate(("by the clock", "by processor time")):
        ratios = [one[number] / other[number] for one, other in pairs]
        low, median, high = statistics.quantiles(ratios, n=4)
        step = statistics.median(other[number] for _, other in pairs)
        print(
            f"C-RLFT step over plain SFT step, {name}: {median:.3f} (quartiles {low:.3f}–{high:.3f});",
            end=" ",
        )
        print(f"plain step {step * 1000:.0f} ms, {len(pairs)} of each, target ≤ {TARGET}")


if __name__ == "__main__":
    main()
