"""The options of `train export crlft` that make weights or classes of stored ratings."""

from typing import Any

import click

from store.console import AnyCommand, with_options
from store.errors import BadSettings

OPTIONS = (
    click.option(
        "--weight-by-rating",
        metavar="LABELER[/SCALE]",
        help="crlft: weigh by its ratings instead of by class; with --beta by exp(reward / B).",
    ),
    click.option(
        "--class-by-rating",
        metavar="LABELER[/SCALE]",
        help="crlft: its ratings, cut at --thresholds, are the classes.",
    ),
    click.option("--thresholds", metavar="A,B", help="crlft: where --class-by-rating cuts, such as 5,8."),
    click.option(
        "--class-names",
        metavar="A,B,C",
        help="crlft: classes by rating, lowest first, each its own condition.  [default: Low, (Middle,) High]",
    ),
    click.option(
        "--rating-of",
        type=click.Choice(["conversation", "turn"]),
        help="crlft: what a rating weighs: a conversation by the mean of its answers (the default), or each answer"
        " by its own.",
    ),
    click.option(
        "--unrated",
        metavar="drop|RATING",
        help="crlft: leave out what has no rating (drop, the default), or take it as rated so.",
    ),
)
NAMES = ("weight_by_rating", "class_by_rating", "thresholds", "class_names", "rating_of", "unrated")


def rating_options(command: AnyCommand) -> AnyCommand:
    """Add them to a command."""
    return with_options(OPTIONS, command)


def read_rating_options(given: dict[str, Any]) -> dict[str, Any]:
    """GIVEN with what these options hold as numbers and names."""
    found = dict(given)
    if "thresholds" in found:
        found["thresholds"] = tuple(_number(text, "--thresholds") for text in found["thresholds"].split(","))
    if "class_names" in found:
        found["class_names"] = tuple(name.strip() for name in found["class_names"].split(","))
    if found.get("unrated") == "drop":
        del found["unrated"]
    elif "unrated" in found:
        found["unrated"] = _number(found["unrated"], "--unrated")
    return found


def _number(text: str, option: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise BadSettings(f"{option} takes a number, not {text!r}") from error
