"""How far a policy went from another: the KL divergence, estimated on its own stored draws."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from label.exchange import Exchange, read_exchanges
from label.local.model_folder import load_weights
from store.db import Store
from store.named_sql import named_sql
from train.evaluating.answer import saved_format

BATCH = 16
"""Answers read at a time."""


def kl_estimate(store: Store, policy: str, model: str, reference: str) -> float:
    """The mean over POLICY's draws of log π(answer) - log π_ref(answer), in nats an answer.

    MODEL and REFERENCE are folders. It estimates the divergence as far as the draws are the policy's own,
    at temperature 1; cooler draws give a larger number.
    """
    with store.read() as reading:
        ids = reading.rows(named_sql("train", "draws_of_policy"), {"policy": policy})
        exchanges = read_exchanges(reading, ids)
    ours, theirs = (_log_likelihoods(folder, exchanges) for folder in (model, reference))
    return sum(our - their for our, their in zip(ours, theirs, strict=True)) / len(exchanges)


def _log_likelihoods(folder: str, exchanges: Sequence[Exchange]) -> list[float]:
    """The log probability of each answer, its end of turn included, given the turns before."""
    import torch

    chat = saved_format(Path(folder))
    model, _ = load_weights("AutoModelForCausalLM", Path(folder), "float32")
    rows = [
        (encoded.input_ids, encoded.spans[-1])
        for encoded in chat.encode([chat.render(exchange.turns) for exchange in exchanges])
    ]
    found: list[float] = []
    with torch.inference_mode():
        for start in range(0, len(rows), BATCH):
            found += _of_batch(model, rows[start : start + BATCH])
    return found


def _of_batch(model: Any, rows: Sequence[tuple[list[int], tuple[int, int]]]) -> list[float]:
    import torch

    longest = max(len(ids) for ids, _ in rows)
    padded = torch.tensor([ids + [0] * (longest - len(ids)) for ids, _ in rows], device=model.device)
    mask = torch.tensor([[1] * len(ids) + [0] * (longest - len(ids)) for ids, _ in rows], device=model.device)
    logits = model(input_ids=padded, attention_mask=mask).logits.float()[:, :-1]
    chances = logits.log_softmax(-1).gather(-1, padded[:, 1:, None])[..., 0]
    return [float(chances[row, first - 1 : last - 1].sum()) for row, (_, (first, last)) in enumerate(rows)]
