"""The silent bugs that real projects shipped, planted one by one in real exports: `train check` finds each.

Every plant leaves the manifest's file hashes right, as a bug in an exporter would, so that the check that is meant
for it has to find it. The table says what is planted, where, and the words that name it.
"""

import json
import math
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from store.chat_format import ChatFormat
from store.ids import path_digests, uuid_text
from store.selections import write_selection
from tests.train.conftest import fill_store, make_tokenizer, tiny_config
from train.checking.check import CheckSettings, check_export
from train.cli import cli
from train.exporting.export import ExportSettings, export_store
from train.exporting.shards import sha256_of
from train.recipes.crlft import CrlftSettings
from train.recipes.pairs import PairSettings
from train.recipes.pm import PmSettings
from train.recipes.rsft import RsftSettings
from train.recipes.sft import SftSettings
from train.supervise import supervise

Row = dict[str, Any]
Turns = list[tuple[str, str]]

TALK: Turns = [
    ("system", "Be brief."),
    ("user", "Name a colour."),
    ("assistant", "Red."),
    ("user", "Another?"),
    ("assistant", "Blue."),
]
CONVERSATIONS: list[tuple[Turns, str]] = [
    (TALK, "gpt-4"),
    ([("user", "How many legs has a spider?"), ("assistant", "Eight legs.")], "gpt-4"),
    (
        [("user", "Name a bird."), ("assistant", "A fish?"), ("user", "Sure?"), ("assistant", "No.")],
        "gpt-3.5-turbo",
    ),
    ([("user", "Name a fruit."), ("assistant", "A chair.")], "gpt-3.5-turbo"),
    (
        [*TALK[1:3], ("user", "Yours?"), ("assistant", "As an AI language model, I have none.")],
        "gpt-3.5-turbo",
    ),
]
PAIRS: list[tuple[Turns, str, str]] = [
    (TALK[:4], "Blue, say.", "No."),
    ([("system", "Be kind."), ("user", "What has eight legs?")], "A spider has.", "A bird."),
    ([("user", "What do you eat with tea?")], "A scone.", "A chair, I think."),
    ([("user", "What is red?")], "A cherry.", "The sky."),
]
SINGLE = [pair for pair in PAIRS if len(pair[0]) < 4]
"""Of one question each: what axolotl's layout takes."""


def _pair_rows(store: Any, name: str, pairs: list[tuple[Turns, str, str]]) -> None:
    messages: dict[str, Row] = {}
    values: list[Any] = []
    for place, (prompt, *answers) in enumerate(pairs):
        for answer in answers:
            path = [*prompt, ("assistant", answer)]
            ids = [uuid_text(digest) for digest in path_digests(path)]
            for depth, (role, content) in enumerate(path):
                parent = ids[depth - 1] if depth else None
                messages[ids[depth]] = {
                    "message_id": ids[depth],
                    "parent_id": parent,
                    "role": role,
                    "content": content,
                    "depth": depth,
                }
            if answer == answers[0]:
                values.append(ids[-2])
            values.append(ids[-1])
        values += [2.0 + place, 1.0, 1.0 + place]
    places = ", ".join(
        ["(CAST(? AS UUID), CAST(? AS UUID), CAST(? AS UUID), ?, ?, ?, 1, 2, NULL, NULL)"] * len(pairs)
    )
    columns = (
        "prompt_id, chosen_id, rejected_id, score_chosen, score_rejected, score_gap, rank_chosen, rank_rejected,"
        " strength, part"
    )
    with store.read() as reading:
        known = {row[0] for row in reading.rows("SELECT CAST(message_id AS VARCHAR) FROM messages")}
    with store.write() as writing:
        writing.append("messages", [row for key, row in messages.items() if key not in known])
        query = f"SELECT * FROM (VALUES {places}) AS rows ({columns})"
        write_selection(writing, name, "pairs", query, values, settings={}, steps={}, run_id=None)
        common = {"policy": "sft", "sample_index": 0, "sampling": "{}", "finish_reason": "stop"}
        scored = {"reward_model": "rm", "revision": "1", "state": "done"}
        for start in range(0, len(values), 6):
            prompt, *answers = values[start : start + 3]
            ids = [{"prompt_id": prompt, "response_id": answer} for answer in answers]
            if name == "all":
                writing.append("samples", [{**common, **one, "sample_index": n} for n, one in enumerate(ids)])
                writing.append("rewards", [{**scored, **one, "value": 1.0 - n} for n, one in enumerate(ids)])


RECIPES: dict[str, tuple[str, str, Any]] = {
    "crlft": ("openchat", "crlft", CrlftSettings()),
    "sft": ("tulu", "sft", SftSettings()),
    "last": ("tulu", "sft", SftSettings(turns="last")),
    "rsft": ("tulu", "rsft", RsftSettings()),
    "pm": ("tulu", "pm", PmSettings("all")),
    "rm": ("tulu", "rm", PairSettings("all")),
    "single": ("tulu", "rm", PairSettings("single")),
    "dpo": ("tulu", "dpo", PairSettings("all")),
    "kto": ("tulu", "kto", PairSettings("all")),
}
TOKENS = ("crlft/tokenized", "sft/tokenized", "rsft/tokenized", "pm/tokenized", "last/tokenized")
CONDITIONED = ("crlft/messages", "crlft/openchat", "crlft/tokenized")
TALKS = ("crlft/messages", "crlft/openchat", "sft/messages", "sft/sharegpt")
ANSWERS = (
    "last/prompt-completion",
    "rsft/prompt-completion",
    "pm/prompt-completion",
    "pm/messages",
    "kto/labelled",
)
SIDES = (
    "rm/pairs",
    "rm/pairs-full",
    "rm/llamafactory-pairs",
    "single/axolotl-pairs",
    "dpo/pairs",
    "dpo/pairs-full",
    "dpo/llamafactory-pairs",
)
ALL = (*CONDITIONED, *TOKENS[1:], *TALKS[2:], *ANSWERS, *SIDES)


@pytest.fixture(scope="session")
def exports(tmp_path_factory: pytest.TempPathFactory, tokenizer_dir: Path) -> dict[str, Path]:
    """`recipe/layout` → an export of it, sound."""
    folder = tmp_path_factory.mktemp("exports")
    store = fill_store(folder / "store.duckdb", CONVERSATIONS)
    _pair_rows(store, "all", PAIRS)
    _pair_rows(store, "single", SINGLE)
    found = {}
    for name in ALL:
        kind, layout = name.split("/")
        template, recipe, settings = RECIPES[kind]
        file_format = "parquet" if layout == "tokenized" else "jsonl"
        wanted = ExportSettings(layout, file_format, str(tokenizer_dir), template, 256, settings, recipe)
        found[name] = folder / name.replace("/", "-")
        export_store(store, found[name], wanted)
    return found


@dataclass
class Planted:
    """A copy of an export, to plant something in."""

    name: str
    folder: Path
    others: dict[str, Path]
    options: dict[str, Any] = field(default_factory=dict)
    """Of the check."""

    @property
    def layout(self) -> str:
        return self.name.partition("/")[2]

    @property
    def manifest(self) -> Row:
        found: Row = json.loads((self.folder / "manifest.json").read_text())
        return found

    @property
    def file(self) -> Path:
        """The one with the rows."""
        return self.folder / str(self.manifest["files"][0]["name"])

    def tell(self, **changes: Any) -> None:
        """Have the manifest say something else."""
        (self.folder / "manifest.json").write_text(json.dumps({**self.manifest, **changes}))

    def rows(self) -> list[Row]:
        path = self.file
        if path.suffix == ".jsonl":
            return [json.loads(line) for line in path.read_text().splitlines()]
        from pyarrow import parquet

        found: list[Row] = parquet.read_table(path).to_pylist()
        return found

    def write(self, rows: list[Row], *, is_told: bool = True) -> None:
        """Put ROWS in place of the file's, and their hash and number in the manifest."""
        path = self.file
        if path.suffix == ".jsonl":
            path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        else:
            import pyarrow as pa
            from pyarrow import parquet

            parquet.write_table(pa.Table.from_pylist(rows), path)
        if is_told:
            file = {**self.manifest["files"][0], "sha256": sha256_of(path)}
            self.tell(rows=len(rows), files=[file])

    @property
    def chat(self) -> ChatFormat:
        return ChatFormat.load(self.manifest["settings"]["tokenizer"], self.manifest["settings"]["template"])


Plant = Callable[[Planted], None]


def each(change: Callable[[Row], Row]) -> Plant:
    """Change every row."""
    return lambda export: export.write([change(row) for row in export.rows()])


def told(**changes: Any) -> Plant:
    """Change the manifest alone."""
    return lambda export: export.tell(**changes)


def asked(**options: Any) -> Plant:
    """Change nothing but how the check is asked."""
    return lambda export: export.options.update(options)


# Rows of tokens.


def runs_of(row: Row) -> list[tuple[int, int]]:
    found, start = [], None
    for place, label in enumerate([*row["labels"], -100]):
        if label != -100 and start is None:
            start = place
        elif label == -100 and start is not None:
            found.append((start, place))
            start = None
    return found


def masked(row: Row, *places: int) -> Row:
    labels = [-100 if place in places else label for place, label in enumerate(row["labels"])]
    weights = [0.0 if place in places else weight for place, weight in enumerate(row["loss_weights"])]
    return {**row, "labels": labels, "loss_weights": weights}


def longer(row: Row, before: list[int] = (), after: list[int] = (), *, is_trained: bool = False) -> Row:  # type: ignore[assignment]
    def around(values: list[Any], one: Any, other: Any) -> list[Any]:
        return [*[one] * len(before), *values, *[other] * len(after)]

    labels = [*around(row["labels"], -100, -100)]
    weights = [*around(row["loss_weights"], 0.0, 0.0)]
    if is_trained and after:
        labels[-len(after) :] = after
        weights[-len(after) :] = [max(row["loss_weights"])] * len(after)
    ids = [*before, *row["input_ids"], *after]
    return {**row, "input_ids": ids, "labels": labels, "loss_weights": weights, "n_tokens": len(ids)}


def part(row: Row, start: int, end: int | None) -> Row:
    lists = {name: row[name][start:end] for name in ("input_ids", "labels", "loss_weights")}
    return {**row, **lists, "n_tokens": len(lists["input_ids"])}


def joined(rows: list[Row], **columns: Any) -> list[Row]:
    lists = ("input_ids", "labels", "loss_weights")
    packed = {name: [value for row in rows for value in row[name]] for name in lists}
    return [{**rows[0], **packed, "n_tokens": len(packed["input_ids"]), **columns}]


def packed_across(export: Planted) -> None:
    """The first token of the second conversation is predicted from the end of the first."""
    first, *rest = export.rows()
    trained = [{**row, "labels": [row["input_ids"][0], *row["labels"][1:]]} for row in rest]
    trained = [{**row, "loss_weights": [1.0, *row["loss_weights"][1:]]} for row in trained]
    lengths = [len(row["input_ids"]) for row in (first, *trained)]
    export.write(joined([first, *trained], seq_lengths=lengths))


def written_as(template: str) -> Plant:
    """Tokens of the same turns by another template."""

    def plant(export: Planted) -> None:
        chat = ChatFormat.load(export.manifest["settings"]["tokenizer"], template)
        text = Planted("", export.others[export.name.replace("tokenized", "messages")], {}).rows()
        found = []
        for row, said in zip(export.rows(), text, strict=True):
            turns = [(turn["role"], turn["content"]) for turn in said["messages"]]
            [encoded] = chat.encode([chat.render(turns, row["condition"])])
            weights = [weight for weight in said.get("message_weights", [1.0] * 9) if weight]
            weights = (weights * 9)[: len(encoded.spans)]
            tokens = supervise(encoded, weights, None)
            lists = {name: getattr(tokens, name) for name in ("input_ids", "labels", "loss_weights")}
            found.append({**row, **lists, "n_tokens": tokens.n_tokens})
        export.write(found)

    return plant


def split_ends(export: Planted) -> None:
    chat = export.chat
    end = chat.template.end_of_turn
    pieces = [
        token
        for text in (end[:1], end[1:])
        for token in chat.tokenizer(text, add_special_tokens=False)["input_ids"]
    ]
    rows = []
    for row in export.rows():
        cut = part(row, 0, runs_of(row)[-1][1] - 1)
        rows.append(longer(cut, after=pieces, is_trained=True))
    export.write(rows)


def padded(export: Planted) -> None:
    pad = export.chat.tokenizer.pad_token_id
    export.write([longer(row, after=[pad] * 3, is_trained=True) for row in export.rows()])


def padded_with_ends(export: Planted) -> None:
    end = export.chat.end_of_turn_id
    export.write([longer(row, after=[end] * 3, is_trained=True) for row in export.rows()])


def other_letter(export: Planted) -> None:
    """The label of the preference model turned round."""
    chat = export.chat
    [a], [b] = (chat.tokenizer(letter, add_special_tokens=False)["input_ids"] for letter in "AB")
    turn = {a: b, b: a}

    def change(row: Row) -> Row:
        [(start, _)] = runs_of(row)
        lists = {}
        for name in ("input_ids", "labels"):
            lists[name] = [
                turn.get(one, one) if place >= start else one for place, one in enumerate(row[name])
            ]
        return {**row, **lists}

    each(change)(export)


# Rows of text, whatever their layout.


def talk_of(row: Row) -> list[Row]:
    """The turns of a row, to be changed where they are."""
    found: list[Row] = next(
        row[name] for name in ("messages", "items", "conversations", "prompt") if name in row
    )
    return found


TEXT = ("content", "value")


def edited(change: Callable[[int, Row], Row]) -> Callable[[Row], Row]:
    def edit(row: Row) -> Row:
        if {"chosen", "rejected"} <= row.keys() and not {"prompt", "conversations", "input"} & row.keys():
            return {**row, **{side: [*map(change, range(9), row[side])] for side in ("chosen", "rejected")}}
        name = next(name for name in ("messages", "items", "conversations", "prompt", "input") if name in row)
        if name == "input":
            return {**row, "input": change(0, {"role": "user", "content": row["input"]})["content"]}
        return {**row, name: [change(place, turn) for place, turn in enumerate(row[name])]}

    return edit


def said(text: Callable[[str], str], *roles: str) -> Callable[[Row], Row]:
    """Change the text of the turns of ROLES, or of all."""

    def change(_: int, turn: Row) -> Row:
        role = turn.get("role") or turn["from"]
        name = "content" if "content" in turn else "value"
        return {**turn, name: text(turn[name])} if not roles or role in roles else turn

    return edited(change)


def already_templated(row: Row) -> Row:
    """Each turn with what the template writes before it."""
    condition = row.get("condition") or row["chat_template_kwargs"]["condition"]

    def change(_: int, turn: Row) -> Row:
        return {**turn, "content": f"{condition} {turn['role'].title()}: {turn['content']}"}

    return edited(change)(row)


def without_system(row: Row) -> Row:
    if "system" in row:
        return {**row, "system": ""}
    name = "messages" if "messages" in row else "prompt"
    keep = [place for place, turn in enumerate(row[name]) if turn["role"] != "system"]
    weights = row.get("message_weights")
    told_weights = {"message_weights": [weights[place] for place in keep]} if weights else {}
    return {**row, name: [row[name][place] for place in keep], **told_weights}


def weighed(weight: Callable[[str, int, int, float], float]) -> Callable[[Row], Row]:
    """Give turns, or the tokens of answers, WEIGHT(role, number of the answer, answers, its weight)."""

    def change(row: Row) -> Row:
        if "input_ids" in row:
            runs, weights, labels = runs_of(row), list(row["loss_weights"]), list(row["labels"])
            for number, (start, end) in enumerate(runs):
                value = weight("assistant", number, len(runs), weights[start])
                weights[start:end] = [value] * (end - start)
                labels[start:end] = labels[start:end] if value else [-100] * (end - start)
            return {**row, "loss_weights": weights, "labels": labels}
        turns = talk_of(row)
        answers = [place for place, turn in enumerate(turns) if turn["role"] == "assistant"]
        old = row.get("message_weights") or [turn["weight"] for turn in turns]
        new = [
            weight(turn["role"], answers.index(place) if place in answers else 0, len(answers), old[place])
            for place, turn in enumerate(turns)
        ]
        if "message_weights" in row:
            return {**row, "message_weights": new}
        return {**row, "items": [{**turn, "weight": one} for turn, one in zip(turns, new, strict=True)]}

    return change


def alike(export: Planted) -> None:
    """A class's reward that never reached the weights; the manifest was written from the same rows."""
    export.write([weighed(lambda _role, _n, _of, old: 1.0 if old else 0.0)(row) for row in export.rows()])
    export.tell(classes={name: {**one, "weight": 1.0} for name, one in export.manifest["classes"].items()})


OTHER = {"GPT4": "GPT3", "GPT3": "GPT4"}


def conditioned(row: Row, condition: str | None) -> Row:
    if "chat_template_kwargs" in row:
        return {**row, "chat_template_kwargs": condition and {"condition": condition}}
    return {**row, "condition": condition}


def other_condition(row: Row) -> Row:
    return conditioned(row, OTHER[row["source_class"]])


def other_class(export: Planted) -> None:
    """One row taken for the other class altogether."""
    rows = export.rows()
    weights = {row["source_class"]: max(_weights(row)) for row in rows}
    row = rows[0]
    wrong = OTHER[row["source_class"]]
    rows[0] = conditioned(
        {
            **weighed(lambda _role, _n, _of, old: weights[wrong] if old else 0.0)(row),
            "source_class": wrong,
        },
        wrong,
    )
    export.write(rows)


def _weights(row: Row) -> list[float]:
    if "items" in row:
        return [turn["weight"] for turn in row["items"]]
    return list(row.get("message_weights") or row["loss_weights"])


# Pairs.


def rejected_is_chosen(row: Row) -> Row:
    return {**row, "rejected": row["chosen"]}


def scores_swapped(row: Row) -> Row:
    return {**row, "score_chosen": row["score_rejected"], "score_rejected": row["score_chosen"]}


def sides_swapped(row: Row) -> Row:
    return {**row, "chosen": row["rejected"], "rejected": row["chosen"]}


def another_question(row: Row) -> Row:
    first = {**row["rejected"][-2], "content": "Something else?"}
    return {**row, "rejected": [*row["rejected"][:-2], first, row["rejected"][-1]]}


def zipped_wrong(*columns: str) -> Plant:
    """Completions zipped onto prompts after a filter dropped one of them."""

    def plant(export: Planted) -> None:
        rows = export.rows()
        moved = [*rows[1:], rows[0]]
        if "completion" in columns and "label" in rows[0]:
            moved = [*rows[2:], *rows[:2]]  # both rows of a pair
        taken = [{name: other[name] for name in columns} for other in moved]
        export.write([{**row, **one} for row, one in zip(rows, taken, strict=True)])

    return plant


def prompt_kept_in_answers(row: Row) -> Row:
    return {**row, **{side: [*row["prompt"], *row[side]] for side in ("chosen", "rejected")}}


def other_prompt_same_id(export: Planted) -> None:
    """Ids of another tool, which are no hashes: two rows of one prompt id with different prompts."""
    export.write([{**row, "prompt_id": "p1", "completion_id": None} for row in export.rows()])


# What the check is asked beside the files.


def without_room(export: Planted) -> None:
    """A base model that never heard of the end of turn."""
    folder = export.folder.parent / "base"
    tokenizer = make_tokenizer()
    tokenizer.save_pretrained(folder)
    tiny_config(len(tokenizer)).save_pretrained(folder)
    export.options["model"] = str(folder)


def padding_ends_turns(export: Planted) -> None:
    folder = export.folder.parent / "base"
    tokenizer = make_tokenizer()
    tokenizer.pad_token = tokenizer.eos_token
    tokenizer.save_pretrained(folder)
    tiny_config().save_pretrained(folder)
    export.options["model"] = str(folder)


def held_out_in(name: str) -> Plant:
    return lambda export: export.options.update(held_out=(str(export.others[name]),))


def one_file_gone(export: Planted) -> None:
    export.file.rename(export.file.with_name(f"moved-{export.file.name}"))


def written_all(export: Planted) -> None:
    """The same turns with every answer trained on."""
    source = "rsft/prompt-completion" if export.name.startswith("rsft") else "last/prompt-completion"
    text = Planted("", export.others[source], {}).rows()
    chat, found = export.chat, []
    for row, told_row in zip(export.rows(), text, strict=True):
        turns = [(turn["role"], turn["content"]) for turn in (*told_row["prompt"], *told_row["completion"])]
        [encoded] = chat.encode([chat.render(turns, None)])
        tokens = supervise(encoded, [1.0] * len(encoded.spans), None)
        found.append({**row, "labels": tokens.labels, "loss_weights": tokens.loss_weights})
    export.write(found)


def without_middle(row: Row) -> Row:
    """One token of the first question lost."""
    place = runs_of(row)[0][0] - 8
    lists = {
        name: [*row[name][:place], *row[name][place + 1 :]]
        for name in ("input_ids", "labels", "loss_weights")
    }
    return {**row, **lists, "n_tokens": row["n_tokens"] - 1}


def turn_letters(export: Planted) -> None:
    turn = {"A": "B", "B": "A"}

    def change(row: Row) -> Row:
        name = "completion" if "completion" in row else "messages"
        last = {**row[name][-1], "content": turn[row[name][-1]["content"]]}
        return {**row, name: [*row[name][:-1], last]}

    each(change)(export)


# name, where, what is planted, the words that name it
TABLE: list[tuple[str, tuple[str, ...], Plant, str]] = [
    (
        "the mask begins a token late",
        TOKENS,
        each(lambda row: masked(row, *(start for start, _ in runs_of(row)))),
        "mask off by one",
    ),
    (
        "labels shifted before the model shifts them",
        TOKENS,
        each(
            lambda row: {
                **row,
                "labels": [*row["labels"][1:], -100],
                "loss_weights": [*row["loss_weights"][1:], 0.0],
            }
        ),
        "labels shifted against the tokens",
    ),
    (
        "the end of turn is missing",
        TOKENS,
        each(lambda row: part(row, 0, runs_of(row)[-1][1] - 1)),
        "end of turn missing",
    ),
    (
        "the end of turn is masked as padding",
        TOKENS,
        each(lambda row: masked(row, *(end - 1 for _, end in runs_of(row)))),
        "end of turn not trained on",
    ),
    ("padding is in the loss", TOKENS, padded, "padding trained on"),
    ("padding that is the end of turn is in the loss", TOKENS, padded_with_ends, "padding trained on"),
    ("two beginnings", TOKENS, each(lambda row: longer(row, [0])), "more than one beginning token"),
    ("no beginning", TOKENS, each(lambda row: part(row, 1, None)), "no beginning token in front"),
    (
        "the user is trained on",
        TOKENS,
        each(
            lambda row: {
                **row,
                "labels": row["input_ids"],
                "loss_weights": [max(row["loss_weights"])] * len(row["labels"]),
            }
        ),
        "context trained on",
    ),
    (
        "context weighs something",
        CONDITIONED[:2],
        each(weighed(lambda _role, _n, _of, _old: 1.0)),
        "context trained on",
    ),
    ("the mask is empty", TOKENS, each(lambda row: masked(row, *range(256))), "nothing trained on"),
    ("special tokens are split", TOKENS, split_ends, "end of turn split into pieces"),
    (
        "a token of another tokenizer",
        TOKENS,
        each(lambda row: longer(row, after=[9_999])),
        "token beyond the vocabulary",
    ),
    (
        "packed without resetting positions",
        TOKENS,
        lambda export: export.write(joined(export.rows())),
        "rows packed without where each begins",
    ),
    (
        "packed with positions that go on",
        TOKENS,
        lambda export: export.write(
            joined(export.rows(), position_ids=list(range(sum(len(row["labels"]) for row in export.rows()))))
        ),
        "rows packed without where each begins",
    ),
    (
        "packed without masking where rows meet",
        TOKENS,
        packed_across,
        "packed row trained across its conversations",
    ),
    (
        "the condition stands before the assistant alone",
        ("crlft/tokenized",),
        written_as("openchat_assistant"),
        "condition not where the template puts it",
    ),
    (
        "the condition stands at the beginning",
        ("crlft/tokenized",),
        written_as("openchat_beginning"),
        "condition not where the template puts it",
    ),
    (
        "template drift in the tokens",
        ("sft/tokenized",),
        written_as("vicuna"),
        "turns not as the template writes them",
    ),
    ("the template changed", ALL, told(template_sha256="0" * 64), "template changed since the manifest"),
    ("the tokenizer changed", ALL, told(tokenizer_sha256="0" * 64), "tokenizer not that of the manifest"),
    ("the template was applied twice", CONDITIONED[:2], each(already_templated), "content already templated"),
    ("the condition of another class", CONDITIONED, each(other_condition), "condition not that of its class"),
    ("no condition", CONDITIONED[:2], each(lambda row: conditioned(row, None)), "condition missing"),
    (
        "a row in the wrong class for its source",
        CONDITIONED,
        other_class,
        "rows of a class not those of the manifest",
    ),
    (
        "the weight of another class",
        CONDITIONED,
        each(weighed(lambda _role, _n, _of, old: old and 1.1 - old)),
        "weight not that of its class",
    ),
    ("all weights are equal", CONDITIONED, alike, "all classes weigh the same"),
    (
        "a weight that is no number",
        CONDITIONED,
        each(weighed(lambda _role, _n, _of, old: old and math.nan)),
        "weight not finite",
    ),
    (
        "only the last answer is trained on",
        (*CONDITIONED, "sft/tokenized"),
        each(weighed(lambda _role, number, of, old: old if number == of - 1 else 0.0)),
        "answer not trained on",
    ),
    (
        "an earlier answer is trained on",
        ("last/tokenized", "rsft/tokenized"),
        written_all,
        "earlier answer trained on",
    ),
    (
        "a refusal is trained on",
        CONDITIONED[:2],
        each(weighed(lambda role, _n, _of, _old: 1.0 if role == "assistant" else 0.0)),
        "refusal trained on",
    ),
    ("the system turn is lost", TALKS, each(without_system), "system turns lost"),
    (
        "the system turn of a prompt is lost",
        ("kto/labelled", "rsft/prompt-completion", "last/prompt-completion", "rm/pairs", "dpo/pairs"),
        each(without_system),
        "|".join(("prompt not the one its id names", "answer not the one its id names", "system turns lost")),
    ),
    (
        "tokens are lost",
        ("crlft/tokenized", "sft/tokenized", "rsft/tokenized"),
        lambda export: export.write([without_middle(row) for row in export.rows()]),
        "tokens of a class not those of the manifest",
    ),
    (
        "control tokens in user text",
        (*TALKS, *ANSWERS, *SIDES),
        each(said(lambda text: text + "</s>")),
        "control token in content",
    ),
    ("an empty turn", (*TALKS, *ANSWERS, *SIDES), each(said(lambda text: "  ")), "empty content"),
    (
        "ShareGPT's roles taken as they are",
        ("crlft/messages", "sft/messages"),
        each(
            edited(
                lambda _, turn: {
                    **turn,
                    "role": {"user": "human", "assistant": "gpt"}.get(turn["role"], "system"),
                }
            )
        ),
        "last turn not by the assistant",
    ),
    (
        "user and assistant exchanged",
        ("crlft/messages", "sft/messages", "pm/messages"),
        each(
            edited(
                lambda _, turn: {
                    **turn,
                    "role": {"user": "assistant", "assistant": "user"}.get(turn["role"], "system"),
                }
            )
        ),
        "last turn not by the assistant",
    ),
    (
        "truncation leaves no answer",
        (*TALKS, "last/prompt-completion", "rsft/prompt-completion", "dpo/pairs"),
        asked(max_length=8),
        "nothing trained on",
    ),
    (
        "truncation cuts most rows",
        (*TALKS, *ANSWERS, *SIDES),
        asked(max_length=16),
        "too many rows cut at max length",
    ),
    (
        "pairs too long for the reward trainer",
        ("rm/pairs", "rm/pairs-full", "single/axolotl-pairs"),
        asked(max_length=16),
        "pair too long, which the trainer leaves out",
    ),
    ("chosen equals rejected", SIDES, each(rejected_is_chosen), "chosen equals rejected"),
    (
        "the better one is called rejected",
        SIDES,
        each(scores_swapped),
        "chosen scores no higher than rejected",
    ),
    ("texts of a pair exchanged", SIDES, each(sides_swapped), "answer not the one its id names"),
    (
        "the sides answer different prompts",
        ("rm/pairs-full", "dpo/pairs-full"),
        each(another_question),
        "chosen and rejected answer different prompts",
    ),
    (
        "answers zipped onto the wrong prompts",
        ("rm/pairs", "dpo/pairs", "dpo/llamafactory-pairs", "single/axolotl-pairs"),
        zipped_wrong("chosen", "rejected"),
        "answer not the one its id names",
    ),
    (
        "completions zipped onto the wrong prompts",
        ("rsft/prompt-completion", "kto/labelled"),
        zipped_wrong("completion"),
        "answer not the one its id names",
    ),
    (
        "one prompt id, several prompts",
        ("kto/labelled",),
        other_prompt_same_id,
        "one prompt id, different prompts",
    ),
    (
        "the prompt in its own column and in the answers",
        ("rm/pairs", "dpo/pairs"),
        each(prompt_kept_in_answers),
        "prompt column beside whole conversations",
    ),
    (
        "a column that trainers consume",
        SIDES,
        each(lambda row: {**row, "margin": 1.0}),
        "column that trainers consume",
    ),
    (
        "a label against the scores",
        ("kto/labelled",),
        each(lambda row: {**row, "label": not row["label"]}),
        "label contradicts the scores",
    ),
    (
        "the preference model's label turned round",
        ("pm/prompt-completion", "pm/messages"),
        turn_letters,
        "label contradicts the scores",
    ),
    (
        "the preference model's label token turned round",
        ("pm/tokenized",),
        other_letter,
        "label contradicts the scores",
    ),
    (
        "every row twice",
        ALL,
        lambda export: export.write(export.rows() * 2),
        "too many rows repeat an earlier one",
    ),
    (
        "prompts that are held out",
        ("crlft/messages", "crlft/tokenized", "sft/sharegpt"),
        held_out_in("sft/messages"),
        "prompt also held out",
    ),
    (
        "held-out prompts as tokens",
        ("sft/tokenized", "sft/messages"),
        held_out_in("sft/tokenized"),
        "prompt also held out",
    ),
    (
        "held-out prompts of pairs",
        ("dpo/pairs", "kto/labelled", "rsft/prompt-completion", "rsft/tokenized"),
        held_out_in("rm/pairs-full"),
        "prompt also held out",
    ),
    (
        "new tokens without rows in the model",
        CONDITIONED,
        without_room,
        "model without rows for the template's tokens",
    ),
    (
        "the model's padding ends its turns",
        (*SIDES, "sft/messages"),
        padding_ends_turns,
        "padding is the end of turn",
    ),
    (
        "the last row is lost",
        ALL,
        lambda export: export.write(export.rows()[:-1], is_told=False),
        "row count not that of the manifest",
    ),
    (
        "a file changed afterwards",
        ALL,
        lambda export: export.write([*reversed(export.rows())], is_told=False),
        "file changed since the manifest",
    ),
    ("a file is missing", ALL, one_file_gone, "file of the manifest missing"),
]


CASES = [
    pytest.param(where, plant, words, id=f"{name}: {where}")
    for name, places, plant, words in TABLE
    for where in places
]


def test_the_table_has_more_than_twenty_kinds_and_a_plant_in_every_export() -> None:
    assert len({words for *_, words in TABLE}) > 20
    assert {where for _, places, _, _ in TABLE for where in places} == set(ALL)


@pytest.mark.parametrize("name", ALL)
def test_what_is_not_planted_in_is_sound(name: str, exports: dict[str, Path]) -> None:
    report = check_export(exports[name], CheckSettings())
    assert report.faults == {}
    is_conditioned = name.startswith("crlft")
    assert (report.sequences_per_step is not None) == is_conditioned, (
        "only C-RLFT's weights depend on the batch"
    )


@pytest.mark.parametrize(("where", "plant", "words"), CASES)
def test_a_planted_fault_is_found(
    where: str, plant: Plant, words: str, exports: dict[str, Path], tmp_path: Path
) -> None:
    folder = tmp_path / "export"
    shutil.copytree(exports[where], folder)
    export = Planted(where, folder, exports)
    plant(export)
    found = check_export(folder, CheckSettings(**export.options)).faults
    assert set(words.split("|")) & set(found), dict(found)


@pytest.mark.parametrize("name", ALL)
def test_every_recipe_is_shown_token_by_token_and_as_an_object(name: str, exports: dict[str, Path]) -> None:
    shown = CliRunner().invoke(cli, ["check", str(exports[name]), "--show", "2"], color=True)
    assert shown.exit_code == 0, shown.output
    assert "\x1b[32m" in shown.stdout, "what is trained on is coloured"
    assert "▶ trained" in shown.stdout
    assert "· context" in shown.stdout
    printed = json.loads(
        CliRunner().invoke(cli, ["check", str(exports[name]), "--show", "2", "--json"]).stdout
    )
    kind, _, layout = name.partition("/")
    assert (printed["recipe"], printed["layout"]) == (RECIPES[kind][1], layout)
    is_pairs = name in SIDES
    assert [one["side"] for one in printed["shown"]] == (
        ["chosen", "rejected"] * 2 if is_pairs else [None, None]
    )
    assert (printed["pairs"] is not None) == is_pairs
    for one in printed["shown"]:
        stretches = one["stretches"]
        assert [first["end"] for first in stretches[:-1]] == [second["start"] for second in stretches[1:]]
        assert stretches[-1]["end"] == one["tokens"]
        assert any(stretch["trained"] and stretch["text"] for stretch in stretches)
    if is_pairs:
        assert "  chosen" in shown.stdout
        assert "  rejected" in shown.stdout
        assert "chosen longer in" in shown.stdout
    if not name.startswith("crlft"):
        assert "optimizer step" not in shown.stdout
