"""What a completion says about a response: a rating, or why there is none."""

from dataclasses import dataclass
from typing import Literal

from label.engine.calls import Completion
from label.judging.parse import explanation_of, is_refusal, parse_rating
from label.judging.rating_scales import OVERALL, RatingScale
from store.errors import BadReply

RatingState = Literal["done", "unparsed", "refused", "blocked", "failed"]
RATING_STATES: tuple[RatingState, ...] = ("done", "unparsed", "refused", "blocked", "failed")


@dataclass(frozen=True, slots=True)
class Outcome:
    """One rating, or one reason why there is none."""

    state: RatingState
    value: int | None
    explanation: str | None


def outcome_of(completion: Completion, scale: RatingScale = OVERALL) -> Outcome:
    """Read a completion as a rating on SCALE."""
    if completion.state != "done":
        return Outcome(completion.state, None, completion.error)
    reply = completion.reply or ""
    try:
        return Outcome("done", parse_rating(reply, scale.lowest, scale.highest), explanation_of(reply))
    except BadReply as error:
        if is_refusal(reply):
            return Outcome("refused", None, reply.strip())
        return Outcome("unparsed", None, str(error))


def needs_repair(completion: Completion, scale: RatingScale = OVERALL) -> bool:
    """Whether the judge answered, but not in a form that can be read."""
    return outcome_of(completion, scale).state == "unparsed"
