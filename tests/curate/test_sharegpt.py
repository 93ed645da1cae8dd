import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.reader import ReaderSettings, Record, Reject, Remark
from curate.readers.sharegpt import ROLE_OF, SHAREGPT, Unreadable, chat_of, read_sharegpt
from store.errors import BadInput


def chat(record: object):
    return chat_of(json.dumps(record).encode())


def turns(*pairs: tuple[str, str]) -> dict[str, object]:
    return {"conversations": [{"from": speaker, "value": text} for speaker, text in pairs]}


def reason(record: object) -> str:
    with pytest.raises(Unreadable) as caught:
        chat(record)
    return str(caught.value)


def read(tmp_path, text: str | bytes, **settings):
    path = tmp_path / "file.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return list(read_sharegpt(path, ReaderSettings(**settings)))


def test_the_usual_shape_is_read_as_it_is():
    found = chat({"id": "x1", "model": "gpt-4", **turns(("human", "hi"), ("gpt", "hello"))})
    assert (found.external_id, found.model, found.metadata) == ("x1", "gpt-4", None)
    assert found.messages == (("user", "hi"), ("assistant", "hello"))


@pytest.mark.parametrize(("speaker", "role"), [*ROLE_OF.items(), ("Human", "user"), (" GPT ", "assistant")])
def test_every_known_speaker_has_a_role(speaker, role):
    assert chat(turns((speaker, "x"))).messages == ((role, "x"),)


def test_raw_html_stays_as_it_is():
    html = '<div class="markdown prose"><p>See <code>x</code> &lt;y&gt;</p><button>Copy code</button></div>\n'
    assert chat(turns(("human", "a"), ("gpt", html))).messages[1] == ("assistant", html)


def test_what_turns_say_beside_speaker_and_text_goes_to_the_metadata():
    turn = {"from": "gpt", "value": "b", "weight": 0.5}
    found = chat({"conversations": [{"from": "human", "value": "a"}, turn]})
    assert json.loads(found.metadata) == {"turns": [{"turn": 2, "weight": 0.5}]}


def test_turns_may_be_columns_as_datasets_stores_them():
    found = chat({"conversations": {"from": ["human", "gpt"], "value": ["a", "b"]}})
    assert found.messages == (("user", "a"), ("assistant", "b"))


def test_a_parquet_file_gives_the_same_conversations_and_pieces_as_json(tmp_path):
    records = [
        {
            "id": "a_0",
            "model": "gpt-4",
            "conversations": [{"from": "human", "value": "1"}, {"from": "gpt", "value": "2"}],
        },
        {"id": "a_2", "model": "gpt-4", "conversations": [{"from": "human", "value": "3"}]},
        {"id": "b", "model": "gpt-4", "conversations": []},
    ]
    pq.write_table(pa.Table.from_pylist(records), tmp_path / "a.parquet")
    for pieces in ("keep", "join"):
        from_json = read(tmp_path, json.dumps(records), pieces=pieces)
        from_table = list(SHAREGPT(tmp_path / "a.parquet", ReaderSettings(pieces=pieces)))
        told = [
            [
                (one.messages, one.external_id, one.model) if isinstance(one, Record) else one.reason
                for one in items
            ]
            for items in (from_json, from_table)
        ]
        assert told[0] == told[1]
        assert len(told[0]) == (3 if pieces == "keep" else 2)


def test_an_unknown_speaker_rejects_the_record_and_is_named():
    assert (
        reason(turns(("human", "a"), ("narrator", "b")))
        == "turn 2: no role is known for the speaker 'narrator'"
    )


@pytest.mark.parametrize("key", ["conversations", "items", "messages"])
@pytest.mark.parametrize("speaker", ["from", "role", "user"])
@pytest.mark.parametrize("text", ["value", "content", "text"])
def test_keys_may_be_spelt_as_any_relative_spells_them(key, speaker, text):
    assert chat({key: [{speaker: "user", text: "hi"}]}).messages == (("user", "hi"),)


@pytest.mark.parametrize("model", [{}, {"model": ""}, {"model": None}])
def test_a_missing_model_stays_unknown(model):
    assert chat({**model, **turns(("human", "a"))}).model == ""


@pytest.mark.parametrize(("given", "kept"), [("a", "a"), (7, "7"), (None, ""), (10**29, str(10**29))])
def test_an_id_may_be_text_or_a_number_or_missing(given, kept):
    assert chat({"id": given, **turns(("human", "a"))}).external_id == kept


@pytest.mark.parametrize(
    "pairs",
    [
        [("gpt", "first"), ("human", "b")],
        [("human", "a"), ("gpt", "b"), ("human", "left alone")],
        [("human", ""), ("gpt", "")],
        [("human", "a"), ("human", "b"), ("gpt", "c"), ("gpt", "d")],
        [("system", "s"), ("human", "a"), ("function_call", "{}"), ("observation", "42"), ("gpt", "b")],
    ],
    ids=["assistant first", "trailing user", "empty turns", "same-role neighbours", "tools"],
)
def test_odd_conversations_are_taken_as_they_are(pairs):
    assert [text for _, text in chat(turns(*pairs)).messages] == [text for _, text in pairs]


@pytest.mark.parametrize("key", ["system", "system_prompt"])
def test_a_system_prompt_beside_the_turns_becomes_the_first_message(key):
    found = chat({key: "be kind", **turns(("human", "a"))})
    assert (found.messages[0], found.has_preamble) == (("system", "be kind"), True)


def test_a_system_prompt_said_twice_is_kept_once():
    found = chat({"system": "be kind", **turns(("system", "be kind"), ("human", "a"))})
    assert (len(found.messages), found.has_preamble) == (2, False)


def test_parts_of_text_are_joined():
    parts = [{"type": "text", "text": "a"}, "b", {"text": "c"}]
    assert chat({"messages": [{"role": "user", "content": parts}]}).messages == (("user", "a\nb\nc"),)


def test_a_part_that_is_no_text_rejects_the_record_and_is_named():
    parts = [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {}}]
    said = reason({"messages": [{"role": "user", "content": parts}]})
    assert said == "turn 1: a part of the content is of type 'image_url', not text"


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ([], "not a JSON object"),
        (3, "not a JSON object"),
        ({"id": "a"}, "no list of turns (one of conversations, items, messages)"),
        ({"conversations": []}, "no turns"),
        ({"conversations": "a"}, "conversations is text, not a list of turns"),
        ({"conversations": ["a"]}, "turn 1: text, not an object"),
        ({"conversations": [{"value": "a"}]}, "turn 1: no speaker (one of from, role, user)"),
        ({"conversations": [{"from": None, "value": "a"}]}, "turn 1: the speaker is null, not text"),
        ({"conversations": [{"from": "gpt"}]}, "turn 1: no text (one of value, content, text)"),
        ({"conversations": [{"from": "gpt", "value": None}]}, "turn 1: the content is null, not text"),
        ({"conversations": [{"from": "gpt", "value": 3}]}, "turn 1: the content is a number, not text"),
        ({"model": 4, **turns(("human", "a"))}, "the model is a number, not text"),
        ({"id": [], **turns(("human", "a"))}, "the id is a list, neither text nor a whole number"),
        ({"id": True, **turns(("human", "a"))}, "the id is true or false, neither text nor a whole number"),
        ({"system": {}, **turns(("human", "a"))}, "system is an object, not text"),
    ],
)
def test_what_cannot_be_stored_is_rejected_with_its_reason(record, said):
    assert reason(record) == said


def test_whatever_else_a_record_holds_is_kept_as_it_was_written():
    turn = b'"conversations": [{"from": "human", "value": "a"}]'
    raw = b'{"big": 123456789012345678901234567890, "lang": "en", ' + turn + b', "x": {"y": 1.50}}'
    found = chat_of(raw)
    assert found.language == "en"
    assert found.metadata == '{"big":123456789012345678901234567890,"x":{"y": 1.50}}'


def test_a_nul_character_is_kept():
    assert chat(turns(("human", "a\0b"))).messages == (("user", "a\0b"),)


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (rb'{"conversations": [{"from": "human", "value": "\ud800 x y z"}]}', "half of a surrogate pair"),
        (b'{"conversations": [{"from": "human", "value": "\xff"}]}', "not UTF-8"),
        (b'{"conversations": [{"from": "human", "value": "\xc3\x28"}], "x": 1}', "not UTF-8"),
        (b'{"conversations": [{"from": "human", "value": NaN}]}', "not JSON"),
        (b'{"conversations": ' + b"[" * 3000 + b"]" * 3000 + b"}", "nested too deeply"),
    ],
)
def test_text_that_is_no_unicode_or_no_json_rejects_its_record_only(tmp_path, raw, said):
    good = b'{"conversations": [{"from": "human", "value": "a"}]}'
    for text in (
        good + b"\n" + raw + b"\n" + good + b"\n",
        b"[" + good + b",\n" + raw + b",\n" + good + b"]",
    ):
        first, bad, last = read(tmp_path, text)
        assert isinstance(first, Record)
        assert isinstance(last, Record)
        assert isinstance(bad, Reject)
        assert said in bad.reason
        assert bad.line == 2


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
wild_turns = st.fixed_dictionaries(
    {},
    optional={
        key: st.sampled_from(["human", "gpt", "system", "narrator"]) | json_values
        for key in ("from", "role", "value", "content")
    },
)
wild_records = st.fixed_dictionaries(
    {},
    optional={
        "id": json_values,
        "model": json_values,
        "system": json_values,
        "conversations": st.lists(wild_turns | json_values, max_size=3) | json_values,
        "messages": st.lists(wild_turns, max_size=3),
    },
)


@given(st.lists(wild_records | json_values, min_size=1, max_size=5))
def test_every_record_is_kept_or_rejected_alike_in_an_array_and_in_lines(tmp_path_factory, found):
    folder = tmp_path_factory.mktemp("wild")
    array = read(folder, json.dumps(found))
    lines = read(folder, '{"conversations": []}\n' + "".join(json.dumps(one) + "\n" for one in found))[1:]
    assert len(array) == len(lines) == len(found)
    for one, other in zip(array, lines, strict=True):
        assert type(one) is type(other)
        if isinstance(one, Record) and isinstance(other, Record):
            assert (one.messages, one.external_id, one.metadata) == (
                other.messages,
                other.external_id,
                other.metadata,
            )
        elif isinstance(one, Reject) and isinstance(other, Reject):
            assert one.reason == other.reason


def test_a_file_that_is_not_json_is_one_clear_error(tmp_path):
    with pytest.raises(BadInput, match="is not JSON"):
        read(tmp_path, "some words\nin lines\n")


def piece(base: str, first: int, count: int, **more: object) -> dict[str, object]:
    pairs = [("human" if (first + i) % 2 == 0 else "gpt", f"{base} {first + i}") for i in range(count)]
    return {"id": f"{base}_{first}", **turns(*pairs), **more}


def texts(item: Record) -> list[str]:
    return [text for _, text in item.messages]


def test_pieces_are_kept_apart_unless_told(tmp_path):
    found = read(tmp_path, json.dumps([piece("a", 0, 2), piece("a", 2, 2)]))
    assert [item.external_id for item in found] == ["a_0", "a_2"]


def test_pieces_that_follow_each_other_are_joined_wherever_they_stand(tmp_path):
    given = [
        piece("a", 4, 3),
        piece("b", 0, 2),
        piece("a", 0, 2),
        piece("c", 2, 1),
        piece("a", 2, 2),
        piece("c", 3, 1),
    ]
    found = read(tmp_path, json.dumps(given), pieces="join")
    assert [(item.external_id, item.record_numbers) for item in found] == [
        ("b_0", (2,)),
        ("a", (3, 5, 1)),
        ("c_2", (4, 6)),
    ]
    assert texts(found[1]) == [f"a {i}" for i in range(7)]


def test_pieces_with_a_gap_stay_apart_and_are_counted(tmp_path):
    remark, *found = read(tmp_path, json.dumps([piece("a", 0, 2), piece("a", 3, 2)]), pieces="join")
    assert remark == Remark("conversations left in pieces because turns between them are missing: 1")
    assert [item.external_id for item in found] == ["a_0", "a_3"]


def test_pieces_of_different_models_or_with_different_system_prompts_are_not_joined(tmp_path):
    for more in ({"model": "gpt-4"}, {"system": "other"}):
        found = read(tmp_path, json.dumps([piece("a", 0, 2), piece("a", 2, 2, **more)]), pieces="join")
        assert [item.external_id for item in found] == ["a_0", "a_2"]


def test_a_system_prompt_shared_by_pieces_is_kept_once(tmp_path):
    given = [piece("a", 0, 2, system="s"), piece("a", 2, 2, system="s")]
    (found,) = read(tmp_path, json.dumps(given), pieces="join")
    assert texts(found) == ["s", "a 0", "a 1", "a 2", "a 3"]


def test_a_rejected_piece_breaks_the_chain(tmp_path):
    given = [
        piece("a", 0, 2),
        {"id": "a_2", "conversations": [{"from": "narrator", "value": "x"}]},
        piece("a", 3, 1),
    ]
    found = read(tmp_path, json.dumps(given), pieces="join")
    assert [type(item) for item in found] == [Remark, Record, Reject, Record]


def test_a_piece_that_comes_twice_is_joined_once(tmp_path):
    given = [piece("a", 0, 2), piece("a", 0, 2), piece("a", 2, 2)]
    found = [item for item in read(tmp_path, json.dumps(given), pieces="join") if isinstance(item, Record)]
    assert sorted(item.record_numbers for item in found) == [(1,), (2, 3)]
