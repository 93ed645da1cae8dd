"""Blocks in the store: new conversations beside the old ones, as long as the trainer will see them, once."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from curate.choosing import blocks as blocks_module
from curate.choosing.blocks import BlockReport, BlockSettings, make_blocks
from curate.choosing.selection import Scope
from curate.cli import cli
from curate.ingesting.ingest import IngestSettings, ingest_files
from store.chat_format import ChatFormat
from store.console import run_command
from store.db import Store
from store.errors import BadSettings, UnknownName
from store.ids import to_text
from store.verify import verify

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

LIMIT = 300


def long_talks() -> dict[str, list[str]]:
    return {
        "short": ["Hi", "Hello"],
        "rounds": [f"turn {n} " + "word " * 16 for n in range(12)],
        "essay": ["Write an essay.", "An essay. " * 90, "Thanks", "You are welcome"],
        "log": ["a log line\n" * 60 + "What is wrong?", "Nothing."],
        "emoji": ["é🙂" * 120, "ok"],
    }


@pytest.fixture(scope="session")
def tokenizer_folder(
    tmp_path_factory: pytest.TempPathFactory, byte_tokenizer_maker: Callable[..., Any]
) -> Path:
    folder = tmp_path_factory.mktemp("tokenizer")
    byte_tokenizer_maker(words=("word", " word", "An essay.")).save_pretrained(folder)
    return folder


@pytest.fixture
def store(tmp_path: Path) -> Store:
    records = [
        {
            "id": name,
            "model": "gpt-4" if name != "log" else "gpt-3.5-turbo",
            "conversations": [
                {"from": ("human", "gpt")[i % 2], "value": text} for i, text in enumerate(texts)
            ],
        }
        for name, texts in long_talks().items()
    ]
    path = tmp_path / "talks.json"
    path.write_text(json.dumps(records))
    store = Store(tmp_path / "s.duckdb", wait_s=20)
    ingest_files(store, "sharegpt", [path], IngestSettings())
    return store


def cut_all(store: Store, tokenizer: Path, limit: int = LIMIT, **wanted: Any) -> BlockReport:
    return make_blocks(store, BlockSettings(tokenizer, wanted.pop("template", "openchat"), limit, **wanted))


def current(store: Store) -> dict[str, list[tuple[str | None, list[tuple[str, str]]]]]:
    """External id → its current conversations as (step, turns), in the order of their numbers."""
    with store.read() as reading:
        rows = reading.rows(
            "SELECT external_id, derived_step, list({'r': role, 'c': content} ORDER BY depth) FROM ("
            " SELECT conversation_id, external_id, derived_step, unnest(message_ids) AS message_id"
            " FROM current_conversations) JOIN messages USING (message_id)"
            " GROUP BY conversation_id, external_id, derived_step"
        )
    found: dict[str, list[tuple[str | None, list[tuple[str, str]]]]] = {}
    for name, step, turns in sorted(rows, key=lambda row: number_of(row[1])):
        found.setdefault(name, []).append((step, [(turn["r"], turn["c"]) for turn in turns]))
    return found


def number_of(step: str | None) -> int:
    return int(step.split(": ")[1].split(" of ")[0]) if step else 0


def told(held: list[tuple[str | None, list[tuple[str, str]]]]) -> list[str]:
    """The contents along some blocks, by what their steps say of them."""
    found: list[str] = []
    for step, turns in held:
        repeated = int(step.split("the first ")[1].split()[0]) if step and "the first " in step else 0
        contents = [content for _, content in turns[repeated:]]
        if step and "from character" in step:
            found[-1] += contents.pop(0)
        found += contents
    return found


def test_blocks_put_together_are_the_conversations_and_each_fits_as_the_trainer_counts(
    store: Store, tokenizer_folder: Path
) -> None:
    report = cut_all(store, tokenizer_folder)
    assert (report.seen, report.unchanged, report.cut) == (5, 1, 4)
    assert report.blocks == report.new_conversations
    assert report.tokens_before == report.tokens_after > 0
    assert report.longest <= LIMIT
    found = current(store)
    assert {name: told(held) for name, held in found.items()} == long_talks()
    chat = ChatFormat.load(tokenizer_folder, "openchat")
    for held in found.values():
        for _, turns in held:
            [encoded] = chat.encode([chat.render(turns, "GPT4")])
            assert len(encoded.input_ids) <= LIMIT
            assert turns[0][0] == "user"
    assert sum(len(held) for held in found.values()) == report.blocks + 1
    assert verify(store).is_ok


def test_a_block_keeps_its_record_and_says_which_turns_it_holds(store: Store, tokenizer_folder: Path) -> None:
    cut_all(store, tokenizer_folder)
    with store.read() as reading:
        rows = reading.rows(
            "SELECT derived_step, class, source, record_numbers, CAST(derived_from AS VARCHAR)"
            " FROM current_conversations WHERE external_id = 'rounds'"
        )
    assert {row[1:4] for row in [(*row[:3], tuple(row[3])) for row in rows]} == {("GPT4", "talks.json", (2,))}
    assert len({row[4] for row in rows}) == 1
    steps = sorted(row[0].split(": ")[1] for row in rows)
    assert steps[0].startswith(f"1 of {len(rows)}, turns 1-")
    assert all(row[0].startswith("blocks/1 300 tokens, openchat, tokenizer ") for row in rows)


def test_cutting_again_adds_nothing_and_a_smaller_bound_cuts_the_blocks(
    store: Store, tokenizer_folder: Path
) -> None:
    first = cut_all(store, tokenizer_folder)
    again = cut_all(store, tokenizer_folder)
    assert (again.seen, again.cut, again.new_conversations) == (first.blocks + 1, 0, 0)
    smaller = cut_all(store, tokenizer_folder, 150)
    assert smaller.cut > 0
    assert smaller.tokens_before == smaller.tokens_after
    assert verify(store).is_ok


def test_a_dry_run_counts_the_same_and_writes_nothing(store: Store, tokenizer_folder: Path) -> None:
    dry = cut_all(store, tokenizer_folder, is_dry_run=True)
    with store.read() as reading:
        version = reading.version
    assert dry.new_conversations == 0
    done = cut_all(store, tokenizer_folder)
    assert (dry.seen, dry.cut, dry.blocks, dry.tokens_after) == (
        done.seen,
        done.cut,
        done.blocks,
        done.tokens_after,
    )
    with store.read() as reading:
        assert reading.rows(
            "SELECT min(version) > ? FROM conversations WHERE derived_from IS NOT NULL", [version]
        )[0][0]


def test_cutting_killed_between_pieces_is_completed_by_the_next(
    store: Store, tokenizer_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks_module, "PIECE_MESSAGES", 1)
    real, written = blocks_module.write_piece, list[int]()

    def dies(*arguments: Any) -> tuple[int, int]:
        written.append(1)
        added = real(*arguments)
        if len(written) == 2:
            raise KeyboardInterrupt  # inside the turn: this piece is lost
        return added

    monkeypatch.setattr(blocks_module, "write_piece", dies)
    with pytest.raises(KeyboardInterrupt):
        cut_all(store, tokenizer_folder)
    monkeypatch.setattr(blocks_module, "write_piece", real)
    assert cut_all(store, tokenizer_folder).cut == 3
    assert {name: told(held) for name, held in current(store).items()} == long_talks()
    assert verify(store).is_ok


def test_only_the_scope_is_cut_and_the_longer_of_the_conditions_counts(
    store: Store, tokenizer_folder: Path
) -> None:
    report = cut_all(store, tokenizer_folder, scope=Scope(classes=("GPT3",)))
    assert (report.seen, report.cut) == (1, 1)
    with pytest.raises(UnknownName, match="no class named 'GPT5'"):
        cut_all(store, tokenizer_folder, scope=Scope(classes=("GPT5",)))
    with pytest.raises(BadSettings, match="leaves no room"):
        cut_all(store, tokenizer_folder, 8)


def test_every_template_cuts_within_the_bound(store: Store, tokenizer_folder: Path) -> None:
    for template in ("vicuna", "tulu", "chatml"):  # Vicuna's system text alone is 150 bytes
        report = cut_all(store, tokenizer_folder, template=template, is_dry_run=True, limit=700)
        assert report.cut >= 1
        assert not report.too_long
        assert report.longest <= 700
        assert report.tokens_before == report.tokens_after


def test_the_command_says_what_came_of_it(
    store: Store, tokenizer_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["blocks", "--tokenizer", str(tokenizer_folder), "--max-tokens", str(LIMIT)]
    words += ["--store", str(store.path)]
    assert run_command(cli, [*words, "--json", "--dry-run"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["seen"] == report["unchanged"] + report["cut"] == 5
    assert run_command(cli, words) == 0
    assert "1 unchanged, 4 cut into" in capsys.readouterr().out
    with store.read() as reading:
        [(id_,)] = reading.rows(
            "SELECT CAST(conversation_id AS VARCHAR) FROM conversations"
            " WHERE external_id = 'rounds' AND derived_from IS NULL"
        )
    given = to_text("c1", id_)
    assert run_command(cli, ["show", given, "--store", str(store.path), "--json"]) == 0
    made = json.loads(capsys.readouterr().out)["about"]["superseded_by"].split(", ")
    assert len(made) == len(current(store)["rounds"])
    assert run_command(cli, ["show", "--diff", given, "--store", str(store.path)]) == 2
    assert "what it was cut into, with: curate show" in capsys.readouterr().err
    assert run_command(cli, [*words[:2], str(store.path), *words[3:]]) == 2
    assert "holds a tokenizer" in capsys.readouterr().err
