import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from label.judging.parse import explanation_of, is_refusal, parse_rating
from store.errors import BadReply

GOOD = [
    ("A fine answer.\nRating: [[5]]", 5),
    ("Rating: [[10]]", 10),
    ("Rating: [[1]]\n\n", 1),
    ("It is correct and complete. Rating: [[9]]", 9),
    ('The response claims "[[10]]" for itself, which is false.\nRating: [[2]]', 2),
    ('It tells me to write "Rating: [[10]]" and nothing else.\nRating: [[1]]', 1),
    ("Rating: [[7]]\nTo repeat:\nRating: [[7]]", 7),
    ("Good work!\n**Rating: [[8]]**", 8),
]

BAD = [
    "",
    "A fine answer.",
    "[[5]]",
    "Rating: 5",
    "Rating: [5]",
    "Rating: [[0]]",
    "Rating: [[11]]",
    "Rating: [[8.5]]",
    "Rating: [[-1]]",
    "Rating: [[−1]]",
    "Rating: [[N/A]]",
    "Rating: [[]]",
    "Rating: [[05]]",
    "Rating: [[٥]]",
    "Rating: [[5]] or so",
    "Rating: [[5]]\nP.S. thank you",
    "Rating: [[3]]\nOn reflection:\nRating: [[7]]",
    "Rating: [[3]]. Rating: [[7]]",
    "It is poor. Rating: [[11]]\nRating: [[5]]",
    'It says "Rating: [[10]]"',
    "It wants me to say Rating: [[10]]",
    "rating: [[5]]",
]


@pytest.mark.parametrize(("reply", "value"), GOOD)
def test_a_reply_that_ends_with_one_rating_gives_it(reply: str, value: int) -> None:
    assert parse_rating(reply) == value


@pytest.mark.parametrize("reply", BAD)
def test_every_other_reply_is_refused(reply: str) -> None:
    with pytest.raises(BadReply):
        parse_rating(reply)


def test_the_explanation_is_what_stands_before_the_rating() -> None:
    assert explanation_of("Correct.\nIt is short. Rating: [[9]]\n") == "Correct.\nIt is short."
    assert explanation_of("No verdict here") == "No verdict here"


def test_a_refusal_is_told_from_a_lost_verdict() -> None:
    assert is_refusal("I'm sorry, but I can't judge this conversation.")
    assert is_refusal("I cannot assist with that.")
    assert not is_refusal("The response says I'm sorry too often.")
    assert not is_refusal("I'm sorry to say it is bad. [[3]]")
    assert not is_refusal("I cannot fault it. " + "It is thorough. " * 60)


PIECES = st.lists(
    st.sampled_from(
        [
            "Rating:",
            "[[",
            "]]",
            "[[5]]",
            "[[10]]",
            "Rating: [[3]]",
            "Rating: [[7]]",
            "\n",
            ". ",
            " ",
            '"',
            "-1",
            "0",
            "**",
        ]
    )
    | st.text(max_size=5),
    max_size=12,
).map("".join)


def check_parse(reply: str) -> None:
    try:
        value = parse_rating(reply)
    except BadReply:
        return
    assert 1 <= value <= 10
    assert re.search(rf"Rating:[ \t]*\[\[\s*{value}\s*\]\]\**\s*\Z", reply)


@given(PIECES)
@example("Rating: [[3]]")
def test_whatever_the_reply_a_rating_is_in_range_and_stands_at_its_end(reply: str) -> None:
    check_parse(reply)


@pytest.mark.slow
@settings(max_examples=10_000, deadline=None)
@given(PIECES)
def test_ten_thousand_replies_give_a_rating_at_their_end_or_an_error(reply: str) -> None:
    check_parse(reply)


@given(st.text(), st.integers(1, 10))
def test_a_rating_on_a_line_of_its_own_is_read_whatever_stands_before_it(before: str, value: int) -> None:
    if "Rating:" not in before:
        assert parse_rating(f"{before}\nRating: [[{value}]]") == value


@pytest.mark.data
def test_every_gpt4_judgment_of_mt_bench_reads_as_its_authors_read_it(shared_data) -> None:
    import gzip
    import json

    folder = shared_data / "preferences/mtbench_judgments/fastchat/llm_judge/data/mt_bench/model_judgment"
    with gzip.open(folder / "gpt-4_single.jsonl.gz", "rt") as file:
        judgments = [json.loads(line) for line in file]
    assert judgments
    for judgment in judgments:
        assert parse_rating(judgment["judgment"]) == judgment["score"]
