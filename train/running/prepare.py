"""From an export to the rows a trainer maps into memory, checked on the way."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from store.chat_format import ChatFormat, tokenizer_sha256
from store.errors import BadInput, BadSettings
from train.checking.check import sights
from train.checking.faults import Rules, row_faults
from train.checking.file_rows import Export, FilePair, FileRow
from train.exporting.export import combined_sha256
from train.exporting.shards import sha256_of
from train.supervise import Supervised

if TYPE_CHECKING:
    import pyarrow as pa

GROUP_ROWS = 1_000


@dataclass
class Prepared:
    """What went into the rows of a run."""

    rows: int = 0
    dropped: int = 0
    """Rows that max_length left with nothing to train on."""
    trained_tokens: int = 0
    faults: Counter[str] = field(default_factory=Counter)


def export_sha256(export: Export) -> str:
    """The hash of an export's rows, as its manifest has it."""
    return combined_sha256([{"name": path.name, "sha256": sha256_of(path)} for path in export.files])


def prepare_rows(export: Export, chat: ChatFormat, max_length: int, path: Path) -> Prepared:
    """Write `input_ids`, `labels` and `loss_weights` of all rows to an Arrow stream at PATH.

    Raises BadInput if a row has a fault that training would hide, BadSettings if the rows are tokens of
    another tokenizer.
    """
    _refuse_other_tokenizer(export, chat)
    prepared = Prepared()
    rows = (_columns(row) for row in _supervised(export, Rules(chat, None), max_length, prepared))
    write_rows(rows, _schema(), path, export, prepared)
    return prepared


def write_rows(
    rows: Iterator[dict[str, Any]], schema: "pa.Schema", path: Path, export: Export, prepared: Prepared
) -> None:
    """Write ROWS to an Arrow stream at PATH, unless PREPARED has counted a fault by then.

    Raises BadInput for a fault, and where no row is left.
    """
    import pyarrow as pa

    staging = path.with_suffix(".staging")
    with pa.ipc.new_stream(staging, schema) as writer:
        while group := list(islice(rows, GROUP_ROWS)):
            writer.write_table(pa.Table.from_pylist(group, schema=schema))
    if prepared.faults:
        found = ", ".join(f"{fault} ({count})" for fault, count in sorted(prepared.faults.items()))
        staging.unlink()
        raise BadInput(f"the data has faults: {found}; look at them with: train check")
    if prepared.rows == 0:
        staging.unlink()
        raise BadInput(f"no row of {export.folder} has a token to train on")
    staging.replace(path)


def _refuse_other_tokenizer(export: Export, chat: ChatFormat) -> None:
    manifest = export.manifest or {}
    made_with = manifest.get("tokenizer_sha256")
    is_tokens = manifest.get("layout") == "tokenized"
    if is_tokens and made_with not in (None, tokenizer_sha256(chat.tokenizer)):
        raise BadSettings(
            f"{export.folder} holds tokens of another tokenizer than the model's; export it again with"
            " --tokenizer set to the model, or use the layout messages"
        )


def _supervised(export: Export, rules: Rules, max_length: int, prepared: Prepared) -> Iterator[Supervised]:
    for sight in sights(_conversations(export), rules):
        prepared.faults.update(row_faults(sight, rules))
        tokens = _cut(sight.tokens, max_length) if sight.tokens else None
        if tokens is None or tokens.n_trained == 0:
            prepared.dropped += 1
            continue
        prepared.rows += 1
        prepared.trained_tokens += tokens.n_trained
        yield tokens


def _conversations(export: Export) -> Iterator[FileRow]:
    for row in export.rows():
        if isinstance(row, FilePair):
            raise BadInput(f"{export.folder} holds pairs; this recipe trains on conversations")
        yield row


def _cut(tokens: Supervised, max_length: int) -> Supervised:
    return Supervised(
        tokens.input_ids[:max_length],
        tokens.labels[:max_length],
        tokens.loss_weights[:max_length],
        tokens.n_tokens,
    )


def _schema() -> "pa.Schema":
    import pyarrow as pa

    return pa.schema(
        [
            ("input_ids", pa.list_(pa.int32())),
            ("labels", pa.list_(pa.int32())),
            ("loss_weights", pa.list_(pa.float32())),
        ]
    )


def _columns(row: Supervised) -> dict[str, Any]:
    return {"input_ids": row.input_ids, "labels": row.labels, "loss_weights": row.loss_weights}
