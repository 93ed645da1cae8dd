"""Responses a second of `label reward`, over those of scoring one by one, with the same model in the same process.

Run: python benchmarks/bench_rewards.py [--responses 160] [--rounds 3] [--threads 1]

The one-by-one side is RLHFlow's loop: render, tokenise, one forward pass, next; it reads no store and writes
nothing. Ours is the whole command from plan to rows in the store. Eight responses answer each prompt. Lengths
are drawn from deciles measured on ShareGPT: a prompt is one of the first three turns with its history. The
rounds alternate; the figures are medians of the ratios of neighbouring rounds, once by the clock and once by
processor time, which other processes hardly touch. The target is 1.5 at least.
"""

import argparse
import os
import random
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ |= {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "TOKENIZERS_PARALLELISM": "false"}

TARGET = 1.5
WORDS = 2_000
PER_PROMPT = 8
PROMPT_DECILES = (5, 20, 77, 239, 381, 526, 687, 842, 1090, 1426, 1600)
RESPONSE_DECILES = (5, 70, 152, 212, 276, 326, 386, 445, 533, 671, 900)
"""Tokens, at four characters a token, from the shortest to the longest."""
TEMPLATE = "<s>{% for m in messages %}<|{{ m['role'] }}|> {{ m['content'] }}</s>{% endfor %}"


def main() -> None:
    """Print both rates and their ratio."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name, default in (("responses", 160), ("rounds", 3), ("threads", 1)):
        parser.add_argument(f"--{name}", type=int, default=default)
    asked = parser.parse_args()
    import torch

    torch.set_num_threads(asked.threads)
    with tempfile.TemporaryDirectory() as scratch:
        folder = make_model(Path(scratch) / "rm")
        store = make_store(Path(scratch) / "s.duckdb", asked.responses)
        clock, processor = [], []
        for number in range(asked.rounds):
            plain, plain_values = one_by_one(folder, store)
            ours, our_values = whole_command(folder, store, f"round-{number}")
            apart = max(abs(our_values[one] - plain_values[one]) for one in plain_values)
            clock.append(plain[0] / ours[0])
            processor.append(plain[1] / ours[1])
            print(
                f"one by one {asked.responses / plain[0]:.1f} responses/s, label reward"
                f" {asked.responses / ours[0]:.1f}: ratio {clock[-1]:.2f}, by processor time {processor[-1]:.2f};"
                f" numbers at most {apart:.1e} apart"
            )
    ratio, by_processor = statistics.median(clock), statistics.median(processor)
    verdict = "met" if by_processor >= TARGET else "MISSED"
    print(
        f"label reward over one-by-one scoring: {ratio:.2f} by the clock, {by_processor:.2f} by processor time"
        f" (target {TARGET}, {verdict})"
    )


Times = tuple[float, float]
"""Seconds by the clock, and of the processor."""


def make_model(folder: Path) -> Path:
    """A random Llama of four layers with one output, and a tokenizer that knows the words."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForSequenceClassification, PreTrainedTokenizerFast

    special = ["<s>", "</s>", "<pad>", "<unk>", "<|user|>", "<|assistant|>"]
    vocabulary = {word: number for number, word in enumerate([*special, *map(_word, range(WORDS))])}
    raw = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    raw.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=raw,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        additional_special_tokens=special[4:],
    )
    tokenizer.chat_template = TEMPLATE
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(vocabulary),
        hidden_size=256,
        intermediate_size=688,
        num_hidden_layers=4,
        num_attention_heads=8,
        num_key_value_heads=4,
        max_position_embeddings=4096,
        pad_token_id=2,
        num_labels=1,
    )
    LlamaForSequenceClassification(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _word(number: int) -> str:
    return f"w{number}"


def make_store(path: Path, responses: int) -> Any:
    """A store with so many draws of one policy, several under each prompt."""
    from store.db import Store
    from store.ids import path_digests, uuid_text

    draw = random.Random(0)
    messages: dict[str, dict[str, object]] = {}
    samples: list[dict[str, object]] = []
    for number in range(responses):
        if number % PER_PROMPT == 0:
            prompt = ("user", _text(draw, PROMPT_DECILES))
        text = _text(draw, RESPONSE_DECILES)
        prompt_id, response_id = map(uuid_text, path_digests([prompt, ("assistant", text)]))
        messages[prompt_id] = _message(prompt_id, None, *prompt)
        messages[response_id] = _message(response_id, prompt_id, "assistant", text)
        samples.append(
            {
                "prompt_id": prompt_id,
                "response_id": response_id,
                "sample_index": number % PER_PROMPT,
                "policy": "sft",
                "sampling": "{}",
                "finish_reason": "stop",
            }
        )
    store = Store(path)
    with store.write() as writing:
        writing.append("messages", list(messages.values()))
        writing.append("samples", samples)
    return store


def _text(draw: random.Random, deciles: tuple[int, ...]) -> str:
    place = draw.randrange(len(deciles) - 1)
    return " ".join(
        _word(draw.randrange(WORDS)) for _ in range(draw.randint(deciles[place], deciles[place + 1]))
    )


def _message(message_id: str, parent_id: str | None, role: str, content: str) -> dict[str, object]:
    return {
        "message_id": message_id,
        "parent_id": parent_id,
        "role": role,
        "content": content,
        "depth": int(parent_id is not None),
    }


def one_by_one(folder: Path, store: Any) -> tuple[Times, dict[str, float]]:
    """What it takes, and the numbers, of a plain loop."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    with store.read() as reading:
        rows = reading.rows(
            "SELECT CAST(response_id AS VARCHAR), prompt.content, response.content FROM samples"
            " JOIN messages AS prompt ON prompt.message_id = prompt_id"
            " JOIN messages AS response ON response.message_id = response_id"
        )
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32).eval()
    values = {}
    started = (time.perf_counter(), time.process_time())
    with torch.inference_mode():
        for response_id, prompt, response in rows:
            turns = [{"role": "user", "content": prompt}, {"role": "assistant", "content": response}]
            text = tokenizer.apply_chat_template(turns, tokenize=False)
            ids = tokenizer(text, add_special_tokens=False, return_tensors="pt")["input_ids"]
            values[response_id] = float(model(ids).logits[0, 0])
    return _since(started), values


def whole_command(folder: Path, store: Any, name: str) -> tuple[Times, dict[str, float]]:
    """What it takes, and the numbers, of what `label reward` does once the model is loaded."""
    from label.reward_model import RewardChoice, open_reward_model
    from label.rewarding.reward import RewardSettings, responses_to_score, score_store

    model = open_reward_model(RewardChoice(str(folder)))
    model.check()
    settings = RewardSettings(reward_model=name)
    started = (time.perf_counter(), time.process_time())
    plan = responses_to_score(store, model, settings)
    score_store(store, model, settings, plan=plan, advance=lambda *_, **__: None)
    taken = _since(started)
    plan.close()
    with store.read() as reading:
        rows = reading.rows(
            "SELECT CAST(response_id AS VARCHAR), value FROM current_rewards WHERE reward_model = ?", [name]
        )
    return taken, dict(rows)


def _since(started: Times) -> Times:
    return time.perf_counter() - started[0], time.process_time() - started[1]


if __name__ == "__main__":
    main()
