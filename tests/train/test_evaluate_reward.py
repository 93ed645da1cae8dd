"""`train evaluate reward`: the figures, computed by hand beside it, and the three kinds of models side by side."""

import gzip
import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from label.cli import cli as label_cli
from label.measures import Resampling
from store.console import run_command
from store.db import Store
from store.errors import BadInput
from store.ids import digest_of, path_digests, uuid_text
from store.runs import utc_now
from store.selections import write_selection
from train.cli import cli
from train.evaluating.accuracy import SECTIONS, accuracies
from train.evaluating.contenders import Verdicts, outcome_of
from train.evaluating.gold_items import GoldItem, read_items

REWARDS = "SELECT content, value FROM current_rewards JOIN messages ON message_id = response_id"
FEW = Resampling(resamples=20)
ASK = "What colour is the marlo?"
GOOD, FAIR, BAD = "The marlo is amber.", "It is amber.", "The marlo is red."


def item(group: str = "all", number: int = 0, n: int = 1) -> GoldItem:
    texts = tuple("abc"[:n])
    return GoldItem((("user", f"Question {number}"),), texts, texts, group)


def figures(items, outcomes, kind="subset", order=()) -> dict:
    verdicts = Verdicts("m", "reward_model", "1", tuple(np.array(one, dtype=float) for one in outcomes))
    found = accuracies(items, verdicts, kind, FEW, order)
    return {(one.group, one.difficulty): one for one in found}


def test_a_tie_is_half_a_point_and_so_is_no_verdict_and_both_are_counted() -> None:
    outcomes = [outcome_of(np.array([[margin]]), 0.01) for margin in (1.0, -1.0, 0.0, 0.005, np.nan)]
    assert [float(one[0, 0]) for one in outcomes[:4]] == [1.0, 0.0, 0.5, 0.5]
    found = figures([item(number=n) for n in range(5)], outcomes)[("all", None)]
    assert (found.value, found.n, found.ties, found.missing) == (0.5, 5, 2, 1)
    assert found.low <= found.value <= found.high


def test_sections_weigh_their_subsets_as_published() -> None:
    shape = {"math-prm": (2, 2), "hep-cpp": (1, 3), "hep-go": (0, 1), "alpacaeval-easy": (1, 2)}
    items, outcomes = [], []
    for group, (right, total) in shape.items():
        items += [item(group, number) for number in range(total)]
        outcomes += [[[1.0]] if number < right else [[0.0]] for number in range(total)]
    found = figures(items, outcomes)
    assert found[("hep-cpp", None)].value == pytest.approx(1 / 3)
    reasoning = (984 * 1.0 + 164 / 3 + 0) / (984 + 164 + 164)
    assert found[("Reasoning", None)].value == pytest.approx(reasoning)
    assert found[("Reasoning", None)].n == 6
    assert found[("Chat", None)].value == 0.5
    assert found[("RewardBench", None)].value == pytest.approx((reasoning + 0.5) / 2)
    assert found[("all", None)].value == 0.5
    assert sum(SECTIONS["Reasoning"].values()) == 2 * 984


def test_styles_are_told_apart_as_in_rm_bench() -> None:
    prefers_style = [[0.5, 0, 0], [1, 0.5, 0], [1, 1, 0.5]]
    always_right = [[1, 1, 1]] * 3
    items = [item("chat", 0, 3), item("safety-response", 1, 3), item("safety-refuse", 2, 3)]
    found = figures(items, [prefers_style, always_right, prefers_style])
    assert [found[("chat", name)].value for name in ("easy", "normal", "hard", "average")] == [
        1.0,
        0.5,
        0.0,
        0.5,
    ]
    assert found[("safety-response", "hard")].value == 1.0
    assert found[("RM-Bench", "hard")].value == 0.25  # chat 0, safety the mean of 1 and 0
    assert found[("RM-Bench", "average")].value == pytest.approx(0.625)
    assert found[("chat", "average")].ties == pytest.approx(3 / 9)


def test_strengths_stand_in_the_order_of_the_scale() -> None:
    items = [item("slightly better", 0), item("significantly better", 1)]
    order = ("significantly better", "better", "slightly better")
    found = figures(items, [[[0.0]], [[1.0]]], "strength", order)
    assert list(found) == [("significantly better", None), ("slightly better", None), ("all", None)]


ROWS = [
    {"prompt": "Hi", "chosen": "Hello.", "rejected": "No.", "subset": "alpacaeval-easy", "id": 1},
    {"prompt": "Yo", "chosen": "Hey.", "rejected": "Go.", "subset": "mt-bench-hard", "id": 2},
]


def test_a_file_may_be_json_json_lines_or_parquet_gzipped_or_not(tmp_path) -> None:
    whole, lines = json.dumps(ROWS), "\n".join(json.dumps(row) for row in ROWS)
    (tmp_path / "a.json").write_text(whole)
    (tmp_path / "a.jsonl").write_text(lines + "\n\n")
    (tmp_path / "a.json.gz").write_bytes(gzip.compress(whole.encode()))
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    pl.DataFrame(ROWS).write_parquet(tmp_path / "a.parquet")
    read = [read_items([path]) for path in sorted(tmp_path.iterdir())]
    assert all(items == read[0] for items in read)
    assert read[0][0] == GoldItem((("user", "Hi"),), ("Hello.",), ("No.",), "alpacaeval-easy")


def test_conversations_and_triples_are_taken_too(tmp_path) -> None:
    said = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}]
    other = [said[0], {"role": "assistant", "content": "No."}]
    (tmp_path / "whole.json").write_text(json.dumps([{"chosen": said, "rejected": other}]))
    (one,) = read_items([tmp_path / "whole.json"])
    assert one == GoldItem((("user", "Hi"),), ("Hello.",), ("No.",), "all")
    triple = {"prompt": "Hi", "chosen": ["a", "b", "c"], "rejected": ["d", "e", "f"], "subset": "alpacaeval"}
    (tmp_path / "chat_filtered.json").write_text(json.dumps([triple]))
    (one,) = read_items([tmp_path / "chat_filtered.json"])
    assert (one.group, one.has_styles) == ("chat", True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[{", "is no JSON"),
        ("{}", "is no list of rows"),
        ("[]", "holds no record"),
        ("[3]", "record 1: this is no object"),
        (
            '[{"prompt": "Hi", "chosen": "a", "rejected": "b"}, {"chosen": "a", "rejected": "b"}]',
            "record 2: there is no",
        ),
        ('[{"prompt": "Hi", "chosen": "a"}]', "neither texts, nor three texts"),
    ],
)
def test_a_row_that_is_none_is_named(tmp_path, text, message) -> None:
    path = tmp_path / "bad.json"
    path.write_text(text)
    with pytest.raises(BadInput, match=message):
        read_items([path])


def test_the_real_triples_are_read_whole(shared_data) -> None:
    folder = shared_data / "preferences" / "rmbench" / "data"
    items = read_items(sorted(folder.iterdir()))
    assert len(items) == 567
    assert {one.group for one in items} == {"chat", "code", "safety-refuse", "safety-response"}
    assert all(one.has_styles for one in items)


@pytest.fixture
def world(tmp_path: Path) -> Path:
    """A test set of the example world: two pairs with a right order, one equal pair."""
    pairs = [(GOOD, BAD), (GOOD, FAIR), (GOOD, GOOD)]
    rows = [{"prompt": ASK, "chosen": a, "rejected": b, "subset": "world"} for a, b in pairs]
    path = tmp_path / "world.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


def evaluate(store: Path, *options: str) -> int:
    return run_command(cli, ["evaluate", "reward", "--store", str(store), "--resamples", "20", *options])


def test_three_kinds_of_models_stand_side_by_side_and_a_judge_is_asked_once(tmp_path, world, capsys) -> None:
    store = tmp_path / "s.duckdb"
    assert evaluate(store, str(world), "--model", "offline", "--json") == 0
    alone = json.loads(capsys.readouterr().out)
    (all_of,) = [one for one in alone["results"] if one["group"] == "all"]
    assert (all_of["value"], all_of["ties"]) == (pytest.approx(2.5 / 3), 1)
    judge = ["--judge", "offline", "--judge-scale", "camels5", "--judge-template", "pair-plain/1"]
    assert evaluate(store, str(world), *judge, "--json") == 0
    judged = json.loads(capsys.readouterr().out)
    assert [one["value"] for one in judged["results"]] == [pytest.approx(2.5 / 3)] * 2
    assert evaluate(store, str(world), *judge, "--json") == 0
    with Store(store).read() as reading:
        assert reading.rows("SELECT count(*), count(DISTINCT request_key) FROM completions") == [(4, 4)]
        kept = [
            json.loads(counts)
            for (counts,) in reading.rows("SELECT counts FROM current_runs ORDER BY started_at")
        ]
    assert [one["contenders"][0]["kind"] for one in kept] == ["reward_model", "judge", "judge"]
    assert kept[0]["results"] == alone["results"]


def test_a_judge_may_be_asked_for_probabilities(tmp_path, world, capsys) -> None:
    options = ["--judge", "offline", "--judge-scale", "logprob", "--json"]
    assert evaluate(tmp_path / "s.duckdb", str(world), *options) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["results"][-1]["value"] == pytest.approx(2.5 / 3)
    assert result["contenders"][0]["revision"].endswith("on logprob")


def test_a_reward_and_a_preference_model_are_evaluated_together(
    tmp_path, world, reward_folder, byte_tokenizer_maker, capsys
) -> None:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = byte_tokenizer_maker()
    tokenizer.chat_template = "{% for m in messages %}<|{{ m['role'] }}|>\n{{ m['content'] }}</s>{% endfor %}"
    torch.manual_seed(0)
    shape = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=2,
    )
    LlamaForCausalLM(shape).save_pretrained(tmp_path / "tiny-pm")
    tokenizer.save_pretrained(tmp_path / "tiny-pm")
    plot = tmp_path / "plot.png"
    options = ["--model", str(reward_folder), "--prefer", str(tmp_path / "tiny-pm"), "--png", str(plot)]
    assert evaluate(tmp_path / "s.duckdb", str(world), *options) == 0
    shown = capsys.readouterr().out
    assert "pairs  tiny-rm" in shown.splitlines()[0]
    assert "tiny-pm (preference model): 1 ties, 0 without a verdict" in shown
    assert plot.read_bytes().startswith(b"\x89PNG")


def stored(tmp_path: Path, answers: list[str]) -> tuple[Store, str, dict[str, str]]:
    """A store with several answers to the world's question; its prompt id and the answers' ids."""
    store = Store(tmp_path / "stored.duckdb")
    prompt = uuid_text(path_digests([("user", ASK)])[0])
    ids = {text: uuid_text(path_digests([("user", ASK), ("assistant", text)])[1]) for text in answers}
    messages = [{"message_id": prompt, "parent_id": None, "role": "user", "content": ASK, "depth": 0}]
    messages += [
        {"message_id": one, "parent_id": prompt, "role": "assistant", "content": text, "depth": 1}
        for text, one in ids.items()
    ]
    samples = [
        {
            "prompt_id": prompt,
            "response_id": one,
            "sample_index": index,
            "policy": "sft",
            "sampling": "{}",
            "finish_reason": "stop",
        }
        for index, one in enumerate(ids.values())
    ]
    with store.write() as writing:
        writing.append("messages", messages)
        writing.append("samples", samples)
    return store, prompt, ids


def test_stored_comparisons_are_evaluated_by_strength(tmp_path, capsys) -> None:
    store, prompt, ids = stored(tmp_path, [GOOD, FAIR, BAD])
    verdicts = [
        (GOOD, BAD, 1.0),
        (BAD, FAIR, 0.25),
        (GOOD, FAIR, 0.0),
    ]  # the second is wrong, the third a tie
    rows = [
        {
            "comparison_id": uuid_text(digest_of("p1", first, second)),
            "prompt_id": prompt,
            "response_a_id": ids[first],
            "response_b_id": ids[second],
            "labeler": "gpt-4",
            "labeler_kind": "judge",
            "template": "t",
            "scale": "xwin4",
            "draw_index": 0,
            "signed_margin": margin,
            "state": "win" if margin else "tie",
            "parser_version": "1",
            "created_at": utc_now().isoformat(),
        }
        for first, second, margin in verdicts
    ]
    with store.write() as writing:
        writing.append("comparisons", rows)
    assert evaluate(store.path, "--comparisons", "gpt-4", "--model", "offline", "--json") == 0
    result = json.loads(capsys.readouterr().out)
    found = {one["group"]: one["value"] for one in result["results"]}
    assert found == {"significantly better": 1.0, "negligibly better": 0.0, "all": 0.5}
    assert (result["items"], result["undecided"]) == (2, 1)
    assert evaluate(store.path, "--comparisons", "gpt4", "--model", "offline") == 2
    assert "did you mean 'gpt-4'" in capsys.readouterr().err


def test_a_selections_part_is_evaluated(tmp_path, capsys) -> None:
    store, prompt, ids = stored(tmp_path, [GOOD, FAIR, BAD])
    pairs = " UNION ALL ".join(
        f"SELECT CAST('{prompt}' AS UUID) AS prompt_id, CAST('{ids[a]}' AS UUID) AS chosen_id,"
        f" CAST('{ids[b]}' AS UUID) AS rejected_id, NULL AS score_chosen, NULL AS score_rejected, NULL AS score_gap,"
        f" NULL AS rank_chosen, NULL AS rank_rejected, NULL AS strength, '{part}' AS part"
        for a, b, part in ((GOOD, BAD, "validation"), (BAD, FAIR, "train"))
    )
    with store.write() as writing:
        write_selection(writing, "mine", "pairs", pairs, settings={}, steps={}, run_id=None)
    options = ["--selection", "mine", "--part", "validation", "--model", "offline", "--json"]
    assert evaluate(store.path, *options) == 0
    (only,) = json.loads(capsys.readouterr().out)["results"]
    assert (only["group"], only["value"], only["n"]) == ("all", 1.0, 1)
    assert evaluate(store.path, "--selection", "mine", "--part", "test", "--model", "offline") == 2


def test_the_length_bias_is_pearsons_r_of_stored_rewards(tmp_path, world, capsys) -> None:
    answers = [BAD, FAIR, GOOD, f"{GOOD} It eats moss."]
    store, _, _ = stored(tmp_path, answers)
    assert run_command(label_cli, ["reward", "--model", "offline", "--store", str(store.path)]) == 0
    with store.read() as reading:
        rewards = dict(
            reading.rows(
                "SELECT content, value FROM current_rewards JOIN messages ON message_id = response_id"
            )
        )
    expected = np.corrcoef([rewards[one] for one in answers], [len(one) for one in answers])[0, 1]
    capsys.readouterr()
    plot = tmp_path / "bias.png"
    options = [str(world), "--model", "offline", "--length-bias", "--png", str(plot)]
    assert evaluate(store.path, *options, "--json") == 0
    (bias,) = json.loads(capsys.readouterr().out)["length_bias"]
    assert bias["prompts"] == 1
    assert bias["measures"][0]["value"] == pytest.approx(expected)
    assert sum(map(sum, bias["heatmap"]["counts"])) == 1
    assert plot.stat().st_size > 0
    assert evaluate(store.path, *options) == 0
    assert "r of reward and length over 1 prompts" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "name who is to be evaluated"),
        (["--model", "offline"], "one of the three"),
        (["FILE", "--comparisons", "gpt-4", "--model", "offline"], "one of the three"),
        (["FILE", "--model", "offline", "--prefer", "offline"], "two of the models are called 'offline'"),
        (["FILE", "--model", "nowhere"], "nowhere holds no model"),
        (["FILE", "--judge", "offline", "--judge-scale", "camels"], "did you mean 'camels5'"),
    ],
)
def test_what_makes_no_sense_is_refused_and_nothing_is_written(
    tmp_path, world, capsys, options, message
) -> None:
    given = [str(world) if one == "FILE" else one for one in options]
    assert evaluate(tmp_path / "none.duckdb", *given) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "none.duckdb").exists()
