"""Weights and classes from stored ratings (C-RLFT): what a rating is worth, and what it makes of a row.

OpenChat (section 3.1) gives every conversation of a class one reward and leaves finer ones open. Here the reward is a
rating, moved to 0 for the lowest of its scale and 1 for the highest.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from store.errors import BadSettings, RequestError, UnknownName
from train.exporting.rows import TrainingRow
from train.exporting.steps import Step

if TYPE_CHECKING:
    from store.db import Reading
    from train.recipes.crlft import CrlftSettings

BOUNDS = re.compile(r"(-?\d+(?:\.\d+)?)-(-?\d+(?:\.\d+)?)")
"""A scale that says how far it goes, such as `1-10`."""
USUAL_NAMES = {2: ("Low", "High"), 3: ("Low", "Middle", "High")}
UNRATED, PARTLY_RATED = "no answer rated", "not every answer rated"


@dataclass(frozen=True, slots=True)
class Ratings:
    """One labeler's ratings on one scale."""

    labeler: str
    scale: str
    lowest: float
    highest: float
    is_measured: bool
    """Whether the bounds are those of the stored ratings, because the scale's name does not say them."""

    def reward(self, rating: float) -> float:
        """The rating between 0, the lowest, and 1, the highest."""
        share = (rating - self.lowest) / (self.highest - self.lowest)
        return min(1.0, max(0.0, share))


@dataclass(frozen=True, slots=True)
class RatedClass:
    """The conversations whose rating lies in one interval."""

    name: str
    condition: str
    at_least: float
    below: float | None
    """None for the highest class."""
    reward: float
    """That of the interval's middle."""
    weight: float


@dataclass(frozen=True, slots=True)
class Rated:
    """What an export makes of ratings."""

    ratings: Ratings
    rating_of: str
    """`conversation`: the mean over its answers counts; `turn`: each answer's own."""
    unrated: float | None
    """The rating of what has none; None leaves it out."""
    beta: float | None
    classes: tuple[RatedClass, ...] = ()
    """From the lowest up; empty where a rating is a weight."""

    def steps(self) -> dict[str, Step[TrainingRow]]:
        """The steps that turn ratings into classes or weights, by name."""
        fill = partial(fill_unrated, of=self.rating_of, rating=self.unrated)
        if self.classes:
            return {"unrated": fill, "class by rating": partial(with_class, classes=self.classes)}
        return {"unrated": fill, "weight by rating": self._weighed}

    def _weighed(self, row: TrainingRow) -> TrainingRow:
        """The row with its ratings as weights; what weighs nothing already stays context."""
        given = row.turn_ratings
        if self.rating_of == "conversation":
            mean = _mean(row)
            given = tuple(mean if role == "assistant" else None for role, _ in row.turns)
        weights = tuple(
            0.0 if rating is None else weight * weight_of(self.ratings.reward(rating), self.beta)
            for rating, weight in zip(given, row.turn_weights, strict=True)
        )
        return replace(row, turn_weights=weights, weight=max(weights))

    def as_json(self) -> dict[str, Any]:
        """What the manifest says of it."""
        found = asdict(self)
        return {**found.pop("ratings"), **found, "weight": self.formula()}

    def formula(self) -> str:
        """How a rating becomes a weight, in one line."""
        ratings = self.ratings
        reward = f"(rating - {ratings.lowest:g}) / ({ratings.highest:g} - {ratings.lowest:g})"
        weight = "reward" if self.beta is None else f"exp((reward - 1) / {self.beta:g})"
        of = "the middle of the class's interval" if self.classes else f"each {self.rating_of}"
        scaled = ", scaled so that the highest class weighs 1" if self.classes else ""
        return f"weight = {weight}, reward = {reward} of {of}{scaled}"


def weight_of(reward: float, beta: float | None) -> float:
    """The weight of a reward: itself, or exp(reward / beta) scaled so that a reward of 1 weighs 1."""
    return reward if beta is None else math.exp((reward - 1) / beta)


def fill_unrated(row: TrainingRow, *, of: str, rating: float | None) -> TrainingRow | str:
    """Answers without a rating get RATING; without one the row is left out, or of turns only the answer."""
    answers = [
        given for (role, _), given in zip(row.turns, row.turn_ratings, strict=True) if role == "assistant"
    ]
    if None not in answers:
        return row
    if rating is not None:
        filled = tuple(
            rating if role == "assistant" and given is None else given
            for (role, _), given in zip(row.turns, row.turn_ratings, strict=True)
        )
        return replace(row, turn_ratings=filled)
    if all(given is None for given in answers):
        return UNRATED
    if of == "conversation":
        return PARTLY_RATED
    weights = tuple(
        0.0 if given is None else weight
        for given, weight in zip(row.turn_ratings, row.turn_weights, strict=True)
    )
    return replace(row, turn_weights=weights)


def with_class(row: TrainingRow, *, classes: Sequence[RatedClass]) -> TrainingRow:
    """The row in the class of its mean rating, with that class's condition and weight."""
    rating = _mean(row)
    own = next(one for one in classes if one.below is None or rating < one.below)
    weights = tuple(own.weight * weight for weight in row.turn_weights)
    return replace(
        row, source_class=own.name, condition=own.condition, weight=own.weight, turn_weights=weights
    )


def _mean(row: TrainingRow) -> float:
    """OpenChat, appendix G: a conversation's rating is the mean over its answers."""
    given = [
        rating
        for (role, _), rating in zip(row.turns, row.turn_ratings, strict=True)
        if role == "assistant" and rating is not None
    ]
    return sum(given) / len(given)


def rated_by(reading: "Reading", settings: "CrlftSettings") -> Rated | None:
    """What the settings ask of ratings, None where they ask nothing.

    Raises UnknownName for a labeler or a scale without ratings, BadSettings for what makes no sense together.
    """
    _refuse_nonsense(settings)
    asked = settings.weight_by_rating or settings.class_by_rating
    if asked is None:
        return None
    ratings = ratings_named(reading, asked)
    if settings.unrated is not None and not ratings.lowest <= settings.unrated <= ratings.highest:
        raise BadSettings(
            f"--unrated {settings.unrated:g} is no rating on {ratings.labeler}'s scale"
            f" {ratings.lowest:g} to {ratings.highest:g}"
        )
    classes = classes_of(ratings, settings) if settings.class_by_rating else ()
    return Rated(ratings, settings.rating_of, settings.unrated, settings.beta, classes)


def _refuse_nonsense(settings: "CrlftSettings") -> None:
    by_weight, by_class = settings.weight_by_rating is not None, settings.class_by_rating is not None
    if by_weight and by_class:
        raise BadSettings("a rating is a weight or gives a class: --weight-by-rating or --class-by-rating")
    if by_weight and (settings.weights or settings.no_reward):
        other = "--weight" if settings.weights else "--no-reward"
        raise BadSettings(f"--weight-by-rating weighs every row by its own rating; leave {other} out")
    if by_class and not settings.thresholds:
        raise BadSettings(
            "--class-by-rating cuts ratings into classes; say where with --thresholds, such as 5,8"
        )
    if by_class and settings.rating_of == "turn":
        raise BadSettings("a conversation has one class: --rating-of turn goes with --weight-by-rating")
    if (settings.thresholds or settings.class_names) and not by_class:
        raise BadSettings("--thresholds and --class-names go with --class-by-rating")
    if not (by_weight or by_class) and (settings.rating_of != "conversation" or settings.unrated is not None):
        raise BadSettings("--rating-of and --unrated go with --weight-by-rating or --class-by-rating")


def ratings_named(reading: "Reading", asked: str) -> Ratings:
    """The ratings called LABELER or LABELER/SCALE; a labeler's name may hold a slash itself.

    Raises UnknownName where there are none, RequestError where the scale has to be named.
    """
    found = reading.rows(
        "SELECT labeler, scale, min(value), max(value) FROM current_ratings WHERE state = 'done'"
        " GROUP BY ALL ORDER BY ALL"
    )
    labelers = {labeler for labeler, *_ in found}
    labeler, wanted = asked, None
    if asked not in labelers:
        labeler, _, wanted = asked.rpartition("/")
    if labeler not in labelers:
        raise UnknownName.of("labeler with ratings", asked, labelers)
    bounds = {scale: (lowest, highest) for name, scale, lowest, highest in found if name == labeler}
    if wanted is None and len(bounds) > 1:
        named = " or ".join(f"{labeler}/{scale}" for scale in bounds)
        raise RequestError(f"{labeler} rated on more than one scale; name one: {named}")
    scale = wanted if wanted is not None else next(iter(bounds))
    if scale not in bounds:
        raise UnknownName.of(f"scale of {labeler}", scale, bounds)
    told = BOUNDS.fullmatch(scale)
    lowest, highest = map(float, told.groups()) if told else bounds[scale]
    if not lowest < highest:
        raise RequestError(
            f"all ratings of {labeler} on the scale {scale} are {lowest:g}; there is nothing to weigh"
        )
    return Ratings(labeler, scale, lowest, highest, is_measured=told is None)


def classes_of(ratings: Ratings, settings: "CrlftSettings") -> tuple[RatedClass, ...]:
    """The classes that the thresholds cut the scale into, the lowest first.

    Raises BadSettings for thresholds that cut nothing, or names that do not fit them.
    """
    cuts = settings.thresholds
    bounds = (ratings.lowest, *cuts, ratings.highest)
    if any(low >= high for low, high in pairwise((ratings.lowest, *cuts))) or cuts[-1] > ratings.highest:
        raise BadSettings(
            f"--thresholds {','.join(f'{cut:g}' for cut in cuts)} have to rise, above {ratings.lowest:g} and up to"
            f" {ratings.highest:g}, the bounds of the scale {ratings.scale}"
        )
    names = settings.class_names or _usual_names(len(cuts) + 1)
    if len(set(names)) != len(cuts) + 1 or not all(name.strip() for name in names):
        raise BadSettings(f"--class-names takes {len(cuts) + 1} different names, the lowest class first")
    rewards = [ratings.reward((low + high) / 2) for low, high in pairwise(bounds)]
    given = _given_weights(settings, names)
    found = []
    for place, (name, reward) in enumerate(zip(names, rewards, strict=True)):
        weight = weight_of(reward, settings.beta) / weight_of(rewards[-1], settings.beta)
        weight = 1.0 if settings.no_reward else given.get(name, weight)
        below = cuts[place] if place < len(cuts) else None
        found.append(RatedClass(name, name, bounds[place], below, reward, weight))
    if settings.no_condition:
        heaviest = max(found, key=lambda one: (one.weight, one.reward))
        found = [replace(one, condition=heaviest.name) for one in found]
    return tuple(found)


def _given_weights(settings: "CrlftSettings", names: Sequence[str]) -> dict[str, float]:
    given = dict(settings.weights)
    for name, weight in given.items():
        if name not in names:
            raise UnknownName.of("class of --class-names", name, names)
        if not math.isfinite(weight) or weight < 0:
            raise BadSettings(f"class {name!r} weighs {weight}; a weight is a number from 0 up")
    return given


def _usual_names(count: int) -> tuple[str, ...]:
    return USUAL_NAMES.get(count) or tuple(f"Level{number}" for number in range(1, count + 1))
