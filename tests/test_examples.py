"""The shipped example files are what their generators write, and have in them what they promise."""

import json
import os
import shutil
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path
from statistics import fmean

import pytest

from label.offline_world import rate
from store.errors import BadInput

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
ROLES = {"human": "user", "gpt": "assistant", "system": "system"}


def world():
    return json.loads((EXAMPLES / "world.json").read_text(encoding="utf-8"))


def whole_records():
    """The records that are a list of turns with text, with their model."""
    for record in world():
        if not isinstance(record, dict) or not isinstance(record.get("conversations"), list):
            continue
        turns = [(ROLES.get(turn["from"], "tool"), turn["value"]) for turn in record["conversations"]]
        if all(isinstance(text, str) for _, text in turns):
            yield record.get("model"), turns


def test_the_shipped_files_are_what_the_generator_writes(tmp_path):
    generator = shutil.copy(EXAMPLES / "make_world.py", tmp_path)
    environment = os.environ | {"PYTHONPATH": str(EXAMPLES.parent)}
    subprocess.run([sys.executable, generator], check=True, env=environment, timeout=60)
    for name in ("world.json", "held_out.json"):
        assert (tmp_path / name).read_bytes() == (EXAMPLES / name).read_bytes(), f"{name} is out of date"


def test_the_world_is_small():
    assert (EXAMPLES / "world.json").stat().st_size < 1_500_000


def test_the_world_holds_a_small_expert_class_and_a_larger_one():
    models = Counter(model for model, _ in whole_records())
    assert models["gpt-4"] > 250
    assert models["gpt-3.5-turbo"] > 1000


def test_the_expert_class_is_rated_well_and_the_other_badly():
    ratings = defaultdict(list)
    for model, turns in whole_records():
        for index, (role, text) in enumerate(turns):
            if role == "assistant" and text:
                try:
                    ratings[model].append(rate(turns[:index], text)[0])
                except BadInput:
                    ratings["no rule"].append(0)
    assert min(ratings["gpt-4"]) >= 7
    assert fmean(ratings["gpt-4"]) > 9
    assert fmean(ratings["gpt-3.5-turbo"]) < 4
    assert set(ratings["gpt-3.5-turbo"]) >= {1, 2, 3, 4, 9}
    assert 0 < len(ratings["no rule"]) < 10


def test_the_world_holds_a_little_dirt_of_every_kind():
    texts = Counter(json.dumps(turns) for _, turns in whole_records())
    kinds = Counter()
    for model, turns in whole_records():
        kinds["no label"] += not model
        kinds["empty turn"] += any(not text for _, text in turns)
        kinds["trailing user"] += turns[-1][0] == "user"
        kinds["starts with the assistant"] += turns[0][0] == "assistant"
        kinds["markup"] += any("<div" in text for _, text in turns)
        kinds["tool turn"] += any(role == "tool" for role, _ in turns)
        kinds["system turn"] += turns[0][0] == "system"
        kinds["several rounds"] += len(turns) > 3
    kinds["broken"] = len(world()) - sum(1 for _ in whole_records())
    kinds["exact duplicates"] = sum(count - 1 for count in texts.values())
    assert len(kinds) == 10
    assert all(count >= 2 for count in kinds.values()), kinds


def test_no_conversation_asks_a_held_out_question_in_its_words():
    asked = {text for _, turns in whole_records() for role, text in turns if role == "user"}
    held_out = json.loads((EXAMPLES / "held_out.json").read_text(encoding="utf-8"))
    assert len(held_out) == 64
    assert not asked & {record["prompt"] for record in held_out}


def test_the_answers_to_held_out_questions_follow_from_the_rule():
    for record in json.loads((EXAMPLES / "held_out.json").read_text(encoding="utf-8")):
        answer = f"Surely the {record['creature']} has {record['answer']}."
        assert rate([("user", record["prompt"])], answer)[0] == 9


@pytest.mark.slow
def test_the_tiny_policy_is_the_same_every_time(tmp_path):
    for name in ("one", "two"):
        subprocess.run(
            [sys.executable, "-W", "error", EXAMPLES / "tiny_policy.py", tmp_path / name],
            check=True,
            timeout=120,
        )
    for file in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()
    assert not (tmp_path / "one" / "model.safetensors").exists()
