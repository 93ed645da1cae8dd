"""Conversations as a policy represents them: the mean over tokens of its last layer (OpenChat, Figure 4)."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


def pooled_means(
    model: Any, rows: Sequence[list[int]], pad_id: int, batch_tokens: int, advance: Any
) -> Floats:
    """A vector for each row of token ids, in their order.

    Rows of like length share a batch of at most BATCH_TOKENS tokens, padding included.
    """
    import torch

    found = np.zeros((len(rows), model.config.get_text_config().hidden_size), dtype=np.float32)
    for places in batches(rows, batch_tokens):
        width = max(len(rows[place]) for place in places)
        ids = torch.full((len(places), width), pad_id)
        mask = torch.zeros((len(places), width), dtype=torch.long)
        for line, place in enumerate(places):
            ids[line, : len(rows[place])] = torch.tensor(rows[place])
            mask[line, : len(rows[place])] = 1
        with torch.inference_mode():
            where = model.device
            hidden = model(input_ids=ids.to(where), attention_mask=mask.to(where), use_cache=False)
        states = hidden.last_hidden_state.float().cpu()
        held = mask.unsqueeze(-1)
        found[places] = ((states * held).sum(1) / held.sum(1)).numpy()
        advance(len(places))
    return found


def batches(rows: Sequence[list[int]], batch_tokens: int) -> Iterator[list[int]]:
    """The places of ROWS in batches, short rows first; a row that alone is too long is a batch."""
    pending: list[int] = []
    for place in sorted(range(len(rows)), key=lambda place: (len(rows[place]), place)):
        if pending and (len(pending) + 1) * len(rows[place]) > batch_tokens:
            yield pending
            pending = []
        pending.append(place)
    if pending:
        yield pending
