"""RLHF Workflow's ten preference sets (Table 5) through the commands: in, mixed, paired by each set's own rule, out."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import curate.cli
import label.cli
import train.cli
from label.pairs.mixed import plan_mixture
from label.pairs.source_rules import MixtureSettings
from store.console import run_command
from store.db import Store
from store.errors import BadSettings, RequestError, UnknownName
from store.verify import verify

Records = list[dict[str, Any]]


def hh(prompt: str, chosen: str, rejected: str) -> dict[str, Any]:
    asked = f"\n\nHuman: {prompt}\n\nAssistant: "
    return {"chosen": asked + chosen, "rejected": asked + rejected}


def votes(prompt: str, a: tuple[str, int], b: tuple[str, int]) -> dict[str, Any]:
    return {
        "post_id": prompt,
        "history": prompt,
        "human_ref_A": a[0],
        "human_ref_B": b[0],
        "score_A": a[1],
        "score_B": b[1],
        "labels": int(a[1] > b[1]),
    }


def helpsteer(
    prompt: str, response: str, helpfulness: int, correctness: int, verbosity: int
) -> dict[str, Any]:
    said = {"helpfulness": helpfulness, "correctness": correctness, "verbosity": verbosity}
    return {"prompt": prompt, "response": response, **said, "coherence": 4, "complexity": 0}


def safe(prompt: str, better: int, safer: int, *, is_safe: tuple[bool, bool]) -> dict[str, Any]:
    return {
        "prompt": prompt,
        "response_0": f"{prompt}: no",
        "response_1": f"{prompt}: yes",
        "is_response_0_safe": is_safe[0],
        "is_response_1_safe": is_safe[1],
        "better_response_id": better,
        "safer_response_id": safer,
    }


def ultrafeedback(prompt: str, *means: float) -> dict[str, Any]:
    def completion(place: int, mean: float) -> dict[str, Any]:
        rating = {"helpfulness": {"Rating": str(mean), "Rationale": "r"}}
        return {"model": f"m{place}", "response": f"{prompt}, {place}", "annotations": rating}

    return {"instruction": prompt, "completions": [completion(*one) for one in enumerate(means)]}


def step(prompt: str) -> dict[str, Any]:
    path = [{"from": "user", "value": prompt}]
    return {"id": prompt, "trajectory": path, "chosen": "A right step.", "rejected": "A wrong step."}


def scored(prompt: str, chosen: float, rejected: float) -> dict[str, Any]:
    return {
        "prompt": prompt,
        "chosen": f"good: {prompt}",
        "rejected": f"bad: {prompt}",
        "rating_chosen": chosen,
        "rating_rejected": rejected,
    }


def written(prompt: str) -> dict[str, Any]:
    return {"instruction": prompt, "chosen": "def right(): ...", "rejected": "def wrong(): ..."}


SETS: dict[str, tuple[str, Records]] = {
    "hh-rlhf": ("hh-rlhf", [hh("hello", "Hi!", "Go away."), hh("bye", "Bye!", "So?")]),
    "shp": (
        "shp",
        [
            votes("post", ("nine", 9), ("four", 4)),
            votes("post", ("nine", 9), ("five", 5)),
            votes("post", ("minus", -3), ("nine", 9)),
        ],
    ),
    "helpsteer": (
        "helpsteer",
        [
            helpsteer("steer", "best", 4, 4, 0),
            helpsteer("steer", "long", 3, 4, 4),
            helpsteer("steer", "even", 4, 3, 1),
        ],
    ),
    "pku-saferlhf": (
        "pku-saferlhf",
        [
            safe("one", 0, 0, is_safe=(True, True)),
            safe("two", 1, 0, is_safe=(True, False)),
            safe("three", 0, 0, is_safe=(False, True)),
        ],
    ),
    "ultrafeedback": ("ultrafeedback", [ultrafeedback("uf", 5, 4.75, 4.75, 1)]),
    "ultrainteract": ("ultrainteract", [step("sum")]),
    "code-ultrafeedback": ("pairs", [written("sort a list")]),
    "math-preferences": ("pairs", [scored("two and two", 9, 9), scored("two and three", 9, 2)]),
    "orca-pairs": ("pairs", [scored("what is tea", 5, 8), scored("what is coffee", 8, 7.8)]),
    "capybara": ("pairs", [scored("why is the sky blue", 5, 3), written("and the sea")]),
}
RATED = {"math-preferences", "orca-pairs", "capybara"}


ROOMS = {"curate": curate.cli.cli, "label": label.cli.cli, "train": train.cli.cli}


def run(arguments: tuple[str, ...], store: Path) -> int:
    room, *asked = arguments
    return run_command(ROOMS[room], [*asked, "--store", str(store)])


@pytest.fixture(scope="module")
def ten_sets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with the ten sets, each taken in as a user would."""
    folder = tmp_path_factory.mktemp("ten")
    for name, (reader, records) in SETS.items():
        path = folder / f"{name}.jsonl"
        path.write_text("".join(json.dumps(record) + "\n" for record in records))
        judge = ("--labeler", "gpt-4", "--labeler-kind", "judge") if name in RATED else ()
        assert run(("curate", "ingest", reader, str(path), "--name", name, *judge), folder / "s.duckdb") == 0
    return folder / "s.duckdb"


@pytest.fixture
def ingested(ten_sets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """Runs a command on a copy of that store; gives its JSON, or its words where it fails."""
    store = tmp_path / "s.duckdb"
    shutil.copy(ten_sets, store)

    def command(*arguments: str, fails: bool = False) -> Any:
        code = run((*arguments, *(() if fails else ("--json",))), store)
        shown = capsys.readouterr()
        assert (code != 0) == fails, shown.err
        return shown.err if fails else json.loads(shown.out)

    return command


def chosen(store: Store, name: str) -> set[tuple[str, str, str]]:
    with store.read() as reading:
        return set(
            reading.rows(
                "SELECT prompts.content, chosen.content, rejected.content FROM selection_pairs AS pairs"
                " JOIN selections ON selections.selection_id = pairs.selection_id"
                " JOIN messages AS prompts ON prompts.message_id = pairs.prompt_id"
                " JOIN messages AS chosen ON chosen.message_id = pairs.chosen_id"
                " JOIN messages AS rejected ON rejected.message_id = pairs.rejected_id"
                " WHERE selections.name = ?",
                [name],
            )
        )


EXPECTED = {
    ("hello", "Hi!", "Go away."),
    ("bye", "Bye!", "So?"),
    ("post", "nine", "four"),
    ("steer", "best", "long"),
    ("steer", "best", "even"),
    ("one", "one: no", "one: yes"),
    *(("uf", f"uf, {better}", f"uf, {worse}") for better, worse in ((0, 1), (0, 2), (0, 3), (1, 3), (2, 3))),
    ("sum", "A right step.", "A wrong step."),
    ("sort a list", "def right(): ...", "def wrong(): ..."),
    ("two and three", "good: two and three", "bad: two and three"),
    ("what is coffee", "good: what is coffee", "bad: what is coffee"),
    ("why is the sky blue", "good: why is the sky blue", "bad: why is the sky blue"),
    ("and the sea", "def right(): ...", "def wrong(): ..."),
}


def test_the_ten_sets_become_pairs_each_by_its_own_rule(ingested: Callable[..., Any], tmp_path: Path) -> None:
    mixed = ingested("curate", "mix", "mix2", "--preset", "mix2")
    assert (mixed["kind"], mixed["rows"], mixed["label_sources"]) == ("prompts", 16, sorted(SETS))
    assert set(mixed["members"].values()) >= {
        "HH-RLHF",
        "SHP",
        "CodeUltraFeedback",
        "UltraFeedback",
        "OpenOrca",
    }
    assert ingested("curate", "mix", "mix2", "--preset", "mix2")["is_new"] is False
    found = ingested("label", "pairs", "rm", "--preset", "rlhf-workflow", "--prompts", "mix2")
    store = Store(tmp_path / "s.duckdb")
    assert chosen(store, "rm") == EXPECTED
    assert {one["source"]: one["pairs"] for one in found["sources"]} == {
        **{"hh-rlhf": 2, "shp": 1, "helpsteer": 2, "pku-saferlhf": 1, "ultrafeedback": 5, "ultrainteract": 1},
        **{"code-ultrafeedback": 1, "math-preferences": 1, "orca-pairs": 1, "capybara": 2},
    }
    for one in found["steps"].values():
        assert one["in"] == one["kept"] + sum(one["dropped"].values())
    dropped = {name: one["dropped"] for name, one in found["steps"].items() if one["dropped"]}
    assert dropped == {
        "shp: pairs": {"ratio_too_small": 1, "score_not_positive": 1},
        "helpsteer (helpsteer annotators): pairs": {"tied": 1},
        "pku-saferlhf: verdicts": {"labelers_disagree": 2, "said_again": 2},
        "pku-saferlhf: pairs": {"contradicted": 1},
        "ultrafeedback (gpt-4): pairs": {"tied": 1},
        "math-preferences: pairs": {"below_min_gap": 1},
        "orca-pairs: pairs": {"contradicted": 1},
    }
    again = ingested("label", "pairs", "rm", "--preset", "rlhf-workflow", "--prompts", "mix2")
    assert (again["is_new"], again["version"]) == (False, found["version"])
    assert verify(store).is_ok


def test_small_margins_are_dropped_where_asked(ingested: Callable[..., Any], tmp_path: Path) -> None:
    ingested("label", "pairs", "clear", "--preset", "rlhf-workflow", "--min-gap", "0.75")
    narrow = {
        ("uf", "uf, 0", "uf, 1"),
        ("uf", "uf, 0", "uf, 2"),
        *(one for one in EXPECTED if "coffee" in one[0]),
    }
    narrow |= {one for one in EXPECTED if one[0] == "steer"}
    assert chosen(Store(tmp_path / "s.duckdb"), "clear") == EXPECTED - narrow


def test_mix1_takes_four_sets_and_says_which_one_is_missing(
    ingested: Callable[..., Any], tmp_path: Path
) -> None:
    words = ingested("curate", "mix", "mix1", "--preset", "mix1", fails=True)
    assert "finds no source for Summarization (*summar*)" in words
    assert "curate ingest summarize PATH --name summarize" in words
    assert "capybara, code-ultrafeedback, helpsteer" in words
    mixed = ingested("curate", "mix", "mix1", "--preset", "mix1", "--skip-missing")
    assert mixed["label_sources"] == ["hh-rlhf", "shp", "ultrafeedback"]
    ingested("label", "pairs", "rm1", "--preset", "rlhf-workflow", "--prompts", "mix1")
    assert {prompt for prompt, _, _ in chosen(Store(tmp_path / "s.duckdb"), "rm1")} == {
        *("hello", "bye", "post", "uf")
    }


def test_labels_of_another_source_under_a_chosen_prompt_stay_out(
    ingested: Callable[..., Any], tmp_path: Path
) -> None:
    path = tmp_path / "other.jsonl"
    path.write_text(json.dumps({"prompt": "hello", "chosen": "Go away.", "rejected": "Hi!"}) + "\n")
    ingested("curate", "ingest", "pairs", str(path), "--name", "other")
    ingested("curate", "mix", "mix2", "--preset", "mix2")
    found = ingested("label", "pairs", "rm", "--preset", "rlhf-workflow", "--prompts", "mix2")
    assert found["pairs"] == len(EXPECTED)
    every = plan_mixture(Store(tmp_path / "s.duckdb"), MixtureSettings())
    assert every.plan.steps[-1].dropped == {"sources_disagree": 2}
    assert len(every.plan.pairs) == len(EXPECTED) - 1


def test_a_prompt_whose_conversations_were_dropped_is_not_mixed(ingested: Callable[..., Any]) -> None:
    dropped = ingested("curate", "filter", "turns", "--yes")[
        "dropped"
    ]  # all but HelpSteer's, which have answers
    mixed = ingested("curate", "mix", "mix2", "--preset", "mix2")
    (step,) = (one for one in mixed["steps"] if one["step"] == "conversations")
    assert (dropped > 0, mixed["label_sources"]) == (True, ["helpsteer"])
    assert step["dropped"] == {"on no conversation in force": step["in"] - 1}


def test_the_pairs_train_a_reward_model(
    ingested: Callable[..., Any], tmp_path: Path, byte_tokenizer_maker: Callable[..., Any]
) -> None:
    tokenizer = byte_tokenizer_maker()
    tokenizer.chat_template = "{% for m in messages %}<s>{{ m['role'] }}: {{ m['content'] }}</s>{% endfor %}"
    tokenizer.save_pretrained(tmp_path / "tokenizer")
    ingested("curate", "mix", "mix2", "--preset", "mix2")
    ingested("label", "pairs", "rm", "--preset", "rlhf-workflow", "--prompts", "mix2")
    out = str(tmp_path / "rm")
    found = ingested(
        *("train", "export", "rm", "--pairs", "rm", "--tokenizer", str(tmp_path / "tokenizer")),
        *("--template", "own", "--out", out),
    )
    assert found["rows"] + sum(found["dropped"].values()) == len(EXPECTED)
    assert found["rows"] >= len(EXPECTED) - 1


@pytest.mark.parametrize(
    "asked",
    [("--rule", "best-random"), ("--ratings", "gpt-4"), ("--by", "people"), ("--length-penalty", "0.1")],
)
def test_a_preset_leaves_little_open(ingested: Callable[..., Any], asked: tuple[str, str]) -> None:
    assert "--preset says how pairs are made" in ingested(
        "label", "pairs", "rm", "--preset", "rlhf-workflow", *asked, fails=True
    )


def test_sources_and_aspects_narrow_what_counts(ingested: Callable[..., Any]) -> None:
    judged = ("label", "pairs", "hh", "--rule", "judged", "--dry-run")
    assert ingested(*judged, "--source", "hh-rlhf")["pairs"] == 2
    assert ingested(*judged)["pairs"] > 2
    assert "no source named 'hh-rlfh'" in ingested(*judged, "--source", "hh-rlfh", fails=True)
    rated = ("label", "pairs", "hs", "--ratings", "helpsteer annotators", "--dry-run")
    assert ingested(*rated, "--aspect", "verbosity")["audit"]["score_gap"]["most"] == 4.0
    assert "no aspect of helpsteer annotators named 'helpfullness'" in ingested(
        *rated, "--aspect", "helpfullness", fails=True
    )
    with pytest.raises(BadSettings, match="--aspect is about ratings"):
        from label.ranking.scores import Scoring

        Scoring(aspects=("helpfulness",))


def test_a_store_without_labels_has_nothing_to_mix(tmp_path: Path) -> None:
    store = Store(tmp_path / "empty.duckdb")
    with store.write():
        pass
    with pytest.raises(RequestError, match="no source has verdicts or ratings"):
        plan_mixture(store, MixtureSettings())
    with pytest.raises(UnknownName):
        plan_mixture(store, MixtureSettings(sources=("hh-rlhf",)))
