"""`label prefer`: both orders weighed, the label's tokens taken from the template, nothing weighed twice."""

import json
import math
import os

import pytest

from label.cli import cli
from label.comparing.pairing import Pairing
from label.comparing.prefer import PreferSettings, new_tally, pairs_to_weigh, prefer_store
from label.preference_model import (
    PREFERENCE_MODELS,
    Contest,
    Odds,
    PreferenceChoice,
    open_preference_model,
)
from label.preference_models.pair_tokens import load_pair_tokens, written
from store.console import run_command
from store.errors import BadInput

os.environ.setdefault("OMP_NUM_THREADS", "1")

LLAMA3 = "<s>{% for m in messages %}<|{{ m['role'] }}|>\n\n{{ m['content'] }}</s>{% endfor %}"
SPACED = "<s>{% for m in messages %}[{{ m['role'] }}] {{ m['content'] }}</s>{% endfor %}"
CONTEST = Contest((("user", "Why?"),), "Because it is so.", "No idea.")


def make_preference_model(folder, tokenizer, template: str, **shape):
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer.chat_template = template
    torch.manual_seed(0)
    config = LlamaConfig(
        **{
            "vocab_size": len(tokenizer),
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "num_key_value_heads": 2,
            "max_position_embeddings": 1024,
            "bos_token_id": 0,
            "eos_token_id": 1,
            "initializer_range": 0.3,
            **shape,
        }
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory, byte_tokenizer_maker):
    return make_preference_model(tmp_path_factory.mktemp("m") / "tiny-pm", byte_tokenizer_maker(), LLAMA3)


def weigh(folder, contests, **options) -> list[Odds]:
    found = dict(open_preference_model(PreferenceChoice(str(folder), **options)).weigh(contests))
    return [found[place] for place in range(len(contests))]


def test_the_pair_is_written_as_rlhflow_trained_its_model() -> None:
    assert written(CONTEST) == (
        "[CONTEXT] \n\n<turn> user\n Why?\n [RESPONSE A] Because it is so. [RESPONSE B] No idea. \n"
    )
    longer = Contest(
        (("system", "Be brief."), ("user", "Hi"), ("assistant", "Hello"), ("user", "Why?")), "So.", "No."
    )
    assert written(longer).startswith(
        "[CONTEXT] \n\n<turn> user\n Be brief.\n\nHi\n<turn> assistant\n Hello\n<turn> user\n Why?\n [RESPONSE A]"
    )


def test_the_labels_tokens_are_those_the_template_makes_of_them(tmp_path, byte_tokenizer_maker) -> None:
    words = (" A", " B")
    tokenizer = byte_tokenizer_maker(words=words)
    spaced = load_pair_tokens(
        make_preference_model(tmp_path / "spaced", tokenizer, SPACED), max_length=None, positions=None
    )
    bare = load_pair_tokens(
        make_preference_model(tmp_path / "bare", tokenizer, LLAMA3), max_length=None, positions=None
    )
    assert tokenizer.convert_ids_to_tokens(spaced.label_ids) == ["ĠA", "ĠB"]
    assert tokenizer.convert_ids_to_tokens(bare.label_ids) == ["A", "B"]
    (ids,) = spaced.encode([CONTEST])
    assert tokenizer.decode(ids).endswith("No idea. \n</s>[assistant]")
    assert ids.count(tokenizer.bos_token_id) == 1


def test_labels_that_are_no_single_tokens_are_refused(tmp_path, byte_tokenizer_maker) -> None:
    template = "{% for m in messages %}{{ m['content'] }}{{ m['content'] }}{% endfor %}"
    made = make_preference_model(tmp_path / "twice", byte_tokenizer_maker(), template)
    with pytest.raises(BadInput, match="A and B are not one token each"):
        load_pair_tokens(made, max_length=None, positions=None)


def test_the_odds_are_the_models_next_token_and_do_not_depend_on_the_batch(folder) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    contests = [Contest((("user", "Why?"),), "word " * n, "No.") for n in range(1, 20)]
    alone, together = (weigh(folder, contests, batch_tokens=budget) for budget in (1, 100_000))
    assert max(abs(a.first - b.first) for a, b in zip(alone, together, strict=True)) < 1e-5
    assert max(one.first for one in alone) - min(one.first for one in alone) > 0.01
    tokens = load_pair_tokens(folder, max_length=None, positions=1024)
    (ids,) = tokens.encode([contests[0]])
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    with torch.inference_mode():
        first, second = model(torch.tensor([ids])).logits[0, -1].softmax(-1)[list(tokens.label_ids)].tolist()
    assert alone[0].first == pytest.approx(first / (first + second), abs=1e-5)
    assert alone[0].outside == pytest.approx(1 - first - second, abs=1e-5)


def test_what_is_too_long_is_not_cut_but_fails(folder) -> None:
    short, long = weigh(folder, [CONTEST, Contest((("user", "Why?"),), "x" * 2000, "No.")])
    assert (short.state, long.state) == ("done", "failed")
    assert long.why == "longer than the 1,024 tokens the model reads"


class Sided:
    """A preference model that leans to what is shown first, and to longer responses."""

    name = "sided"
    revision = "1"
    described = ()

    def __init__(self, lean: float = 0.2, stop_after: int | None = None) -> None:
        self.lean = lean
        self.asked: list[Contest] = []
        self.stop_after = stop_after

    def check(self) -> None:
        pass

    def weigh(self, contests):
        for place, contest in enumerate(contests):
            if self.stop_after is not None and len(self.asked) == self.stop_after:
                raise KeyboardInterrupt
            self.asked.append(contest)
            longer = math.copysign(0.1, len(contest.first) - len(contest.second))
            yield place, Odds("done", 0.5 + longer + self.lean, 0.0)

    def close(self) -> None:
        pass


@pytest.fixture
def pairs(tmp_path, write):
    return write(
        tmp_path / "pairs.duckdb",
        [
            (model, [("user", f"Question {number}"), ("assistant", text)])
            for number in range(4)
            for model, text in (("gpt-4", "A long answer."), ("gpt-3.5-turbo", f"No {number}."))
        ],
    )


def run(store, model, tally=None):
    settings = PreferSettings(pairing=Pairing(which="all"))
    plan = pairs_to_weigh(store, settings)
    return prefer_store(store, model, settings, plan=plan, advance=lambda *_, **__: None, tally=tally)


def assert_reconciled(counts) -> None:
    names = ("reused", "done", "unparsed", "refused", "blocked", "failed")
    assert counts["requested"] == sum(counts[name] for name in names)


def test_both_orders_are_rows_and_their_mean_is_the_verdict(pairs) -> None:
    report = run(pairs, Sided(lean=0.05))
    assert_reconciled(report.tally.counts())
    assert report.tally.states["win"] == 4
    with pairs.read() as reading:
        rows = reading.rows("SELECT DISTINCT labeler_kind, scale, template, labeler FROM comparisons")
        margins = reading.rows(
            "SELECT round(signed_margin, 6), count(*) FROM comparisons GROUP BY 1 ORDER BY 1"
        )
        merged = reading.rows(
            "SELECT state, n_orders, round(abs(signed_margin), 6), chosen_id = long.message_id FROM merged_comparisons"
            " JOIN messages AS long ON content = 'A long answer.' AND parent_id = prompt_id"
        )
    assert rows == [("preference_model", "logprob", "rlhflow-pair/1", "sided")]
    assert margins == [(-0.1, 4), (0.3, 4)]
    assert merged == [("win", 2, 0.2, True)] * 4


def test_orders_that_contradict_each_other_are_a_conflict_that_keeps_its_mean(pairs) -> None:
    report = run(pairs, Sided(lean=0.2))
    assert report.tally.states["conflict"] == 4
    assert report.tally.conflict_rate == 1.0
    with pairs.read() as reading:
        merged = reading.rows("SELECT state, round(abs(signed_margin), 6), chosen_id FROM merged_comparisons")
    assert merged == [("conflict", 0.2, None)] * 4


def test_again_nothing_is_weighed_and_another_revision_weighs_anew(pairs) -> None:
    run(pairs, Sided())
    again = Sided()
    report = run(pairs, again)
    assert (report.tally.reused, again.asked) == (4, [])
    assert_reconciled(report.tally.counts())
    newer = Sided(lean=0.0)
    newer.revision = "2"
    assert run(pairs, newer).tally.states["win"] == 4
    assert len(newer.asked) == 8


def test_interrupted_between_two_orders_only_the_missing_ones_are_weighed(pairs) -> None:
    tally = new_tally()
    with pytest.raises(KeyboardInterrupt):
        run(pairs, Sided(stop_after=3), tally)
    assert tally.remaining >= 2
    rest = Sided()
    report = run(pairs, rest)
    assert len(rest.asked) == 5
    assert_reconciled(report.tally.counts())
    with pairs.read() as reading:
        assert reading.rows("SELECT count(*), count(DISTINCT comparison_id) FROM comparisons") == [(8, 8)]


def test_equal_texts_tie_unasked_and_texts_of_several_policies_are_weighed_once(tmp_path, write) -> None:
    ask = ("user", "Why?")
    store = write(
        tmp_path / "equal.duckdb",
        [
            ("a", [ask, ("assistant", "So.")]),
            ("b", [ask, ("assistant", "So.")]),
            ("c", [ask, ("assistant", "No idea.")]),
        ],
    )
    model = Sided(lean=0.0)
    report = run(store, model)
    assert len(model.asked) == 2
    assert (report.tally.requested, report.tally.identical) == (3, 1)
    assert (report.tally.states["tie"], report.tally.states["win"]) == (1, 2)


def command(store, *options: str) -> int:
    return run_command(cli, ["prefer", "--store", str(store.path), *options])


def test_the_command_prints_counts_that_add_up(pairs, folder, capsys) -> None:
    assert command(pairs, "--model", str(folder), "--dry-run") == 0
    assert "4 pairs, 0 of them weighed already and 0 identical: 8 to weigh" in capsys.readouterr().out
    assert command(pairs, "--model", str(folder), "--json") == 0
    result = json.loads(capsys.readouterr().out)
    assert_reconciled(result)
    assert (result["labeler"], result["done"], result["scale"]) == ("tiny-pm", 4, "logprob")
    assert command(pairs, "--model", f"hf:{folder}") == 0
    assert "4 pairs: 4 reused, 0 done" in capsys.readouterr().out


def test_pairs_that_cannot_be_weighed_fail_and_are_tried_again(pairs, folder, capsys) -> None:
    assert command(pairs, "--model", str(folder), "--max-length", "10") == 1
    shown = capsys.readouterr()
    assert "4 failed" in shown.out
    assert "longer than the 10 tokens the model reads" in shown.err
    assert command(pairs, "--model", str(folder), "--max-length", "1000", "--json") == 0
    assert json.loads(capsys.readouterr().out)["done"] == 4


def test_the_stand_in_prefers_by_the_worlds_rule(tmp_path, write, capsys) -> None:
    ask = ("user", "What colour is the marlo?")
    store = write(
        tmp_path / "world.duckdb",
        [
            ("gpt-4", [ask, ("assistant", "The marlo is amber.")]),
            ("gpt-3.5-turbo", [ask, ("assistant", "Red.")]),
        ],
    )
    assert command(store, "--model", "offline", "--labeler", "mine") == 0
    assert "verdicts by offline:mine" in capsys.readouterr().out
    with store.read() as reading:
        (row,) = reading.rows(
            "SELECT content, state FROM merged_comparisons JOIN messages ON message_id = chosen_id"
        )
    assert row == ("The marlo is amber.", "win")
    assert PREFERENCE_MODELS.names() == sorted(PREFERENCE_MODELS.built_in)
