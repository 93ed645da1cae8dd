"""What a conversation looks like as one text and as tokens."""

from pathlib import Path
from typing import Any

import pytest

from store.chat_format import (
    ChatFormat,
    add_end_of_turn,
    control_tokens_in,
    count_tokens,
    load_tokenizer,
    tokenizer_sha256,
)
from store.chat_template import END_OF_TURN, load_template, template_for, template_names
from store.errors import BadInput, BadSettings, UnknownName

TURNS = [("user", "Hello"), ("assistant", "Hi"), ("user", "How are you today?")]


def byte_tokenizer(*, trim_offsets: bool = False) -> Any:
    """Every byte a token, plus beginning, end and padding."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocab = {token: number for number, token in enumerate(["<s>", "</s>", *alphabet, "Ġ:", "ĠH"])}
    raw = Tokenizer(models.BPE(vocab=vocab, merges=[("Ġ", "H")]))
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    if trim_offsets:
        raw.post_processor = processors.ByteLevel(trim_offsets=True)
    return PreTrainedTokenizerFast(tokenizer_object=raw, bos_token="<s>", eos_token="</s>")


def chat(name: str = "openchat", **kwargs: bool) -> ChatFormat:
    tokenizer = byte_tokenizer(**kwargs)
    template = template_for(tokenizer, name)
    add_end_of_turn(tokenizer, template)
    return ChatFormat(tokenizer, template)


def test_openchat_writes_the_condition_before_every_speaker_and_no_trailing_space() -> None:
    assert chat().render(TURNS, "GPT4", is_prompt=True).text == (
        "<s>GPT4 User: Hello<|end_of_turn|>GPT4 Assistant: Hi<|end_of_turn|>"
        "GPT4 User: How are you today?<|end_of_turn|>GPT4 Assistant:"
    )


def test_the_paper_s_two_other_positions_of_the_condition() -> None:
    assert chat("openchat_assistant").render(TURNS[:1], "GPT3", is_prompt=True).text == (
        "<s>User: Hello<|end_of_turn|>GPT3 Assistant:"
    )
    assert chat("openchat_beginning").render(TURNS[:2], "GPT3").text == (
        "<s>Assistant is GPT3<|end_of_turn|>User: Hello<|end_of_turn|>Assistant: Hi<|end_of_turn|>"
    )


@pytest.mark.parametrize("name", template_names())
def test_a_prompt_is_a_prefix_of_the_answered_conversation(name: str) -> None:
    form = chat(name)
    prompt = form.encode_prompts([TURNS[:1]], "GPT4")[0]
    [whole] = form.encode([form.render(TURNS[:2], "GPT4")])
    assert whole.input_ids[: len(prompt)] == prompt
    closing = whole.input_ids.index(form.end_of_turn_id, len(prompt))
    assert whole.spans == ((len(prompt), closing + 1),)
    assert whole.is_aligned


SYSTEM = ("system", "Be kind.")


def test_tulu_writes_roles_on_lines_of_their_own_and_trains_on_the_end_of_sequence() -> None:
    rendered = chat("tulu").render([SYSTEM, *TURNS])
    assert rendered.text == (
        "<s><|system|>\nBe kind.\n<|user|>\nHello\n<|assistant|>\nHi</s>\n<|user|>\nHow are you today?\n"
    )
    assert [rendered.text[start:end] for start, end in rendered.spans] == ["Hi</s>"]
    assert chat("tulu").generation_prompt() == "<|assistant|>\n"


def test_vicuna_writes_its_own_system_text_unless_there_is_one() -> None:
    form = chat("vicuna")
    rendered = form.render(TURNS)
    assert rendered.text.startswith(
        "<s>A chat between a curious user and an artificial intelligence assistant."
    )
    assert rendered.text.endswith("questions. USER: Hello ASSISTANT: Hi</s>USER: How are you today?")
    assert [rendered.text[start:end] for start, end in rendered.spans] == [" Hi</s>"]
    assert form.render([SYSTEM, *TURNS[:1]], is_prompt=True).text == "<s>Be kind. USER: Hello ASSISTANT:"


def test_chatml_closes_every_turn_with_its_own_token() -> None:
    form = chat("chatml")
    rendered = form.render([SYSTEM, *TURNS[:2]])
    assert rendered.text == (
        "<s><|im_start|>system\nBe kind.<|im_end|>\n<|im_start|>user\nHello<|im_end|>\n"
        "<|im_start|>assistant\nHi<|im_end|>\n"
    )
    assert [rendered.text[start:end] for start, end in rendered.spans] == ["Hi<|im_end|>"]


def own(text: str) -> ChatFormat:
    """A tokenizer that brings a chat template of its own."""
    tokenizer = byte_tokenizer()
    tokenizer.chat_template = text
    return ChatFormat(tokenizer, template_for(tokenizer, "own"))


PLAIN = (
    "{{ bos_token }}{% for m in messages %}{{ '[' + m['role'] + '] ' + m['content'] }}"
    "{% if m['role']=='assistant' %}{{ eos_token }}{% endif %}{{ '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '[assistant] ' }}{% endif %}"
)


def test_a_template_that_does_not_mark_the_answers_is_asked_where_a_prompt_would_end() -> None:
    form = own(PLAIN)
    turns = [*TURNS, ("assistant", "Fine.")]
    rendered = form.render(turns)
    assert form.template.end_of_turn == "</s>"
    assert [rendered.text[start:end] for start, end in rendered.spans] == ["Hi</s>", "Fine.</s>"]


def test_a_template_whose_answers_cannot_be_found_is_refused() -> None:
    forgetful = PLAIN.replace("m['content'] }}", "(m['content'] if loop.last else '…') }}")
    with pytest.raises(BadInput, match="does not write the first 2 turns as the beginning"):
        own(forgetful).render([*TURNS, ("assistant", "Fine.")])
    with pytest.raises(BadInput, match="closes an answer with no token of its own"):
        own(PLAIN.replace("{{ eos_token }}", ""))
    with pytest.raises(BadInput, match="brings no chat template"):
        template_for(byte_tokenizer(), "own")


def test_the_system_turn_carries_no_condition() -> None:
    assert (
        chat()
        .render([("system", "Be kind."), *TURNS[:1]], "GPT4")
        .text.startswith("<s>Be kind.<|end_of_turn|>GPT4 User:")
    )


@pytest.mark.parametrize("trim_offsets", [False, True])
def test_the_assistant_s_part_is_its_content_and_the_end_of_turn(trim_offsets: bool) -> None:
    form = chat(trim_offsets=trim_offsets)
    turns = [("user", "a"), ("assistant", "Hi — ünïcode 🙂"), ("user", "b"), ("assistant", " spaces  ")]
    [encoded] = form.encode([form.render(turns, "GPT4")])
    parts = [form.tokenizer.decode(encoded.input_ids[start:end]) for start, end in encoded.spans]
    assert parts == [" Hi — ünïcode 🙂<|end_of_turn|>", "  spaces  <|end_of_turn|>"]


def test_a_token_that_spans_the_boundary_is_seen() -> None:
    form = chat()
    rendered = form.render(TURNS[:2], "GPT4")
    start, end = rendered.spans[0]
    shifted = type(rendered)(rendered.text, ((start + 1, end),))
    [encoded] = form.encode([shifted])
    assert not encoded.is_aligned


def test_an_unknown_role_is_refused_by_the_template() -> None:
    with pytest.raises(BadInput, match="unknown role tool"):
        chat().render([("tool", "42")])


def test_the_end_of_turn_is_one_token_and_is_added_once() -> None:
    tokenizer, template = byte_tokenizer(), load_template("openchat")
    size = len(tokenizer)
    assert add_end_of_turn(tokenizer, template) == [size]
    assert add_end_of_turn(tokenizer, template) == []
    assert tokenizer.encode(END_OF_TURN, add_special_tokens=False) == [size]


def test_another_default_condition_is_written_into_the_template() -> None:
    template = load_template("openchat").with_default("expert")
    form = ChatFormat(chat().tokenizer, template)
    assert form.render(TURNS[:1]).text == "<s>expert User: Hello<|end_of_turn|>"
    with pytest.raises(BadSettings, match="quote"):
        template.with_default("it's")


def test_control_tokens_are_found_in_content() -> None:
    tokens = chat().control_tokens
    assert control_tokens_in("plain < text >", tokens) == []
    assert control_tokens_in("a</s>b<|end_of_turn|></s>", tokens) == ["</s>", "<|end_of_turn|>"]
    assert control_tokens_in("</s>", ()) == []


def test_the_generation_prompt_is_what_comes_before_an_answer() -> None:
    assert chat().generation_prompt("GPT3") == "GPT3 Assistant:"


def test_tokens_are_counted_without_special_tokens() -> None:
    assert count_tokens(byte_tokenizer(), ["", "abc", "é"]) == [0, 3, 2]
    assert count_tokens(byte_tokenizer(), []) == []


def test_the_tokenizer_s_hash_changes_with_its_tokens_only() -> None:
    tokenizer = byte_tokenizer()
    before = tokenizer_sha256(tokenizer)
    tokenizer(["a", "bcd"], truncation=True, max_length=2)
    assert tokenizer_sha256(tokenizer) == before
    add_end_of_turn(tokenizer, load_template("openchat"))
    assert tokenizer_sha256(tokenizer) != before


def test_names_and_paths_that_do_not_exist(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="did you mean 'openchat'"):
        load_template("opnchat")
    with pytest.raises(BadInput, match="no tokenizer can be read"):
        load_tokenizer(tmp_path)
    with pytest.raises(BadInput, match="no directory"):
        load_tokenizer("some/model")


def test_a_saved_tokenizer_comes_back_with_the_end_of_turn(tmp_path: Path) -> None:
    byte_tokenizer().save_pretrained(tmp_path)
    form = ChatFormat.load(tmp_path, "openchat")
    assert form.tokenizer.convert_ids_to_tokens(form.end_of_turn_id) == END_OF_TURN
