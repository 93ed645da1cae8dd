"""Conversations with their tokens on the way to a file, counted as the trainer will cut them."""

from collections.abc import Iterator
from itertools import islice

from store.chat_format import ChatFormat
from train.exporter import ExportRow
from train.exporting.rows import Tally, TrainingRow
from train.supervise import supervise

BATCH = 256
"""Conversations tokenised at a time."""


def supervised(
    rows: Iterator[TrainingRow], chat: ChatFormat | None, max_length: int, tally: Tally
) -> Iterator[ExportRow]:
    """Rows with their tokens; those left without a trained token by the cut are dropped."""
    if chat is None:
        yield from (ExportRow(row, None) for row in rows)
        return
    count = tally.of("length")
    while batch := list(islice(rows, BATCH)):
        encoded = chat.encode([chat.render(row.turns, row.condition) for row in batch])
        for row, one in zip(batch, encoded, strict=True):
            tokens = supervise(one, row.answer_weights, max_length)
            count.before += 1
            if tokens.n_trained == 0:
                count.dropped["no trained token within max length"] += 1
                continue
            count.changed += tokens.is_cut
            yield ExportRow(row, tokens)
