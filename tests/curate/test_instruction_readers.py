import json

import pytest

from curate.readers.alpaca import alpaca_drafts, dolly_drafts
from curate.readers.fields import Fields, Unreadable
from curate.readers.instruction import RULE


def alpaca(**record: object):
    (draft,) = alpaca_drafts(Fields.of_json(json.dumps(record).encode()))
    return draft


@pytest.mark.parametrize("answer", ["output", "response", "completion", "answer"])
def test_an_instruction_and_its_input_are_joined_by_an_empty_line(answer):
    found = alpaca(instruction="Name it.", input="grass", **{answer: "Green."})
    assert found.messages == (("user", "Name it.\n\ngrass"), ("assistant", "Green."))
    assert json.loads(found.metadata) == {"rendering": RULE}


@pytest.mark.parametrize("text", ["", "  \n", "<noinput>", "<NoInput>"])
def test_an_input_that_is_none_leaves_the_instruction_alone(text):
    found = alpaca(instruction="Name it. ", input=text, output=" Green.\n")
    assert found.messages == (("user", "Name it. "), ("assistant", " Green.\n"))
    assert found.metadata is None


def test_whatever_else_the_row_says_stays_in_the_metadata():
    found = alpaca(instruction="a", output="b", source="data/CoT", idx=7, model="gpt-4", n=10**30)
    assert (found.external_id, found.model) == ("7", "gpt-4")
    assert json.loads(found.metadata) == {"source": "data/CoT", "n": 10**30}


def test_a_second_answer_is_dropped_if_it_is_the_same_and_kept_if_not():
    assert alpaca(instruction="a", output="b", response="b").metadata is None
    assert json.loads(alpaca(instruction="a", output="b", response="c").metadata) == {"response": "c"}


def test_a_system_prompt_and_earlier_turns_come_first():
    found = alpaca(instruction="c", output="d", system="s", history=[["a", "b"]])
    assert [role for role, _ in found.messages] == ["system", "user", "assistant", "user", "assistant"]


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"output": "b"}, "no instruction"),
        ({"instruction": "a"}, "no output (one of output, response, completion, answer)"),
        ({"instruction": "a", "output": None}, "output is null, not text"),
        ({"instruction": ["a"], "output": "b"}, "instruction is a list, not text"),
        ({"instruction": "a", "input": 3, "output": "b"}, "input is a number, not text"),
        ({"instruction": "a", "output": "b", "history": [["x"]]}, "history 1: a list, not a pair of texts"),
        (
            {"instruction": "a", "output": "b", "id": 1.5},
            "the id is a number, neither text nor a whole number",
        ),
    ],
)
def test_a_row_of_another_shape_says_what_is_wrong(record, reason):
    with pytest.raises(Unreadable) as caught:
        alpaca(**record)
    assert str(caught.value) == reason


def test_a_lone_surrogate_rejects_its_row():
    with pytest.raises(Unreadable, match="half of a surrogate pair stands alone"):
        Fields.of_json(rb'{"instruction": "a\ud800", "output": "b"}')


def test_dolly_joins_its_context():
    row = {"instruction": "Who?", "context": "By Ann.", "response": "Ann.", "category": "closed_qa"}
    (found,) = dolly_drafts(Fields(row))
    assert found.messages == (("user", "Who?\n\nBy Ann."), ("assistant", "Ann."))
    assert json.loads(found.metadata) == {"category": "closed_qa", "rendering": RULE}
