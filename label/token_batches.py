"""Batches that fit a token budget: what is alike in length goes together, so that little of it is padding."""

from collections.abc import Iterator, Sequence


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
