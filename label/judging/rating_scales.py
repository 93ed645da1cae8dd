"""What a rating is about and how far it goes: a template, a scale, an aspect."""

from dataclasses import dataclass

from store.errors import UnknownName


@dataclass(frozen=True, slots=True)
class RatingScale:
    """One number that a judge is asked for."""

    template: str
    """The prompt that asks for it."""
    aspect: str
    lowest: int
    highest: int

    @property
    def scale(self) -> str:
        """The scale's name as it is stored: `1-10`."""
        return f"{self.lowest}-{self.highest}"

    @property
    def name(self) -> str:
        """The aspect in the words of a report."""
        return self.aspect.replace("_", " ")


OVERALL = RatingScale("openchat-g/1", "overall", 1, 10)
"""OpenChat, Appendix G."""

MT_BENCH = RatingScale("mt-bench/1", "overall", 1, 10)
MT_BENCH_REFERENCE = RatingScale("mt-bench-reference/1", "overall", 1, 10)
"""MT-bench's single answers, the second beside reference answers."""


def _set_of(name: str, aspects: tuple[str, ...], lowest: int, highest: int) -> tuple[RatingScale, ...]:
    return tuple(
        RatingScale(f"{name}-{aspect.replace('_', '-')}/1", aspect, lowest, highest) for aspect in aspects
    )


ASPECT_SETS = {
    "ultrafeedback": _set_of(
        "ultrafeedback", ("instruction_following", "truthfulness", "honesty", "helpfulness"), 1, 5
    ),
    "helpsteer": _set_of(
        "helpsteer", ("helpfulness", "correctness", "coherence", "complexity", "verbosity"), 0, 4
    ),
}
"""UltraFeedback's four aspects (section 2 there) and HelpSteer's five attributes, each asked for on its own."""


def scales_of(aspects: str | None) -> tuple[RatingScale, ...]:
    """The scales of a set of aspects; without one, the overall rating."""
    if aspects is None:
        return (OVERALL,)
    if aspects not in ASPECT_SETS:
        raise UnknownName.of("set of aspects", aspects, ASPECT_SETS)
    return ASPECT_SETS[aspects]


def known_scale(template: str, scale: str, aspect: str) -> RatingScale | None:
    """The scale that a stored rating was given on, if it is one of ours."""
    every = (
        OVERALL,
        MT_BENCH,
        MT_BENCH_REFERENCE,
        *(one for scales in ASPECT_SETS.values() for one in scales),
    )
    return next(
        (one for one in every if (one.template, one.scale, one.aspect) == (template, scale, aspect)), None
    )
