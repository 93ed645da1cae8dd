"""Tasks, trees, tables and prompts, as files."""

import json
from pathlib import Path

import pytest

from curate.ingesting.detect import detect
from curate.ingesting.ingest import IngestSettings, ingest_files
from curate.reader import READERS, ReaderSettings, Record, Reject
from store.db import Store
from store.errors import BadInput, BadSettings
from store.verify import verify


def read(reader: str, path: Path, **settings) -> list[Record | Reject]:
    return list(READERS.load(reader)(path, ReaderSettings(**settings)))


def write(path: Path, *records: object) -> Path:
    lines = (record if isinstance(record, str) else json.dumps(record) for record in records)
    path.write_text("\n".join(lines))
    return path


def texts(items: list[Record | Reject]) -> list[object]:
    return [item.reason if isinstance(item, Reject) else item.messages for item in items]


def metadata(item: Record | Reject) -> dict[str, object]:
    assert isinstance(item, Record)
    return json.loads(item.metadata or "{}")


# tasks with instances


def test_every_instance_of_a_self_instruct_task_is_a_record(tmp_path):
    task = {
        "id": "s1",
        "instruction": "Name it.",
        "instances": [{"input": "grass", "output": "Green."}, {"input": "", "output": "x"}, {"input": "sky"}],
    }
    found = read("self-instruct", write(tmp_path / "a.jsonl", task))
    assert texts(found) == [
        (("user", "Name it.\n\ngrass"), ("assistant", "Green.")),
        (("user", "Name it."), ("assistant", "x")),
        "instance 3: no output",
    ]
    assert [item.record_number for item in found] == [1, 2, 3]
    assert [item.external_id for item in found[:2]] == ["s1#1", "s1#2"]


def test_unnatural_instances_and_reformulations_are_taken_as_rendered(tmp_path):
    instance = {
        "input": "cats",
        "instruction_with_input": "Write.\ncats",
        "constraints": "None.",
        "output": "Soft",
    }
    again = {
        "instruction": "Compose.",
        "input": "cats",
        "instruction_with_input": "Compose. cats",
        "output": "Soft",
    }
    task = {"instruction": "Write.", "instances": [instance], "reformulations": [again, {"output": "x"}]}
    found = read("unnatural", write(tmp_path / "a.jsonl", task))
    assert texts(found) == [
        (("user", "Write.\ncats"), ("assistant", "Soft")),
        (("user", "Compose. cats"), ("assistant", "Soft")),
        "reformulation 2: no instruction_with_input",
    ]
    assert metadata(found[0]) == {"instance": 1, "constraints": "None."}
    assert metadata(found[1]) == {"reformulation": 1}


def test_a_super_ni_task_gives_its_instances_and_keeps_further_right_outputs(tmp_path):
    task = {
        "Contributors": ["someone"],
        "Categories": ["Question Answering"],
        "Definition": ["Name the colour."],
        "Output_language": ["English"],
        "Positive Examples": [{"input": "sky", "output": "Blue."}],
        "Instances": [
            {"id": "t-1", "input": "grass", "output": ["Green.", "A green."]},
            {"id": "t-2", "input": "x", "output": []},
            {"id": "t-3", "input": 4, "output": ["x"]},
        ],
    }
    found = read("super-ni", write(tmp_path / "a.json", json.dumps(task, indent=4)))
    assert texts(found) == [
        (("user", "Name the colour.\n\ngrass"), ("assistant", "Green.")),
        "instance 2: the output is a list, not text",
        "instance 3: input is a number, not text",
    ]
    assert isinstance(found[0], Record)
    assert (found[0].external_id, found[0].language) == ("t-1", "English")
    about = metadata(found[0])
    assert about["other_outputs"] == ["A green."]
    assert about["Categories"] == ["Question Answering"]
    assert "Positive Examples" not in about


def test_instances_may_be_columns_as_datasets_stores_them(tmp_path):
    task = {
        "instruction": "Name it.",
        "instances": {"input": ["grass", "sky"], "output": ["Green.", "Blue."]},
    }
    path = write(tmp_path / "a.jsonl", task)
    assert detect(path).reader == "self-instruct"
    found = read("self-instruct", path)
    assert texts(found) == [
        (("user", "Name it.\n\ngrass"), ("assistant", "Green.")),
        (("user", "Name it.\n\nsky"), ("assistant", "Blue.")),
    ]


def test_a_flat_super_ni_row_is_read_too(tmp_path):
    row = {"task_name": "t", "id": "t-1", "definition": "Name it.", "inputs": "grass", "targets": "Green."}
    found = read("super-ni", write(tmp_path / "a.jsonl", row))
    assert texts(found) == [(("user", "Name it.\n\ngrass"), ("assistant", "Green."))]


# tables without a header


def test_flan_rationales_come_before_the_answer(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_text('Is "grass" green?\\n- yes\tyes\tIt is "green".\nonly\ttwo\n\nq\ta\tr\r\n')
    found = read("flan-cot", path)
    assert texts(found) == [
        (("user", 'Is "grass" green?\n- yes'), ("assistant", 'It is "green".\nThe answer is yes.')),
        "2 columns, not 3",
        (("user", "q"), ("assistant", "r\nThe answer is a.")),
    ]
    assert [(item.line, item.byte_offset) for item in found] == [(1, 0), (2, 44), (4, 54)]
    assert metadata(found[0]) == {"answer": "yes", "rendering": "rationale-answer.1"}


def test_a_file_without_tabs_is_no_flan_file(tmp_path):
    with pytest.raises(BadInput, match="no tab in its first line"):
        read("flan-cot", write(tmp_path / "a.tsv", "a,b,c"))


# question and answer


def test_question_and_answer_rows(tmp_path):
    rows = [
        {"id": "q1", "system_prompt": "s", "question": "a", "response": "b"},
        {"question": "a", "answer": "b", "level": 3},
        {"question": "a"},
    ]
    found = read("orca", write(tmp_path / "a.jsonl", *rows))
    assert texts(found) == [
        (("system", "s"), ("user", "a"), ("assistant", "b")),
        (("user", "a"), ("assistant", "b")),
        "no response (one of response, answer, solution)",
    ]
    assert metadata(found[1]) == {"level": 3}


def test_the_end_mark_of_a_completion_is_no_text(tmp_path):
    rows = [{"prompt": "a\n", "completion": " b<|endoftext|>"}, {"prompt": "a", "completion": "b"}]
    found = read("completion", write(tmp_path / "a.jsonl", *rows))
    assert texts(found) == [(("user", "a\n"), ("assistant", " b")), (("user", "a"), ("assistant", "b"))]


# prompts


def test_prompts_are_one_message_and_broken_lines_are_rejects(tmp_path):
    path = write(
        tmp_path / "a.jsonl",
        {"instruction": "a", "instruction_type": "QA"},
        r'{"instruction": "bad \d escape"}',
        {"question_id": 7, "turns": ["first", "then"]},
        {"turns": []},
    )
    found = read("prompts", path)
    assert texts(found) == [
        (("user", "a"),),
        "not JSON: invalid escaped character (byte 22)",
        (("user", "first"),),
        "turns is a list, not a list of texts",
    ]
    assert isinstance(found[2], Record)
    assert (found[2].external_id, metadata(found[2])) == ("7", {"later_turns": ["then"]})


# columns


def test_columns_are_named_by_the_user(tmp_path):
    path = tmp_path / "faq.csv"
    path.write_text("nr,frage,antwort,thema\n1,a,b,x\n2,c,,y\n")
    asked = (("prompt", "frage"), ("response", "antwort"), ("id", "nr"))
    found = read("columns", path, columns=asked)
    assert texts(found) == [(("user", "a"), ("assistant", "b")), (("user", "c"), ("assistant", ""))]
    assert isinstance(found[0], Record)
    assert (found[0].external_id, metadata(found[0])) == ("1", {"thema": "x"})


def test_usual_names_need_not_be_said(tmp_path):
    row = {"query": "a", "context": "b", "target": "c", "lang": "en", "n": 1}
    found = read("columns", write(tmp_path / "a.jsonl", row))
    assert texts(found) == [(("user", "a\n\nb"), ("assistant", "c"))]
    assert isinstance(found[0], Record)
    assert (found[0].language, metadata(found[0])) == ("en", {"n": 1, "rendering": "instruction-input.1"})


def test_a_prompt_alone_may_be_asked_for(tmp_path):
    found = read(
        "columns", write(tmp_path / "a.jsonl", {"p": "a", "output": "b"}), columns=(("prompt", "p"),)
    )
    assert texts(found) == [(("user", "a"),)]


def test_a_column_that_is_not_there_is_named(tmp_path):
    path = write(tmp_path / "a.jsonl", {"p": "a", "r": "b"})
    with pytest.raises(BadInput, match=r"no column 'q'; it has: p, r"):
        read("columns", path, columns=(("prompt", "q"),))
    with pytest.raises(BadSettings, match="no column can be 'answer'; there are: prompt, input, response"):
        read("columns", path, columns=(("answer", "r"),))
    with pytest.raises(BadInput, match="no column that is usually a prompt"):
        read("columns", path)


def test_columns_are_part_of_what_a_source_is(tmp_path):
    store = Store(tmp_path / "s.duckdb")
    path = write(tmp_path / "a.jsonl", {"p": "a", "q": "b", "r": "c"})
    for prompt in ("p", "q", "p"):
        ingest_files(store, "auto", [path], IngestSettings(columns=(("prompt", prompt), ("response", "r"))))
    with store.read() as reading:
        assert reading.rows("SELECT count(*) FROM current_sources") == [(2,)]
    with pytest.raises(BadSettings, match="the format 'alpaca' knows its columns"):
        ingest_files(store, "alpaca", [path], IngestSettings(columns=(("prompt", "p"),)))


# OpenAssistant


def message(message_id: str, role: str = "assistant", **more: object) -> dict[str, object]:
    return {"message_id": message_id, "role": role, "text": message_id.upper(), "lang": "en", **more}


TREE = {
    "message_tree_id": "p",
    "tree_state": "ready_for_export",
    "prompt": message(
        "p",
        "prompter",
        replies=[
            message("a", rank=1, replies=[message("c", "prompter", replies=[])]),
            message("b", rank=0, labels={"quality": {"value": 0.75, "count": 3}}, replies=[]),
            message("d", deleted=True, replies=[message("e", "prompter", replies=[])]),
            message("f", review_result=False),
        ],
    ),
}


def flat(node: dict[str, object], parent: str | None = None) -> list[dict[str, object]]:
    own = {key: value for key, value in node.items() if key != "replies"}
    below = [one for reply in node.get("replies", []) for one in flat(reply, str(node["message_id"]))]
    return [{**own, "parent_id": parent, "message_tree_id": "p"}, *below]


@pytest.mark.parametrize("shape", ["wrapped", "nested", "flat", "flat, out of order"])
def test_every_path_of_a_tree_is_a_conversation_and_ends_before_what_was_removed(tmp_path, shape):
    records = {
        "wrapped": [TREE],
        "nested": [TREE["prompt"]],
        "flat": flat(TREE["prompt"]),
        "flat, out of order": flat(TREE["prompt"])[::-1],
    }[shape]
    found = read("oasst", write(tmp_path / "a.jsonl", *records))
    assert sorted(map(str, texts(found))) == sorted(
        map(
            str,
            [
                (("user", "P"), ("assistant", "A"), ("user", "C")),
                (("user", "P"), ("assistant", "B")),
                "message d was deleted; 1 below it go with it",
                "message f failed its review",
            ],
        )
    )
    ends = {item.external_id: item for item in found if isinstance(item, Record)}
    assert set(ends) == {"b", "c"}
    assert ends["b"].language == "en"


def test_a_path_whose_every_reply_was_removed_ends_there(tmp_path):
    tree = {"message_tree_id": "p", "prompt": message("p", "prompter", replies=[message("a", deleted=True)])}
    found = read("oasst", write(tmp_path / "a.jsonl", tree))
    assert sorted(map(str, texts(found))) == [
        "(('user', 'P'),)",
        "message a was deleted",
    ]


def test_messages_that_hang_on_nothing_are_rejects(tmp_path):
    lost = {**message("x"), "parent_id": "gone", "message_tree_id": "p"}
    ring = [
        {**message("y"), "parent_id": "z", "message_tree_id": "p"},
        {**message("z"), "parent_id": "y", "message_tree_id": "p"},
    ]
    found = read("oasst", write(tmp_path / "a.jsonl", *flat(TREE["prompt"]), lost, *ring))
    reasons = [item.reason for item in found if isinstance(item, Reject)]
    assert [reason[:9] for reason in reasons if "hangs on no prompt" in reason] == [
        "message x",
        "message y",
        "message z",
    ]


def test_an_answer_without_a_parent_is_no_prompt(tmp_path):
    alone = [{**one, "parent_id": None} for one in flat(TREE["prompt"])[:2]]
    found = read("oasst", write(tmp_path / "a.jsonl", *alone))
    assert texts(found) == [(("user", "P"),), "message a answers nothing: it has no parent"]


def test_ranks_and_labels_become_ratings_once(tmp_path):
    store = Store(tmp_path / "s.duckdb")
    path = write(tmp_path / "a.jsonl", TREE)
    report = ingest_files(store, "oasst", [path], IngestSettings())
    assert report.total()["read"] == report.total()["kept"] + report.total()["rejected"] == 4
    ingest_files(store, "oasst", [path], IngestSettings(name="again", limit=10))
    with store.read() as reading:
        rows = reading.rows(
            "SELECT content, labeler, aspect, scale, value FROM ratings"
            " JOIN messages ON messages.message_id = ratings.response_id ORDER BY content, aspect"
        )
    assert rows == [
        ("A", "oasst-volunteers", "rank", "minus-rank", -2.0),
        ("B", "oasst-volunteers", "quality", "0-1", 0.75),
        ("B", "oasst-volunteers", "rank", "minus-rank", -1.0),
    ]
    assert not verify(store).problems


def test_labels_of_a_table_are_parallel_lists(tmp_path):
    labels = {"name": ["quality", "spam"], "value": [0.5, 0.0], "count": [3, 3]}
    tree = {"message_tree_id": "p", "prompt": message("p", "prompter", replies=[message("a", labels=labels)])}
    (found,) = read("oasst", write(tmp_path / "a.jsonl", tree))
    assert isinstance(found, Record)
    assert [(place, rating.aspect, rating.value) for place, rating in found.ratings] == [
        (1, "quality", 0.5),
        (1, "spam", 0.0),
    ]
