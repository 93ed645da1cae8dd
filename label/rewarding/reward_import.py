"""Numbers that a reward model gave elsewhere: rows of a file, each with a response's id in this store.

Answers and rewards that come together, with their texts, are taken in by `curate ingest response-sets`.
"""

import gzip
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow as pa

from label.reward_model import Reward
from label.rewarding.reward import RewardReport, RewardTally
from store.errors import BadInput, RequestError
from store.ids import to_uuid
from store.named_sql import named_sql
from store.runs import run_of

if TYPE_CHECKING:
    from store.console import Advance
    from store.db import Store

IMPORTED = "imported"
"""The revision of a number from a file: what made it is not known here."""
PIECE = 50_000
"""Rows stored in one turn."""
VALUES = ("reward", "value", "score")
"""What the number may be called."""


@dataclass(frozen=True, slots=True)
class Imported:
    """A row of the file, or why it is none."""

    record: int
    response_id: str | None
    prompt_id: str | None
    value: float | None
    n_tokens: int | None
    is_truncated: bool | None
    why: str | None


SCHEMA = pa.schema(
    [
        ("record", pa.int64()),
        ("response_id", pa.string()),
        ("prompt_id", pa.string()),
        ("value", pa.float64()),
        ("n_tokens", pa.int64()),
        ("is_truncated", pa.bool_()),
        ("why", pa.string()),
    ]
)


def import_rewards(store: "Store", path: Path, reward_model: str, *, advance: "Advance") -> RewardReport:
    """Store the numbers of a file under REWARD_MODEL; what is there already is not stored again.

    Raises BadInput for a file that is neither JSON Lines nor Parquet.
    """
    if not store.path.exists():
        raise RequestError(f"no store at {store.path} whose responses the numbers could belong to")
    settings = {"reward_model": reward_model, "file": str(path), "sha256": _sha256(path)}
    tally = RewardTally()
    firsts: dict[str, int] = {}
    rows = read_rows(path)
    piece = list(islice(rows, PIECE))  # a file that cannot be read leaves no run behind
    with run_of(store, "label reward --import", settings) as run:
        while piece:
            signed = {"reward_model": reward_model, "revision": IMPORTED, "run_id": run.run_id}
            _store(store, piece, signed, tally, firsts)
            advance(len(piece))
            piece = list(islice(rows, PIECE))
        run.finish(tally.counts())
    return RewardReport(run.run_id, reward_model, IMPORTED, tally)


def _store(
    store: "Store",
    piece: list[Imported],
    signed: Mapping[str, str],
    tally: RewardTally,
    firsts: dict[str, int],
) -> None:
    """Store a piece in one turn, then count it; FIRSTS keeps in which record a reason came up."""
    table = pa.table(
        {
            name: pa.array([getattr(row, name) for row in piece], SCHEMA.field(name).type)
            for name in SCHEMA.names
        }
    )
    found: dict[str, dict[str, Any]] = {}
    counted: list[Reward | None] = []
    with store.write(signed["run_id"]) as writing:
        writing.con.register("imported_rewards", table)
        try:
            rows = writing.dicts(
                named_sql("label", "imported_rewards"),
                {"reward_model": signed["reward_model"], "revision": signed["revision"]},
            )
        finally:
            writing.con.unregister("imported_rewards")
        for row in rows:
            why, is_known = row.pop("why"), row.pop("is_known")
            record = row.pop("record")
            if why is not None:
                counted.append(_failed(f"{why} (record {record})" if not tally.reasons else why))
                continue
            counted.append(
                None if is_known else Reward("done", row["value"], row["n_tokens"], bool(row["is_truncated"]))
            )
            found.pop(row["response_id"], None)  # given twice: the last one counts
            if not is_known:
                found[row["response_id"]] = {**row, **signed, "state": "done"}
        writing.append("rewards", list(found.values()))
    tally.requested += len(counted)
    for one in counted:
        if one is None:
            tally.reused += 1
        else:
            tally.add(one)


def _failed(why: str) -> Reward:
    return Reward("failed", None, None, is_truncated=False, why=why)


def read_rows(path: Path) -> Iterator[Imported]:
    """The rows of a .jsonl or .parquet file, gzipped or not, each with its id as UUID text."""
    names = path.name.removesuffix(".gz")
    if names.endswith(".parquet"):
        rows = _parquet_rows(path)
    elif names.endswith((".jsonl", ".ndjson")):
        rows = _json_lines(path)
    else:
        raise BadInput(f"{path} is neither .jsonl nor .parquet, gzipped or not")
    for record, row in enumerate(rows, 1):
        yield _imported(record, row)


def _json_lines(path: Path) -> Iterator[object]:
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            for line in file:
                if line.strip():
                    try:
                        yield msgspec.json.decode(line)
                    except (msgspec.DecodeError, UnicodeDecodeError) as error:
                        yield f"this is no JSON: {error}"
    except (OSError, EOFError) as error:
        raise BadInput(f"{path} cannot be read: {error}") from error


def _parquet_rows(path: Path) -> Iterator[object]:
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(PIECE):
                yield from batch.to_pylist()
    except (OSError, pa.ArrowException) as error:
        raise BadInput(f"{path} is no Parquet file: {str(error).splitlines()[0]}") from error


def _imported(record: int, row: object) -> Imported:
    try:
        if not isinstance(row, dict):
            raise BadInput(row if isinstance(row, str) else "this is no object")
        value = next((row[name] for name in VALUES if row.get(name) is not None), None)
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise BadInput(f"there is no finite number under {', '.join(VALUES)}")
        prompt_id = row.get("prompt_id")
        tokens, cut = row.get("n_tokens"), row.get("is_truncated")
        return Imported(
            record,
            _uuid(row.get("response_id")),
            None if prompt_id is None else _uuid(prompt_id),
            float(value),
            tokens if isinstance(tokens, int) and not isinstance(tokens, bool) else None,
            cut if isinstance(cut, bool) else None,
            None,
        )
    except RequestError as error:
        return Imported(record, None, None, None, None, None, str(error))


def _uuid(value: object) -> str:
    text = str(value)
    return to_uuid(text if text.startswith("m1-") else f"m1-{text.replace('-', '')}", "m1")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        hasher = sha256()
        while block := file.read(1 << 20):
            hasher.update(block)
    return hasher.hexdigest()
