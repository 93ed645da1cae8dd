"""The papers' orderings: how a claim is judged, and on one seed that the first of them and its control hold."""

import importlib.util
import sys
from pathlib import Path

import pytest

PAPERS = Path(__file__).resolve().parent.parent / "examples" / "papers.py"


@pytest.fixture(scope="module")
def papers():
    spec = importlib.util.spec_from_file_location("papers_example", PAPERS)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def test_an_ordering_appears_by_its_margin_and_not_by_less(papers):
    assert papers.Ordering("a > b", 0.3, 0.3).appears
    assert not papers.Ordering("a > b", 0.29, 0.3).appears
    assert papers.Ordering("a = b", -0.3, 0.3, is_bound=True).appears
    assert not papers.Ordering("a = b", -0.31, 0.3, is_bound=True).appears
    assert papers.Ordering("a > b", -0.5, 0.3).line() == ("a > b", "-0.50", "≥ 0.30", "does not appear")


def test_a_control_that_keeps_the_effect_is_a_failure(papers):
    found = dict.fromkeys(papers.TABLE, 2.0) | {"C-RLFT": 5.0, "shuffled classes": 4.5}
    missing = [one.name for one in papers.openchat_orderings(found) if one.is_required and not one.appears]
    assert missing == ["C-RLFT > shuffled classes (control)"]


def test_a_command_that_ran_to_its_end_is_not_run_again(papers, tmp_path, monkeypatch):
    ran = []
    monkeypatch.setattr(papers, "run_child", lambda words: ran.append(words) or {"rows": 3})
    lab = papers.Lab(tmp_path, 0)
    assert lab.run("curate", "stats") == lab.run("curate", "stats") == {"rows": 3}
    with (tmp_path / "commands.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"command": ["cut off')
    assert papers.Lab(tmp_path, 0).run("curate", "stats") == {"rows": 3}
    assert len(ran) == 1


def test_a_folder_that_is_not_its_own_is_left_alone(papers, tmp_path, monkeypatch, capsys):
    (tmp_path / "thesis.txt").write_text("years of work", encoding="utf-8")
    monkeypatch.setattr(sys, "argv", ["papers.py", "--fresh", "--folder", str(tmp_path)])
    assert papers.main() == 1
    assert "holds something else" in capsys.readouterr().err
    assert (tmp_path / "thesis.txt").exists()


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_class_conditioning_pays_and_shuffled_classes_lose_it(papers, tmp_path, monkeypatch):
    pytest.importorskip("trl", reason="training needs the extra train")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    lab = papers.Lab(tmp_path, 0)
    papers.make_world(lab)
    names = ("C-RLFT", "without reward", "only GPT-3.5", "shuffled classes")
    found = papers.openchat(lab, names)
    assert found["C-RLFT"] - found["without reward"] >= papers.C_RLFT_LEAD
    assert found["C-RLFT"] - found["only GPT-3.5"] >= papers.C_RLFT_LEAD
    assert found["C-RLFT"] - found["shuffled classes"] >= papers.CONTROL_LOSS
