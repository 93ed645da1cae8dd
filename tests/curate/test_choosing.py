"""Splits that share no prompt, mixtures by share, cap, temperature and ratio, and prompts turn by turn."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from curate.choosing.mix import MixSettings, mix
from curate.choosing.selection import Scope, keep_choice
from curate.choosing.split import SplitSettings, parse_parts, split
from curate.choosing.unfold import UnfoldSettings, unfold
from curate.cli import cli
from curate.ingesting.ingest import IngestSettings, ingest_files
from store.console import run_command
from store.db import Store
from store.errors import BadSettings, RequestError, UnknownName
from store.selections import selection_named
from store.verify import verify

Chats = list[tuple[str, list[str]]]


def sharegpt(path: Path, chats: Chats) -> Path:
    """A ShareGPT file of (model, turns from the user's on)."""
    records = [
        {
            "id": f"{path.stem}-{number}",
            "model": model,
            "conversations": [
                {"from": ("human", "gpt")[place % 2], "value": text} for place, text in enumerate(turns)
            ],
        }
        for number, (model, turns) in enumerate(chats)
    ]
    path.write_text(json.dumps(records))
    return path


Fill = Callable[[dict[str, Chats]], Store]


@pytest.fixture
def fill(tmp_path: Path) -> Fill:
    """A store with sources by name."""

    def filled(sources: dict[str, Chats]) -> Store:
        store = Store(tmp_path / "store.duckdb")
        for name, chats in sources.items():
            path = sharegpt(tmp_path / f"{name}.json", chats)
            ingest_files(store, "sharegpt", [path], IngestSettings(name=name))
        return store

    return filled


def chats(count: int, *, model: str = "gpt-4", start: int = 0) -> Chats:
    return [(model, [f"question {start + n}", f"answer {n}"]) for n in range(count)]


def test_parts_are_disjoint_near_their_shares_and_share_no_prompt(fill: Fill) -> None:
    twins = [("gpt-4", [f"Question  {n} ", "another answer"]) for n in range(100)]
    store = fill({"a": chats(400), "b": twins})
    choice = split(store, SplitSettings(parse_parts("I=0.5,II=0.3,III=0.2")))
    parts = dict(zip(*(choice.rows.get_column(name) for name in ("conversation_id", "part")), strict=True))
    assert len(parts) == 500
    sizes = [sum(part == name for part in parts.values()) for name in ("I", "II", "III")]
    assert 200 < sizes[0] < 300
    assert 100 < sizes[1] < 200
    with store.read() as reading:
        rows = reading.rows(
            "SELECT lower(trim(regexp_replace(content, '\\s+', ' ', 'g'))),"
            " list(CAST(conversation_id AS VARCHAR)) FROM conversations"
            " JOIN messages ON messages.message_id = conversations.message_ids[1] GROUP BY 1"
        )
    assert sum(len(ids) == 2 for _, ids in rows) == 100
    assert all(len({parts[one] for one in ids}) == 1 for _, ids in rows)


def test_new_conversations_join_the_parts_without_moving_the_others(fill: Fill, tmp_path: Path) -> None:
    store = fill({"a": chats(50)})
    settings = SplitSettings(parse_parts("train=0.8,test=0.2"), seed=3)
    before = split(store, settings).rows
    ingest_files(
        store, "sharegpt", [sharegpt(tmp_path / "b.json", chats(50, start=50))], IngestSettings(name="b")
    )
    after = {row["conversation_id"]: row["part"] for row in split(store, settings).rows.to_dicts()}
    assert len(after) == 100
    assert all(after[row["conversation_id"]] == row["part"] for row in before.to_dicts())


def test_what_the_shares_leave_over_is_left_out_and_counted(fill: Fill) -> None:
    choice = split(fill({"a": chats(200)}), SplitSettings(parse_parts("train=0.5")))
    [step] = choice.steps
    assert step["in"] == 200 == step["kept"] + step["dropped"]["in no part"]
    assert choice.rows.height == step["kept"]


@pytest.mark.parametrize("text", ["I=0.7,II=0.7", "I", "I=x", "I=0", "I=0.5,I=0.5", "=1"])
def test_parts_that_make_no_sense_are_refused(text: str) -> None:
    with pytest.raises(BadSettings):
        SplitSettings(parse_parts(text))


def by_source(store: Store, settings: MixSettings) -> dict[str, int]:
    rows = mix(store, settings).rows
    return dict(rows.get_column("source").value_counts().iter_rows())


def test_a_mixture_takes_numbers_shares_caps_and_temperature(fill: Fill) -> None:
    store = fill({"big": chats(400), "small": chats(100, start=400)})
    assert by_source(store, MixSettings()) == {"big": 400, "small": 100}
    assert by_source(store, MixSettings(takes=(("big", 30), ("small", 20)))) == {"big": 30, "small": 20}
    assert by_source(store, MixSettings(takes=(("big", 0.5), ("small", 0.5)))) == {"big": 100, "small": 100}
    halves = MixSettings(takes=(("big", 0.5), ("small", 0.5)), total=50)
    assert by_source(store, halves) == {"big": 25, "small": 25}
    assert by_source(store, MixSettings(cap=120)) == {"big": 120, "small": 100}
    assert by_source(store, MixSettings(temperature=2.0)) == {"big": 200, "small": 100}
    assert by_source(store, MixSettings(temperature=1.0, total=50)) == {"big": 40, "small": 10}
    with pytest.raises(BadSettings, match="200 is the most"):
        mix(store, MixSettings(takes=(("big", 0.5), ("small", 0.5)), total=300))
    with pytest.raises(BadSettings, match="of every source a number"):
        mix(store, MixSettings(takes=(("big", 30), ("small", 0.5))))
    with pytest.raises(UnknownName, match="no source named 'smell'"):
        mix(store, MixSettings(takes=(("smell", None),)))


def test_a_larger_mixture_holds_the_smaller_and_another_seed_draws_anew(fill: Fill) -> None:
    store = fill({"a": chats(200)})

    def ids(count: int, seed: int = 0) -> set[str]:
        rows = mix(store, MixSettings(takes=(("a", count),), seed=seed)).rows
        return set(rows.get_column("conversation_id"))

    assert ids(50) < ids(100)
    assert ids(50) != ids(50, seed=1)


def test_presets_match_sources_by_pattern_and_say_what_is_missing(fill: Fill) -> None:
    names = ["flan_v2", "cot", "dolly-15k", "oasst1", "gpt4-alpaca", "code_alpaca", "sharegpt", "baize"]
    store = fill({name: chats(3, start=3 * place) for place, name in enumerate(names)})
    assert set(by_source(store, MixSettings(preset="human"))) == set(names[:4])
    assert set(by_source(store, MixSettings(preset="human-gpt"))) == set(names[:7])
    few = Scope(sources=tuple(names[:4]))
    with pytest.raises(UnknownName) as caught:
        mix(store, MixSettings(preset="human-gpt", scope=few))
    words = str(caught.value)
    assert "finds no source for GPT4-Alpaca (*gpt4*alpaca*), Code-Alpaca" in words
    assert "the store's sources are: cot, dolly-15k, flan_v2, oasst1;" in words
    assert (
        "curate ingest alpaca PATH --name gpt4-alpaca; curate ingest alpaca PATH --name code-alpaca" in words
    )
    assert "--skip-missing" in words
    skipping = MixSettings(preset="human-gpt", scope=few, skips_missing=True)
    assert set(by_source(store, skipping)) == set(names[:4])


def test_a_preset_of_which_nothing_is_there_cannot_be_skipped_into(fill: Fill) -> None:
    store = fill({"baize": chats(3)})
    with pytest.raises(UnknownName, match="the store's sources are: baize") as caught:
        mix(store, MixSettings(preset="human", skips_missing=True))
    assert "--skip-missing" not in str(caught.value)
    with pytest.raises(UnknownName, match="the store's sources with labels are: none yet"):
        mix(store, MixSettings(preset="mix1"))
    with pytest.raises(UnknownName, match="no mixture named 'mix3'; did you mean 'mix"):
        mix(store, MixSettings(preset="mix3"))


@pytest.mark.parametrize(
    "asked",
    [
        {"preset": "human", "takes": (("a", None),)},
        {"skips_missing": True},
        {"preset": "mix1", "class_ratios": (("GPT3", 0.5),)},
    ],
)
def test_a_mixture_that_contradicts_itself_is_refused(asked: dict[str, Any]) -> None:
    with pytest.raises(BadSettings):
        MixSettings(**asked)


def test_a_class_is_thinned_by_ratio_and_a_mixture_ends_at_a_number_of_turns(fill: Fill) -> None:
    store = fill({"a": [*chats(40), *chats(80, model="gpt-3.5-turbo", start=40)]})
    thinned = mix(store, MixSettings(class_ratios=(("GPT3", 0.25),)))
    assert dict(thinned.rows.get_column("class").value_counts().iter_rows()) == {"GPT4": 40, "GPT3": 20}
    assert thinned.steps[0]["dropped"] == {"over the class's ratio": 60}
    assert mix(store, MixSettings(turns=33)).rows.get_column("n_turns").sum() == 33
    with pytest.raises(UnknownName, match="no class named 'GPT5'"):
        mix(store, MixSettings(class_ratios=(("GPT5", 0.5),)))


LONG = ("gpt-4", ["one?", "1", "two?", "2", "three?", "3", "four?"])


def test_prompts_are_unfolded_turn_by_turn_each_once(fill: Fill) -> None:
    store = fill({"a": [LONG, ("gpt-4", ["one?", "1", "other?", "o"])]})
    assert unfold(store, UnfoldSettings()).rows.height == 4
    early = unfold(store, UnfoldSettings(turns=2))
    assert early.rows.height == 3
    assert early.steps[0]["dropped"] == {"a later turn": 2}
    whole = unfold(store, UnfoldSettings(with_unanswered=True))
    assert whole.rows.height == 5


def test_choices_are_kept_by_name_and_used_by_one_another(fill: Fill) -> None:
    store = fill({"a": [LONG, *chats(60)]})
    settings = SplitSettings(parse_parts("I=0.5,II=0.5"))
    choice = split(store, settings)
    keep_choice(store, choice, name="xwin", command="curate split", settings=settings.as_json())
    scope = Scope(selection="xwin", part="II")
    prompts = unfold(store, UnfoldSettings(scope=scope))
    assert set(prompts.rows.get_column("part")) == {"II"}
    keep_choice(store, prompts, name="prompts", command="curate unfold", settings={})
    with store.read() as reading:
        assert selection_named(reading, "xwin").row_count == 61
        assert selection_named(reading, "prompts", "prompts").row_count == prompts.rows.height
    assert verify(store).is_ok
    with pytest.raises(UnknownName, match="no part named 'IV'"):
        split(store, SplitSettings((("a", 1.0),), Scope(selection="xwin", part="IV")))
    with pytest.raises(RequestError, match="name it with --selection"):
        split(store, SplitSettings((("a", 1.0),), Scope(part="II")))


def test_a_choice_made_again_is_written_once_and_a_changed_one_again(fill: Fill) -> None:
    store = fill({"a": chats(60)})

    def kept(seed: int = 0) -> tuple[int, bool]:
        settings = SplitSettings(parse_parts("I=0.5,II=0.5"), seed=seed)
        choice = split(store, settings)
        done = keep_choice(store, choice, name="s", command="curate split", settings=settings.as_json())
        return done.version, done.is_new

    first, is_new = kept()
    assert is_new
    assert kept() == (first, False)
    later, is_new = kept(seed=1)
    assert is_new
    assert later > first
    ingest_files(
        store, "sharegpt", [sharegpt(store.path.parent / "b.json", chats(5, start=90))], IngestSettings()
    )
    assert kept(seed=1)[1]


def test_the_commands_count_keep_and_list(fill: Fill, capsys: pytest.CaptureFixture[str]) -> None:
    store = fill({"a": chats(60), "b": chats(20, start=60)})
    at = ["--store", str(store.path), "--json"]
    assert run_command(cli, ["split", "s", "--parts", "I=0.5,II=0.5", *at]) == 0
    done = json.loads(capsys.readouterr().out)
    assert done["rows"] == sum(part["conversations"] for part in done["parts"]) == 80
    assert run_command(cli, ["mix", "m", "--take", "a=10", "--take", "b=5", "--dry-run", *at]) == 0
    assert json.loads(capsys.readouterr().out)["version"] is None
    assert run_command(cli, ["mix", "m", "--take", "a=10", "--take", "b=5", *at]) == 0
    mixed = json.loads(capsys.readouterr().out)
    assert (mixed["rows"], mixed["is_new"]) == (15, True)
    assert run_command(cli, ["mix", "m", "--take", "a=10", "--take", "b=5", *at]) == 0
    assert json.loads(capsys.readouterr().out) == mixed | {"is_new": False}
    assert run_command(cli, ["unfold", "p", "--selection", "m", *at]) == 0
    assert json.loads(capsys.readouterr().out)["rows"] == 15
    assert run_command(cli, ["selections", *at]) == 0
    listed = json.loads(capsys.readouterr().out)["selections"]
    assert [(one["name"], one["kind"]) for one in listed] == [
        ("s", "conversations"),
        ("m", "conversations"),
        ("p", "prompts"),
    ]
    assert run_command(cli, ["mix", "m", "--preset", "human", "--take", "a", *at]) == 2
