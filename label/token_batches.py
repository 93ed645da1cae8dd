"""Batches that fit a token budget: what is alike in length goes together, so that little of it is padding."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

Row = TypeVar("Row")
Found = TypeVar("Found")


def token_batches(lengths: Sequence[int], budget: int) -> Iterator[list[int]]:
    """Places in LENGTHS, the longest first, in batches of at most BUDGET tokens with their padding.

    What is longer than the budget is a batch of its own. The first batch is as large as any, so that
    memory that does not suffice shows at once.
    """
    batch: list[int] = []
    for place in sorted(range(len(lengths)), key=lambda place: (-lengths[place], place)):
        if batch and (len(batch) + 1) * lengths[batch[0]] > budget:
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch


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
