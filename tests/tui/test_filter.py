import duckdb
import pytest

from store.errors import BadSettings, RequestError, UnknownName
from tui.query import Filter, parse_filter

ROWS = """
CREATE TABLE listed AS SELECT * FROM (VALUES
    (1, 'GPT4', 'forum', 4, 'drop', 2, 2, 8.0),
    (2, 'GPT3', 'forum', 2, 'keep', 1, 1, 3.0),
    (3, 'unknown', 'For_um%', 6, NULL, 1, 3, 5.0),
    (4, 'GPT4', 'wiki', 2, NULL, 0, 0, NULL)
) AS rows(n, class, source, turns, verdict, n_rated, n_answers, rating)
"""


def kept(text: str) -> list[int]:
    wanted = parse_filter(text)
    con = duckdb.connect()
    con.execute(ROWS)
    sql = f"SELECT n FROM listed WHERE {wanted.where} ORDER BY n"
    return [row[0] for row in con.execute(sql, list(wanted.values)).fetchall()]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", [1, 2, 3, 4]),
        ("class:GPT4", [1, 4]),
        ("class:gpt4,gpt3", [1, 2, 4]),
        ("class:GPT4 class:GPT3", [1, 2, 4]),
        ("-class:GPT4", [2, 3]),
        ("class:GPT*", [1, 2, 4]),
        ("source:for_um%", [3]),
        ("source:for*", [1, 2, 3]),
        ('source:"forum"', [1, 2]),
        ("rating<5", [2]),
        ("rating>=5", [1, 3]),
        ("rating:3..5", [2, 3]),
        ("rating>2 rating<4", [2]),
        ("-rating<5", [1, 3, 4]),
        ("turns>2 class:GPT4", [1]),
        ("verdict:none", [3, 4]),
        ("verdict:keep,drop", [1, 2]),
        ("-verdict:drop", [2, 3, 4]),
        ("rated:partial", [3]),
        ("rated:complete", [1, 2]),
        ("rated:none", [4]),
        ("class:GPT4 rating<9 source:forum verdict:drop", [1]),
    ],
)
def test_a_filter_keeps_what_meets_every_part(text: str, expected: list[int]) -> None:
    assert kept(text) == expected


def test_other_words_are_searched_in_the_text_and_quotes_make_one() -> None:
    wanted = parse_filter('class:GPT4 quick "bubble sort"')
    assert wanted.words == ("quick", "bubble sort")
    assert wanted.where == parse_filter("class:GPT4").where


def test_a_value_never_becomes_sql() -> None:
    wanted = parse_filter("class:x');DROP")
    assert "DROP" not in wanted.where
    assert wanted.values == ("x');drop",)


def test_nothing_typed_is_the_filter_that_keeps_all() -> None:
    assert parse_filter("   ") == Filter()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("clas:GPT4", "did you mean 'class'"),
        ("verdict:kep", "did you mean 'keep'"),
        ("rating<high", "not a number"),
        ("rating:", "needs a value"),
        ('class:"GPT4', "quote"),
        ("class<GPT4", "write class:GPT4"),
        ("-word", "cannot be excluded"),
    ],
)
def test_a_filter_that_makes_no_sense_says_the_way_out(text: str, words: str) -> None:
    with pytest.raises(RequestError, match=words):
        parse_filter(text)


def test_the_errors_have_their_classes() -> None:
    with pytest.raises(UnknownName):
        parse_filter("colour:red")
    with pytest.raises(BadSettings):
        parse_filter("rating<x")
