"""What each reader of labels makes of its records, and of the traps in them."""

import gzip
import json
from pathlib import Path
from typing import Any, ClassVar

import pyarrow
import pyarrow.parquet
import pytest

from curate.ingesting.detect import detect
from curate.ingesting.ingest import IngestSettings, ingest_files
from curate.looking.trace import trace
from curate.reader import READERS, Labeled, ReaderSettings, Reject, Remark
from store.db import Store
from store.errors import BadSettings
from store.ids import to_text
from store.verify import verify

PROMPT = (("user", "Name a prime."),)


class Reading:
    """Writes records into a file and reads it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def all(
        self, reader: str, *records: object, name: str = "a.jsonl", **asked: Any
    ) -> list[Labeled | Reject]:
        path = self.folder / name
        path.write_text("".join(json.dumps(record) + "\n" for record in records))
        items = READERS.load(reader)(path, ReaderSettings(**asked))
        return [item for item in items if isinstance(item, Labeled | Reject)]

    def one(self, reader: str, record: object, **asked: Any) -> Labeled:
        (item,) = self.all(reader, record, **asked)
        assert isinstance(item, Labeled), item
        return item

    def reason(self, reader: str, record: object, **asked: Any) -> str:
        (item,) = self.all(reader, record, **asked)
        assert isinstance(item, Reject)
        return item.reason


@pytest.fixture
def read(tmp_path: Path) -> Reading:
    return Reading(tmp_path)


def texts(item: Labeled) -> list[str]:
    return [answer.text for answer in item.answers]


def outcomes(item: Labeled) -> list[tuple[Any, ...]]:
    return [
        (one.a, one.b, one.scale, one.signed_margin, one.state, one.native_label) for one in item.verdicts
    ]


def ratings(item: Labeled) -> list[tuple[Any, ...]]:
    return [
        (one.aspect, one.value, one.state, one.draw_index)
        for answer in item.answers
        for one in answer.ratings
    ]


class TestHhRlhf:
    ASKED = "\n\nHuman: Name a prime.\n\nAssistant:"

    def test_the_dialogue_is_split_at_its_marks_and_the_last_answers_are_compared(
        self, read: Reading
    ) -> None:
        opening = f"{self.ASKED} Any?\n\nHuman: Yes:\n\nan odd one.\n\nAssistant:"
        item = read.one("hh-rlhf", {"chosen": f"{opening} Seven.", "rejected": f"{opening} Nine."})
        assert item.prompt == (*PROMPT, ("assistant", "Any?"), ("user", "Yes:\n\nan odd one."))
        assert texts(item) == ["Seven.", "Nine."]
        assert (item.verdicts[0].labeler_kind, item.verdicts[0].is_order_known) == ("person", False)

    def test_equal_dialogues_parted_ones_and_ones_without_an_answer_are_rejected(self, read: Reading) -> None:
        seven = f"{self.ASKED} Seven."
        assert (
            read.reason("hh-rlhf", {"chosen": seven, "rejected": seven}) == "chosen and rejected are the same"
        )
        other = {"chosen": seven, "rejected": "\n\nHuman: Name two.\n\nAssistant: Nine."}
        assert read.reason("hh-rlhf", other) == "chosen and rejected part before the last answer"
        cut = {"chosen": seven, "rejected": f"{seven}\n\nHuman: Sure?"}
        assert read.reason("hh-rlhf", cut) == "rejected does not end with an answer"


class TestPairs:
    def expect(self, item: Labeled, prompt: tuple[tuple[str, str], ...] = PROMPT) -> None:
        assert item.prompt == prompt
        assert texts(item) == ["Seven.", "Nine."]
        assert outcomes(item) == [(0, 1, "binary", 1.0, "win", None)]

    @pytest.mark.parametrize(
        "record",
        [
            {"prompt": "Name a prime.", "chosen": "Seven.", "rejected": "Nine."},
            {
                "prompt": [{"role": "user", "content": "Name a prime."}],
                "chosen": [{"role": "assistant", "content": "Seven."}],
                "rejected": [{"role": "assistant", "content": "Nine."}],
            },
            {
                "chosen": [
                    {"role": "user", "content": "Name a prime."},
                    {"role": "assistant", "content": "Seven."},
                ],
                "rejected": [
                    {"role": "user", "content": "Name a prime."},
                    {"role": "assistant", "content": "Nine."},
                ],
            },
            {
                "prompt": "Name a prime.",
                "chosen": [
                    {"role": "user", "content": "Name a prime."},
                    {"role": "assistant", "content": "Seven."},
                ],
                "rejected": [
                    {"role": "user", "content": "Name a prime."},
                    {"role": "assistant", "content": "Nine."},
                ],
            },
            {
                "conversations": [{"from": "human", "value": "Name a prime."}],
                "chosen": {"from": "gpt", "value": "Seven."},
                "rejected": {"from": "gpt", "value": "Nine."},
            },
            {
                "conversation": [{"input": "Name a prime.", "output": "Seven."}],
                "chosen": [
                    {"role": "user", "content": "Name a prime."},
                    {"role": "assistant", "content": "Seven."},
                ],
                "rejected": [
                    {"role": "user", "content": "Name a prime."},
                    {"role": "assistant", "content": "Nine."},
                ],
            },
        ],
        ids=["texts", "turns apart", "whole dialogues", "prompt repeated", "llama-factory", "capybara"],
    )
    def test_every_layout_gives_the_same_pair(self, read: Reading, record: object) -> None:
        self.expect(read.one("pairs", record))

    def test_a_question_with_its_system_prompt_is_one_prompt(self, read: Reading) -> None:
        record = {"system": "Be brief.", "question": "Name a prime.", "chosen": "Seven.", "rejected": "Nine."}
        self.expect(read.one("pairs", record), (("system", "Be brief."), *PROMPT))

    def test_scores_become_ratings_and_models_policies(self, read: Reading) -> None:
        record = {
            "prompt": "Name a prime.",
            "chosen": "Seven.",
            "rejected": "Nine.",
            "rating_chosen": 5,
            "rating_rejected": 4.5,
            "chosen_model": "m",
            "rejected_model": "n",
        }
        item = read.one("pairs", record, labeler="gpt-4", labeler_kind="judge")
        assert [one[1] for one in ratings(item)] == [5.0, 4.5]
        assert [answer.policy for answer in item.answers] == ["m", "n"]
        assert (item.verdicts[0].labeler, item.verdicts[0].labeler_kind) == ("gpt-4", "judge")

    def test_a_pair_that_its_source_calls_a_tie_is_one(self, read: Reading) -> None:
        record = {"input": "Name a prime.", "chosen": "Seven.", "rejected": "Nine.", "status": "tie"}
        assert outcomes(read.one("pairs", record)) == [(0, 1, "binary", 0.0, "tie", "tie")]

    def test_argilla_says_who_judged_and_lists_both_ratings(self, read: Reading) -> None:
        record = {
            "system": "",
            "input": "Name a prime.",
            "chosen": "Seven.",
            "rejected": "Nine.",
            "generations": ["Nine.", "Seven."],
            "rating": [2.0, 9.0],
            "labelling_model": "gpt-4-1106-preview",
            "status": "swapped",
        }
        item = read.one("pairs", record)
        assert [one[1] for one in ratings(item)] == [9.0, 2.0]
        assert (item.verdicts[0].labeler, item.verdicts[0].labeler_kind) == ("gpt-4-1106-preview", "judge")

    def test_what_is_no_pair_of_answers_to_one_prompt_is_rejected(self, read: Reading) -> None:
        same = {"prompt": "p", "chosen": "x", "rejected": "x"}
        assert read.reason("pairs", same) == "chosen and rejected are the same"
        asked = [{"role": "user", "content": text} for text in "pq"]
        said = {"role": "assistant", "content": "x"}
        parted = {"chosen": [asked[0], said], "rejected": [asked[1], said]}
        assert read.reason("pairs", parted) == "chosen and rejected part before the last answer"
        assert read.reason("pairs", {"chosen": "x", "rejected": "y"}) == "no prompt"


def test_shp_prefers_a_where_the_label_is_one_and_keeps_both_scores(read: Reading) -> None:
    record = {
        "history": "Name a prime.",
        "human_ref_A": "Seven.",
        "human_ref_B": "Nine.",
        "score_A": 9,
        "score_B": 2,
    }
    assert outcomes(read.one("shp", {**record, "labels": 1})) == [(0, 1, "binary", 1.0, "win", None)]
    item = read.one("shp", {**record, "labels": 0})
    assert outcomes(item) == [(0, 1, "binary", -1.0, "win", None)]
    assert [one[1] for one in ratings(item)] == [9.0, 2.0]


def test_helpsteer_rates_five_aspects_by_all_annotators_or_by_each(read: Reading) -> None:
    aspects = ("helpfulness", "correctness", "coherence", "complexity", "verbosity")
    record = {"prompt": "Name a prime.", "response": "Seven."}
    item = read.one("helpsteer", {**record, **dict.fromkeys(aspects, 3)})
    assert ratings(item) == [(aspect, 3.0, "done", 0) for aspect in aspects]
    assert item.ending == 0
    apart = read.one("helpsteer", {**record, "helpfulness": [4, 0]})
    assert ratings(apart) == [("helpfulness", 4.0, "done", 0), ("helpfulness", 0.0, "done", 1)]


def test_helpsteer2_prefers_the_second_response_where_the_strength_is_positive(read: Reading) -> None:
    record = {"prompt": "Name a prime.", "response_1": "Nine.", "response_2": "Seven."}
    for strength, margin, state in ((3, -1.0, "win"), (-1, pytest.approx(1 / 3), "win"), (0, 0.0, "tie")):
        item = read.one("helpsteer", {**record, "preference_strength": strength})
        assert outcomes(item) == [(0, 1, "helpsteer2-preference", margin, state, str(strength))]
    assert "beyond 3" in read.reason("helpsteer", {**record, "preference_strength": 4})


def test_helpsteer2_prompts_of_several_turns_are_split(read: Reading) -> None:
    prompt = "Name a prime.\n<extra_id_1>Assistant\nNine.\n<extra_id_1>User\nReally?"
    item = read.one("helpsteer", {"prompt": prompt, "response": "Seven.", "helpfulness": 1})
    assert item.prompt == (*PROMPT, ("assistant", "Nine."), ("user", "Really?"))


def test_pku_asks_two_questions_and_rates_safety(read: Reading) -> None:
    record = {
        "prompt": "Name a prime.",
        "response_0": "Nine.",
        "response_1": "Seven.",
        "is_response_0_safe": True,
        "is_response_1_safe": False,
        "better_response_id": 1,
        "safer_response_id": 0,
    }
    item = read.one("pku-saferlhf", record)
    assert [(one.template, one.signed_margin) for one in item.verdicts] == [
        ("pku-saferlhf-better", -1.0),
        ("pku-saferlhf-safer", 1.0),
    ]
    assert ratings(item) == [("safety", 1.0, "done", 0), ("safety", 0.0, "done", 0)]


class TestUltraFeedback:
    def completion(self, text: str, **said: str) -> dict[str, object]:
        annotations = {aspect: {"Rating": rating, "Rationale": "why"} for aspect, rating in said.items()}
        return {"model": f"m-{text}", "response": text, "overall_score": 10.0, "annotations": annotations}

    def test_aspects_are_ratings_and_the_overall_score_never_is(self, read: Reading) -> None:
        record = {
            "instruction": "Name a prime.",
            "completions": [self.completion("Nine.", honesty="1", helpfulness="2")],
        }
        item = read.one("ultrafeedback", record)
        assert ratings(item) == [("helpfulness", 2.0, "done", 0), ("honesty", 1.0, "done", 0)]
        assert '"overall_score":10.0' in (item.metadata or "")
        assert item.ending is None

    def test_what_is_no_number_is_unparsed_and_kept(self, read: Reading) -> None:
        record = {"instruction": "p", "completions": [self.completion("x", honesty="N/A")]}
        item = read.one("ultrafeedback", record)
        (rating,) = item.answers[0].ratings
        assert (rating.value, rating.state, rating.explanation) == (None, "unparsed", "N/A\nwhy")

    def test_equal_texts_of_several_models_keep_a_rating_each(self, read: Reading) -> None:
        both = [self.completion("x", honesty="5"), self.completion("x", honesty="4")]
        item = read.one("ultrafeedback", {"instruction": "p", "completions": both})
        assert ratings(item) == [("honesty", 5.0, "done", 0), ("honesty", 4.0, "done", 1)]


def test_nectar_keeps_ranks_so_that_the_higher_number_is_better(read: Reading) -> None:
    answers = [
        {"answer": text, "model": "m", "rank": rank} for text, rank in (("x", 2.0), ("y", 1.0), ("x", 3.0))
    ]
    prompt = "\n\nHuman: hi\n\nAssistant: hello\n\nHuman: Name a prime.\n\nAssistant: "
    item = read.one("nectar", {"prompt": prompt, "answers": answers})
    assert item.prompt == (("user", "hi"), ("assistant", "hello"), *PROMPT)
    assert ratings(item) == [("rank", -2.0, "done", 0), ("rank", -1.0, "done", 0), ("rank", -3.0, "done", 1)]


def test_ultrainteract_prefers_the_right_next_step_of_a_path(read: Reading) -> None:
    path = [
        {"from": "user", "value": "Name a prime."},
        {"from": "assistant", "value": "2+2?"},
        {"from": "user", "value": "4"},
    ]
    item = read.one("ultrainteract", {"id": "t", "trajectory": path, "chosen": "Seven.", "rejected": "Four."})
    assert [role for role, _ in item.prompt] == ["user", "assistant", "user"]
    assert item.verdicts[0].labeler_kind == "rule"


def test_summaries_are_compared_by_a_named_worker_or_rated_along_axes(read: Reading) -> None:
    info = {"id": "p", "post": "I like seven.", "title": "Primes", "subreddit": "maths"}
    both = [{"text": "x", "policy": "ref"}, {"text": "y", "policy": "sup1"}]
    item = read.one(
        "summarize",
        {"info": info, "summaries": both, "choice": 1, "worker": "w9", "extra": {"confidence": 8}},
    )
    assert item.prompt == (("user", "SUBREDDIT: r/maths\nTITLE: Primes\nPOST: I like seven.\nTL;DR:"),)
    assert outcomes(item) == [(0, 1, "binary", -1.0, "win", None)]
    assert (item.verdicts[0].labeler, item.verdicts[0].explanation) == ("w9", "confidence 8")
    axes = {"axes": {"overall": 6, "coverage": None}, "text": "x", "policy": "ref"}
    assert ratings(read.one("summarize", {"info": info, "summary": axes, "worker": "w9"})) == [
        ("overall", 6.0, "done", 0)
    ]


class TestAlpacaEval:
    def preference(self, read: Reading, value: object, annotator: str = "gpt4", **more: object) -> Labeled:
        record = {
            "instruction": "Name a prime.",
            "output_1": "Nine.",
            "generator_1": "m",
            "output_2": "Seven.",
            "generator_2": "n",
            "annotator": annotator,
            "preference": value,
            **more,
        }
        return read.one("alpaca-eval", record)

    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            (1, ("binary", 1.0, "win", "1")),
            (2.0, ("binary", -1.0, "win", "2.0")),
            (1.5, ("binary", 0.0, "tie", "1.5")),
            (0.0, ("binary", 0.0, "tie", "0.0")),
            (None, ("binary", None, "unparsed", "null")),
            (7, ("binary", None, "unparsed", "7")),
        ],
    )
    def test_preferences_are_wins_ties_or_unparsed(
        self, read: Reading, value: object, expected: object
    ) -> None:
        ((_, _, *outcome),) = outcomes(self.preference(read, value))
        assert tuple(outcome) == expected

    def test_one_plus_a_probability_is_a_margin_on_the_scale_of_probabilities(self, read: Reading) -> None:
        item = self.preference(read, 1.9, "weighted_x")
        assert outcomes(item) == [(0, 1, "logprob", pytest.approx(-0.8), "win", "1.9")]

    def test_the_order_shown_is_kept_where_the_reply_names_its_models(self, read: Reading) -> None:
        item = self.preference(read, 2, referenced_models={"m": "output_2", "M": "output_1"})
        assert outcomes(item) == [(1, 0, "binary", 1.0, "win", "2")]
        assert item.verdicts[0].is_order_known
        assert not self.preference(read, 2).verdicts[0].is_order_known

    def test_an_output_is_a_draw_and_several_are_several(self, read: Reading) -> None:
        record = {"instruction": "Fix:", "input": "primee", "output": "prime", "generator": "m"}
        item = read.one("alpaca-eval", record)
        assert (item.prompt, item.ending) == ((("user", "Fix:\n\nprimee"),), 0)
        assert [(draw.policy, draw.sample_index) for draw in item.answers[0].draws] == [("m", 0)]
        many = read.one("alpaca-eval", {"instruction": "Fix:", "output": ["x", "y"]}, model_label="sft")
        assert [(draw.policy, draw.sample_index) for answer in many.answers for draw in answer.draws] == [
            ("sft", 0),
            ("sft", 1),
        ]
        assert many.ending is None


SINGLE = (
    "[Instruction]\nRate.\n\n[Question]\nName a prime.\n\n[The Start of Assistant's Answer]\nSeven.\n"
    "[The End of Assistant's Answer]"
)
TOGETHER = (
    "[User Question]\nName a prime.\n\n[The Start of Assistant A's Answer]\nSeven.\n"
    "[The End of Assistant A's Answer]\n\n"
    "[The Start of Assistant B's Answer]\nNine.\n[The End of Assistant B's Answer]"
)


def dialogue(letter: str, *answers: str) -> str:
    turns = "\n\n".join(
        f"### User:\n{asked}\n\n### Assistant {letter}:\n{said}"
        for asked, said in zip(("Name a prime.", "Another."), answers, strict=True)
    )
    end = f"Assistant {letter}'s Conversation with User|>"
    return f"<|The Start of {end}\n\n{turns}\n\n<|The End of {end}"


class TestMtBench:
    def test_a_question_is_a_prompt_and_its_later_turns_stay_with_it(self, read: Reading) -> None:
        item = read.one(
            "mt-bench", {"question_id": 81, "category": "maths", "turns": ["Name a prime.", "Another."]}
        )
        assert (item.prompt, item.answers, item.external_id) == (PROMPT, (), "81")
        assert "Another." in (item.metadata or "")

    def test_answers_stand_under_the_models_own_first_one(self, read: Reading, tmp_path: Path) -> None:
        questions = tmp_path / "question.jsonl"
        questions.write_text(json.dumps({"question_id": 81, "turns": ["Name a prime.", "Another."]}))
        record = {
            "question_id": 81,
            "model_id": "m",
            "answer_id": "x",
            "choices": [{"index": 0, "turns": ["Seven.", "Five."]}],
        }
        item = read.one("mt-bench", record, beside=(questions,))
        assert (item.prompt, texts(item), item.ending) == (PROMPT, ["Seven.", "Five."], 1)
        assert item.answers[1].before == (("assistant", "Seven."), ("user", "Another."))
        assert [len(answer.draws) for answer in item.answers] == [1, 1]
        assert "--with" in read.reason("mt-bench", record)

    def test_single_judgments_rate_the_answer_of_their_turn(self, read: Reading) -> None:
        record = {
            "question_id": 81,
            "model": "m",
            "judge": ["gpt-4", "single-v1"],
            "judgment": "ok",
            "score": 9,
        }
        first = read.one("mt-bench", {**record, "user_prompt": SINGLE, "turn": 1})
        assert (first.prompt, texts(first)) == (PROMPT, ["Seven."])
        second = read.one(
            "mt-bench", {**record, "user_prompt": dialogue("A", "Seven.", "Five."), "turn": 2, "score": -1}
        )
        assert second.prompt == (*PROMPT, ("assistant", "Seven."), ("user", "Another."))
        assert ratings(second) == [("overall", None, "unparsed", 0)]

    def test_pair_judgments_give_both_orders_and_never_turn_an_error_into_a_tie(self, read: Reading) -> None:
        record = {
            "question_id": 81,
            "model_1": "m",
            "model_2": "n",
            "judge": ["gpt-4", "pair-v2"],
            "turn": 1,
            "g1_user_prompt": TOGETHER,
            "g2_user_prompt": "",
            "g1_judgment": "a",
            "g2_judgment": "b",
            "tstamp": 1.5e9,
        }
        item = read.one("mt-bench", {**record, "g1_winner": "model_1", "g2_winner": "model_1"})
        assert outcomes(item) == [
            (0, 1, "binary", 1.0, "win", "model_1"),
            (1, 0, "binary", -1.0, "win", "model_1"),
        ]
        odd = read.one("mt-bench", {**record, "g1_winner": "tie", "g2_winner": "error"})
        assert [one[3:] for one in outcomes(odd)] == [(0.0, "tie", "tie"), (None, "unparsed", "error")]

    def test_a_pair_of_second_answers_has_the_first_question_in_common(self, read: Reading) -> None:
        seen = f"{dialogue('A', 'Seven.', 'Five.')}\n\n\n{dialogue('B', 'Nine.', 'Four.')}"
        record = {
            "question_id": 81,
            "model_1": "m",
            "model_2": "n",
            "judge": ["gpt-4", "pair-v2-multi-turn"],
            "turn": 2,
            "g1_user_prompt": seen,
            "g1_winner": "model_1",
            "g2_winner": "tie",
        }
        item = read.one("mt-bench", record)
        assert (item.prompt, texts(item)) == (PROMPT, ["Five.", "Four."])
        assert [answer.before[0][1] for answer in item.answers] == ["Seven.", "Nine."]

    def test_people_are_told_from_judges_by_their_names(self, read: Reading) -> None:
        said = [
            [{"role": "user", "content": "Name a prime."}, {"role": "assistant", "content": text}]
            for text in ("x", "y")
        ]
        record = {
            "question_id": 81,
            "model_a": "m",
            "model_b": "n",
            "winner": "tie (inconsistent)",
            "turn": 1,
            "conversation_a": said[0],
            "conversation_b": said[1],
        }
        person = read.one("mt-bench", {**record, "judge": "expert_3"}).verdicts[0]
        judge = read.one("mt-bench", {**record, "judge": ["gpt-4", "pair-v2"]}).verdicts[0]
        arena = read.one("mt-bench", {**record, "judge": "arena_user_9", "winner": "tie (bothbad)"}).verdicts[
            0
        ]
        assert (arena.labeler_kind, arena.state, arena.native_label) == ("person", "tie", "tie (bothbad)")
        assert (person.labeler, person.labeler_kind, person.state) == ("expert_3", "person", "tie")
        assert (judge.labeler, judge.labeler_kind) == ("gpt-4", "judge")


class TestVicunaEval:
    @pytest.fixture
    def beside(self, tmp_path: Path) -> tuple[Path, ...]:
        questions = tmp_path / "questions.jsonl"
        questions.write_text(json.dumps({"question_id": 1, "text": "Name a prime.", "category": "maths"}))
        answers = tmp_path / "answer_m.jsonl"
        answers.write_text(
            json.dumps({"answer_id": "A1", "question_id": 1, "model_id": "m:v1", "text": "Seven."})
        )
        with gzip.open(tmp_path / "n-topp0.9-temp0.7.jsonl.gz", "wt") as file:
            file.write(json.dumps({"question_id": 1, "text": "Name a prime.", "generation": "Nine."}))
        return (questions, answers, tmp_path / "n-topp0.9-temp0.7.jsonl.gz")

    NAME = "m-vs-n-topp0.9-temp0.7-gpt-4-reviewer-threeclass.jsonl"
    REVIEW: ClassVar = {
        "review_id": "r",
        "question_id": 1,
        "answer1_id": "A1",
        "answer2_id": "B2",
        "reviewer_id": 1,
        "text": "why",
    }

    @pytest.mark.parametrize(
        ("score", "expected"),
        [
            (1, ("threeclass", 1.0, "win", "1")),
            (2, ("threeclass", -1.0, "win", "2")),
            (3, ("threeclass", 0.0, "tie", "3")),
            (-1, ("threeclass", None, "unparsed", "-1")),
            ([9.0, 8.5], ("score-pair", pytest.approx(0.5 / 9), "win", "9.0 8.5")),
            ([8, 8], ("score-pair", 0.0, "tie", "8 8")),
            ([-1, -1], ("score-pair", None, "unparsed", "-1 -1")),
            (["error", 3], ("score-pair", None, "unparsed", "error 3")),
        ],
    )
    def test_reviews_keep_their_class_or_both_scores(
        self, read: Reading, beside: tuple[Path, ...], score: object, expected: tuple[object, ...]
    ) -> None:
        item = read.one("vicuna-eval", {**self.REVIEW, "score": score}, name=self.NAME, beside=beside)
        ((_, _, *outcome),) = outcomes(item)
        assert tuple(outcome) == expected

    def test_texts_are_joined_by_answer_id_or_by_question_and_author(
        self, read: Reading, beside: tuple[Path, ...]
    ) -> None:
        item = read.one("vicuna-eval", {**self.REVIEW, "score": 1}, name=self.NAME, beside=beside)
        assert (item.prompt, texts(item)) == (PROMPT, ["Seven.", "Nine."])
        assert [answer.policy for answer in item.answers] == ["m:v1", "n-topp0.9-temp0.7"]

    def test_a_text_that_is_nowhere_rejects_its_record_or_is_stood_in_for(self, read: Reading) -> None:
        record = {**self.REVIEW, "score": 1}
        assert read.reason("vicuna-eval", record, name=self.NAME) == (
            "the text of the question is not in the file;"
            " name the file that holds it with --with, or take the labels alone with --stand-ins"
        )
        item = read.one("vicuna-eval", record, name=self.NAME, stand_ins=True)
        assert texts(item)[0] == "[answer of m to question 1: its text is not in the file]"

    def test_how_often_texts_were_stood_in_for_is_said(self, read: Reading, tmp_path: Path) -> None:
        read.one("vicuna-eval", {**self.REVIEW, "score": 1}, name=self.NAME, stand_ins=True)
        *_, last = READERS.load("vicuna-eval")(tmp_path / self.NAME, ReaderSettings(stand_ins=True))
        assert isinstance(last, Remark)
        assert "stood in for 3 times" in last.text

    def test_generations_say_in_their_name_how_they_were_drawn(self, read: Reading) -> None:
        record = {"question_id": 1, "text": "Name a prime.", "generation": "Nine."}
        (draw,) = read.one("vicuna-eval", record, name="n-topp0.9-temp0.7.jsonl").answers[0].draws
        assert (draw.policy, json.loads(draw.sampling)) == (
            "n-topp0.9-temp0.7",
            {"top_p": 0.9, "temperature": 0.7},
        )


def test_gpt4_scores_all_answers_of_a_reply_or_prefers_the_first(read: Reading) -> None:
    given = [
        {"response": text, "source": "m", "score": score}
        for text, score in (("x", 9.0), ("x", 8), ("y", "N/A"))
    ]
    item = read.one("gpt4-scores", {"user_input": "p", "responses_and_scores": given})
    assert ratings(item) == [
        ("overall", 9.0, "done", 0),
        ("overall", 8.0, "done", 1),
        ("overall", None, "unparsed", 0),
    ]
    pair = read.one("gpt4-scores", {"user_input": "p", "completion_a": "x", "completion_b": "y"})
    assert outcomes(pair) == [(0, 1, "binary", 1.0, "win", None)]


def test_scores_without_texts_are_taken_only_with_stand_ins(read: Reading) -> None:
    record = {"m": [9.0, 8], "n": ["N/A", 2]}
    assert "--stand-ins" in read.reason("gpt4-scores", record)
    items = read.all("gpt4-scores", record, stand_ins=True)
    assert [ratings(item) for item in items if isinstance(item, Labeled)] == [
        [("overall", 9.0, "done", 0), ("overall", None, "unparsed", 0)],
        [("overall", 8.0, "done", 0), ("overall", 2.0, "done", 0)],
    ]
    assert not any(answer.draws for item in items if isinstance(item, Labeled) for answer in item.answers)
    assert "not one list" in read.reason("gpt4-scores", {"m": [1, 2], "n": [1]})


class TestPrometheus:
    def seen(self, prompt: str, response: str) -> str:
        return (
            f"###Task Description:\nRate.\n\n###The instruction to evaluate:\n{prompt}\n\n"
            f"###Response to evaluate:\n{response}"
            "\n\n###Reference Answer (Score 5):\nTwo.\n\n###Score Rubrics:\n[Right?]\n\n###Feedback: "
        )

    def test_three_draws_of_the_judge_stay_three(self, read: Reading) -> None:
        record = {
            "idx": 4,
            "response_source": "m",
            "instruction": self.seen("Name a prime.", "Seven."),
            "gpt4_score": [5, 4, 5],
        }
        item = read.one("prometheus", record)
        assert (item.prompt, texts(item)) == (PROMPT, ["Seven."])
        assert ratings(item) == [
            ("rubric", value, "done", draw) for draw, value in enumerate((5.0, 4.0, 5.0))
        ]
        assert json.loads(item.metadata or "")["reference"] == "Two."

    def test_an_hhh_pair_and_a_file_that_is_one_object_go_in(self, read: Reading) -> None:
        pair = {"chosen_instruction": self.seen("p", "x"), "rejected_instruction": self.seen("p", "y")}
        assert texts(read.one("prometheus", pair)) == ["x", "y"]
        one = {
            "score_rubric": {},
            "system_prompt": "s",
            "input": "p",
            "response": "x",
            "score": 3,
            "eval_model_name": "j",
        }
        items = read.all("prometheus", {"a": one, "b": {**one, "score": 4}})
        assert [item.record_number for item in items] == [1, 2]
        assert [ratings(item)[0][1] for item in items if isinstance(item, Labeled)] == [3.0, 4.0]


def test_wildbench_scores_are_numbers_written_as_text(read: Reading, tmp_path: Path) -> None:
    tasks = tmp_path / "tasks.json"
    tasks.write_text(
        json.dumps(
            [{"session_id": "s", "conversation_input": [{"role": "user", "content": "Name a prime."}]}]
        )
    )
    record = {"session_id": "s", "model_test": "m", "model_output": "", "score": "7"}
    item = read.one("wildbench", record, beside=(tasks,))
    assert (item.prompt, ratings(item)) == (PROMPT, [("overall", 7.0, "done", 0)])
    assert ratings(read.one("wildbench", {**record, "score": "N/A"}, stand_ins=True)) == [
        ("overall", None, "unparsed", 0)
    ]


def test_rm_bench_compares_every_right_answer_with_every_wrong_one(read: Reading) -> None:
    record = {"id": 1, "prompt": "p", "chosen": ["a", "a", "b"], "rejected": ["x", "b", "z"]}
    item = read.one("rm-bench", record)
    assert len(item.verdicts) == 8, "equal texts are not compared"
    assert {one.native_label for one in item.verdicts} >= {"0>0", "1>2"}


def test_qa_feedback_has_a_verdict_for_each_pair_of_predictions(read: Reading) -> None:
    record = {
        "question": "Name a prime.",
        **{f"prediction {n}": text for n, text in enumerate("wxyy", start=1)},
    }
    item = read.one("qa-feedback", {**record, "preference": [1, 2, 0, 1, 1, 0]})
    assert [one[:2] + one[3:5] for one in outcomes(item)] == [
        (0, 1, 1.0, "win"),
        (0, 2, -1.0, "win"),
        (0, 3, 0.0, "tie"),
        (1, 2, 1.0, "win"),
        (1, 3, 1.0, "win"),
    ]
    assert "5 preferences for 6 pairs" in read.reason("qa-feedback", {**record, "preference": [1] * 5})


class TestResponseSets:
    def test_every_answer_is_a_draw_and_every_reward_its_own(self, read: Reading) -> None:
        record = {
            "prompt": "p",
            "responses": ["x", "", "x"],
            "rewards": [1.5, None, -2],
            "policy": "m",
            "reward_model": "rm",
        }
        item = read.one("response-sets", record)
        assert [(draw.policy, draw.sample_index) for one in item.answers for draw in one.draws] == [
            ("m", i) for i in range(3)
        ]
        assert [(one.value, one.state) for answer in item.answers for one in answer.rewards] == [
            (1.5, "done"),
            (None, "unparsed"),
            (-2.0, "done"),
        ]

    def test_several_reward_models_and_several_policies_keep_their_names(self, read: Reading) -> None:
        given = [
            {"model": "m", "completion": "x"},
            {"model": "n", "completion": "y"},
            {"model": "m", "completion": "z"},
        ]
        item = read.one(
            "response-sets",
            {"prompt": "p", "completions": given, "rewards": {"a": [1, 2, 3], "b": [3, 2, 1]}},
        )
        assert [(draw.policy, draw.sample_index) for one in item.answers for draw in one.draws] == [
            ("m", 0),
            ("n", 0),
            ("m", 1),
        ]
        assert [(one.reward_model, one.value) for one in item.answers[2].rewards] == [("a", 3.0), ("b", 1.0)]

    def test_the_file_name_says_who_and_how_where_the_record_does_not(self, read: Reading) -> None:
        (draw,) = (
            read.one(
                "response-sets", {"prompt": "p", "samples": ["x"]}, name="gen_temp0.8_topp0.95_max300.jsonl"
            )
            .answers[0]
            .draws
        )
        assert draw.policy == "gen_temp0.8_topp0.95_max300"
        assert json.loads(draw.sampling) == {"max_tokens": 300, "temperature": 0.8, "top_p": 0.95}

    def test_rewards_that_do_not_fit_their_answers_are_rejected(self, read: Reading) -> None:
        assert (
            read.reason("response-sets", {"prompt": "p", "responses": ["x", "y"], "rewards": [1]})
            == "1 rewards for 2 answers"
        )


def test_rewardbench_draws_and_picks_are_told_apart_by_their_generator(read: Reading) -> None:
    record = {"id": "0", "instruction": "Name a prime.", "output": "Seven.", "config": "top_p=0.9;temp=1.0"}
    drawn = read.one("rewardbench-bon", {**record, "generator": "org/m.13"})
    (draw,) = drawn.answers[0].draws
    assert (draw.policy, draw.sample_index, json.loads(draw.sampling)) == (
        "org/m",
        13,
        {"temperature": 1.0, "top_p": 0.9},
    )
    picked = read.one("rewardbench-bon", {**record, "generator": "org/rm-BoN"})
    (rating,) = picked.answers[0].ratings
    assert (rating.labeler, rating.labeler_kind, rating.scale, picked.answers[0].draws) == (
        "org/rm",
        "reward_model",
        "best-of-n",
        (),
    )
    assert "neither a draw" in read.reason("rewardbench-bon", {**record, "generator": "org/m"})


def test_kto_rows_rate_one_answer_and_end_with_the_prompt(read: Reading) -> None:
    turns = [{"role": "user", "content": "Name a prime."}, {"role": "assistant", "content": "Nine."}]
    apart = {"prompt": "Name a prime.", "completion": "Nine."}
    for record in (
        {"messages": turns, "label": False},
        {"conversations": turns, "kto_tag": False},
        {**apart, "label": False},
    ):
        item = read.one("kto", record)
        assert (item.prompt, texts(item), item.ending) == (PROMPT, ["Nine."], None)
        assert ratings(item) == [("overall", 0.0, "done", 0)]
    assert "neither true nor false" in read.reason("kto", {"prompt": "p", "completion": "x", "label": 1})


def test_llm_drift_draws_carry_how_they_were_asked(read: Reading) -> None:
    record = {
        "model": "m-0301",
        "temperature": 0.1,
        "max_tokens": 10,
        "trail": 2,
        "query": "p",
        "ref_answer": "7",
        "answer": None,
    }
    (draw,) = read.one("llm-drift", record).answers[0].draws
    assert (draw.policy, draw.sample_index, json.loads(draw.sampling)) == (
        "m-0301",
        2,
        {"max_tokens": 10.0, "temperature": 0.1},
    )


def test_a_label_keeps_the_file_and_record_it_came_from_and_the_store_stays_sound(tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    rows = [{"prompt": f"p{i}", "chosen": "x", "rejected": "x" if i == 1 else "y"} for i in range(3)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    store = Store(tmp_path / "s.duckdb")
    report = ingest_files(store, "pairs", [path], IngestSettings(labeler="ann", labeler_kind="person"))
    assert report.total()["read"] == 3 == report.total()["kept"] + report.total()["rejected"]
    with store.read() as reading:
        rows_ = reading.rows(
            "SELECT comparisons.record_number, name, labeler FROM comparisons"
            " JOIN current_sources USING (source_id) ORDER BY 1"
        )
        ((chosen,),) = reading.rows("SELECT message_id FROM messages WHERE content = 'x' ORDER BY 1 LIMIT 1")
    assert rows_ == [(1, "pairs.jsonl", "ann"), (3, "pairs.jsonl", "ann")]
    (verdict,) = trace(store, to_text("m1", chosen)).comparisons
    assert (verdict["path"], verdict["labeler"]) == (str(path), "ann")
    assert verify(store).is_ok


def test_options_about_labels_are_refused_where_a_format_has_no_use_for_them(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("[]")
    with pytest.raises(BadSettings, match="'sharegpt' has no use for --labeler; leave it out"):
        ingest_files(Store(tmp_path / "s.duckdb"), "sharegpt", [path], IngestSettings(labeler="ann"))


def test_other_files_beside_or_another_labeler_make_another_source(tmp_path: Path) -> None:
    questions = tmp_path / "q.jsonl"
    questions.write_text("{}\n")
    first = IngestSettings(beside=(questions,)).identity()
    questions.write_text('{"question_id": 1}\n')
    assert IngestSettings(beside=(questions,)).identity() != first != IngestSettings(labeler="ann").identity()


PARQUET = {
    "ultrafeedback": {
        "instruction": "Name a prime.",
        "completions": [
            {
                "model": "m",
                "response": "Seven.",
                "annotations": {"honesty": {"Rating": "5", "Rationale": "r"}},
            }
        ],
    },
    "nectar": {"prompt": "Name a prime.", "answers": [{"answer": "Seven.", "model": "m", "rank": 1.0}]},
    "helpsteer": {
        "prompt": "Name a prime.",
        "response": "Seven.",
        "helpfulness": 4,
        "coherence": 4,
        "verbosity": 1,
    },
    "pairs": {
        "prompt": "Name a prime.",
        "chosen": [{"role": "user", "content": "Name a prime."}, {"role": "assistant", "content": "Seven."}],
        "rejected": [{"role": "user", "content": "Name a prime."}, {"role": "assistant", "content": "Nine."}],
        "messages": [
            {"role": "user", "content": "Name a prime."},
            {"role": "assistant", "content": "Seven."},
        ],
        "score_chosen": 8.5,
        "score_rejected": 2.0,
    },
    "response-sets": {"prompt": "Name a prime.", "responses": ["Seven.", "Nine."], "rewards": [1.5, -0.5]},
}


@pytest.mark.parametrize("reader", sorted(PARQUET))
def test_parquet_gives_the_same_labels_as_json_lines_and_is_found_by_its_fields(
    read: Reading, tmp_path: Path, reader: str
) -> None:
    path = tmp_path / "a.parquet"
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist([PARQUET[reader]]), path)
    assert detect(path).reader == reader
    (packed,) = READERS.load(reader)(path, ReaderSettings(model_label="p"))
    plain = read.one(reader, PARQUET[reader], model_label="p")
    assert isinstance(packed, Labeled)
    assert (packed.prompt, packed.answers, packed.verdicts) == (plain.prompt, plain.answers, plain.verdicts)
