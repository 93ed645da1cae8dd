"""Exports as a trainer sees them: every recipe and layout made in the test, a large one opened at once."""

import json
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from store.db import Store
from store.ids import digest_of, path_digests, uuid_text
from store.selections import write_selection
from train.checking.file_rows import open_export
from train.checking.row_windows import STRIDE, RowWindows
from train.cli import cli
from tui.answers.exports import ROW_COLUMNS, StoreExports
from tui.response_set import TextsView

pytest.importorskip("transformers", reason="exports with tokens need the extra `local`")

CLASSES = ("gpt-4", "gpt-3.5-turbo")
QUESTIONS = [f"What comes after number {number}?" for number in range(12)]
LAYOUTS = [
    ("crlft", "messages"),
    ("crlft", "openchat"),
    ("crlft", "tokenized"),
    ("sft", "messages"),
    ("sft", "prompt-completion"),
    ("sft", "sharegpt"),
    ("sft", "tokenized"),
    ("rsft", "prompt-completion"),
    ("rsft", "tokenized"),
    ("rm", "pairs"),
    ("rm", "pairs-full"),
    ("rm", "llamafactory-pairs"),
    ("rm", "axolotl-pairs"),
    ("pm", "prompt-completion"),
    ("pm", "messages"),
    ("pm", "tokenized"),
    ("dpo", "pairs"),
    ("dpo", "pairs-full"),
    ("dpo", "llamafactory-pairs"),
    ("kto", "labelled"),
]


@pytest.fixture(scope="module")
def tokenizer_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A byte-level tokenizer made here."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    special = ["<s>", "</s>", "<pad>", "<|end_of_turn|>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=300, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    raw.train_from_iterator(QUESTIONS, trainer)
    folder = tmp_path_factory.mktemp("tokenizer")
    PreTrainedTokenizerFast(
        tokenizer_object=raw, bos_token="<s>", eos_token="</s>", pad_token="<pad>"
    ).save_pretrained(folder)
    return folder


Talk = list[tuple[str, str]]


def ids_of(talk: Talk) -> list[str]:
    return [uuid_text(digest) for digest in path_digests(talk)]


def conversation(source_id: str, number: int, model: str, talk: Talk) -> dict[str, object]:
    path = ids_of(talk)
    return {
        "conversation_id": uuid_text(digest_of("c1", str(number), model)),
        "leaf_id": path[-1],
        "message_ids": path,
        "source_id": source_id,
        "record_numbers": [number],
        "line": number,
        "byte_offset": number,
        "reader": "sharegpt",
        "external_id": f"{number}",
        "model": model,
        "occurrence": 0,
    }


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Twelve questions, each answered by two classes of models; rewards, and the pairs they make as `mine`."""
    store = Store(tmp_path_factory.mktemp("exports") / "store.duckdb", wait_s=30)
    source_id = uuid_text(digest_of("s1", "numbers"))
    messages: dict[str, dict[str, object]] = {}
    conversations, rewards, samples, pairs = [], [], [], []
    for number, question in enumerate(QUESTIONS):
        answers = []
        for place, model in enumerate(CLASSES):
            talk = [("user", question), ("assistant", f"It is {number + 1 + place}, I would say.")]
            for depth, (one, (role, content)) in enumerate(zip(ids_of(talk), talk, strict=True)):
                parent = ids_of(talk)[depth - 1] if depth else None
                names = ("message_id", "parent_id", "role", "content", "depth")
                messages[one] = dict(zip(names, (one, parent, role, content, depth), strict=True))
            prompt, answer = ids_of(talk)
            answers.append(answer)
            conversations.append(conversation(source_id, number, model, talk))
            reward = {"prompt_id": prompt, "response_id": answer, "reward_model": "rm", "revision": "1"}
            rewards.append({**reward, "value": 1.0 - place, "state": "done"})
            draw = {"prompt_id": prompt, "response_id": answer, "sample_index": place, "policy": "tiny"}
            samples.append({**draw, "sampling": "{}", "finish_reason": "stop"})
        pairs.append((prompt, *answers))
    with store.write() as writing:
        source = {
            "source_id": source_id,
            "name": "numbers",
            "reader": "sharegpt",
            "path": "n",
            "sha256": "0" * 64,
        }
        counts = {"records_read": 24, "records_kept": 24, "records_rejected": 0}
        writing.append("sources", [{**source, **counts, "bytes": 1, "settings": "{}", "state": "finished"}])
        writing.append("messages", list(messages.values()))
        writing.append("conversations", conversations)
        writing.append("rewards", rewards)
        writing.append("samples", samples)
        values = ", ".join(["(?::UUID, ?::UUID, ?::UUID, 1.0, 0.0, 1.0, 1, 2, NULL, NULL)"] * len(pairs))
        columns = (
            "prompt_id, chosen_id, rejected_id, score_chosen, score_rejected, score_gap, rank_chosen,"
            " rank_rejected, strength, part"
        )
        write_selection(
            writing,
            "mine",
            "pairs",
            f"SELECT * FROM (VALUES {values}) AS rows ({columns})",
            [one for pair in pairs for one in pair],
            settings={},
            steps={},
            run_id=None,
        )
    return store


def export(store: Store, recipe: str, layout: str, out: Path, tokenizer: Path) -> None:
    """Run `train export` as a person does."""
    words = ["export", recipe, "--layout", layout, "--out", str(out), "--store", str(store.path), "--json"]
    words += ["--tokenizer", str(tokenizer), "--template", "openchat" if recipe == "crlft" else "tulu"]
    if (recipe, layout) == ("sft", "prompt-completion"):
        words += ["--turns", "last"]
    if recipe == "rsft":
        words += ["--reward-model", "rm"]
    elif recipe not in ("crlft", "sft"):
        words += ["--pairs", "mine"]
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == 0, (recipe, layout, done.exception, done.output)


def opened(store: Store, out: Path) -> tuple[StoreExports, str]:
    exports = StoreExports(store)
    with store.read() as reading:
        ((export_id,),) = reading.rows(
            "SELECT CAST(export_id AS VARCHAR) FROM exports WHERE path = ?", [str(out)]
        )
    return exports, export_id


@pytest.mark.slow
def test_every_recipe_in_every_layout_is_shown_with_mask_and_weight_as_train_check_sees_it(
    filled, tokenizer_dir, tmp_path
):
    names = [column.name for column in ROW_COLUMNS]
    for recipe, layout in LAYOUTS:
        out = tmp_path / f"{recipe}-{layout}"
        export(filled, recipe, layout, out, tokenizer_dir)
        exports, export_id = opened(filled, out)
        listing = exports.rows(export_id)
        assert exports.ready() == "", (recipe, layout)
        lines = listing.page(0, 1_000)
        shown = [dict(zip(names, line.cells, strict=True)) for line in lines]
        check = CliRunner().invoke(cli, ["check", str(out), "--json"])
        checked = json.loads(check.output)
        sides = 2 if any(one["side"] in ("chosen", "rejected") for one in shown) else 1
        assert len(shown) == len(listing.keys) == checked["rows"] * sides, (recipe, layout)
        tokens = sum(int(one["tokens"].replace(",", "")) for one in shown)
        trained = sum(int(one["trained"].replace(",", "")) for one in shown)
        weight = sum(float(one["weight"]) for one in shown)
        assert tokens == sum(total["tokens"] for total in checked["classes"].values()), (recipe, layout)
        assert trained == sum(total["trained_tokens"] for total in checked["classes"].values())
        assert abs(weight - sum(total["weight_sum"] for total in checked["classes"].values())) < 0.01 * len(
            shown
        )
        assert not any("✗" in one["faults and text"] for one in shown) or not checked["ok"]
        view = exports.row(lines[-1].key)
        assert isinstance(view, TextsView)
        assert all("▶ trained" in text.text for text in view.texts)
        assert len(view.texts) == sides


def test_kto_rows_say_whether_the_answer_is_good(filled, tokenizer_dir, tmp_path):
    export(filled, "kto", "labelled", tmp_path / "kto", tokenizer_dir)
    exports, export_id = opened(filled, tmp_path / "kto")
    sides = [line.cells[2] for line in exports.rows(export_id).page(0, 100)]
    assert sides.count("✓ good") == sides.count("✗ bad") == len(QUESTIONS)


def test_rows_are_there_before_the_tokenizer_is(filled, tokenizer_dir, tmp_path):
    export(filled, "dpo", "pairs", tmp_path / "dpo", tokenizer_dir)
    exports, export_id = opened(filled, tmp_path / "dpo")
    listing = exports.rows(export_id)
    before = listing.page(0, 4)
    assert [line.cells[2] for line in before] == ["chosen", "rejected"] * 2
    assert {line.cells[3] for line in before} == {"–"}
    assert "What comes after" in before[0].cells[-1]
    exports.ready()
    assert "–" not in {line.cells[3] for line in listing.page(0, 4)}


def test_a_file_that_is_gone_or_broken_is_said(filled, tokenizer_dir, tmp_path):
    out = tmp_path / "sft"
    export(filled, "sft", "messages", out, tokenizer_dir)
    exports, export_id = opened(filled, out)
    (file,) = [*out.glob("*.jsonl"), *out.glob("*.parquet")]
    file.write_text('{"messages": [\n')
    listing = exports.rows(export_id)
    assert "cannot be read" in listing.columns[0].name
    file.unlink()
    assert "holds no" in exports.rows(export_id).page(0, 1)[0].cells[0]


@pytest.mark.parametrize("file_format", ["jsonl", "parquet"])
def test_any_rows_of_any_shard_are_those_read_from_the_beginning(tmp_path, file_format):
    folder = large_export(tmp_path, file_format, rows=2_350, per_shard=1_000)
    export = open_export(folder)
    whole = list(export.rows())
    windows = RowWindows(export)
    assert len(windows) == len(whole) == 2_350
    for first, last in ((0, 1), (STRIDE - 1, STRIDE + 1), (990, 1_010), (1_999, 2_001), (2_300, 9_999)):
        assert windows.rows(first, last) == whole[first:last]


def test_a_large_export_opens_at_its_end_within_a_second(filled, tmp_path):
    folder = large_export(tmp_path, "jsonl", rows=100_000, per_shard=50_000)
    exports = StoreExports(filled)
    exports._look(folder)  # imports are not the export's
    started = time.perf_counter()
    listing = exports._look(folder)
    lines = listing.page(199_960, 200_000)
    elapsed_s = time.perf_counter() - started
    assert len(listing.keys) == 200_000
    assert lines[-1].cells[0] == "99,999"
    assert lines[-1].cells[2] == "rejected"
    assert elapsed_s < 3, "a second on a machine that does nothing else"


def large_export(tmp_path: Path, file_format: str, rows: int, per_shard: int) -> Path:
    """Pairs without a manifest, in shards."""
    folder = tmp_path / file_format
    folder.mkdir()
    for shard, first in enumerate(range(0, rows, per_shard)):
        records = [
            {
                "prompt": [{"role": "user", "content": f"asked {number}"}],
                "chosen": [{"role": "assistant", "content": f"good {number}"}],
                "rejected": [{"role": "assistant", "content": f"bad {number} " * 3}],
            }
            for number in range(first, min(rows, first + per_shard))
        ]
        path = folder / f"train-{shard:05d}.{file_format}"
        if file_format == "jsonl":
            path.write_text("".join(json.dumps(record) + "\n" for record in records))
        else:
            import pyarrow as pa
            from pyarrow import parquet

            parquet.write_table(pa.Table.from_pylist(records), path, row_group_size=300)
    return folder


def test_tokens_appear_once_they_are_known(fake, browse, driving, looking):
    async def steps(pilot):
        await looking.press(pilot, "g", "x", "enter")
        assert "no tokenizer is at hand" in looking.frame(pilot.app)

    driving(fake, steps, browse=browse)
    assert browse.asked[-1] == ("ready", "")
