"""Layout `axolotl-pairs`: the flat single-turn rows that axolotl's reward trainer reads."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from store.errors import BadSettings
from store.ids import to_text
from train.exporter import ExportRow, Shard, Target
from train.exporters.pairs import metadata, metadata_fields
from train.exporting.shards import write_shards

if TYPE_CHECKING:
    import pyarrow as pa


def write_axolotl_pairs(rows: Iterator[ExportRow], target: Target) -> list[Shard]:
    """Columns `system`, `input`, `chosen` and `rejected`, all text.

    Raises BadSettings for a prompt of several turns, which this layout has no place for.
    """
    return write_shards((_record(one, target.snapshot) for one in rows), target, _schema())


def _record(one: ExportRow, snapshot: str) -> dict[str, Any]:
    row = one.pair
    asked = [content for role, content in row.prompt if role == "user"]
    if len(asked) != 1:
        raise BadSettings(
            f"prompt {to_text('m1', row.prompt_id)} has {len(asked)} questions, and axolotl-pairs has room for one;"
            " choose pairs of single-turn prompts, or the layout pairs-full"
        )
    system = "".join(content for role, content in row.prompt if role == "system")
    return {
        "system": system,
        "input": asked[0],
        "chosen": row.chosen,
        "rejected": row.rejected,
        **metadata(row, snapshot),
    }


def _schema() -> "pa.Schema":
    import pyarrow as pa

    return pa.schema(
        [*((name, pa.string()) for name in ("system", "input", "chosen", "rejected")), *metadata_fields()]
    )
