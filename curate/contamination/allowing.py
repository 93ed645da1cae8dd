"""What people allow of what was found in evaluation sets; light, for screens that only name it."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from store.db import Store

SHOWN_CHARS = 300
"""Characters of a find that its evidence holds."""
ALLOWED = "allowed: "
"""How the reason of a person's keep begins that allows a find wherever it stands."""


def allowed_lines(store: "Store") -> list[str]:
    """What people allowed in `review`: the lines of a file for `--allow`."""
    with store.read() as reading:
        rows = reading.rows(
            "SELECT DISTINCT reason FROM decider_verdicts WHERE target_kind = 'conversation'"
            " AND decider_kind IS NULL AND verdict = 'keep' AND starts_with(reason, ?) ORDER BY reason",
            [ALLOWED],
        )
    return [row[0].removeprefix(ALLOWED) for row in rows]
