"""From an export of pairs to the tokens a trainer maps into memory, checked on the way.

A reward model's rows are made by the code that `label reward` reads responses with, a policy's by the
template it answers under.
"""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from label.exchange import Exchange
from label.local.exchange_tokens import ExchangeTokens
from store.chat_format import ChatFormat, Turn
from store.errors import BadInput
from train.checking.check import sights_of
from train.checking.faults import Rules, row_faults
from train.checking.file_rows import Export, FilePair, FileRow
from train.checking.pair_faults import pair_faults
from train.checking.pair_tokens import PairTokens, tokens_of
from train.running.prepare import Prepared, write_rows

if TYPE_CHECKING:
    import pyarrow as pa

BATCH = 128
"""Pairs tokenised at a time."""
LONGER_THAN_ANY = 2**30
"""A bound that cuts nothing: what is too long is counted and left out here instead."""


def prepare_reward_rows(export: Export, chat: ChatFormat, max_length: int, path: Path) -> Prepared:
    """Write `chosen_ids` and `rejected_ids` of all pairs to an Arrow stream at PATH; one too long on either
    side is left out, as TRL's trainer would leave it out.

    Raises BadInput for a fault that training would hide.
    """
    prepared = Prepared()
    reader = ExchangeTokens(chat.tokenizer, chat.template.text, LONGER_THAN_ANY)
    rows = _reward_rows(export, chat, reader, max_length, prepared)
    write_rows(rows, _id_lists("chosen_ids", "rejected_ids"), path, export, prepared)
    return prepared


def prepare_policy_pairs(export: Export, chat: ChatFormat, max_length: int, path: Path) -> Prepared:
    """Write `prompt_ids`, `chosen_ids` and `rejected_ids` of all pairs to an Arrow stream at PATH; one whose
    prompt alone reaches the bound is left out, as TRL's trainer would leave it out.

    Raises BadInput for a fault that training would hide.
    """
    prepared = Prepared()
    rows = _policy_rows(export, chat, max_length, prepared)
    write_rows(rows, _id_lists("prompt_ids", "chosen_ids", "rejected_ids"), path, export, prepared)
    return prepared


def prepare_labelled_rows(export: Export, chat: ChatFormat, max_length: int, path: Path) -> Prepared:
    """Write `prompt`, `completion` and `label` of all rows to an Arrow stream at PATH.

    Raises BadInput for a fault that training would hide.
    """
    import pyarrow as pa

    prepared = Prepared()
    messages = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))
    schema = pa.schema([("prompt", messages), ("completion", messages), ("label", pa.bool_())])
    write_rows(_labelled_rows(export, chat, max_length, prepared), schema, path, export, prepared)
    return prepared


def _reward_rows(
    export: Export, chat: ChatFormat, reader: ExchangeTokens, max_length: int, prepared: Prepared
) -> Iterator[dict[str, Any]]:
    for batch in _sound_pairs(export, chat, prepared):
        exchanges = [Exchange(side[:-1], side[-1][1]) for pair in batch for side in pair]
        found = iter(reader.encode(exchanges))
        for better, worse in zip(found, found, strict=True):
            if isinstance(better, str) or isinstance(worse, str):
                raise BadInput(f"{export.folder}: {better if isinstance(better, str) else worse}")
            if max(len(better.ids), len(worse.ids)) > max_length:
                prepared.dropped += 1
                continue
            prepared.rows += 1
            prepared.trained_tokens += len(better.ids) + len(worse.ids)
            yield {"chosen_ids": better.ids, "rejected_ids": worse.ids}


def _policy_rows(
    export: Export, chat: ChatFormat, max_length: int, prepared: Prepared
) -> Iterator[dict[str, Any]]:
    for batch in _sound_pairs(export, chat, prepared):
        texts = [(better[:-1], better[-1][1], worse[-1][1]) for better, worse in batch]
        for tokens in tokens_of(chat, texts):
            if tokens.prompt >= max_length:
                prepared.dropped += 1
                continue
            row = _answers(tokens)
            prepared.rows += 1
            prepared.trained_tokens += len(row["chosen_ids"]) + len(row["rejected_ids"])
            yield row


def _answers(tokens: PairTokens) -> dict[str, Any]:
    """Prompt and answers apart; what the template writes after the end of an answer's turn is left off."""
    start = tokens.prompt
    return {
        "prompt_ids": tokens.prompt_ids,
        "chosen_ids": tokens.chosen.input_ids[start : tokens.chosen.spans[-1][1]],
        "rejected_ids": tokens.rejected.input_ids[start : tokens.rejected.spans[-1][1]],
    }


def _sound_pairs(
    export: Export, chat: ChatFormat, prepared: Prepared
) -> Iterator[list[tuple[tuple[Turn, ...], tuple[Turn, ...]]]]:
    """Batches of pairs as two conversations each; faults are counted in PREPARED."""
    rules = Rules(chat, None)
    rows = export.rows()
    while batch := list(islice(rows, BATCH)):
        pairs = [row for row in batch if isinstance(row, FilePair)]
        if len(pairs) < len(batch):
            raise BadInput(f"{export.folder} holds conversations; this recipe trains on pairs")
        sights = sights_of([side for pair in pairs for side in pair.sides], rules)
        for sight in sights:
            prepared.faults.update(row_faults(sight, rules))
        for pair in pairs:
            prepared.faults.update(pair_faults(pair))
        if not prepared.faults:
            yield [(pair.sides[0].turns or (), pair.sides[1].turns or ()) for pair in pairs]


def _labelled_rows(
    export: Export, chat: ChatFormat, max_length: int, prepared: Prepared
) -> Iterator[dict[str, Any]]:
    rules = Rules(chat, None)
    rows = export.rows()
    while batch := list(islice(rows, BATCH)):
        labelled = [row for row in batch if isinstance(row, FileRow) and row.label is not None]
        if len(labelled) < len(batch):
            raise BadInput(
                f"{export.folder} holds no labelled answers; this recipe trains on the layout labelled"
            )
        for row, sight in zip(labelled, sights_of(labelled, rules), strict=True):
            prepared.faults.update(row_faults(sight, rules))
            turns = row.turns or ()
            if sight.encoded is None or sight.encoded.spans[-1][0] >= max_length:
                prepared.dropped += 1
                continue
            prepared.rows += 1
            prepared.trained_tokens += sight.tokens.n_trained if sight.tokens else 0
            yield {
                "prompt": [{"role": role, "content": content} for role, content in turns[:-1]],
                "completion": [{"role": role, "content": content} for role, content in turns[-1:]],
                "label": row.label,
            }


def _id_lists(*names: str) -> "pa.Schema":
    import pyarrow as pa

    return pa.schema([(name, pa.list_(pa.int32())) for name in names])
