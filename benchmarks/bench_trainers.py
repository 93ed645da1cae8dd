"""Speed and memory of the trainers on one device: C-RLFT beside TRL's plain SFT, a reward model, and DPO.

Run: python benchmarks/bench_trainers.py [--size 1b|tiny] [--steps 10] [--batch 4] [--length 2048]
Weights are random and rows are random tokens, all of one length: on a GPU the first step of every new length
compiles kernels, which whoever comes first would pay for. Each trainer takes its steps through its own data
loader, collator, loss and optimizer; C-RLFT and plain SFT take theirs in turn and are in memory together. Model
FLOP utilisation counts 6 FLOPs for each parameter and token (8 with DPO's reference) against the device's dense
bfloat16 peak, where that is known.
"""

import argparse
import gc
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ |= {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "TOKENIZERS_PARALLELISM": "false"}

VOCABULARY = 32_000
ROWS = 64
PEAK_FLOPS = {"H100": 989e12, "H200": 989e12, "A100": 312e12}
"""Dense bfloat16 peak of a device, by a part of its name."""

SHAPES = {
    "1b": {
        "hidden_size": 2048,
        "intermediate_size": 8192,
        "num_hidden_layers": 16,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
    },
    "tiny": {
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
    },
}


@dataclass(frozen=True)
class Asked:
    """What the user chose."""

    size: str
    steps: int
    batch: int
    length: int


@dataclass(frozen=True)
class Speed:
    """What the steps of one trainer took."""

    seconds: list[float]
    tokens: list[int]
    peak_bytes: int


def main() -> None:
    """Print one line a trainer."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", choices=sorted(SHAPES), default="1b")
    for name, default in (("steps", 10), ("batch", 4), ("length", 2048)):
        parser.add_argument(f"--{name}", type=int, default=default)
    asked = Asked(**vars(parser.parse_args()))
    with tempfile.TemporaryDirectory() as folder:
        supervised(Path(folder), asked)
        for name, make in (("reward model", reward_trainer), ("DPO", dpo_trainer)):
            speed = measured([make(Path(folder), asked)], asked)[0]
            tell(name, speed, asked, flops_per_parameter=8 if name == "DPO" else 6)


def supervised(folder: Path, asked: Asked) -> None:
    """C-RLFT and plain SFT over the same rows, in turn."""
    from trl import SFTTrainer

    from train.trainers.weighted import WeightedSFTTrainer, arguments

    rows, tokenizer = weighted_rows(asked), make_tokenizer()
    args = arguments(settings(asked), folder)
    ours = WeightedSFTTrainer(model(asked), args, train_dataset=rows, processing_class=tokenizer)
    plain = SFTTrainer(
        model(asked),
        arguments(settings(asked), folder),
        train_dataset=rows.select_columns(["input_ids", "labels"]),
        processing_class=tokenizer,
    )
    weighted, unweighted = measured([ours, plain], asked)
    tell("C-RLFT", weighted, asked)
    tell("plain SFT", unweighted, asked)
    ratios = [one / other for one, other in zip(weighted.seconds, unweighted.seconds, strict=True)]
    print(f"C-RLFT step over plain SFT step: {statistics.median(ratios):.3f}, target ≤ 1.03", flush=True)


def reward_trainer(folder: Path, asked: Asked) -> Any:
    """The reward trainer over random pairs."""
    from transformers import LlamaForSequenceClassification
    from trl import RewardConfig, RewardTrainer

    from train.trainers import child

    args = RewardConfig(**child.arguments(settings(asked), folder), max_length=None, disable_dropout=True)
    scorer = LlamaForSequenceClassification(configuration(asked, num_labels=1))
    rows = pair_rows(asked, "chosen_ids", "rejected_ids")
    return RewardTrainer(model=scorer, args=args, train_dataset=rows, processing_class=make_tokenizer())


def dpo_trainer(folder: Path, asked: Asked) -> Any:
    """The DPO trainer over random pairs, with a reference of the same size."""
    from trl import DPOConfig

    from train.trainers import child
    from train.trainers.dpo import TokenDPOTrainer

    args = DPOConfig(**child.arguments(settings(asked), folder), beta=0.1, max_length=asked.length)
    rows = pair_rows(asked, "prompt_ids", "chosen_ids", "rejected_ids")
    return TokenDPOTrainer(
        model=model(asked),
        ref_model=model(asked),
        args=args,
        train_dataset=rows,
        processing_class=make_tokenizer(),
    )


def settings(asked: Asked) -> Any:
    """One micro-batch a step; half as many pairs as rows."""
    from train.running.run_settings import RunSettings

    return RunSettings("", "", steps=asked.steps, batch_size=asked.batch, accumulation=1, log_every=10**6)


def configuration(asked: Asked, **changes: Any) -> Any:
    """A Llama of the size asked for."""
    from transformers import LlamaConfig

    return LlamaConfig(
        vocab_size=VOCABULARY, bos_token_id=0, eos_token_id=1, pad_token_id=2, **SHAPES[asked.size], **changes
    )


def model(asked: Asked) -> Any:
    """One with fresh weights."""
    from transformers import LlamaForCausalLM

    return LlamaForCausalLM(configuration(asked))


def make_tokenizer() -> Any:
    """The least tokenizer a trainer accepts; the rows are tokens already."""
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    core = Tokenizer(models.WordLevel({"<s>": 0, "</s>": 1, "<pad>": 2}, unk_token="</s>"))
    return PreTrainedTokenizerFast(
        tokenizer_object=core, bos_token="<s>", eos_token="</s>", pad_token="<pad>"
    )


def random_ids(count: int) -> Iterator[list[int]]:
    """ROWS rows of COUNT random tokens."""
    draw = random.Random(count)
    return ([draw.randrange(3, VOCABULARY) for _ in range(count)] for _ in range(ROWS))


def weighted_rows(asked: Asked) -> Any:
    """Rows of which the second half is trained on, weights 1.0 and 0.1."""
    from datasets import Dataset

    half = asked.length // 2
    rows = [
        {
            "input_ids": ids,
            "labels": [-100] * half + ids[half:],
            "loss_weights": [0.0] * half + [1.0 if number % 11 == 0 else 0.1] * (len(ids) - half),
        }
        for number, ids in enumerate(random_ids(asked.length))
    ]
    return Dataset.from_list(rows)


def pair_rows(asked: Asked, *names: str) -> Any:
    """Pairs whose sides, prompt included, are of that length."""
    from datasets import Dataset

    part = asked.length // (2 if "prompt_ids" in names else 1)
    columns = [list(random_ids(part)) for _ in names]
    return Dataset.from_dict(dict(zip(names, columns, strict=True)))


def measured(trainers: list[Any], asked: Asked) -> list[Speed]:
    """The trainers' steps in turn; the first two of each warm up."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    steps = [taken(trainer) for trainer in trainers]
    taken_steps = [[next(one) for one in steps] for _ in range(asked.steps + 2)][2:]
    peak = torch.cuda.max_memory_allocated() if torch.cuda.is_available() else 0
    speeds = [
        Speed([step[place][0] for step in taken_steps], [step[place][1] for step in taken_steps], peak)
        for place in range(len(trainers))
    ]
    trainers.clear()
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return speeds


def taken(trainer: Any) -> Iterator[tuple[float, int]]:
    """(seconds, tokens) of one optimizer step after another."""
    model, optimizer = trainer.accelerator.prepare(
        trainer.model, trainer.create_optimizer()
    )  # mixed precision
    batches = endless(trainer)
    trainer.current_gradient_accumulation_steps = 1
    wait = waiting()
    while True:
        micro_batches, total = trainer.get_batch_samples(batches, 1, trainer.args.device)
        n_tokens = sum(tokens_of(inputs) for inputs in micro_batches)
        wait()
        started = time.perf_counter()
        for inputs in micro_batches:
            trainer.training_step(model, inputs, total)
        optimizer.step()
        optimizer.zero_grad()
        wait()
        yield time.perf_counter() - started, n_tokens


def tokens_of(inputs: dict[str, Any]) -> int:
    """Tokens of a batch, padding left out; packed rows come without padding."""
    return int(inputs["attention_mask"].sum()) if "attention_mask" in inputs else inputs["input_ids"].numel()


def waiting() -> Callable[[], None]:
    """What waits until the device has done what it was told."""
    import torch

    return torch.cuda.synchronize if torch.cuda.is_available() else lambda: None


def endless(trainer: Any) -> Iterator[Any]:
    """The trainer's own batches, over and over."""
    while True:
        yield from trainer.get_train_dataloader()


def tell(name: str, speed: Speed, asked: Asked, *, flops_per_parameter: int = 6) -> None:
    """Print tokens a second, memory, and utilisation where the device's peak is known."""
    import torch

    rate = sum(speed.tokens) / sum(speed.seconds)
    words = [f"{name}: {rate:,.0f} tokens/s, step {statistics.median(speed.seconds) * 1000:.0f} ms"]
    if torch.cuda.is_available():
        device = torch.cuda.get_device_name()
        words.append(f"peak memory {speed.peak_bytes / 2**30:.1f} GiB")
        peak = next((flops for part, flops in PEAK_FLOPS.items() if part in device), None)
        if peak is not None:
            share = rate * flops_per_parameter * parameters(asked) / peak
            words.append(f"model FLOP utilisation {share:.1%}")
        words.append(device)
    print(", ".join(words), flush=True)


def parameters(asked: Asked) -> int:
    """Parameters that take part in matrix products: the embedding table is looked up, the head is not."""
    shape = SHAPES[asked.size]
    hidden, inner = shape["hidden_size"], shape["intermediate_size"]
    shared = hidden * hidden * shape["num_key_value_heads"] // shape["num_attention_heads"]
    layer = 2 * hidden * hidden + 2 * shared + 3 * hidden * inner
    return shape["num_hidden_layers"] * layer + VOCABULARY * hidden


if __name__ == "__main__":
    main()
