"""The page on extending names everything that can be added."""

import re
from importlib import import_module
from pathlib import Path

import pytest

from store.extensions import ExtensionPoint

DOCS = Path(__file__).parents[1] / "docs"
TABLES = (
    "curate.reader:READERS",
    "curate.ingesting.detect:FORMATS",
    "curate.cleaning:CLEANING_STEPS",
    "curate.filter:FILTERS",
    "label.chat:CHAT_MODELS",
    "label.sampler:SAMPLERS",
    "label.reward_model:REWARD_MODELS",
    "label.preference_model:PREFERENCE_MODELS",
    "train.exporter:EXPORTERS",
)
LISTED_IN_FORMATS = {"curate.readers", "curate.formats"}


@pytest.mark.parametrize("table", TABLES)
def test_the_page_on_extending_names_what_can_be_added(table: str) -> None:
    module, _, name = table.partition(":")
    point = getattr(import_module(module), name)
    assert isinstance(point, ExtensionPoint)
    rows = [line for line in (DOCS / "extending.md").read_text().splitlines() if f"`{point.group}`" in line]
    assert len(rows) == 1, f"no row for {point.group}"
    assert f"`{name}`" in rows[0]
    if point.group not in LISTED_IN_FORMATS:
        for built_in in point.built_in:
            assert f"`{built_in}`" in rows[0], f"{built_in} is not on the page"


def test_every_table_of_names_is_tested_above() -> None:
    rooms = ("curate", "label", "train", "store", "tui")
    found = {
        f"{'.'.join(path.relative_to(DOCS.parent).with_suffix('').parts)}:{name}"
        for room in rooms
        for path in (DOCS.parent / room).rglob("*.py")
        for name in re.findall(r"^([A-Z_]+): ExtensionPoint\[", path.read_text(), re.M)
    }
    assert found == set(TABLES)
