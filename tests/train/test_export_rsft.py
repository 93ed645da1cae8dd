"""The best of a prompt's responses as training files."""

import json
from pathlib import Path
from typing import Any

import pytest

from curate.looking.trace import trace
from store.db import Store
from store.errors import BadSettings
from store.ids import path_digests, uuid_text
from train.checking.check import CheckSettings, check_export
from train.exporting.export import ExportReport, ExportSettings, export_store
from train.recipes.rsft import RsftSettings

Turns = list[tuple[str, str]]

PROMPTS: list[Turns] = [
    [("user", "Name a colour."), ("assistant", "Red."), ("user", "Another?")],
    [("user", "How many legs has a spider?")],
    [("user", "Only once.")],
]
DRAWS: list[list[tuple[str, float]]] = [
    [("Blue.", 1.0), ("Green, which is a colour.", 3.0), ("Blue.", 1.0), ("Grey.", 2.0)],
    [("Six.", 0.0), ("Eight.", 2.0), ("Nine.", 1.0), ("Ten.", -1.0)],
    [("Once.", 0.5)],
]
"""Under each prompt what was drawn, in order, and its reward."""


@pytest.fixture
def ranked_store(tmp_path: Path) -> Store:
    """A store with DRAWS of the policy `sft`, scored by `rm`."""
    store = Store(tmp_path / "store.duckdb")
    messages: dict[str, dict[str, Any]] = {}
    samples, rewards = [], []
    for prompt, draws in zip(PROMPTS, DRAWS, strict=True):
        for index, (text, value) in enumerate(draws):
            path = [*prompt, ("assistant", text)]
            ids = [uuid_text(digest) for digest in path_digests(path)]
            for depth, (role, content) in enumerate(path):
                messages[ids[depth]] = {
                    "message_id": ids[depth],
                    "parent_id": ids[depth - 1] if depth else None,
                    "role": role,
                    "content": content,
                    "depth": depth,
                }
            common = {"prompt_id": ids[-2], "response_id": ids[-1]}
            samples.append(
                {**common, "sample_index": index, "policy": "sft", "sampling": "{}", "finish_reason": "stop"}
            )
            row = {**common, "reward_model": "rm", "revision": "1", "value": value, "state": "done"}
            if row not in rewards:
                rewards.append(row)
    with store.write() as writing:
        writing.append("messages", list(messages.values()))
        writing.append("samples", samples)
        writing.append("rewards", rewards)
    return store


def export(
    store: Store, out: Path, tokenizer: Path, layout: str = "prompt-completion", **changes: Any
) -> ExportReport:
    settings = ExportSettings(
        layout,
        "parquet" if layout == "tokenized" else "jsonl",
        str(tokenizer),
        template="tulu",
        max_length=200,
        recipe=RsftSettings(**changes),
        recipe_name="rsft",
    )
    return export_store(Store(store.path, at="v1"), out, settings)


def answers(folder: Path) -> set[str]:
    lines = (folder / "train-00000.jsonl").read_text().splitlines()
    return {json.loads(line)["completion"][0]["content"] for line in lines}


def test_the_best_response_of_each_prompt_is_taken_and_all_others_are_counted(
    ranked_store: Store, tokenizer_dir: Path, tmp_path: Path
) -> None:
    report = export(ranked_store, tmp_path / "out", tokenizer_dir)
    assert answers(tmp_path / "out") == {"Green, which is a colour.", "Eight.", "Once."}
    assert (report.rows, report.dropped) == (3, {"another rank": 5})
    assert check_export(tmp_path / "out", CheckSettings()).faults == {}


def test_a_rank_further_down_needs_as_many_different_responses(
    ranked_store: Store, tokenizer_dir: Path, tmp_path: Path
) -> None:
    report = export(ranked_store, tmp_path / "out", tokenizer_dir, rank=2)
    assert answers(tmp_path / "out") == {"Grey.", "Nine."}
    assert report.dropped == {"another rank": 5, "fewer responses than the rank": 1}


def test_fewer_candidates_are_the_first_draws(
    ranked_store: Store, tokenizer_dir: Path, tmp_path: Path
) -> None:
    export(ranked_store, tmp_path / "out", tokenizer_dir, candidates=1)
    assert answers(tmp_path / "out") == {"Blue.", "Six.", "Once."}
    with pytest.raises(BadSettings, match="up to --candidates"):
        export(ranked_store, tmp_path / "x", tokenizer_dir, candidates=1, rank=2)


def test_length_costs_what_it_is_said_to_cost(
    ranked_store: Store, tokenizer_dir: Path, tmp_path: Path
) -> None:
    export(ranked_store, tmp_path / "out", tokenizer_dir, length_penalty=0.1)
    assert "Grey." in answers(tmp_path / "out")


def test_the_loss_is_on_the_response_alone_and_a_row_leads_back_to_the_draw(
    ranked_store: Store, tokenizer_dir: Path, tmp_path: Path
) -> None:
    export(ranked_store, tmp_path / "out", tokenizer_dir, "tokenized")
    report = check_export(tmp_path / "out", CheckSettings(show=3))
    assert report.faults == {}
    assert all(len(sight.trained_runs) == 1 for sight in report.shown)
    found = trace(ranked_store, f"{tmp_path / 'out'}:0")
    assert [draw["policy"] for draw in found.samples] == ["sft"]
    assert len(found.rewards) == 1
    assert found.row is not None
    assert [one["is"] for one in found.row.messages][-2:] == ["prompt", "response"]


def test_a_traced_row_says_the_rank_and_the_reward_of_its_time(
    ranked_store: Store, tokenizer_dir: Path, tmp_path: Path
) -> None:
    export(ranked_store, tmp_path / "out", tokenizer_dir, rank=2)
    lines = (tmp_path / "out" / "train-00000.jsonl").read_text().splitlines()
    number = next(place for place, line in enumerate(lines) if "Nine." in line)
    with ranked_store.write() as writing:  # what comes later is not what chose the row
        writing.append_from(
            "rewards", "SELECT * EXCLUDE (version, seq) REPLACE (value + 5 AS value) FROM rewards"
        )
    row = trace(ranked_store, f"{tmp_path / 'out'}:{number}").row
    assert row is not None
    assert (row.recipe, row.facts["rank"], row.label) == ("rsft", 2, None)
    assert row.facts["rewards"] == [{"reward_model": "rm", "revision": "1", "value": 1.0}]
