"""Reward models in this process: what they read, where the number is read, and that batches change nothing."""

import random

import pytest

from label.exchange import Exchange
from label.local.exchange_tokens import load_exchange_tokens
from label.local.token_batches import shared_beginning, token_batches
from label.reward_model import REWARD_MODELS, RewardChoice, open_reward_model, reward_model_name
from label.reward_models.classifier import can_share_prefixes, load_classifier, read_values
from store.errors import BadInput, BadSettings, UnknownName


def exchange(response: str, prompt: str = "Why?") -> Exchange:
    return Exchange((("user", prompt),), response)


def mixed(count: int) -> list[Exchange]:
    chance = random.Random(0)
    return [
        exchange("".join(chance.choices("abc de", k=chance.randint(1, 300))), f"Question {n}")
        for n in range(count)
    ]


def score(folder, exchanges, **options) -> list:
    model = open_reward_model(RewardChoice(str(folder), **options))
    found = dict(model.score(exchanges))
    return [found[place] for place in range(len(exchanges))]


def one_by_one(folder, ids) -> float:
    """What the model's own pooling gives for a single row without padding."""
    import torch

    model = load_classifier(folder, "float32")
    with torch.inference_mode():
        return float(model(input_ids=torch.tensor([ids])).logits[0, 0])


def test_the_number_does_not_depend_on_the_batch(reward_folder) -> None:
    exchanges = mixed(40)
    alone = score(reward_folder, exchanges, batch_tokens=1)
    values = [one.value for one in alone]
    assert max(values) - min(values) > 0.1
    for budget in (700, 4096, 100_000):
        together = score(reward_folder, exchanges, batch_tokens=budget)
        assert max(abs(a.value - b.value) for a, b in zip(alone, together, strict=True)) < 1e-4


def test_the_number_is_that_of_the_models_own_pooling_where_nothing_is_padded(reward_folder) -> None:
    tokens = load_exchange_tokens(reward_folder, positions=512)
    for item, reward in zip(mixed(5), score(reward_folder, mixed(5)), strict=True):
        (encoded,) = tokens.encode([item])
        assert reward.value == pytest.approx(one_by_one(reward_folder, encoded.ids), abs=1e-5)


def test_an_answer_that_ends_in_the_padding_token_is_read_at_its_end(tmp_path, reward_model_maker) -> None:
    """With pad = eos, transformers' own pooling reads one token early; ours reads the last real token."""
    import torch

    folder = reward_model_maker(tmp_path / "pad-is-eos", pad="</s>")
    model = load_classifier(folder, "float32")
    (encoded,) = load_exchange_tokens(folder, positions=512).encode([exchange("Because.")])
    assert encoded.ids[-1] == model.config.pad_token_id == 1
    with torch.inference_mode():
        early = float(model(input_ids=torch.tensor([encoded.ids])).logits[0, 0])
        states = model.model(input_ids=torch.tensor([encoded.ids])).last_hidden_state
        at_the_end = float(model.score(states[0, -1])[0])
    (reward, _) = score(folder, [exchange("Because."), exchange("Because of a longer reason.")])
    assert reward.value == pytest.approx(at_the_end, abs=1e-5)
    assert abs(early - at_the_end) > 1e-3


def test_what_is_too_long_is_cut_on_the_left_and_says_so(reward_folder) -> None:
    short, long = score(reward_folder, [exchange("yes"), exchange("x" * 600)])
    assert (short.is_truncated, long.is_truncated) == (False, True)
    assert short.n_tokens < 512 < long.n_tokens
    tokens = load_exchange_tokens(reward_folder, positions=512, max_length=20)
    (cut,) = tokens.encode([exchange("A long answer that ends here")])
    assert len(cut.ids) == 20
    assert cut.ids[0] == 0
    assert tokens.tokenizer.decode(cut.ids) == "<s>wer that ends here</s>"


def test_cut_on_the_right_the_beginning_stays(reward_folder) -> None:
    tokens = load_exchange_tokens(reward_folder, positions=512, max_length=12, truncation_side="right")
    (cut,) = tokens.encode([exchange("Because it is")])
    assert tokens.tokenizer.decode(cut.ids) == "<s><|user|>Why"
    assert cut.is_truncated


def test_the_beginning_token_stands_once_whoever_puts_it(reward_folder) -> None:
    from tokenizers.processors import TemplateProcessing

    tokens = load_exchange_tokens(reward_folder, positions=512)
    (from_template,) = tokens.encode([exchange("yes")])
    assert from_template.ids.count(0) == 1
    tokens.tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", 0)]
    )
    (from_both,) = tokens.encode([exchange("yes")])
    assert from_both == from_template
    bare = load_exchange_tokens(reward_folder, positions=512).tokenizer
    bare.chat_template = "{% for m in messages %}{{ m['content'] }}{% endfor %}"
    bare.backend_tokenizer.post_processor = TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    bare.save_pretrained(reward_folder.parent / "bare")
    (from_tokenizer,) = load_exchange_tokens(reward_folder.parent / "bare", positions=512).encode(
        [exchange("yes")]
    )
    assert from_tokenizer.ids[0] == 0
    assert from_tokenizer.ids.count(0) == 1
    assert from_tokenizer.ids[-1] != 1


def test_a_system_turn_joins_the_users_where_the_template_has_no_place_for_it(
    tmp_path, reward_model_maker
) -> None:
    refusing = (
        "{% for m in messages %}{% if m['role'] == 'system' %}{{ raise_exception('no system') }}{% endif %}"
        "<{{ m['role'] }}>{{ m['content'] }}{% endfor %}"
    )
    tokens = load_exchange_tokens(reward_model_maker(tmp_path / "rm", template=refusing), positions=512)
    turns = (("system", "Be brief."), ("user", "Why?"), ("assistant", "So."))
    assert tokens.render(turns) == "<user>Be brief.\n\nWhy?<assistant>So."


def test_a_conversation_the_template_refuses_fails_alone(tmp_path, reward_model_maker) -> None:
    picky = "{% if messages[1]['content'] == 'no' %}{{ raise_exception('not this') }}{% endif %}x"
    folder = reward_model_maker(tmp_path / "rm", template=picky)
    good, bad = score(folder, [exchange("yes"), exchange("no")])
    assert (good.state, bad.state) == ("done", "failed")
    assert bad.why == "the chat template refuses the conversation: not this"


def test_the_revision_changes_with_what_could_change_the_number(
    tmp_path, reward_folder, reward_model_maker
) -> None:
    other_weights = reward_model_maker(tmp_path / "other", seed=1)
    other_template = reward_model_maker(tmp_path / "template", template="{{ messages[1]['content'] }}")
    choices = [
        RewardChoice(str(reward_folder)),
        RewardChoice(str(reward_folder), max_length=100),
        RewardChoice(str(reward_folder), truncation_side="right"),
        RewardChoice(str(reward_folder), dtype="bfloat16"),
        RewardChoice(str(other_weights)),
        RewardChoice(str(other_template)),
    ]
    revisions = [open_reward_model(choice).revision for choice in choices]
    assert len(set(revisions)) == len(choices)
    assert revisions[0] == open_reward_model(RewardChoice(f"hf:{reward_folder}", batch_tokens=5)).revision


def test_gradients_reach_the_model_through_what_reads_the_number(reward_folder) -> None:
    model = load_classifier(reward_folder, "float32")
    chosen, rejected = read_values(model, [[0, 5, 6, 1], [0, 5, 1]])
    (chosen - rejected).sigmoid().log().neg().backward()
    assert model.score.weight.grad.abs().sum() > 0
    assert model.model.embed_tokens.weight.grad.abs().sum() > 0


def test_a_model_without_a_trained_head_is_refused_unless_it_is_to_be_trained(
    tmp_path, reward_folder
) -> None:
    import torch
    from transformers import AutoTokenizer, LlamaForCausalLM

    plain = tmp_path / "plain"
    LlamaForCausalLM.from_pretrained(reward_folder, dtype=torch.float32, num_labels=2).save_pretrained(plain)
    AutoTokenizer.from_pretrained(reward_folder).save_pretrained(plain)
    with pytest.raises(BadInput, match=r"holds no reward model: it has no weights for score\.weight"):
        load_classifier(plain, "float32")
    assert load_classifier(plain, "float32", has_new_head=True).config.num_labels == 1


def test_a_model_with_two_outputs_is_refused(tmp_path, reward_model_maker) -> None:
    folder = reward_model_maker(tmp_path / "two", num_labels=2)
    with pytest.raises(BadInput, match="gives 2 numbers"):
        load_classifier(folder, "float32")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_length": 513}, "more than the 512 tokens the model holds"),
        ({"template": "openchat"}, r"ends turns with <\|end_of_turn\|>, which the tokenizer"),
        ({"template": "opnchat"}, "did you mean 'openchat'"),
    ],
)
def test_what_the_model_cannot_read_is_refused(reward_folder, options, message) -> None:
    with pytest.raises((BadSettings, BadInput, UnknownName), match=message):
        _ = open_reward_model(RewardChoice(str(reward_folder), **options)).revision


def test_the_stand_in_grades_by_the_worlds_rule_and_refuses_the_rest() -> None:
    model = open_reward_model(RewardChoice("offline"))
    found = dict(
        model.score(
            [
                exchange("The marlo is amber.", "What colour is the marlo?"),
                exchange("The marlo is red.", "What colour is the marlo?"),
                exchange("Paris.", "What is the capital of France?"),
            ]
        )
    )
    assert found[0].value > found[1].value
    assert found[2].state == "refused"
    assert found[2].why.startswith("the offline reward model has no rule")
    assert reward_model_name(model, "mine") == "offline:mine"
    assert REWARD_MODELS.names() == sorted(REWARD_MODELS.built_in)


def test_a_prompt_read_once_for_all_its_responses_changes_no_number(reward_folder) -> None:
    chance = random.Random(2)
    prompt = (("user", "A question of some length? " * 6), ("assistant", "Yes."), ("user", "And then?"))
    answers = ["", "So.", *("".join(chance.choices("abc de", k=chance.randint(1, 200))) for _ in range(9))]
    together = [Exchange(prompt, answer) for answer in answers]
    expected = [score(reward_folder, [one])[0].value for one in together]
    for budget in (1, 300, None):
        found = score(reward_folder, [*together, exchange("Alone.")], batch_tokens=budget)
        assert [one.value for one in found[:-1]] == pytest.approx(expected, abs=1e-4)
        assert found[-1].value == pytest.approx(score(reward_folder, [exchange("Alone.")])[0].value, abs=1e-4)
    assert max(expected) - min(expected) > 0.1


def test_what_sees_only_a_window_is_not_read_from_a_shared_beginning(tmp_path, reward_folder) -> None:
    from transformers import AutoTokenizer, MistralConfig, MistralForSequenceClassification

    model = load_classifier(reward_folder, "float32")
    assert can_share_prefixes(model)
    model.config.rope_parameters = {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 10_000.0}
    assert not can_share_prefixes(model)
    shape = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = MistralConfig(vocab_size=300, num_key_value_heads=2, num_labels=1, sliding_window=16, **shape)
    MistralForSequenceClassification(config).save_pretrained(tmp_path / "sliding")
    AutoTokenizer.from_pretrained(reward_folder).save_pretrained(tmp_path / "sliding")
    assert not can_share_prefixes(load_classifier(tmp_path / "sliding", "float32"))
    exchanges = mixed(6)
    alone, together = (
        score(tmp_path / "sliding", exchanges, batch_tokens=n, max_length=512) for n in (1, 9999)
    )
    assert [one.value for one in alone] == pytest.approx([one.value for one in together], abs=1e-4)


def test_the_beginning_rows_share_leaves_each_a_token() -> None:
    assert shared_beginning([[1, 2, 3, 4], [1, 2, 5]]) == 2
    assert shared_beginning([[1, 2], [1, 2, 3]]) == 1
    assert shared_beginning([[1, 2], [1, 2]]) == 1
    assert shared_beginning([[7], [8]]) == 0


def test_batches_keep_the_budget_and_hold_everything_once() -> None:
    chance = random.Random(1)
    lengths = [chance.randint(1, 90) for _ in range(200)]
    batches = list(token_batches(lengths, 256))
    assert sorted(place for batch in batches for place in batch) == list(range(200))
    assert all(len(batch) * max(lengths[place] for place in batch) <= 256 for batch in batches)
    assert list(token_batches([500, 3], 256)) == [[0], [1]]
