"""The smaller cleaning steps: what they take away, and what they leave."""

import polars as pl
import pytest

from curate.cleaning import CLEANING_STEPS, Turn
from curate.steps.boilerplate import strip_page
from curate.steps.disclaimers import strip_disclaimer
from curate.steps.unicode_repair import repair


def user(content: str) -> Turn:
    return Turn("user", content, "")


def answer(content: str) -> Turn:
    return Turn("assistant", content, "")


@pytest.mark.parametrize(
    ("broken", "whole"),
    [
        ("donâ€™t", "don’t"),
        ("cafÃ© crÃ¨me", "café crème"),
        ("MÃ¼ller", "Müller"),
        ("Ð¿Ñ€Ð¸Ð²ÐµÑ‚", "привет"),
        ("e\u0301te\u0301", "été"),
        ("a\x00b\x07c\x1b[0m", "abc[0m"),
        ("one\r\ntwo\rthree", "one\ntwo\nthree"),
        ("\ufefftext", "text"),
    ],
)
def test_bytes_that_went_wrong_are_put_right(broken: str, whole: str) -> None:
    assert repair(broken) == whole


@pytest.mark.parametrize(
    "text",
    [
        "plain words",
        "São Paulo, Ângela, Ã alone",
        "é is U+00E9",
        "日本語 한국어 हिन्दी",
        "family: 👨\u200d👩\u200d👧",
        "tab\there",
        "Here:\n```\ncafÃ©\n```\nis mojibake",
    ],
)
def test_what_is_right_stays_as_it_is(text: str) -> None:
    assert repair(text) == text


@pytest.mark.parametrize(
    ("turn", "left"),
    [
        (user("ThanksShare Prompt"), "Thanks"),
        (user("Write it.\n\n\nShare Prompt"), "Write it."),
        (user("Compare these.\n2 / 2"), "Compare these."),
        (answer("1 / 2\n\nHere it is."), "Here it is."),
        (answer("One.\nRegenerate response\nTwo."), "One.\nTwo."),
        (answer("python\nCopy code\nx = 1"), "python\nx = 1"),
        (answer("Text\nCopy123 chars / 20 words\nmore"), "Text\nmore"),
    ],
)
def test_the_words_of_the_page_go(turn: Turn, left: str) -> None:
    assert strip_page(turn) == left


@pytest.mark.parametrize(
    "turn",
    [
        answer("The odds are 1 / 2 here."),
        answer("It is 1 / 2"),
        answer("9 / 2\nis 4.5"),
        user("What does the button Regenerate response do?"),
        answer("```\nCopy code\n```"),
        answer("  indented stays"),
    ],
)
def test_words_that_only_look_like_the_page_stay(turn: Turn) -> None:
    assert strip_page(turn) == turn.content


def test_a_disclaimer_goes_where_an_answer_follows() -> None:
    text = "As an AI language model, I cannot run code. However, here is how you can do it yourself, step by step."
    assert strip_disclaimer(text) == "Here is how you can do it yourself, step by step."


@pytest.mark.parametrize(
    "text",
    [
        "As an AI language model, I cannot help with that.",
        "As an AI, you will be provided with sections of code. Your task is to analyze each part of it closely.",
        "As an airline, I would raise prices. Then I would see how many passengers still want to fly with us.",
        "It acts as an AI language model, I think. That is what the paper says in its third section, at least.",
    ],
)
def test_other_beginnings_stay(text: str) -> None:
    assert strip_disclaimer(text) == text


DIRT = [
    *[
        ("assistant", text)
        for text in ("<p>a <em>b</em></p>", "x\r\n", "1 / 2\n\nHere.", "cafÃ©", "e\u0301", "Â° C")
    ],
    ("user", "ThanksShare Prompt"),
    (
        "assistant",
        "As an AI language model, I am shy. However, " + "this answer goes on for a good while. " * 3,
    ),
]


@pytest.mark.parametrize("name", CLEANING_STEPS.names())
def test_the_cheap_question_misses_nothing_its_step_would_change(name: str) -> None:
    step = CLEANING_STEPS.load(name)
    frame = pl.DataFrame(DIRT, schema=["role", "content"], orient="row")
    asked = frame.select(step.may_change().alias("may")).get_column("may").to_list()
    changes = [step.clean(Turn(role, content, "")) != content for role, content in DIRT]
    assert any(changes)
    assert [may for may, change in zip(asked, changes, strict=True) if change] == [True] * sum(changes)
