"""Listing names loads nothing; a misspelt one gets the nearest."""

import sys

import pytest

from store.errors import UnknownName
from store.extensions import ExtensionPoint

POINT: ExtensionPoint[object] = ExtensionPoint(
    kind="filter",
    group="preferably.tests",
    built_in={"calendar": "calendar:monthrange", "colour": "colorsys:rgb_to_hls"},
)


def test_names_are_listed_without_importing_and_one_is_loaded_alone() -> None:
    sys.modules.pop("colorsys", None)
    assert POINT.names() == ["calendar", "colour"]
    POINT.load("calendar")
    assert "colorsys" not in sys.modules
    assert callable(POINT.load("colour"))


def test_a_misspelt_name_gets_the_nearest_and_a_strange_one_all_of_them() -> None:
    with pytest.raises(UnknownName, match="did you mean 'colour'"):
        POINT.load("color")
    with pytest.raises(UnknownName, match="there are: calendar, colour"):
        POINT.load("xyzzy")
