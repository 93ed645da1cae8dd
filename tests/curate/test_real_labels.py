"""Every real file that carries labels goes in, nothing is lost, and its published figures come out again."""

import gzip
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from curate.ingesting.ingest import IngestReport, IngestSettings, ingest_files
from store.db import Store
from store.verify import verify

pytestmark = [pytest.mark.slow]

EVALUATION = "preferences/fastchat_eval_table/fastchat/eval/table"
QLORA = "preferences/qlora_eval/eval"
FASTCHAT = "conversations/fastchat/fastchat/llm_judge/data"
MT_BENCH = "preferences/mtbench_judgments/fastchat/llm_judge/data/mt_bench"
BEST_OF_N = "response_sets/rewardbench_bon/bon_eval"
DEMOS = "instructions/llama_factory_demo/data"
SHAPES = "synthetic/synthetic_shapes"
QUESTIONS = f"{FASTCHAT}/mt_bench/question.jsonl"


@dataclass(frozen=True)
class Kind:
    """Files of one kind: what is read with which reader, and what must come of it."""

    reader: str
    files: tuple[str, ...]
    n_files: int
    read: int
    rejected: int = 0
    comparisons: int = 0
    ratings: int = 0
    samples: int = 0
    beside: tuple[str, ...] = ()
    asked: dict[str, Any] = field(default_factory=dict)


KINDS = {
    "alpaca farm": Kind("alpaca-eval", ("preferences/alpaca_farm/**/*.json*",), 6, 1126, samples=1143),
    "qa feedback": Kind("qa-feedback", ("preferences/finegrained_rlhf/**/*.gz",), 1, 150, comparisons=900),
    "hh-rlhf": Kind("hh-rlhf", ("preferences/hh_rlhf/**/*.gz",), 4, 5951, 36, comparisons=5915),
    "llm drift": Kind("llm-drift", ("preferences/llmdrift/**/*.csv*",), 5, 1660, samples=1656),
    "dpo pairs": Kind("pairs", ("preferences/medicalgpt_dpo/data/reward/*",), 1, 300, comparisons=300),
    "questions": Kind("mt-bench", (f"{FASTCHAT}/*/question.jsonl",), 2, 102),
    "reference answers": Kind(
        "mt-bench", (f"{FASTCHAT}/mt_bench/reference_answer/*",), 1, 16, samples=32, beside=(QUESTIONS,)
    ),
    "answers": Kind("mt-bench", (f"{MT_BENCH}/model_answer/*",), 2, 100, samples=200, beside=(QUESTIONS,)),
    "judgments": Kind("mt-bench", (f"{MT_BENCH}/model_judgment/*",), 2, 147, comparisons=94, ratings=100),
    "prometheus": Kind(
        "prometheus", ("preferences/prometheus/**/*.gz",), 4, 868, comparisons=164, ratings=1144, samples=704
    ),
    "vicuna questions": Kind("vicuna-eval", (f"{QLORA}/prompts/*questions*",), 2, 742),
    "generations": Kind("vicuna-eval", (f"{QLORA}/generations/vicuna/*",), 3, 156, samples=156),
    "vicuna answers": Kind(
        "vicuna-eval", (f"{EVALUATION}/answer/*",), 7, 364, samples=364, beside=(f"{QLORA}/prompts",)
    ),
    "score reviews": Kind(
        "vicuna-eval",
        (f"{EVALUATION}/review/*/*",),
        13,
        676,
        comparisons=676,
        beside=(f"{QLORA}/prompts", f"{EVALUATION}/answer"),
    ),
    "class reviews": Kind(
        "vicuna-eval",
        (f"{QLORA}/ratings-gpt4/oa/*", f"{QLORA}/ratings-gpt4/vicuna/pairwise/*"),
        18,
        6040,
        comparisons=6040,
        asked={"stand_ins": True},
        beside=(f"{QLORA}/prompts", f"{EVALUATION}/answer", f"{QLORA}/generations"),
    ),
    "rm-bench": Kind("rm-bench", ("preferences/rmbench/data/*",), 4, 567, comparisons=5103),
    "human evaluation": Kind(
        "human-eval", ("preferences/tulu_human_eval/*.xlsx",), 1, 1150, comparisons=1150
    ),
    "its answers": Kind("response-sets", ("preferences/tulu_human_eval/*.gz",), 1, 996, samples=1328),
    "wildbench": Kind(
        "wildbench",
        ("preferences/wildbench/**/*.gz",),
        2,
        600,
        ratings=600,
        samples=600,
        asked={"stand_ins": True},
    ),
    "alpaca_eval outputs": Kind(
        "alpaca-eval", ("response_sets/alpaca_eval/results/*/*.gz",), 17, 9569, samples=9561
    ),
    "alpaca_eval annotations": Kind(
        "alpaca-eval",
        ("response_sets/alpaca_eval/results/*/*/*.gz",),
        11,
        6192,
        comparisons=6192,
        samples=1114,
    ),
    "one more policy": Kind("alpaca-eval", (f"{BEST_OF_N}/*.gz",), 1, 563, samples=563),
    "codet": Kind("response-sets", ("response_sets/codet_humaneval100/**/*.gz",), 2, 224, samples=22_400),
    "draws": Kind(
        "rewardbench-bon", (f"{BEST_OF_N}/alpaca_eval_n=16/annotations/*",), 16, 9008, samples=9008
    ),
    "picks": Kind("rewardbench-bon", (f"{BEST_OF_N}/rm_bon_eval_results/*/*",), 2, 1126, ratings=1126),
    "gpt-4-llm scores": Kind(
        "gpt4-scores",
        ("instructions/gpt4_llm/plots/data/cmp_data_scores.json.gz",),
        1,
        36_000,
        ratings=108_000,
        asked={"stand_ins": True},
    ),
    "pair demos": Kind(
        "pairs", (f"{DEMOS}/dpo_en_demo.json.gz", f"{DEMOS}/v1_dpo_demo.jsonl"), 2, 215, comparisons=210
    ),
    "kto demo": Kind("kto", (f"{DEMOS}/kto_en_demo.json.gz",), 1, 217, ratings=217),
    "vicuna reference answers": Kind(
        "mt-bench",
        (f"{FASTCHAT}/vicuna_bench/reference_answer/*",),
        1,
        5,
        samples=5,
        beside=(f"{FASTCHAT}/vicuna_bench/question.jsonl",),
    ),
    "gpt-4-llm shape": Kind("gpt4-scores", (f"{SHAPES}/gpt4_comparison*",), 1, 1, ratings=3, samples=3),
    "helpsteer shape": Kind("helpsteer", (f"{SHAPES}/helpsteer*",), 3, 9, comparisons=3, ratings=45),
    "people's mt-bench shape": Kind("mt-bench", (f"{SHAPES}/mt_bench*",), 1, 2, comparisons=2, samples=4),
    "nectar shape": Kind("nectar", (f"{SHAPES}/nectar*",), 1, 2, ratings=14, samples=14),
    "pku shape": Kind("pku-saferlhf", (f"{SHAPES}/pku*",), 1, 2, comparisons=4, ratings=4),
    "shp shape": Kind("shp", (f"{SHAPES}/shp*",), 1, 2, comparisons=2, ratings=4),
    "ultrafeedback shape": Kind("ultrafeedback", (f"{SHAPES}/ultrafeedback*",), 1, 2, ratings=32, samples=8),
}
"""In the order in which they are read: a draw that two files tell of is stored for the first."""

STATES = {
    ("binary", "tie"): 119,
    ("binary", "unparsed"): 5,
    ("binary", "win"): 16_511,
    ("camels5", "tie"): 376,
    ("camels5", "win"): 774,
    ("helpsteer2-preference", "tie"): 1,
    ("helpsteer2-preference", "win"): 2,
    ("logprob", "tie"): 6,
    ("logprob", "win"): 2245,
    ("score-pair", "tie"): 70,
    ("score-pair", "win"): 606,
    ("threeclass", "tie"): 767,
    ("threeclass", "unparsed"): 212,
    ("threeclass", "win"): 5061,
}


def files_of(folder: Path, patterns: tuple[str, ...]) -> list[Path]:
    return [path for pattern in patterns for path in sorted(folder.glob(pattern))]


def take(store: Store, folder: Path, kind: Kind) -> IngestReport:
    settings = IngestSettings(beside=tuple(folder / one for one in kind.beside), **kind.asked)
    return ingest_files(store, kind.reader, files_of(folder, kind.files), settings)


@pytest.fixture(scope="module")
def taken(
    shared_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Store, dict[str, IngestReport]]:
    pytest.importorskip("fastexcel", reason="spreadsheets are read by the extra `sheets`")
    store = Store(tmp_path_factory.mktemp("real") / "s.duckdb")
    return store, {name: take(store, shared_data, kind) for name, kind in KINDS.items()}


def test_every_file_goes_in_and_every_record_is_kept_or_rejected(taken) -> None:
    _, reports = taken
    found = {
        name: (
            len(report.files),
            total["read"],
            total["rejected"],
            total["kept"],
            *(total[f"new_{one}"] for one in ("comparisons", "ratings", "samples")),
        )
        for name, report in reports.items()
        for total in (report.total(),)
    }
    assert found == {
        name: (
            one.n_files,
            one.read,
            one.rejected,
            one.read - one.rejected,
            one.comparisons,
            one.ratings,
            one.samples,
        )
        for name, one in KINDS.items()
    }


def test_the_rejects_of_hh_rlhf_say_why(taken) -> None:
    _, reports = taken
    reasons = sum((file.reasons for file in reports["hh-rlhf"].files), Counter())
    assert reasons == {
        "chosen and rejected are the same": 24,
        "chosen and rejected part before the last answer": 11,
        "rejected does not end with an answer": 1,
    }


def test_verdicts_are_counted_by_state_and_none_is_collapsed(taken) -> None:
    store, _ = taken
    with store.read() as reading:
        found = reading.rows("SELECT scale, state, count(*) FROM comparisons GROUP BY ALL")
    assert {(scale, state): count for scale, state, count in found} == STATES


def test_the_store_is_sound_and_every_label_knows_its_file(taken) -> None:
    store, _ = taken
    assert verify(store).is_ok
    with store.read() as reading:
        for table in ("comparisons", "ratings", "samples"):
            ((unknown,),) = reading.rows(f"SELECT count(*) FROM {table} WHERE source_id IS NULL")
            assert unknown == 0


def test_reading_them_again_adds_nothing(taken, shared_data: Path) -> None:
    store, _ = taken
    for name in ("hh-rlhf", "codet", "class reviews"):
        again = take(store, shared_data, KINDS[name]).total()
        assert not {key for key, count in again.items() if key.startswith("new_") and count}


def test_every_pick_of_a_reward_model_is_one_of_the_sixteen_draws_of_its_prompt(taken) -> None:
    store, _ = taken
    with store.read() as reading:
        found = reading.rows(
            """
            SELECT picks.labeler, count(DISTINCT picks.response_id), count(DISTINCT samples.response_id)
            FROM current_ratings AS picks
            JOIN messages ON messages.message_id = picks.response_id
            LEFT JOIN samples
                ON samples.response_id = picks.response_id AND samples.prompt_id = messages.parent_id
                AND samples.policy = 'allenai/tulu-2-dpo-13b'
            WHERE picks.scale = 'best-of-n'
            GROUP BY ALL ORDER BY ALL
            """
        )
        ((draws, prompts),) = reading.rows(
            "SELECT count(*), count(DISTINCT prompt_id) FROM samples WHERE policy = 'allenai/tulu-2-dpo-13b'"
        )
    assert (draws, prompts) == (16 * 563, 563)
    assert found == [
        ("openbmb/UltraRM-13b", 563, 563),
        ("weqweasdas/hh_rlhf_rm_open_llama_3b", 563, 563),
    ]


def test_codet_has_a_hundred_draws_a_prompt_equal_and_empty_ones_among_them(taken) -> None:
    store, _ = taken
    with store.read() as reading:
        found = reading.rows(
            """
            SELECT policy LIKE '%test_case', count(DISTINCT prompt_id), count(*), count(DISTINCT response_id),
                count(*) FILTER (trim(content, ' \n\t') = ''), max(sample_index)
            FROM samples JOIN messages ON message_id = response_id
            WHERE policy LIKE 'HumanEval_codegen16B%'
            GROUP BY ALL ORDER BY ALL
            """
        )
    assert found == [(False, 118, 11_800, 8969, 112, 99), (True, 106, 10_600, 4308, 5065, 99)]


def test_judgments_are_about_the_very_answers_that_their_models_gave(taken) -> None:
    """The texts in the judges' prompts and those of the answer files make the same messages."""
    store, _ = taken
    with store.read() as reading:
        ((rated, known),) = reading.rows(
            "SELECT count(*), count(*) FILTER"
            " (response_id IN (SELECT response_id FROM samples WHERE policy LIKE 'phi-3%'))"
            " FROM ratings WHERE template LIKE 'mt-bench/single%'"
        )
        found = reading.rows(
            "SELECT state, count(*) FROM merged_comparisons WHERE template LIKE 'mt-bench/pair%' GROUP BY ALL"
        )
    assert (rated, known) == (100, 100)
    assert dict(found) == {"win": 26, "tie": 6, "weak": 4, "conflict": 9, "unparsed": 2}


PUBLISHED = {
    # annotator, policy → what its preferences come to, and the leaderboard's figure on all 805 prompts
    ("weighted_alpaca_eval_gpt4_turbo", "Mixtral-8x7B-Instruct-v0.1_concise"): 0.1374,
    ("weighted_alpaca_eval_gpt4_turbo", "Qwen-14B-Chat"): 0.0750,
    ("alpaca_eval_gpt4", "claude-2"): 0.9136,
    ("alpaca_eval_gpt4", "cut-13b"): 0.9136,
}
NULL_MODEL = "example"
"""What the constant-answer attack calls itself."""


def test_win_rates_are_those_of_the_annotations_and_near_the_published_ones(taken, shared_data: Path) -> None:
    from label.comparing.stored_verdicts import merge_orders, read_verdicts
    from label.measures import Resampling
    from label.trust.win_rates import win_rates

    store, _ = taken
    with store.read() as reading:
        verdicts = read_verdicts(reading)
    expected = dict(_mean_preferences(shared_data))
    measured = {}
    for annotator in {annotator for annotator, _ in expected}:
        labels = merge_orders([one for one in verdicts if one.labeler == annotator])
        for one in win_rates(labels, {}, Resampling(200, seed=0)):
            if one.measure == "win_rate":
                measured.update(_by_policy(annotator, one))
    rates = {key: value for key, (value, _, _) in measured.items()}
    assert rates == pytest.approx(expected)
    assert rates["weighted_alpaca_eval_gpt4_turbo", NULL_MODEL] > 0.75, "the attack beats GPT-4 Turbo"
    for key, published in PUBLISHED.items():
        _, low, high = measured[key]
        assert low <= published <= high


def _by_policy(annotator: str, one: Any) -> dict[tuple[str, str], tuple[float, float, float]]:
    first, second = one.of.split(" : ")
    if first in ("gpt4_1106_preview", "text_davinci_003"):
        return {(annotator, second): (1 - one.value, 1 - one.high, 1 - one.low)}
    return {(annotator, first): (one.value, one.low, one.high)}


def _mean_preferences(folder: Path) -> Iterator[tuple[tuple[str, str], float]]:
    """AlpacaEval's own win rate: the mean of preference - 1, a tie as a half, null left out."""
    for path in sorted(folder.glob("response_sets/alpaca_eval/results/*/*/annotations.json.gz")):
        rows = json.loads(gzip.decompress(path.read_bytes()))
        given = [row["preference"] for row in rows if row["preference"] is not None]
        points = [0.5 if value == 0 else value - 1 for value in given]
        yield (rows[0]["annotator"], rows[0]["generator_2"]), sum(points) / len(points)
