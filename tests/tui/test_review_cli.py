from pathlib import Path

import pytest
from click.testing import CliRunner

from store.console import run_command
from store.db import Store
from tui import cli
from tui.app import ReviewApp
from tui.cli import review


def test_help_names_the_options_and_gives_examples():
    shown = CliRunner().invoke(review, ["--help"]).output
    for word in (
        "--store",
        "--at",
        "--annotator",
        "--filter",
        "--plain",
        "--protocol",
        "--queue",
        "--double",
        "Examples:",
    ):
        assert word in shown


def test_a_missing_store_is_one_line_and_code_two(tmp_path: Path, capsys):
    assert run_command(review, ["--store", str(tmp_path / "none.duckdb")]) == 2
    assert "no store at" in capsys.readouterr().err


def test_a_bad_filter_is_refused_before_anything_opens(tmp_path: Path, capsys):
    assert run_command(review, ["--store", str(tmp_path / "s.duckdb"), "--filter", "clas:x"]) == 2
    assert "did you mean 'class'" in capsys.readouterr().err


def test_a_missing_library_names_the_extra(store: Store, capsys, monkeypatch):
    monkeypatch.setattr(cli, "find_spec", lambda _name: None)
    assert run_command(review, ["--store", str(store.path)]) == 2
    assert "preferably[tui]" in capsys.readouterr().err


def test_a_user_without_a_name_is_asked_for_one(store: Store, capsys, monkeypatch):
    def nameless() -> str:
        raise OSError

    monkeypatch.setattr(cli.getpass, "getuser", nameless)
    assert run_command(review, ["--store", str(store.path)]) == 2
    assert "--annotator" in capsys.readouterr().err


@pytest.mark.parametrize("code", [0, 1])
def test_the_exit_code_is_that_of_the_app(store: Store, monkeypatch, code):
    monkeypatch.setattr(ReviewApp, "run", lambda self: self.exit(return_code=code))
    assert run_command(review, ["--store", str(store.path)]) == code


def test_plain_mode_judges_by_lines(store: Store, review_pairs, capsys):
    result = CliRunner().invoke(
        review, ["--store", str(store.path), "--annotator", "kim", "--plain"], input="x\nuk2z\nuk\n4\n"
    )
    assert result.exit_code == 0
    before, after = result.output.split("saved: A slightly better", 1)
    assert "gpt-4" not in before
    assert "no key 'x'" in before
    assert "gpt-4" in after
    assert review_pairs() == [("b-is-slightly-better", True, False, "camels5-seen")]


def test_plain_mode_stops_at_the_end_of_input(store: Store, review_pairs):
    result = CliRunner().invoke(review, ["--store", str(store.path), "--plain"], input="u")
    assert result.exit_code == 0
    assert review_pairs() == []


def test_xwin_is_judged_line_by_line_too(store: Store, review_pairs, tmp_path: Path):
    guidelines = tmp_path / "guidelines.md"
    guidelines.write_text("Be fair.")
    options = ["--protocol", "xwin4", "--guidelines", str(guidelines), "--plain"]
    result = CliRunner().invoke(
        review, ["--store", str(store.path), "--annotator", "kim", *options], input="9\nuk7\n"
    )
    assert result.exit_code == 0
    assert "no key '9'" in result.output
    assert "8 significantly" in result.output
    assert "1 judged" in result.output
    assert review_pairs() == [("b-is-better", True, False, "xwin4-blind")]
    with store.read() as reading:
        (version,) = reading.rows("SELECT guideline_version FROM comparisons")[0]
    assert version.startswith("xwin4-")


def test_a_wrong_filter_of_pairs_is_refused_before_anything_opens(tmp_path: Path, capsys):
    assert run_command(review, ["--store", str(tmp_path / "s.duckdb"), "--pairs", "stat:x"]) == 2
    assert "did you mean 'state'" in capsys.readouterr().err
