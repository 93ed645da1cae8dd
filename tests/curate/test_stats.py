import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from curate.cli import cli
from curate.ingesting.ingest import IngestSettings, ingest_files
from curate.reporting.stats import Group, measure
from store.db import Store


def record(number: int, model: str, *turns: tuple[str, str]) -> dict[str, object]:
    return {
        "id": str(number),
        "model": model,
        "conversations": [{"from": speaker, "value": text} for speaker, text in turns],
    }


def camels(group: Group) -> tuple[object, ...]:
    """The columns of Camels, Table 1."""
    return group.name, group.conversations, group.rounds, group.mean_prompt, group.mean_completion


@pytest.fixture
def store(tmp_path: Path) -> Store:
    first = [
        record(
            1, "gpt-4", ("human", "one two"), ("gpt", "three"), ("human", "four"), ("gpt", "five\nsix  seven")
        ),
        record(2, "gpt-4", ("human", "one two"), ("gpt", "three")),
        record(3, "", ("gpt", "first"), ("human", "left alone here")),
    ]
    second = [
        record(4, "gpt-3.5-turbo", ("system", "many words that do not count"), ("human", ""), ("gpt", "a b"))
    ]
    found = Store(tmp_path / "store.duckdb")
    for name, records in (("a.json", first), ("b.json", second)):
        (tmp_path / name).write_text(json.dumps(records))
        ingest_files(found, "sharegpt", [tmp_path / name], IngestSettings())
    return found


def test_rounds_and_lengths_are_means_over_conversations_and_turns(store):
    found = measure(store)
    assert found.unit == "words"
    assert found.sources == [
        Group(
            "a.json",
            3,
            1.0,
            (2 + 1 + 2 + 3) / 4,
            (1 + 3 + 1 + 1) / 4,
            turns=4 / 3,
            mean_conversation=(7 + 3 + 4) / 3,
            models=(("gpt-4", 2), ("", 1)),
            files=1,
        ),
        Group(
            *("b.json", 1, 1.0, 0.0, 2.0),
            turns=1.0,
            mean_conversation=2.0,
            models=(("gpt-3.5-turbo", 1),),
            files=1,
        ),
    ]
    assert [camels(group) for group in found.classes] == [
        ("GPT3", 1, 1.0, 0.0, 2.0),
        ("GPT4", 2, 1.5, (2 + 1 + 2) / 3, (1 + 3 + 1) / 3),
        ("unknown", 1, 0.0, 3.0, 1.0),
    ]


def test_turns_are_the_users_and_a_conversation_is_as_long_as_its_turns(store):
    by_class = {group.name: (group.turns, group.mean_conversation) for group in measure(store).classes}
    assert by_class == {"GPT3": (1.0, 2.0), "GPT4": (1.5, 5.0), "unknown": (1.0, 4.0)}


def test_who_wrote_the_answers_is_said_in_a_few_words(store):
    found = measure(store).sources
    assert [group.sourced_from for group in found] == ["gpt-4 67%, not said 33%", "gpt-3.5-turbo"]
    many = Group("x", 4, None, None, None, models=(("a", 2), ("b", 1), ("", 1)))
    assert many.sourced_from == "a 50%, b 25%, 1 more"
    assert Group("x", 0, None, None, None).sourced_from == ""


def test_dropped_conversations_do_not_count(store):
    with store.write() as writing:
        writing.append_from(
            "decisions",
            "SELECT 'conversation' AS target_kind, conversation_id AS target_id, 'drop' AS verdict,"
            " 'a test' AS reason, NULL AS evidence, 'test' AS decided_by, TIMESTAMP '2026-01-01' AS decided_at,"
            " NULL AS run_id FROM conversations WHERE model = ''",
        )
    assert measure(store).sources[0] == Group(
        "a.json", 2, 1.5, 5 / 3, 5 / 3, turns=1.5, mean_conversation=5.0, models=(("gpt-4", 2),), files=1
    )


def test_a_source_whose_conversations_another_had_before_is_listed_with_none(store, tmp_path):
    path = tmp_path / "c.jsonl"
    path.write_text(json.dumps(record(2, "gpt-4", ("human", "one two"), ("gpt", "three"))) + "\n")
    ingest_files(store, "sharegpt", [path], IngestSettings())
    assert measure(store).sources[-1] == Group("c.jsonl", 0, None, None, None, files=1)


def test_files_of_one_name_are_one_line_and_a_line_each_where_asked(store, tmp_path):
    for name, number in (("d.json", 7), ("e.json", 8)):
        (tmp_path / name).write_text(
            json.dumps([record(number, name, ("human", "one"), ("gpt", "a " * number))])
        )
        ingest_files(store, "sharegpt", [tmp_path / name], IngestSettings(name="parts"))
    asked = ["stats", "--store", str(store.path), "--json"]

    def lines(*flags):
        told = json.loads(CliRunner().invoke(cli, [*asked, *flags], catch_exceptions=False).output)
        assert told["schema_version"] == 1
        return [(one["name"], one["files"], one["conversations"]) for one in told["sources"]], told

    together, told = lines()
    assert together == [("a.json", 1, 3), ("b.json", 1, 1), ("parts", 2, 2)]
    assert told["sources"][2]["mean_completion_tokens"] == (7 + 8) / 2
    assert {one["model"] for one in told["sources"][2]["sourced_from"]} == {"d.json", "e.json"}
    assert all("files" not in one for one in told["classes"])
    apart, told = lines("--files")
    assert apart == [("a.json", 1, 3), ("b.json", 1, 1), ("parts", 1, 1), ("parts", 1, 1)]
    assert [Path(one["path"]).name for one in told["sources"][2:]] == ["d.json", "e.json"]
    shown = CliRunner().invoke(cli, [*asked[:-1], "--files"], catch_exceptions=False).output
    assert str(tmp_path / "e.json") in shown


def test_lengths_can_be_in_tokens(store, tmp_path):
    tokenizers = pytest.importorskip("tokenizers")
    transformers = pytest.importorskip("transformers")
    model = tokenizers.Tokenizer(tokenizers.models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    model.pre_tokenizer = tokenizers.pre_tokenizers.Split("", "isolated")  # a token a character
    transformers.PreTrainedTokenizerFast(tokenizer_object=model).save_pretrained(tmp_path / "tokenizer")
    found = measure(store, tmp_path / "tokenizer")
    assert found.unit == "tokens"
    assert camels(found.sources[1]) == ("b.json", 1, 1.0, 0.0, 3.0)


def test_an_earlier_version_shows_the_earlier_numbers(store):
    with store.read() as reading:
        first_version = reading.rows("SELECT min(version) FROM conversations")[0][0]
    assert [group.name for group in measure(Store(store.path, at=f"v{first_version}")).sources] == ["a.json"]
