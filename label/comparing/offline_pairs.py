"""How the offline judge compares two responses: it rates both by the example world's rule.

Where the rule sees no difference and the scale has no tie, the texts decide, never the order shown.
"""

import json
import math
from collections.abc import Sequence

from label.comparing.label_probability import FirstToken
from label.comparing.scales import SCALES, Scale
from label.comparing.stored_verdicts import sign
from label.comparing.verdict import ANALYSIS, VERDICT
from label.judging.render import Turn, read_back
from label.offline_world import rate

LARGEST_DIFFERENCE = 9
"""Between two ratings from 1 to 10."""

SUREST = 0.98
"""The margin of the largest difference, where probabilities are asked for."""


def scale_asked_for(messages: Sequence[Turn]) -> Scale | None:
    """The scale whose labels a request explains; None if it asks for no comparison."""
    rules = "\n".join(content for role, content in messages if role == "system")
    return next((scale for scale in SCALES.values() if scale.in_words() in rules), None)


def compare_responses(messages: Sequence[Turn], scale: Scale) -> str:
    """The reply that says which of the two responses shown last is better.

    Raises BadInput if the prompt is no question about the example world.
    """
    difference, analysis = _difference(messages)
    if difference == 0 and scale.tie is None:
        *_, (_, first), (_, second) = read_back(messages)
        difference = 0.01 if first > second else -0.01
    fitting = (label for label in scale.labels if sign(label.margin) == sign(difference))
    label = min(fitting, key=lambda label: abs(label.margin - difference))
    return json.dumps({ANALYSIS: analysis, VERDICT: label.name})


def weigh_responses(messages: Sequence[Turn], scale: Scale) -> tuple[str, FirstToken]:
    """The likelier of two labels, and how probable each is: even where both rate alike, never quite sure.

    Raises BadInput if the prompt is no question about the example world.
    """
    difference, _ = _difference(messages)
    first = (1 + SUREST * difference) / 2
    tokens = tuple(zip(scale.names, (math.log(first), math.log(1 - first)), strict=True))
    return scale.names[difference < 0], tokens


def _difference(messages: Sequence[Turn]) -> tuple[float, str]:
    """By how much the first response is better, from -1 to 1, and why."""
    *prompt, (_, first), (_, second) = read_back(messages)
    (rating_a, why_a), (rating_b, why_b) = rate(prompt, first), rate(prompt, second)
    why = f"Offline judge, by the rule of the example world: A: {why_a} B: {why_b}"
    return (rating_a - rating_b) / LARGEST_DIFFERENCE, why
