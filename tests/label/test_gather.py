"""`label gather`: several selections of pairs as one."""

import json

import pytest

from label.cli import cli
from label.pairs.choose import PairSettings, keep_pairs, plan_pairs
from label.pairs.gather import gather_pairs
from label.pairs.rules import PairRule
from store.console import run_command
from store.errors import UnknownName
from store.verify import verify


@pytest.fixture
def kept(response_sets):
    """Two selections: the best against the worst, and every two responses five points apart."""
    response_sets.add("one", [("best", 8.0), ("good", 6.0), ("poor", 1.0)])
    response_sets.add("two", [("worse", -1.0), ("better", 2.0)])
    rules = {"extremes": PairRule(), "far": PairRule("all-above-gap", min_gap=5.0)}
    for name, rule in rules.items():
        settings = PairSettings(rule=rule)
        keep_pairs(response_sets.store, name, settings, plan_pairs(response_sets.store, settings))
    return response_sets.store


def test_a_pair_that_two_selections_hold_comes_once(kept) -> None:
    gathered = gather_pairs(kept, "all", ["extremes", "far"])
    assert (gathered.pairs, gathered.repeated, gathered.is_new) == (3, 1, True)
    with kept.read() as reading:
        rows = reading.rows(
            "SELECT count(*), count(DISTINCT (chosen_id, rejected_id)) FROM selection_pairs"
            " WHERE selection_id = CAST(? AS UUID)",
            [gathered.selection_id],
        )
    assert rows == [(3, 3)]
    assert verify(kept).is_ok


def test_asking_again_writes_nothing_and_another_list_is_another_choice(kept) -> None:
    first = gather_pairs(kept, "all", ["extremes", "far"])
    again = gather_pairs(kept, "all", ["extremes", "far"])
    assert (again.version, again.pairs, again.is_new) == (first.version, first.pairs, False)
    fewer = gather_pairs(kept, "all", ["far"])
    assert (fewer.pairs, fewer.is_new) == (2, True)


def test_a_missing_selection_is_named(kept) -> None:
    with pytest.raises(UnknownName, match="did you mean 'extremes'"):
        gather_pairs(kept, "all", ["extreme"])


def test_the_command_says_what_came_together(kept, capsys) -> None:
    words = ["gather", "all", "extremes", "far", "--store", str(kept.path)]
    assert run_command(cli, words) == 0
    assert capsys.readouterr().out.startswith("3 pairs (1 came more than once); kept as all@v")
    assert run_command(cli, [*words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["is_new"] is False
