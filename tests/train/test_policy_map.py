"""A map of how policies represent conversations: pooled by hand, measured in their own space, drawn and written."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from curate.projection import project
from store.console import run_command
from store.db import Store
from tests.train.conftest import fill_store
from train.cli import cli
from train.evaluating.pooled import batches, pooled_means
from train.evaluating.separation import separation_of

torch = pytest.importorskip("torch", reason="a policy's layers need the extra local")


@pytest.fixture(scope="module")
def policy(model_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A policy with random weights and OpenChat's template."""
    from transformers import AutoConfig, AutoModelForCausalLM

    from store.chat_format import ChatFormat

    chat = ChatFormat.load(model_dir, "openchat")
    chat.tokenizer.chat_template = chat.template.text
    folder = tmp_path_factory.mktemp("policy")
    torch.manual_seed(0)
    config = AutoConfig.from_pretrained(model_dir)
    config.vocab_size = len(chat.tokenizer)
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    chat.tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def talked(tmp_path: Path) -> Store:
    """Twelve conversations of each class, one that no template takes, and one of no class."""
    words = (
        "red",
        "blue",
        "green",
        "black",
        "white",
        "grey",
        "pink",
        "brown",
        "gold",
        "plum",
        "teal",
        "lime",
    )
    told: list[tuple[list[tuple[str, str]], str]] = [
        ([("user", f"Say {word}."), ("assistant", word * (1 + place % 4))], model)
        for place, word in enumerate(words)
        for model in ("gpt-4", "gpt-3.5-turbo")
    ]
    odd = [("user", "Call"), ("tool_call", "f()"), ("tool", "1"), ("assistant", "One")]
    return fill_store(
        tmp_path / "store.duckdb", [*told, (odd, "gpt-4"), ([("user", "Hm"), ("assistant", "?")], "")]
    )


def evaluate(store: Store, capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    asked = ["evaluate", "map", "--store", str(store.path), "--json", *words]
    assert run_command(cli, asked) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_a_vector_is_the_mean_of_the_last_layer_whatever_shares_its_batch(policy: Path) -> None:
    from transformers import AutoModel

    model = AutoModel.from_pretrained(policy).eval()
    rows = [[0, 5, 9, 7], [0, 8], [0, 3, 4, 5, 6, 7, 8], [0, 11, 12]]
    told: list[int] = []
    together = pooled_means(model, rows, 2, 1_000, told.append)
    with torch.inference_mode():
        alone = [model(input_ids=torch.tensor([row])).last_hidden_state[0].mean(0).numpy() for row in rows]
    np.testing.assert_allclose(together, np.stack(alone), atol=1e-5)
    np.testing.assert_allclose(pooled_means(model, rows, 2, 5, told.append), together, atol=1e-5)
    assert sum(told) == 8


def test_batches_hold_so_many_tokens_with_their_padding() -> None:
    rows = [[0] * length for length in (3, 9, 1, 2, 4, 20)]
    found = [*batches(rows, 8)]
    assert sorted(place for some in found for place in some) == [0, 1, 2, 3, 4, 5]
    assert all(len(some) * max(len(rows[place]) for place in some) <= 8 for some in found if len(some) > 1)
    assert [len(some) for some in found] == [2, 2, 1, 1] or len(found) < 6


def by_hand(vectors: Any, labels: list[str], neighbours: int) -> tuple[float, float]:
    """Nearest neighbours and silhouette, one vector and one other at a time."""
    units = [vector / np.linalg.norm(vector) for vector in vectors]
    rights: dict[str, list[bool]] = {}
    widths = []
    for here, unit in enumerate(units):
        away = [1.0 - float(unit @ other) for other in units]
        order = sorted((place for place in range(len(units)) if place != here), key=lambda place: away[place])
        near = [labels[place] for place in order[:neighbours]]
        best = max(sorted(set(labels)), key=near.count)
        rights.setdefault(labels[here], []).append(best == labels[here])
        means = {
            name: np.mean(
                [away[place] for place in range(len(units)) if labels[place] == name and place != here]
            )
            for name in set(labels)
        }
        inside = means.pop(labels[here])
        outside = min(means.values())
        widths.append((outside - inside) / max(inside, outside))
    return float(np.mean([np.mean(own) for own in rights.values()])), float(np.mean(widths))


def test_separation_is_what_counting_by_hand_gives() -> None:
    draw = np.random.default_rng(0)
    vectors = draw.normal(size=(30, 6)) + np.repeat(np.eye(6)[:3] * 1.5, (8, 10, 12), axis=0)
    labels = ["a"] * 8 + ["b"] * 10 + ["c"] * 12
    found = separation_of(vectors.astype(np.float32), labels, neighbours=5)
    assert found is not None
    accuracy, silhouette = by_hand(vectors.astype(np.float32), labels, 5)
    assert found.knn_accuracy == pytest.approx(accuracy)
    assert found.silhouette == pytest.approx(silhouette, abs=1e-5)
    assert found.chance == pytest.approx(1 / 3)
    assert separation_of(vectors.astype(np.float32), ["a"] * 30) is None


def test_policies_are_mapped_side_by_side_and_kept_with_the_run(
    talked: Store, policy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from pyarrow import parquet

    models = ["--model", f"C-RLFT={policy}", "--unconditioned", f"SFT={policy}", "--projection", "pca"]
    files = ["--png", str(tmp_path / "map.png"), "--points", str(tmp_path / "map.parquet")]
    found = evaluate(talked, capsys, *models, *files, "--batch-tokens", "64")
    with_conditions, without = found["maps"]
    assert (with_conditions["name"], without["name"]) == ("C-RLFT", "SFT")
    assert with_conditions["classes"] == {"GPT3": 12, "GPT4": 12}
    assert with_conditions["left_out"] == {"turns the template does not take": 1}
    # The same words in both classes: without conditions nothing tells them apart, with them the condition does.
    assert with_conditions["separation"]["silhouette"] > without["separation"]["silhouette"]
    assert without["separation"]["silhouette"] < 0.05
    assert with_conditions["method"].startswith("PCA, ")
    points = parquet.read_table(tmp_path / "map.parquet")
    assert points.column_names == ["model", "conversation_id", "class", "x", "y"]
    assert points.num_rows == 48
    assert (tmp_path / "map.png").read_bytes().startswith(b"\x89PNG")
    with talked.read() as reading:
        [(counts,)] = reading.rows(
            "SELECT counts FROM runs WHERE run_id = ? AND state = 'finished'", [found["run_id"]]
        )
    assert json.loads(counts)["maps"] == found["maps"]
    again = evaluate(talked, capsys, *models, "--batch-tokens", "64")
    assert again["maps"] == found["maps"]


def test_conversations_are_drawn_alike_from_each_class_and_cut(
    talked: Store, policy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    common = ["--model", str(policy), "--projection", "pca", "--per-class", "5"]
    [one] = evaluate(talked, capsys, *common, "--max-length", "12")["maps"]
    assert set(one["classes"].values()) <= {4, 5}
    assert one["cut"] == one["conversations"]
    [only] = evaluate(talked, capsys, *common, "--only-class", "GPT3")["maps"]
    assert (only["classes"], only["separation"]) == ({"GPT3": 5}, None)


def test_what_cannot_be_mapped_is_refused(
    talked: Store, policy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for words, said in (
        ([], "--model or --unconditioned"),
        (["--model", "nowhere"], "no directory nowhere"),
        (["--model", str(policy), "--unconditioned", str(policy)], "called alike"),
        (["--model", str(policy), "--source", "chat"], "chats"),
        (["--model", str(policy), "--part", "train"], "name it with --selection"),
    ):
        asked = ["evaluate", "map", "--store", str(talked.path), "--projection", "pca", *words]
        assert run_command(cli, asked) == 2
        assert said in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # numba's and umap-learn's own
def test_umap_keeps_clusters_together_and_is_the_same_again() -> None:
    pytest.importorskip("umap", reason="needs the extra map")
    draw = np.random.default_rng(0)
    vectors = (np.repeat(np.eye(8)[:3] * 4, 40, axis=0) + draw.normal(size=(120, 8)) * 0.3).astype(np.float32)
    points, method = project(vectors, "umap")
    assert method.startswith("UMAP, 15 neighbours")
    found = separation_of(points - points.mean(0), ["a"] * 40 + ["b"] * 40 + ["c"] * 40)
    assert found is not None
    assert found.knn_accuracy > 0.95
    np.testing.assert_array_equal(project(vectors, "umap")[0], points)
