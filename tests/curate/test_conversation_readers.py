"""Chat messages, chat logs, exports and texts with marks, as records of each shape."""

import json

import pytest

from curate.readers.alternating import alternating_drafts
from curate.readers.chat_logs import lmsys_drafts, wildchat_drafts
from curate.readers.chat_messages import messages_drafts
from curate.readers.chatgpt_export import export_drafts
from curate.readers.drafts import Draft, Refusal
from curate.readers.fields import Fields, Unreadable
from curate.readers.marked_text import baize_drafts, marked_drafts
from curate.readers.moss import moss_drafts
from curate.readers.turn_pairs import dialogstudio_drafts, turn_pair_drafts


def all_of(drafts, record: dict[str, object]) -> list[Draft | Refusal]:
    return list(drafts(Fields.of_json(json.dumps(record).encode())))


def one(drafts, record: dict[str, object]) -> Draft:
    (found,) = all_of(drafts, record)
    assert isinstance(found, Draft)
    return found


def reason(drafts, record: dict[str, object]) -> str:
    with pytest.raises(Unreadable) as caught:
        all_of(drafts, record)
    return str(caught.value)


def metadata(draft: Draft) -> dict[str, object]:
    return json.loads(draft.metadata or "{}")


# chat messages


def chat(*turns: dict[str, object], **more: object) -> Draft:
    return one(messages_drafts, {"messages": list(turns), **more})


def test_a_tool_call_is_a_message_with_name_and_arguments():
    call = {"id": "t1", "type": "function", "function": {"name": "add", "arguments": '{"a": 2}'}}
    found = chat(
        {"role": "developer", "content": "s"},
        {"role": "user", "content": "2+2?"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "t1", "content": "4"},
        {"role": "assistant", "content": "4"},
        tools=[{"type": "function"}],
    )
    assert found.messages == (
        ("system", "s"),
        ("user", "2+2?"),
        ("tool_call", '{"name":"add","arguments":{"a":2}}'),
        ("tool", "4"),
        ("assistant", "4"),
    )
    assert metadata(found) == {
        "tools": [{"type": "function"}],
        "turns": [{"turn": 3, "tool_call_ids": ["t1"]}, {"turn": 4, "tool_call_id": "t1"}],
    }


def test_an_answer_beside_its_calls_is_kept_before_them():
    old = {
        "role": "assistant",
        "content": "Let me see.",
        "function_call": {"name": "f", "arguments": "{broken"},
    }
    assert chat({"role": "user", "content": "a"}, old).messages[1:] == (
        ("assistant", "Let me see."),
        ("tool_call", '{"name":"f","arguments":"{broken"}'),
    )


def test_parts_of_text_are_joined_and_reasoning_goes_to_the_metadata():
    parts = [
        {"type": "reasoning", "value": "hm"},
        {"type": "text", "text": "a"},
        {"type": "text", "value": "b"},
        {"type": "tool_call", "value": '{"name": "f", "arguments": {}}'},
    ]
    found = chat(
        {"role": "user", "content": "q"}, {"role": "assistant", "content": parts, "loss_weight": 1.0}
    )
    assert found.messages[1:] == (("assistant", "a\nb"), ("tool_call", '{"name": "f", "arguments": {}}'))
    assert metadata(found)["turns"] == [{"turn": 2, "loss_weight": 1.0, "reasoning": "hm"}]


def test_id_and_model_are_found_under_their_usual_names():
    found = chat({"role": "user", "content": "q"}, prompt_id="p7", model="gpt-4", source="x")
    assert (found.external_id, found.model, metadata(found)) == ("p7", "gpt-4", {"source": "x"})


@pytest.mark.parametrize(
    ("turns", "why"),
    [
        ([], "no turns"),
        ("hi", "messages is text, not a list of turns"),
        (["hi"], "turn 1: text, not an object"),
        ([{"role": "narrator", "content": "x"}], "turn 1: no role is known for 'narrator'"),
        ([{"role": 1, "content": "x"}], "turn 1: the role is a number, not text"),
        ([{"role": "user", "content": None}], "turn 1: no content"),
        ([{"role": "user", "content": 4}], "turn 1: the content is a number, not text"),
        (
            [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}],
            "turn 1: a part of the content is of type 'image_url', not text",
        ),
        ([{"role": "assistant", "tool_calls": [{}]}], "turn 1: a tool call names no function"),
    ],
)
def test_messages_of_another_shape_say_what_is_wrong(turns, why):
    assert reason(messages_drafts, {"messages": turns}) == why


# logs of chat services


def test_wildchat_keeps_its_flags_and_leaves_out_what_tells_people_apart():
    turn = {
        "role": "user",
        "content": "",
        "toxic": False,
        "redacted": True,
        "hashed_ip": "aa",
        "header": {"x": 1},
    }
    found = one(
        wildchat_drafts,
        {
            "conversation_hash": "c9",
            "model": "gpt-4-0314",
            "language": "English",
            "toxic": True,
            "hashed_ip": "aa",
            "header": {"user-agent": "x"},
            "conversation": [turn, {"role": "assistant", "content": "b", "toxic": False, "state": None}],
        },
    )
    assert found.messages == (("user", ""), ("assistant", "b"))
    assert (found.external_id, found.model, found.language) == ("c9", "gpt-4-0314", "English")
    assert metadata(found) == {
        "toxic": True,
        "turns": [{"turn": 1, "toxic": False, "redacted": True}, {"turn": 2, "toxic": False}],
    }


def test_lmsys_rows_of_unknown_language_have_none():
    row = {
        "conversation_id": "33",
        "model": "vicuna-13b",
        "language": "unknown",
        "redacted": True,
        "conversation": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}],
    }
    found = one(lmsys_drafts, row)
    assert (found.external_id, found.model, found.language) == ("33", "vicuna-13b", None)
    assert metadata(found) == {"redacted": True}


# ChatGPT's account export


def node(parent: str | None, role: str = "", text: object = "", **message: object) -> dict[str, object]:
    if not role:
        return {"message": None, "parent": parent, "children": []}
    content = text if isinstance(text, dict) else {"content_type": "text", "parts": [text]}
    model = {"model_slug": message.pop("model")} if "model" in message else {}
    said = {"author": {"role": role}, "content": content, "metadata": {**model, **message.pop("about", {})}}
    return {"message": {**said, "recipient": "all", **message}, "parent": parent, "children": []}


def export(current: str = "b2", **nodes: dict[str, object]) -> list[Draft | Refusal]:
    return all_of(export_drafts, {"id": "e1", "title": "T", "current_node": current, "mapping": nodes})


def test_every_branch_of_an_export_is_a_conversation_and_the_current_one_is_marked():
    found = export(
        r=node(None),
        s=node("r", "system", ""),
        a=node("s", "user", "q"),
        b1=node("a", "assistant", "x", model="gpt-4"),
        b2=node("a", "assistant", "y", model="gpt-4"),
    )
    assert [draft.messages for draft in found] == [
        (("user", "q"), ("assistant", "x")),
        (("user", "q"), ("assistant", "y")),
    ]
    assert [metadata(draft)["branch"] for draft in found] == [
        {"leaf": "b1", "is_current": False, "branches": 2},
        {"leaf": "b2", "is_current": True, "branches": 2},
    ]
    assert {(draft.external_id, draft.model, metadata(draft)["title"]) for draft in found} == {
        ("e1", "gpt-4", "T")
    }


def test_messages_nobody_saw_are_left_out_and_counted():
    (found,) = export(
        r=node(None),
        s=node("r", "system", "hidden", about={"is_visually_hidden_from_conversation": True}),
        a=node("s", "user", "q"),
        t=node("a", "assistant", {"content_type": "thoughts", "thoughts": []}),
        b=node("t", "assistant", "x", model="o1"),
    )
    assert found.messages == (("user", "q"), ("assistant", "x"))
    assert metadata(found)["hidden_messages"] == 2


def test_two_leaves_that_differ_only_in_what_nobody_saw_are_one_conversation():
    hidden = {"is_visually_hidden_from_conversation": True}
    found = export(
        a=node(None, "user", "q"),
        b=node("a", "assistant", "x"),
        h1=node("b", "system", "1", about=hidden),
        h2=node("b", "system", "2", about=hidden),
    )
    assert len(found) == 1


def test_what_the_assistant_sends_to_a_tool_is_a_tool_call():
    (found,) = export(
        a=node(None, "user", "q"),
        b=node("a", "assistant", {"content_type": "code", "text": "search('x')"}, recipient="browser"),
        c=node("b", "tool", {"content_type": "tether_quote", "url": "u", "text": "t", "title": "h"}),
        d=node("c", "assistant", "x"),
    )
    assert found.messages[1:3] == (
        ("tool_call", '{"name":"browser","arguments":"search(\'x\')"}'),
        ("tool", "h\nu\nt"),
    )


def test_a_branch_of_two_models_has_no_one_label():
    (found,) = export(
        a=node(None, "user", "q"),
        b=node("a", "assistant", "x", model="gpt-4"),
        c=node("b", "user", "again"),
        d=node("c", "assistant", "y", model="text-davinci-002-render-sha"),
    )
    assert found.model == ""
    assert metadata(found)["models"] == ["gpt-4", "text-davinci-002-render-sha"]


def test_a_branch_with_a_picture_is_refused_and_the_others_go_in():
    picture = {"content_type": "multimodal_text", "parts": [{"content_type": "image_asset_pointer"}, "see"]}
    found = export(
        a=node(None, "user", "q"),
        b=node("a", "assistant", "x"),
        c=node("b", "user", picture),
        d=node("b", "user", "words"),
    )
    assert isinstance(found[0], Refusal)
    assert found[0].reason == "the branch to c: a part of a message is image_asset_pointer, not text"
    assert isinstance(found[1], Draft)


def test_a_broken_tree_is_refused_with_its_reason():
    assert "ring" in reason(export_drafts, {"mapping": {"a": {"parent": "b"}, "b": {"parent": "a"}}})
    (orphan,) = export(a=node("nowhere", "user", "q"))
    assert isinstance(orphan, Refusal)
    assert orphan.reason == "the branch to a: its parent nowhere is not in the file"
    assert reason(export_drafts, {"mapping": []}) == "mapping is a list, not an object with nodes"


# one text with marks


def test_baize_marks_and_the_last_empty_turn_belong_to_the_format():
    text = "The conversation between human and AI assistant.\n[|Human|] a\nb\n[|AI|] c\n[|Human|] "
    found = one(baize_drafts, {"topic": "t", "input": text})
    assert found.messages == (("user", "a\nb"), ("assistant", "c"))
    assert metadata(found) == {"topic": "t", "opening": "The conversation between human and AI assistant."}


@pytest.mark.parametrize(
    "text",
    [
        "\n<|user|>: a\n<|bot|>: b\n",
        "### Human: a\n### Assistant: b",
        "### Human: a### Assistant: b",
        "USER: a\nASSISTANT: b",
        "<|prompter|>a<|assistant|>b",
    ],
)
def test_other_marks_are_read_as_well(text):
    found = one(marked_drafts, {"id": "m1", "lang": "de", "text": text})
    assert found.messages == (("user", "a"), ("assistant", "b"))
    assert (found.external_id, found.language) == ("m1", "de")


def test_a_text_without_marks_is_refused():
    assert reason(marked_drafts, {"text": "hello"}) == "no mark tells who speaks in the text"
    assert reason(baize_drafts, {"input": "hello"}) == "no mark tells who speaks in the text"


# exchanges


def test_exchanges_become_turns():
    record = {
        "conversation_id": "p1",
        "category": "c",
        "conversation": [{"human": "a", "assistant": "b"}] * 2,
    }
    found = one(turn_pair_drafts, record)
    assert found.messages == (("user", "a"), ("assistant", "b")) * 2
    assert (found.external_id, metadata(found)) == ("p1", {"category": "c"})
    assert reason(turn_pair_drafts, {"conversation": [{"human": "a"}]}) == (
        "turn 1: no assistant (one of assistant, bot, gpt, system response, output, response, answer)"
    )
    capybara = {"source": "s", "conversation": [{"input": "a", "output": "b"}]}
    assert one(turn_pair_drafts, capybara).messages == (("user", "a"), ("assistant", "b"))


def test_texts_in_turn_begin_with_the_user():
    found = one(alternating_drafts, {"id": 3, "data": ["a", "b", "c"], "source": "s"})
    assert found.messages == (("user", "a"), ("assistant", "b"), ("user", "c"))
    assert (found.external_id, metadata(found)) == ("3", {"source": "s"})
    assert reason(alternating_drafts, {"data": ["a", 3]}) == "turn 2: a number, not text"
    assert reason(alternating_drafts, {"data": []}) == "no turns"


def test_a_dialogstudio_file_holds_a_dialog_under_every_key():
    log = [{"turn id": 1, "user utterance": "a", "system response": "b", "dialog history": "", "x": {}}]
    about = {"model": "gpt-3.5-turbo", "domain": "d"}
    found = all_of(
        dialogstudio_drafts,
        {"t--1": {"original dialog id": "d1", "original dialog info": about, "log": log}, "t--2": {}},
    )
    assert found[0].messages == (("user", "a"), ("assistant", "b"))
    assert (found[0].external_id, found[0].model) == ("d1", "gpt-3.5-turbo")
    assert metadata(found[0]) == {"dialog": "t--1", "original dialog info": {"domain": "d"}}
    assert found[1] == Refusal("t--2: no dialog with a log")


# MOSS


def test_moss_commands_and_results_are_messages_and_thoughts_are_not():
    turn = {
        "Human": "<|Human|>: 2+2?<eoh>\n",
        "Inner Thoughts": "<|Inner Thoughts|>: A sum.<eot>\n",
        "Commands": '<|Commands|>: Calculate("2+2")<eoc>\n',
        "Tool Responses": "<|Results|>:\n4\n<eor>\n",
        "MOSS": "<|MOSS|>: 4<eom>\n",
    }
    plain = {**turn, "Commands": "<|Commands|>: None<eoc>\n", "Tool Responses": "<|Results|>:\nNone\n<eor>\n"}
    chat_of_both = {"turn_10": plain, "turn_2": turn}
    found = one(
        moss_drafts, {"conversation_id": 7, "meta_instruction": "You are MOSS.", "chat": chat_of_both}
    )
    assert found.messages == (
        ("system", "You are MOSS."),
        ("user", "2+2?"),
        ("tool_call", 'Calculate("2+2")'),
        ("tool", "4"),
        ("assistant", "4"),
        ("user", "2+2?"),
        ("assistant", "4"),
    )
    assert found.external_id == "7"
    assert [turn["turn"] for turn in metadata(found)["turns"]] == [2, 10]
    assert reason(moss_drafts, {"chat": {"turn_1": {"Human": 3}}}) == "turn 1: Human is a number, not text"
