"""Batches that fit a token budget: what is alike in length goes together, so that little of it is padding."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

Row = TypeVar("Row")
Found = TypeVar("Found")


CPU_TOKENS, GPU_TOKENS = 1_024, 16_384
"""Tokens of a batch unless the user says otherwise: on a CPU, more only spills its caches (half as fast at 16,384)."""


def batch_tokens_on(device: str, chosen: int | None) -> int:
    """The budget of a batch on DEVICE."""
    if chosen is not None:
        return chosen
    return CPU_TOKENS if device == "cpu" else GPU_TOKENS


def token_batches(lengths: Sequence[int], budget: int, besides: int = 0) -> Iterator[list[int]]:
    """Places in LENGTHS, the longest first, in batches of at most BUDGET tokens with their padding.

    BESIDES is what each row takes beside its tokens, in tokens.

    What is longer than the budget is a batch of its own. The first batch is as large as any, so that
    memory that does not suffice shows at once.
    """
    batch: list[int] = []
    for place in sorted(range(len(lengths)), key=lambda place: (-lengths[place], place)):
        if batch and (len(batch) + 1) * (lengths[batch[0]] + besides) > budget:
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch


def shared_beginning(rows: Sequence[list[int]]) -> int:
    """How many tokens all ROWS begin with alike; each keeps one of its own."""
    first, last = min(rows), max(rows)  # of all rows in order, these two differ the earliest
    alike = next((n for n, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))
    return min(alike, *(len(row) - 1 for row in rows))


def in_halves(read: Callable[[Sequence[Row]], list[Found]], batch: Sequence[Row]) -> list[Found]:
    """What READ finds for each row of a batch, which is halved as often as it does not fit into the GPU."""
    import torch

    try:
        return read(batch)
    except torch.OutOfMemoryError:
        if len(batch) == 1:
            raise
    torch.cuda.empty_cache()
    half = len(batch) // 2
    return in_halves(read, batch[:half]) + in_halves(read, batch[half:])
