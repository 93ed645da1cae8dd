import subprocess
import sys
from dataclasses import replace

import pytest

from label.chat import ChatRequest, request_key

REQUEST = ChatRequest(
    provider="openai",
    base_url="https://api.openai.com/v1",
    model="gpt-4",
    api_version="chat.completions/v1",
    messages=(("system", "You judge."), ("user", "Héllo")),
    sampling={"temperature": 0.0, "max_tokens": 1024},
)

CHANGES = {
    "provider": {"provider": "other"},
    "base_url": {"base_url": "http://127.0.0.1:8000/v1"},
    "model": {"model": "gpt-4o"},
    "api_version": {"api_version": "2026-01-01"},
    "system message": {"messages": (("system", "You judge!"), ("user", "Héllo"))},
    "user message": {"messages": (("system", "You judge."), ("user", "Hello"))},
    "role": {"messages": (("user", "You judge."), ("user", "Héllo"))},
    "one message less": {"messages": (("user", "Héllo"),)},
    "response_schema": {"response_schema": {"type": "json_object"}},
    "temperature": {"sampling": {"temperature": 0.1, "max_tokens": 1024}},
    "max_tokens": {"sampling": {"temperature": 0.0, "max_tokens": 1023}},
    "a parameter more": {"sampling": {"temperature": 0.0, "max_tokens": 1024, "seed": 1}},
    "sample_index": {"sample_index": 1},
    "repair_index": {"repair_index": 1},
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_whatever_decides_the_answer_changes_the_key(change: dict[str, object]) -> None:
    assert request_key(replace(REQUEST, **change)) != request_key(REQUEST)


def test_all_changes_give_different_keys() -> None:
    keys = {request_key(replace(REQUEST, **change)) for change in CHANGES.values()}
    assert len(keys) == len(CHANGES)


def test_a_new_key_version_changes_every_key(monkeypatch: pytest.MonkeyPatch) -> None:
    before = request_key(REQUEST)
    monkeypatch.setattr("label.chat.KEY_VERSION", 2)
    assert request_key(REQUEST) != before


def test_the_order_of_parameters_does_not_matter() -> None:
    turned = replace(REQUEST, sampling={"max_tokens": 1024, "temperature": 0.0})
    assert request_key(turned) == request_key(REQUEST)


def test_the_key_holds_every_field_of_a_request_and_nothing_else() -> None:
    from dataclasses import fields

    assert {field.name for field in fields(ChatRequest)} == {
        "provider",
        "base_url",
        "model",
        "api_version",
        "messages",
        "response_schema",
        "sampling",
        "sample_index",
        "repair_index",
    }


def test_a_repair_knows_what_it_repairs() -> None:
    more = (*REQUEST.messages, ("assistant", "Hm."), ("user", "Again."))
    repair = replace(REQUEST, messages=more, repair_index=1)
    assert repair.repairs == REQUEST
    assert REQUEST.repairs is None


def test_a_schema_counts_towards_the_most_a_request_can_cost() -> None:
    asked = replace(REQUEST, response_schema={"type": "object", "properties": {"é": {"type": "string"}}})
    assert asked.n_bytes > REQUEST.n_bytes + 400


def test_the_key_is_the_same_in_every_process() -> None:
    assert request_key(REQUEST) == "86b7d917-a1c5-41b3-d9a3-eb5c882e774b"
    code = (
        "from label.chat import ChatRequest, request_key;"
        "print(request_key(ChatRequest('openai', 'u', 'm', (('user', 'x'),))))"
    )
    keys = {
        subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout for _ in range(2)
    }
    assert len(keys) == 1
