"""The report: one page that loads nothing, in which texts of the data are only shown, and its numbers."""

import json
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("matplotlib")

import numpy as np

from curate.cli import cli
from curate.ingesting.ingest import IngestSettings, ingest_files
from curate.projection import project
from curate.reporting.prompt_map import PromptMap, Topic, cluster, name_topics
from curate.reporting.report_plots import draw_all, without_shared_folders
from curate.restoring import restore
from store.console import run_command
from store.db import Store
from store.ids import to_text

HOSTILE = "<script>alert(1)</script><img src=http://evil.example/x.png> \x1b[31mred $x_{1$"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    records: list[dict[str, Any]] = [
        {
            "id": f"r{n}",
            "model": "gpt-4" if n % 2 else "gpt-3.5-turbo",
            "conversations": [
                {"from": "human", "value": f"question {n} about {('cats', 'tax')[n % 2]}"},
                {"from": "gpt", "value": "an answer " * n},
            ]
            * (1 + n % 3),
        }
        for n in range(12)
    ]
    records.append({"id": HOSTILE, "model": HOSTILE, "conversations": [{"from": "human", "value": HOSTILE}]})
    records.append({"id": "bad", "conversations": 3})
    path = tmp_path / "talks.json"
    path.write_text(json.dumps(records))
    store = Store(tmp_path / "s.duckdb", wait_s=20)
    ingest_files(store, "sharegpt", [path], IngestSettings(license="MIT"))
    with store.write() as writing:
        rows = writing.rows(
            "SELECT CAST(conversation_id AS VARCHAR), CAST(leaf_id AS VARCHAR) FROM conversations ORDER BY external_id"
        )
        writing.append("decisions", [drop(rows[0][0], "dedup:near/1"), drop(rows[1][0], HOSTILE)])
        writing.append("ratings", [rating(leaf, 3.0 + n % 5) for n, (_, leaf) in enumerate(rows[2:])])
    restore(store, [to_text("c1", rows[3][0])], "me", "fine")
    return store


def drop(conversation: str, by: str) -> dict[str, object]:
    return {
        "target_kind": "conversation",
        "target_id": conversation,
        "verdict": "drop",
        "reason": f"because {HOSTILE}",
        "evidence": HOSTILE,
        "decided_by": by,
        "decider_kind": "rule",
        "decided_at": "2026-01-01T00:00:00",
    }


def rating(leaf: str, value: float) -> dict[str, object]:
    return {
        "response_id": leaf,
        "labeler": HOSTILE,
        "labeler_kind": "judge",
        "template": "single",
        "scale": "1-10",
        "aspect": "",
        "draw_index": 0,
        "value": value,
        "state": "done",
        "created_at": "2026-01-01T00:00:00",
        "parser_version": "1",
    }


class Tags(HTMLParser):
    """The tags of a page and what they would load."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.loads: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.loads += [value or "" for name, value in attrs if name in ("src", "href", "data", "action")]


def report(store: Store, out: Path, capsys: pytest.CaptureFixture[str], *more: str) -> dict[str, Any]:
    capsys.readouterr()
    assert run_command(cli, ["report", "--out", str(out), "--store", str(store.path), "--json", *more]) == 0
    shown: dict[str, Any] = json.loads(capsys.readouterr().out)
    return shown


def test_the_page_loads_nothing_and_no_text_of_the_data_is_markup(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = report(store, tmp_path / "out" / "report.html", capsys)
    page = (tmp_path / "out" / "report.html").read_text()
    tags = Tags()
    tags.feed(page)
    assert "script" not in tags.names
    assert tags.loads
    assert all(one.startswith("data:image/png;base64,") for one in tags.loads)
    assert "&lt;script&gt;alert(1)" in page
    assert "⟨U+001B⟩[31m" in page
    assert "\x1b" not in page
    assert "default-src &#x27;none&#x27;" in page or "default-src 'none'" in page
    names = {Path(path).name for path in shown["plots"]}
    assert {"report-turns.png", "report-lengths.png", "report-ratings-1.png", "report-drops.png"} <= names
    for path in shown["plots"]:
        assert Path(path).read_bytes().startswith(b"\x89PNG")


def test_the_numbers_add_up(store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shown = report(store, tmp_path / "report.html", capsys)
    counts = shown["conversations"]
    assert counts == {"all": 13, "current": 11, "dropped": 2, "superseded": 0}
    assert counts["all"] == counts["current"] + counts["dropped"] + counts["superseded"]
    for name in ("turns", "lengths", "languages", "by_class", "by_source"):
        assert sum(one["conversations"] for one in shown[name]) == counts["current"]
    assert [one["license"] for one in shown["sources"]] == ["MIT"]
    assert [one["decided_by"] for one in shown["duplicates"]] == ["dedup:near/1"]
    assert shown["contamination"] == []
    assert len(shown["examples"]) == 2
    assert [(one["records"], one["source"]) for one in shown["rejects"]] == [(1, "talks.json")]
    [judge] = shown["ratings"]
    assert {one["name"] for one in judge["classes"]} <= {"GPT3", "GPT4", "unknown"}
    for one in judge["classes"]:
        assert sum(bar["conversations"] for bar in one["histogram"]) == one["conversations"]


def test_an_empty_store_has_a_report_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = Store(tmp_path / "s.duckdb")
    with store.write():
        pass
    shown = report(store, tmp_path / "report.html", capsys)
    assert shown["conversations"]["all"] == 0
    assert shown["plots"] == []


def test_clusters_apart_are_found_and_named_by_their_own_words() -> None:
    draw = np.random.default_rng(1)
    vectors = np.vstack([draw.normal(size=(20, 8)) * 0.05 + 3 * np.eye(8)[k] for k in range(3)])
    labels = cluster(vectors.astype(np.float32), 3)
    assert [len(set(labels[20 * k : 20 * k + 20])) for k in range(3)] == [1, 1, 1]
    assert len(set(labels)) == 3
    texts = [f"please tell about {word}" for word in ("cats", "taxes", "python") for _ in range(20)]
    names = name_topics(texts, labels)
    assert {name.split()[1].rstrip(",") for name in names} == {"cats", "taxes", "python"}
    points, _method = project(vectors.astype(np.float32), "pca")
    assert points.shape == (60, 2)
    assert cluster(vectors.astype(np.float32), 3) == labels


def test_a_map_is_drawn_with_an_encoder(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str], byte_tokenizer_maker: Callable[..., Any]
) -> None:
    import torch
    from transformers import BertConfig, BertModel

    tokenizer = byte_tokenizer_maker()
    torch.manual_seed(0)
    shape = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    BertModel(BertConfig(vocab_size=len(tokenizer), **shape)).save_pretrained(tmp_path / "encoder")
    tokenizer.save_pretrained(tmp_path / "encoder")
    words = ("--encoder", str(tmp_path / "encoder"), "--topics", "3", "--map-sample", "10")
    shown = report(store, tmp_path / "report.html", capsys, *words)
    assert shown["map"]["prompts"] == 10 <= shown["map"]["of_prompts"]
    assert sum(topic["prompts"] for topic in shown["map"]["topics"]) == 10
    assert shown["map"]["method"].startswith("PCA, ")
    assert {f"report-map-{name}.png" for name in ("source", "class", "topic")} <= {
        Path(path).name for path in shown["plots"]
    }
    assert (
        run_command(cli, ["report", "--out", "x.html", "--store", str(store.path), "--encoder", "/none"]) == 2
    )
    assert "text encoder" in capsys.readouterr().err


def test_letters_of_other_scripts_and_long_names_are_drawn_without_a_word() -> None:
    draw = np.random.default_rng(2)
    sources = [f"sets/SuperNI/task{n % 15}_回答/train.json" for n in range(60)]
    topics = [Topic(f"{n + 1} 翻译, สวัสดี, word", 5) for n in range(12)]
    points = draw.normal(size=(60, 2)).astype(np.float32)
    mapped = PromptMap(points, sources, ["GPT4", ""] * 30, [n % 12 for n in range(60)], topics, "PCA", 60)
    facts: dict[str, Any] = {name: [] for name in ("turns", "lengths", "ratings", "languages", "decisions")}
    drawn = draw_all(facts, mapped)  # warnings are errors here
    assert set(drawn) == {"map-source", "map-class", "map-topic"}
    assert all(png.startswith(b"\x89PNG") for png in drawn.values())


def test_names_are_told_apart_by_what_they_do_not_share() -> None:
    names = ["sets/a/task1/train.json", "sets/a/task2/train.json"]
    assert without_shared_folders(names) == ["…/task1", "…/task2"]
    assert without_shared_folders(["a.json", "b.json"]) == ["a.json", "b.json"]
    assert without_shared_folders(["sets/a", "sets/a/b"]) == ["sets/a", "sets/a/b"]
    assert without_shared_folders(["alone/x.json"]) == ["alone/x.json"]


@pytest.mark.slow
def test_a_large_map_is_laid_out_by_umap_where_it_is_installed() -> None:
    pytest.importorskip("umap", reason="umap-learn is not installed")
    draw = np.random.default_rng(5)
    groups = np.repeat(np.eye(3, 16), 50, axis=0) + draw.normal(scale=0.05, size=(150, 16))
    vectors = (groups / np.linalg.norm(groups, axis=1, keepdims=True)).astype(np.float32)
    points, method = project(vectors)
    assert method.startswith("UMAP, 15 neighbours")
    centres = np.stack([points[start : start + 50].mean(0) for start in (0, 50, 100)])
    spread = max(np.linalg.norm(points[i * 50 : i * 50 + 50] - centres[i], axis=1).max() for i in range(3))
    apart = min(np.linalg.norm(centres[i] - centres[j]) for i in range(3) for j in range(i))
    assert apart > spread
    assert (project(vectors)[0] == points).all()
