"""Why something was not labelled: counted while a run goes on, the commonest told at its end."""

from collections import Counter

REASON_CHARACTERS = 200
"""What is kept of one reason."""
REASONS_KEPT = 1000
REASONS_SHOWN = 3


def note_reason(reasons: Counter[str], why: str, count: int = 1) -> None:
    """Count a reason, cut where it is long; past a thousand different ones, new ones are not kept."""
    short = why[:REASON_CHARACTERS]
    if short in reasons or len(reasons) < REASONS_KEPT:
        reasons[short] += count


def commonest(reasons: Counter[str]) -> list[str]:
    """The most frequent reasons, with their counts."""
    return [f"{count} × {why}" for why, count in reasons.most_common(REASONS_SHOWN)]
