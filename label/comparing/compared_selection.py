"""The pairs a run of comparing was about, kept under a name with their strength and part (Xwin-Pair)."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from label.comparing.comparison_job import CompareSettings
from label.comparing.pairing import Pair
from label.pairs.audit import audit_of, read_texts
from label.pairs.choose import Kept, PairSettings, Plan, keep_pairs
from label.pairs.judged import Judged, judged_pairs
from label.pairs.rules import PairRule
from label.ranking.scores import Step

if TYPE_CHECKING:
    import pyarrow as pa

    from store.db import Reading, Store

PLANNED = "compared_pairs"
ONLY_PLANNED = f"""
    AND scale = $scale AND template = $template
    AND (least(response_a_id, response_b_id), greatest(response_a_id, response_b_id))
    IN (SELECT (least(CAST(first_id AS UUID), CAST(second_id AS UUID)),
        greatest(CAST(first_id AS UUID), CAST(second_id AS UUID))) FROM {PLANNED})"""


def keep_compared(
    store: "Store", name: str, pairs: Sequence[Pair], settings: CompareSettings, labeler: str
) -> tuple[Kept, dict[str, int]]:
    """Keep the PAIRS that LABELER decided as the selection NAME; says how many are in each part.

    Raises RequestError if NAME cannot name a selection.
    """
    asked = PairSettings(PairRule("judged"), judged=Judged(by=(labeler,)), split=settings.split)
    with store.read() as reading:
        plan = _plan(reading, pairs, settings, asked)
    kept = keep_pairs(store, name, asked, plan)
    with store.read() as reading:
        parts = reading.rows(
            "SELECT coalesce(part, 'all'), count(*) FROM selection_pairs WHERE selection_id = CAST(? AS UUID)"
            " GROUP BY ALL ORDER BY ALL",
            [kept.selection_id],
        )
    return kept, dict(parts)


def _plan(reading: "Reading", pairs: Sequence[Pair], settings: CompareSettings, asked: PairSettings) -> Plan:
    reading.con.execute("SET arrow_lossless_conversion = true")  # UUIDs as 16 bytes instead of text
    reading.con.register(PLANNED, _table(pairs))
    dropped: Counter[str] = Counter()
    try:
        found, read = judged_pairs(
            reading,
            asked.judged,
            ONLY_PLANNED,
            dropped,
            {"scale": settings.scale, "template": settings.template},
        )
    finally:
        reading.con.unregister(PLANNED)
    texts = read_texts(reading, found)
    kept_as = {**asdict(asked), "scale": settings.scale, "template": settings.template}
    steps = [Step("verdicts", "verdicts", read, dict(sorted(dropped.items())))]
    return Plan(found, steps, audit_of(found, texts), kept_as, reading.version)


def _table(pairs: Sequence[Pair]) -> "pa.Table":
    import pyarrow as pa

    ids = [(pair.first.response_id, pair.second.response_id) for pair in pairs]
    columns = {"first_id": [first for first, _ in ids], "second_id": [second for _, second in ids]}
    return pa.table({name: pa.array(values, type=pa.string()) for name, values in columns.items()})
