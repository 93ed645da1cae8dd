"""`hf:PATH` with a tiny random Llama made in the test."""

import asyncio
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from label.chat import CallError, ChatReply, ChatRequest, open_chat_model, request_key
from label.engine.failures import UNFIT, classify
from label.engine.prices import price_of
from label.judging.judge import judge_store, labeler_of
from label.judging.rating_job import JudgeSettings
from store.errors import BadInput, BadSettings, MissingExtra

# Set before torch is imported: on shared cores several spinning threads are far slower than one.
os.environ.setdefault("OMP_NUM_THREADS", "1")

TEMPLATE = (
    "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}</s>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
NO_SYSTEM = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system') }}{% endif %}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of two layers and its tokenizer, saved."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=300, special_tokens=["<s>", "</s>"], initial_alphabet=alphabet, show_progress=False
    )
    raw.train_from_iterator(["You are an impartial judge. Rate the response from 1 to 10."], trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=raw, bos_token="<s>", eos_token="</s>")
    tokenizer.chat_template = TEMPLATE
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=300,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=4096,
        bos_token_id=0,
        eos_token_id=1,
    )
    path = tmp_path_factory.mktemp("models") / "tiny-judge"
    LlamaForCausalLM(config).save_pretrained(path)
    tokenizer.save_pretrained(path)
    return path


def request_to(model, *, temperature: float | None = 0.0, max_tokens: int = 12, **changes) -> ChatRequest:
    request = ChatRequest(
        model.provider,
        model.base_url,
        model.model,
        (("system", "You judge."), ("user", "Rate the response.")),
        api_version=model.api_version,
        sampling=model.sampling(temperature, max_tokens),
    )
    return replace(request, **changes)


def ask(model, request: ChatRequest, timeout_s: float = 60.0) -> ChatReply:
    return asyncio.run(model.complete(request, timeout_s))


@pytest.fixture
def model(folder):
    return open_chat_model(f"hf:{folder}")


def test_a_greedy_answer_is_always_the_same_and_says_what_it_used(model, folder) -> None:
    first = ask(model, request_to(model))
    assert first == ask(open_chat_model(f"hf:{folder}"), request_to(model))
    assert first.text
    assert first.completion_tokens == 12
    assert first.finish_reason == "length"
    assert (first.prompt_tokens or 0) > 10
    assert first.model_returned == "tiny-judge"


def test_a_draw_depends_on_the_request_and_on_nothing_else(model) -> None:
    hot = request_to(model, temperature=1.0)
    first = ask(model, hot)
    ask(model, request_to(model))
    assert ask(model, hot) == first
    others = {ask(model, replace(hot, sample_index=index)).text for index in range(1, 4)}
    assert len(others | {first.text}) > 1


def test_without_a_temperature_the_model_uses_its_own(model) -> None:
    assert "temperature" not in model.sampling(None, 5)
    assert ask(model, request_to(model, temperature=None)).completion_tokens == 12


def test_other_weights_are_another_model_and_a_copy_is_the_same(model, folder, tmp_path) -> None:
    copy = tmp_path / "tiny-judge"
    shutil.copytree(folder, copy)
    key = request_key(request_to(model))
    assert request_key(request_to(open_chat_model(f"hf:{copy}"))) == key
    weights = bytearray((copy / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (copy / "model.safetensors").write_bytes(weights)
    assert request_key(request_to(open_chat_model(f"hf:{copy}"))) != key


def test_a_prompt_that_does_not_fit_is_the_turns_own_fault(model) -> None:
    with pytest.raises(CallError, match="more than the model's 4096") as failed:
        ask(model, request_to(model, messages=(("user", "x" * 5000),)))
    assert classify(failed.value) == UNFIT


def test_time_is_kept(model) -> None:
    with pytest.raises(CallError, match="no answer within"):
        ask(model, request_to(model, max_tokens=3000), timeout_s=0.05)


def test_a_template_without_a_system_turn_gets_it_before_the_users(folder, tmp_path) -> None:
    copy = tmp_path / "no-system"
    shutil.copytree(folder, copy)
    for old in copy.glob("chat_template*"):
        old.write_text(NO_SYSTEM + TEMPLATE)
    model = open_chat_model(f"hf:{copy}")
    assert ask(model, request_to(model)).completion_tokens == 12


def test_turns_are_judged_in_process_for_nothing(store, model) -> None:
    def advance(_amount: float = 1, *, words: str = "") -> None:
        del words

    settings = JudgeSettings(max_tokens=8, max_unparsed=1.0, timeout_s=60)
    report = judge_store(store, model, price_of(model.model, model.base_url), settings, advance=advance)
    counts = report.tally.counts()
    assert counts["requested"] == counts["unparsed"] == 4
    assert (counts["cost_usd"], report.labeler) == (0, "tiny-judge")
    assert labeler_of(model, "mine") == "mine"
    with store.read() as reading:
        assert reading.rows("SELECT DISTINCT provider FROM completions") == [("transformers",)]


def test_a_folder_without_a_model_or_a_chat_template_is_refused(folder, tmp_path) -> None:
    with pytest.raises(BadInput, match="holds no model"):
        open_chat_model(f"hf:{tmp_path}")
    with pytest.raises(BadSettings, match="--base-url"):
        open_chat_model(f"hf:{folder}", "http://127.0.0.1:1/v1")
    copy = tmp_path / "bare"
    shutil.copytree(folder, copy)
    for old in copy.glob("chat_template*"):
        old.unlink()
    with pytest.raises(BadInput, match="no chat template"):
        open_chat_model(f"hf:{copy}").check()


def test_missing_libraries_name_their_extra(model, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtra, match=r"preferably\[local\]"):
        model.check()


def test_naming_a_local_model_imports_nothing_heavy(folder) -> None:
    code = (
        "import sys; from label.chat import open_chat_model;"
        f"open_chat_model('hf:' + {str(folder)!r}).api_version;"
        "assert not {'torch', 'transformers', 'openai', 'anthropic'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_local_model_weighs_its_labels_in_float32(folder) -> None:
    import torch

    model = open_chat_model(f"hf:{folder}")
    request = ChatRequest(
        model.provider,
        model.base_url,
        model.model,
        (("user", "Which is better?"),),
        api_version=model.api_version,
        sampling=model.label_sampling(["A", "B"]),
    )
    reply = asyncio.run(model.complete(request, 60))
    probabilities = dict(reply.first_token)
    loaded = model._loaded
    text = loaded.tokenizer.apply_chat_template(
        [{"role": "user", "content": "Which is better?"}], tokenize=False, add_generation_prompt=True
    )
    ids = loaded.tokenizer(text, add_special_tokens=False, return_tensors="pt")["input_ids"]
    with torch.inference_mode():
        scores = torch.log_softmax(loaded.model(ids).logits[0, -1].float(), -1)
    for label in ("A", "B"):
        (token,) = loaded.tokenizer(label, add_special_tokens=False)["input_ids"]
        assert probabilities[label] == pytest.approx(float(scores[token]), abs=1e-6)
    assert asyncio.run(model.complete(request, 60)) == reply
