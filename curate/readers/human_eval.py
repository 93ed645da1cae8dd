"""The spreadsheet of the Camels human evaluation: two answers a row, shown blind, judged by one person.

Columns as its annotation app exports them (arXiv 2306.04751, appendix G): `instance_id prompt model_a
model_b completion_a completion_b completion_a_is_acceptable completion_b_is_acceptable preference comment
evaluator timestamp`.
"""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from curate.format import Format, has_keys
from curate.reader import Inspection, Judged, ReaderSettings, Reject
from curate.readers import sheets
from store.errors import BadInput

SCALE = "camels5"
TEMPLATE = "camels5-blind"
"""Two unnamed answers side by side, as in our own blind judging."""

MARGINS = {
    "a-is-better": 1.0,
    "a-is-slightly-better": 0.5,
    "tie": 0.0,
    "b-is-slightly-better": -0.5,
    "b-is-better": -1.0,
}
ACCEPTABLE = {"yes": True, "no": False, "": None}
COLUMNS = (
    "instance_id",
    "prompt",
    "model_a",
    "model_b",
    "completion_a",
    "completion_b",
    "completion_a_is_acceptable",
    "completion_b_is_acceptable",
    "preference",
    "evaluator",
    "timestamp",
)
EXCERPT_CHARS = 200

Cells = dict[str, str]


class HumanEvalReader:
    """Reads `.xlsx` files of this shape."""

    def inspect(self, path: Path) -> Inspection:
        """The file's hash and sizes.

        Raises BadInput if it is no spreadsheet.
        """
        return sheets.inspect(path)

    def __call__(self, path: Path, settings: ReaderSettings) -> Iterator[Judged | Reject]:
        """Every row, first those that are rejected, then the verdicts in order of time.

        Of two verdicts of one person on the same answers the later one then comes last, and wins.
        Raises BadInput if a column is missing.
        """
        del settings
        items = [_item_of(number, cells) for number, cells in enumerate(_rows(path), start=1)]
        yield from (item for item in items if isinstance(item, Reject))
        verdicts = [item for item in items if isinstance(item, Judged)]
        yield from sorted(verdicts, key=lambda item: (item.created_at, item.record_number))


HUMAN_EVAL = HumanEvalReader()

FORMAT = Format(
    "the Camels human evaluation: a spreadsheet row is one person's verdict on two answers",
    '{"instance_id": "t1", "prompt": "Name a colour.", "model_a": "x", "model_b": "y", "completion_a": "Red.", '
    '"completion_b": "Dog.", "completion_a_is_acceptable": "yes", "completion_b_is_acceptable": "no", '
    '"preference": "a-is-better", "evaluator": "e1", "timestamp": "2023-05-01T10:00:00"}',
    has_keys(*COLUMNS, confidence=1.0),
    ".xlsx",
)


def _rows(path: Path) -> list[Cells]:
    table = sheets.table_of(path)
    missing = [name for name in COLUMNS if name not in table.columns]
    if missing:
        raise BadInput(f"{path} has no column {', '.join(missing)}; human-eval reads the Camels annotations")
    return [
        {name: "" if value is None else value for name, value in row.items()}
        for row in table.iter_rows(named=True)
    ]


def _item_of(number: int, cells: Cells) -> Judged | Reject:
    reason = _reason_against(cells)
    if reason is not None:
        return Reject(number, number + 1, 0, reason, cells["prompt"][:EXCERPT_CHARS])
    margin = MARGINS[cells["preference"]]
    return Judged(
        record_number=number,
        line=number + 1,
        byte_offset=0,
        external_id=cells["instance_id"],
        prompt=(("user", cells["prompt"]),),
        answer_a=cells["completion_a"],
        answer_b=cells["completion_b"],
        policy_a=cells["model_a"],
        policy_b=cells["model_b"],
        labeler=cells["evaluator"],
        labeler_kind="person",
        template=TEMPLATE,
        scale=SCALE,
        native_label=cells["preference"],
        signed_margin=margin,
        state="win" if margin else "tie",
        created_at=datetime.fromisoformat(cells["timestamp"]),
        acceptable_a=ACCEPTABLE[cells["completion_a_is_acceptable"]],
        acceptable_b=ACCEPTABLE[cells["completion_b_is_acceptable"]],
        explanation=cells.get("comment") or None,
    )


def _reason_against(cells: Cells) -> str | None:
    for name in ("prompt", "evaluator", "model_a", "model_b"):
        if not cells[name]:
            return f"no {name}"
    if cells["preference"] not in MARGINS:
        return f"preference is {cells['preference'][:80]!r}, none of the five"
    for name in ("completion_a_is_acceptable", "completion_b_is_acceptable"):
        if cells[name] not in ACCEPTABLE:
            return f"{name} is {cells[name][:80]!r}, neither yes nor no"
    try:
        datetime.fromisoformat(cells["timestamp"])
    except ValueError:
        return f"timestamp is {cells['timestamp'][:80]!r}, not a time"
    return None
