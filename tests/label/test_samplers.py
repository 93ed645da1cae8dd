"""Samplers without a server: transformers with a tiny random Llama, the offline policy; and our templates."""

import asyncio
import json
import os
import shutil
import threading
from collections import Counter
from pathlib import Path

import pytest

from label.cli import cli
from label.local.batches_of_asks import AskBatches
from label.local.prompt_tokens import PromptTokens
from label.offline_world import CREATURES, Question, rate
from label.sampler import Ask, Drawn, Reply, SamplerChoice, Sampling, open_sampler
from label.samplers.offline import answer
from store.console import run_command
from store.errors import BadInput, BadSettings
from store.ids import path_digests, uuid_text

# Set before torch is imported: on shared cores several spinning threads are far slower than one.
os.environ.setdefault("OMP_NUM_THREADS", "1")

PLAIN = (
    "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}</s>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
CONTEXT = 128


def save_model(folder: Path, tokenizer, seed: int = 0) -> Path:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer.chat_template = PLAIN
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=CONTEXT,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=2,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory, byte_tokenizer_maker) -> Path:
    tokenizer = byte_tokenizer_maker()
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|end_of_turn|>"]})
    return save_model(tmp_path_factory.mktemp("models") / "tiny-policy", tokenizer)


def sample(store, *options: str) -> int:
    return run_command(cli, ["sample", "--store", str(store.path), "--max-new-tokens", "20", *options])


def contents(store, policy: str) -> dict[tuple, tuple]:
    with store.read() as reading:
        rows = reading.rows(
            "SELECT prompt_id, sample_index, seed, content, n_tokens, finish_reason FROM samples"
            " JOIN messages ON message_id = response_id WHERE policy = ?",
            [policy],
        )
    assert len({row[:2] for row in rows}) == len(rows)
    return {row[:3]: row[3:] for row in rows}


def test_a_draw_does_not_depend_on_the_draws_it_shares_a_batch_with(store, folder) -> None:
    """Left padding and random numbers of its own: a batch of 1, of 3 and of all give the same."""
    for name, batch in (("one", 1), ("three", 3), ("all", 64)):
        model = ["--model", f"hf:{folder}", "--policy", name, "--engine", f"batch_size={batch}"]
        assert sample(store, *model, "--n", "3") == 0
    assert contents(store, "one") == contents(store, "three") == contents(store, "all")
    drawn = contents(store, "one").values()
    assert len(drawn) == 12
    assert len({text for text, _, _ in drawn}) == 12
    assert all(n_tokens == 20 or reason == "stop" for _, n_tokens, reason in drawn)


def test_greedy_draws_are_what_transformers_generates(store, folder) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    assert sample(store, "--model", f"hf:{folder}", "--n", "1", "--temperature", "0") == 0
    assert sample(store, "--model", f"hf:{folder}", "--n", "1", "--top-k", "1", "--policy", "k1") == 0
    tokens = PromptTokens(str(folder), None, None)
    model = AutoModelForCausalLM.from_pretrained(folder)
    prompt = (("user", "Name a prime."),)
    ids = torch.tensor([tokens.encode(prompt)])
    with torch.inference_mode():
        ends = [1, tokens.end_id]
        whole = model.generate(ids, max_new_tokens=20, do_sample=False, eos_token_id=ends, pad_token_id=2)
    expected = tokens.format.tokenizer.decode(whole[0, ids.shape[1] :], skip_special_tokens=True)
    prompt_id = uuid_text(path_digests(list(prompt))[0])
    for policy in ("tiny-policy", "k1"):
        (said,) = [row[0] for key, row in contents(store, policy).items() if str(key[0]) == prompt_id]
        assert said == expected


def test_top_p_and_top_k_leave_only_the_likeliest_tokens() -> None:
    import torch

    from label.samplers.local import choose

    logits = torch.tensor([[0.0, 3.0, 2.0, 1.0]]).repeat(500, 1)
    uniforms = torch.rand(500, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    warm = torch.ones(500)

    def seen(top_p: float, top_k: int) -> Counter[int]:
        return Counter(choose(logits, warm, uniforms, top_p, top_k).tolist())

    whole = seen(1.0, 0)
    expected = torch.tensor([0.0, 3.0, 2.0, 1.0]).softmax(-1)
    assert all(abs(whole[token] / 500 - expected[token]) < 0.06 for token in range(4))
    assert set(seen(1.0, 2)) == {1, 2}
    assert set(seen(0.6, 0)) == {1}
    assert set(seen(0.7, 0)) == {1, 2}
    cold = choose(logits, torch.zeros(500), uniforms, 1.0, 0)
    assert set(cold.tolist()) == {1}


def test_a_prompt_that_fills_the_model_is_rejected_and_a_long_one_leaves_less_room(
    tmp_path, write, folder, capsys
) -> None:
    store = write(
        tmp_path / "s.duckdb",
        [("m", [("user", "x" * 300), ("assistant", "y")]), ("m", [("user", "x" * 80), ("assistant", "y")])],
    )
    assert sample(store, "--model", f"hf:{folder}", "--n", "2", "--max-new-tokens", "90", "--json") == 0
    counts = json.loads(capsys.readouterr().out)
    assert (counts["done"], counts["failed"]) == (2, 2)
    with store.read() as reading:
        (reason,) = reading.rows("SELECT reason FROM sample_rejects")
    assert "the model takes 128 in all" in reason[0]
    room = CONTEXT - len(PromptTokens(str(folder), None, None).encode([("user", "x" * 80)]))
    assert room < 90
    assert all(
        n_tokens == room or reason == "stop"
        for _, n_tokens, reason in contents(store, "tiny-policy").values()
    )


def test_turns_the_template_does_not_take_are_a_reason_not_to_draw(tmp_path, write, folder) -> None:
    store = write(
        tmp_path / "s.duckdb",
        [
            ("m", [("tool", "What?"), ("user", "Hello"), ("assistant", "y")]),
            ("m", [("user", "Hello"), ("assistant", "y")]),
        ],
    )
    assert sample(store, "--model", f"hf:{folder}", "--n", "2", "--template", "openchat") == 0
    assert len(contents(store, "tiny-policy")) == 2
    with store.read() as reading:
        (reason,) = reading.rows("SELECT reason FROM sample_rejects")
    assert "unknown role tool" in reason[0]


def test_a_policy_in_the_folder_of_a_run_is_called_after_the_run(tmp_path, folder) -> None:
    shutil.copytree(folder, tmp_path / "sft-1" / "model")
    assert open_sampler(SamplerChoice(f"hf:{tmp_path / 'sft-1' / 'model'}")).policy == "sft-1"
    assert open_sampler(SamplerChoice(f"hf:{folder}")).policy == "tiny-policy"


def test_other_weights_of_the_same_name_are_not_mixed_in(
    store, folder, tmp_path, byte_tokenizer_maker, capsys
) -> None:
    other = save_model(tmp_path / "tiny-policy", byte_tokenizer_maker(), seed=1)
    assert sample(store, "--model", f"hf:{folder}", "--n", "1") == 0
    assert sample(store, "--model", f"hf:{other}", "--n", "1") == 2
    assert "give these a name of their own with --policy" in capsys.readouterr().err
    assert sample(store, "--model", f"hf:{other}", "--n", "1", "--policy", "second") == 0
    assert sample(store, "--model", f"hf:{folder}", "--n", "2") == 0


def test_a_model_that_is_told_to_stop_ends_its_batch_soon(folder) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    from label.samplers.local import Row, decode

    model = AutoModelForCausalLM.from_pretrained(folder)
    stop = threading.Event()
    stop.set()
    (ids,) = decode(model, [Row([3, 4], 1, 1.0, 50)], end_ids=[1], top_p=1, top_k=0, is_given_up=stop)
    assert len(ids) == 1
    assert torch.is_grad_enabled()


def test_after_an_interruption_no_further_batch_is_begun() -> None:
    begun: list[int] = []
    is_given_up = threading.Event()

    def answer_slowly(asks):
        begun.append(len(asks))
        is_given_up.wait(20)
        return [Reply((Drawn("x", "stop", 1),)) for _ in asks]

    async def drive() -> None:
        batches = AskBatches(answer_slowly, 1, is_given_up.set)
        ask = Ask("p", (("user", "?"),), Sampling(0.7), 0, 1, 0)
        waiting = [asyncio.create_task(batches.draw(ask)) for _ in range(5)]
        while not begun:
            await asyncio.sleep(0.01)
        for one in waiting:
            one.cancel()
        await batches.close()

    asyncio.run(drive())
    assert begun == [1]


def test_the_openchat_template_makes_a_space_and_exactly_one_is_taken_off(
    store, server, reply, folder
) -> None:
    def rule(body):
        texts = [" Hi", "  two", "none", ""]
        return reply(
            body={
                "choices": [
                    {"index": i, "text": texts[i], "finish_reason": "stop", "token_ids": [1]}
                    for i in range(body["n"])
                ],
                "usage": {"prompt_tokens": 1, "completion_tokens": 4},
            }
        )

    server.rule = rule
    model = ["--model", "vllm:p", "--base-url", server.url, "--n", "4", "--limit", "1"]
    assert (
        sample(store, *model, "--template", "openchat", "--condition", "GPT4", "--tokenizer", str(folder))
        == 0
    )
    said = [text for _, (text, *_) in sorted(contents(store, "p").items())]
    assert said == ["Hi", " two", "none", ""]
    (body,) = server.bodies
    tokenizer = PromptTokens(str(folder), "openchat", "GPT4").format.tokenizer
    shown = tokenizer.decode(body["prompt"])
    assert shown.startswith("<s>GPT4 User: ")
    assert shown.endswith("<|end_of_turn|>GPT4 Assistant:")
    assert body["stop_token_ids"] == [tokenizer.convert_tokens_to_ids("<|end_of_turn|>")]
    with store.read() as reading:
        (sampling,) = reading.rows("SELECT DISTINCT sampling FROM samples")
    assert json.loads(sampling[0]).items() >= {"template": "openchat", "condition": "GPT4"}.items()


def test_only_templates_with_a_space_before_the_answer_make_one(folder) -> None:
    makes = {
        name: PromptTokens(str(folder), name, None).makes_space
        for name in (None, "openchat", "openchat_assistant", "openchat_beginning", "tulu", "vicuna")
    }
    assert makes == {
        None: False,
        "openchat": True,
        "openchat_assistant": True,
        "openchat_beginning": True,
        "tulu": False,
        "vicuna": True,
    }


def test_a_condition_reaches_a_server_that_renders_its_own_template(store, server, reply) -> None:
    server.rule = lambda body: reply(
        body={"choices": [{"message": {"content": " kept"}, "finish_reason": "stop"}], "usage": {}}
    )
    model = ["--model", f"vllm:{server.url}#p", "--n", "1", "--limit", "1"]
    assert sample(store, *model, "--condition", "GPT3") == 0
    assert all(body["chat_template_kwargs"] == {"condition": "GPT3"} for body in server.bodies)
    assert [text for text, *_ in contents(store, "p").values()] == [" kept"]


def test_the_offline_policy_errs_more_the_hotter_it_is() -> None:
    def mean_rating(temperature: float) -> float:
        ratings = [
            rate(
                [("user", f"What colour is the {name}?")],
                answer(Question(creature, "colour"), seed, temperature),
            )[0]
            for name, creature in CREATURES.items()
            for seed in range(40)
        ]
        return sum(ratings) / len(ratings)

    means = [mean_rating(temperature) for temperature in (0.0, 0.3, 1.0, 2.0)]
    assert means == sorted(means, reverse=True)
    assert means[0] >= 9
    assert means[-1] < 6.5


def test_the_offline_policy_declines_what_is_not_of_its_world(store, write, tmp_path, capsys) -> None:
    world = write(
        tmp_path / "w.duckdb",
        [
            ("m", [("user", "What colour is the marlo?"), ("assistant", "Amber.")]),
            ("m", [("user", "What is love?"), ("assistant", "A song.")]),
        ],
    )
    assert sample(world, "--model", "offline", "--n", "16", "--json") == 0
    counts = json.loads(capsys.readouterr().out)
    assert (counts["requested"], counts["done"], counts["refused"], counts["failed"]) == (32, 16, 16, 0)
    drawn = contents(world, "offline")
    assert len({text for text, *_ in drawn.values()}) > 2
    assert sample(world, "--model", "offline", "--n", "2", "--policy", "mine") == 0
    assert len(contents(world, "offline:mine")) == 2


@pytest.mark.parametrize(
    ("choice", "error"),
    [
        (SamplerChoice("vllm:no-such-folder"), BadInput),
        (SamplerChoice("vllm:http://h/v1"), BadSettings),
        (SamplerChoice("vllm:http://h/v1#p", template="openchat"), BadSettings),
        (SamplerChoice("gpt-4", template="openchat"), BadSettings),
        (SamplerChoice("hf:x", base_urls=("http://h/v1",)), BadSettings),
        (SamplerChoice("offline", condition="GPT4"), BadSettings),
        (SamplerChoice("vllm:http://h/v1#p", engine={"dtype": "float32"}), BadSettings),
        (SamplerChoice("p", base_urls=("http://u:p@h/v1",)), BadSettings),
    ],
)
def test_what_cannot_be_reached_is_refused_before_anything_is_asked(choice, error) -> None:
    with pytest.raises(error):
        open_sampler(choice)


def test_engine_arguments_that_make_no_sense_are_refused(folder) -> None:
    for engine in ({"batch_size": 0}, {"dtype": "int3"}, {"max_model_len": 5}):
        with pytest.raises(BadSettings):
            open_sampler(SamplerChoice(f"hf:{folder}", engine=engine))


def test_a_tokenizer_without_the_end_of_turn_is_not_of_a_policy_with_this_template(
    tmp_path, byte_tokenizer_maker
) -> None:
    byte_tokenizer_maker().save_pretrained(tmp_path / "plain")
    with pytest.raises(BadInput, match="was not trained with the template 'openchat'"):
        PromptTokens(str(tmp_path / "plain"), "openchat", None).check()


def test_an_ask_in_two_parts_has_the_seeds_of_the_whole() -> None:
    whole = Ask("p", (("user", "?"),), Sampling(0.7), 3, 5, 100)
    rest = whole.after(2)
    assert (rest.first_index, rest.n, rest.first_seed) == (5, 3, 102)
