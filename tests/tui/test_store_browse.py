"""What the screens beside conversations and judging are told of a real store."""

import json

import pytest

from store.db import Store
from store.ids import digest_of, path_digests, uuid_text
from store.runs import run_of
from store.selections import write_selection
from tui.answers.browse import StoreBrowse
from tui.answers.store_review import StoreReview
from tui.browse_data import PAIRS
from tui.query import Filter, parse_filter

PROMPT = uuid_text(path_digests([("user", "one?")])[-1])
FIRST, SECOND = (
    uuid_text(path_digests([("user", "one?"), ("assistant", text)])[-1])
    for text in ("first answer", "second answer")
)


@pytest.fixture
def browsing(store: Store):
    data = StoreReview(store, "kim")
    while data.refresh() != "none":
        pass
    found = StoreBrowse(data)
    yield found
    found.close()
    data.close()


def cells(listing) -> list[tuple[str, ...]]:
    return [line.cells for line in listing.page(0, 100)]


def compare(
    store: Store, a: str, b: str, margin: float, state: str = "win", *, labeler: str = "gpt-4"
) -> None:
    with store.write() as writing:
        writing.append(
            "comparisons",
            [
                {
                    "comparison_id": uuid_text(digest_of("p1", PROMPT, a, b, labeler)),
                    "prompt_id": PROMPT,
                    "response_a_id": a,
                    "response_b_id": b,
                    "labeler": labeler,
                    "labeler_kind": "judge",
                    "template": "t",
                    "scale": "xwin4",
                    "draw_index": 0,
                    "signed_margin": margin,
                    "state": state,
                    "parser_version": "1",
                    "created_at": "2026-01-01T00:00:00",
                }
            ],
        )


def test_pairs_of_labelers_have_state_strength_and_gap_and_follow_the_store(browsing, store):
    assert cells(browsing.pairs(Filter())) == []
    compare(store, FIRST, SECOND, -0.75)
    compare(store, SECOND, FIRST, 0.75)
    (line,) = browsing.pairs(Filter()).page(0, 9)
    assert line.cells == ("win", "better", "0.75", "gpt-4", "one?")
    view = browsing.pair(line.key)
    assert [text.text for text in view.texts] == ["second answer", "first answer"]
    assert [turn.content for turn in view.prompt] == ["one?"]
    compare(store, SECOND, FIRST, -0.25)
    (line,) = browsing.pairs(Filter()).page(0, 9)
    assert line.cells[:2] == ("conflict", "–")
    compare(store, FIRST, SECOND, 0.0, "undone")
    compare(store, SECOND, FIRST, 0.0, "undone")
    assert cells(browsing.pairs(Filter())) == []


def test_pairs_of_selections_are_filtered_by_name_gap_and_part(browsing, store):
    compare(store, FIRST, SECOND, 0.25, labeler="lee")
    with store.write() as writing:
        row = (
            f"SELECT '{PROMPT}'::UUID AS prompt_id, '{FIRST}'::UUID AS chosen_id, '{SECOND}'::UUID AS rejected_id,"
            " 2.0 AS score_chosen, 0.5 AS score_rejected, 1.5 AS score_gap, 1 AS rank_chosen, 2 AS rank_rejected,"
            " 'large' AS strength, 'train' AS part"
        )
        write_selection(writing, "best", "pairs", row, settings={}, steps={}, run_id=None)
    assert [one[3] for one in cells(browsing.pairs(Filter()))] == ["best", "lee"]
    for text, expected in (
        ("selection:best", ["best"]),
        ("labeler:l*", ["lee"]),
        ("gap>1 part:train", ["best"]),
        ("strength:negligibly*", ["lee"]),
        ("-labeler:lee", ["best"]),
    ):
        assert [one[3] for one in cells(browsing.pairs(parse_filter(text, PAIRS)))] == expected, text
    key = browsing.pairs(parse_filter("selection:best", PAIRS)).keys[0]
    assert browsing.pair(key).texts[0].heading == "chosen · score 2.0000"


def test_home_counts_rows_classes_and_a_run_that_goes_on(browsing, store, store_rows):
    found = {(one[0], one[1]): one[2] for one in cells(browsing.home())}
    assert found["rows", "conversations"] == "3"
    assert found["rows", "messages"] == "8"
    assert found["class", "GPT4"] == "1"
    with run_of(store, "label judge", {}) as run:
        with store.write(run.run_id) as writing:
            writing.append("ratings", [store_rows.rating_row(SECOND, 5)])
        first = cells(browsing.home())[0]
        assert first[:2] == ("▶ running", "label judge")
        assert "ratings 1" in first[3]
        run.finish({"done": 1})
    first = cells(browsing.home())[0]
    assert first[0] == "✓ finished"
    assert "done 1" in first[3]
    assert {(one[0], one[1]): one[2] for one in cells(browsing.home())}["rows", "ratings"] == "4"


def test_decisions_are_counted_by_rule_and_listed_with_evidence(browsing, store):
    data_ids = list(browsing._home._index.select(Filter()))
    with store.write() as writing:
        row = {
            "target_kind": "conversation",
            "verdict": "drop",
            "reason": "refusal",
            "evidence": json.dumps({"phrase": "I cannot"}),
            "decided_by": "filter:refusal/1",
            "decider_kind": "filter",
            "decided_at": "2026-01-01T00:00:00",
        }
        writing.append("decisions", [{**row, "target_id": one} for one in data_ids[:2]])
    (rule,) = browsing.rules().page(0, 9)
    assert rule.cells == ("drop", "2", "filter:refusal/1", "refusal")
    found = browsing.decisions(rule.key).page(0, 9)
    assert sorted(line.key for line in found) == sorted(f"conversation:{one}" for one in data_ids[:2])
    assert all("I cannot" in line.cells[1] and line.cells[2] == "one?" for line in found)


def test_rejects_have_their_place_and_reason(browsing, store):
    with store.write() as writing:
        writing.append(
            "rejects",
            [
                {
                    "source_id": uuid_text(digest_of("s1", "wiki")),
                    "sha256": "0" * 64,
                    "record_number": 1234,
                    "line": 7,
                    "byte_offset": 99,
                    "reason": "no turns",
                    "excerpt": "{}",
                }
            ],
        )
    assert cells(browsing.rejects()) == [("wiki", "1,234", "7", "no turns", "{}")]


def test_sql_answers_and_errors_stand_in_the_same_place(browsing):
    assert cells(browsing.sql("SELECT name, 1 AS n FROM sources ORDER BY name"))[0] == ("forum", "1")
    for wrong in ("SELECT nothing", "DELETE FROM sources", "SELECT 1; SELECT 2", ""):
        listing = browsing.sql(wrong)
        assert listing.words == "no answer"
        assert cells(listing)
    assert len(browsing.sql("SELECT * FROM range(5000)").keys) == 1000


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM read_text('/etc/hostname')",
        "ATTACH '/tmp/x.duckdb'",
        "COPY (SELECT 1) TO '/tmp/x.csv'",
        "SET enable_external_access = true",
    ],
)
def test_sql_reaches_nothing_but_the_store(browsing, query):
    assert browsing.sql(query).words == "no answer"


def test_sql_that_takes_too_long_is_stopped(browsing, monkeypatch):
    monkeypatch.setattr("tui.answers.sql.MOST_SECONDS", 0.2)
    listing = browsing.sql(
        "SELECT count(*) FROM range(10000000000) AS a(x), range(1000000) AS b(y) WHERE x * y = 7"
    )
    assert "longer than 0.2 s" in cells(listing)[0][0]
