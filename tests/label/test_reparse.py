"""`label reparse` and `label why-miss`."""

import json
from dataclasses import replace

import pytest

from label.chat import open_chat_model
from label.cli import cli
from label.engine.prices import price_of
from label.judging import reparse
from label.judging.judge import judge_store
from label.judging.outcome import Outcome
from label.judging.rating_job import JudgeSettings
from label.judging.reparse import reparse_store
from label.judging.why_miss import why_missed
from store.config import Limits
from store.console import run_command
from store.errors import BadInput, UnknownName
from store.ids import to_text


def judge(store, server, **settings) -> None:
    def advance(_amount: float = 1, *, words: str = "") -> None:
        del words

    model = open_chat_model("gpt-4", server.url)
    given = JudgeSettings(**{"limits": Limits(concurrency=1), **settings})
    judge_store(store, model, price_of("gpt-4", server.url), given, advance=advance)


def rows(store, sql: str) -> list[tuple]:
    with store.read() as reading:
        return reading.rows(sql)


@pytest.fixture
def parser(monkeypatch):
    """Installs another parser of ratings, with its version."""

    def install(version: str, parse) -> None:
        kinds = tuple(
            replace(kind, parser_version=version, parse=parse) if kind.table == "ratings" else kind
            for kind in reparse.KINDS
        )
        monkeypatch.setattr(reparse, "KINDS", kinds)

    return install


def generous(row, completion) -> dict[str, object]:
    """A parser that gives one point more."""
    known = reparse._parse_rating(row, completion)
    value = known["value"]
    return {**known, "value": None if value is None else value + 1}


def test_reading_again_with_the_same_parser_writes_nothing_and_asks_nothing(store, server, reply) -> None:
    server.script.extend([reply(text="Hm."), reply(text="Rating: [[3]]"), reply(text="", refusal="no")])
    judge(store, server)
    asked, before = len(server.bodies), rows(store, "SELECT * FROM ratings ORDER BY ALL")
    counts = reparse_store(store).counts()
    assert (counts["read"], counts["unchanged"]) == (4, 4)
    assert len(server.bodies) == asked
    assert rows(store, "SELECT * FROM ratings ORDER BY ALL") == before


def test_another_parser_changes_what_it_reads_otherwise_and_keeps_the_history(
    store, server, reply, parser
) -> None:
    server.rule = lambda _body: reply(text="So.\nRating: [[4]]")
    judge(store, server)
    parser("rating/99", generous)
    found = reparse_store(store)
    assert (found.changed, found.changes) == (4, {"4 → 5": 4})
    assert rows(store, "SELECT DISTINCT value, parser_version FROM current_ratings") == [(5.0, "rating/99")]
    assert rows(store, "SELECT count(*) FROM ratings") == [(8,)]
    assert reparse_store(store).counts()["unchanged"] == 4
    assert rows(store, "SELECT count(*) FROM completions") == [(4,)]


def test_a_new_parser_that_reads_the_same_confirms_it_once(store, server, parser) -> None:
    judge(store, server)
    values = rows(store, "SELECT response_id, value, explanation FROM current_ratings ORDER BY ALL")
    parser("rating/99", reparse._parse_rating)
    assert reparse_store(store).confirmed == 4
    assert reparse_store(store).confirmed == 0
    assert rows(store, "SELECT response_id, value, explanation FROM current_ratings ORDER BY ALL") == values


def test_an_unreadable_reply_is_read_together_with_its_repair(store, server, reply, parser) -> None:
    server.script.extend([reply(text="Rating: [[eight]]"), reply(text="Rating: [[2]]")])
    judge(store, server)
    asked = len(server.bodies)

    def reads_words(row, completion) -> dict[str, object]:
        text = (completion.reply or "").replace("eight", "8")
        return reparse._parse_rating(row, replace(completion, reply=text))

    parser("rating/99", reads_words)
    assert reparse_store(store).changes == {"2 → 8": 1}
    assert len(server.bodies) == asked


def test_a_label_whose_repair_was_not_kept_stays(store, server, reply) -> None:
    server.script.extend([reply(text="Hm."), reply(text="Rating: [[2]]")])
    judge(store, server)
    with store.write() as writing:
        writing.con.execute("DELETE FROM main.requests")
    before = rows(store, "SELECT * FROM ratings ORDER BY ALL")
    assert reparse_store(store).unknown == 1
    assert rows(store, "SELECT * FROM ratings ORDER BY ALL") == before


def test_people_and_other_judges_are_left_alone(store, server, parser) -> None:
    judge(store, server)
    judge(store, server, labeler="second")
    with store.write() as writing:
        writing.con.execute("UPDATE main.ratings SET labeler_kind = 'person' WHERE labeler = 'gpt-4'")
    parser("rating/99", lambda *_: Outcome("done", 1, None) and {"value": 1.0, "state": "done"})
    assert reparse_store(store).read == 4
    with pytest.raises(UnknownName, match="did you mean 'second'"):
        reparse_store(store, "secnd")


def test_what_is_left_of_a_reparse_in_pieces_is_the_same(store, server, reply, parser, monkeypatch) -> None:
    monkeypatch.setattr(reparse, "LABELS_AT_ONCE", 1)
    server.rule = lambda _body: reply(text="Rating: [[4]]")
    judge(store, server, draws=3)
    parser("rating/99", generous)
    assert reparse_store(store).changed == 12
    assert rows(store, "SELECT DISTINCT value FROM current_ratings") == [(5.0,)]


def test_comparisons_are_read_again_too(tmp_path, write, server, reply, monkeypatch) -> None:
    question = [("user", "Name a prime.")]
    store = write(
        tmp_path / "pairs.duckdb",
        [
            ("gpt-4", [*question, ("assistant", "Seven.")]),
            ("gpt-3.5-turbo", [*question, ("assistant", "Nine.")]),
        ],
    )
    server.script.append(reply(text="Hard to say."))
    server.rule = lambda _body: reply(text="So.\nVerdict: [[tie]]")
    arguments = [
        "compare",
        "--model",
        "gpt-4",
        "--base-url",
        server.url,
        "--store",
        str(store.path),
        "--json",
    ]
    assert run_command(cli, arguments) == 0
    stored = rows(store, "SELECT * FROM comparisons ORDER BY ALL")
    assert len(stored) == 2
    assert reparse_store(store).counts()["unchanged"] == 2
    kinds = tuple(replace(kind, parser_version="verdict/99") for kind in reparse.KINDS)
    monkeypatch.setattr(reparse, "KINDS", kinds)
    assert reparse_store(store).confirmed == 2
    both = "SELECT count(*), count(DISTINCT parser_version) FROM comparisons"
    assert rows(store, both) == [(4, 2)]
    policies = "SELECT DISTINCT policy_a, policy_b FROM comparisons ORDER BY ALL"
    assert len(rows(store, policies)) == 2


def test_the_command_prints_what_it_found(store, server, reply, parser, capsys) -> None:
    server.rule = lambda _body: reply(text="Rating: [[4]]")
    judge(store, server)
    parser("rating/99", generous)
    before = rows(store, "SELECT count(*) FROM ratings")
    assert run_command(cli, ["reparse", "--store", str(store.path), "--dry-run", "--json"]) == 0
    foretold = json.loads(capsys.readouterr().out)
    assert (foretold["dry_run"], foretold["read"], foretold["changed"]) == (True, 4, 4)
    assert rows(store, "SELECT count(*) FROM ratings") == before
    assert run_command(cli, ["reparse", "--store", str(store.path), "--labeler", "gpt-4"]) == 0
    shown = capsys.readouterr().out
    assert "4 read, 0 unchanged, 4 changed" in shown
    assert "4 → 5" in shown
    assert run_command(cli, ["reparse", "--store", str(store.path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["unchanged"] == 4
    assert rows(store, "SELECT DISTINCT command FROM current_runs ORDER BY ALL")[-1] == ("label reparse",)


def test_a_request_keeps_its_fields_and_no_text(store, server) -> None:
    judge(store, server)
    found = rows(store, "SELECT model, base_url, sampling, messages FROM requests")
    assert len(found) == 4
    for model, url, sampling, messages in found:
        assert (model, url) == ("gpt-4", server.url)
        assert json.loads(sampling) == {"max_tokens": 2048, "temperature": 0.0, "top_p": 1.0}
        assert [message.split()[0] for message in messages] == ["system", "user"]
        assert all(len(message) < 40 for message in messages)


def test_why_a_request_missed_is_told_by_the_fields_that_differ(store, server) -> None:
    judge(store, server)
    judge(store, server, max_tokens=99, temperature=None)
    response = rows(store, "SELECT CAST(min(response_id) AS VARCHAR) FROM ratings")[0][0]
    newest, oldest = why_missed(store, to_text("m1", response))
    assert [(one.field, one.asked, one.stored) for one in newest.differences] == [
        ("sampling.max_tokens", "99", "2048"),
        ("sampling.temperature", "–", "0.0"),
        ("sampling.top_p", "–", "1.0"),
    ]
    assert newest.nearest_key == oldest.request_key
    assert why_missed(store, newest.request_key) == [newest]
    assert [miss.request_key for miss in why_missed(store, response)] == [
        newest.request_key,
        oldest.request_key,
    ]


def test_a_repair_another_draw_and_another_text_are_told_as_such(store, server, reply) -> None:
    server.script.append(reply(text="Hm."))
    judge(store, server, draws=2)
    fields = {}
    for key, draw, repair in rows(
        store,
        "SELECT CAST(request_key AS VARCHAR), sample_index, repair_index FROM requests ORDER BY created_at",
    ):
        (miss,) = why_missed(store, key)
        fields.setdefault((draw, repair), set()).update(one.field for one in miss.differences)
    assert fields[1, 0] == {"sample_index"}
    assert fields[0, 1] == {"repair_index", "messages[2]", "messages[3]"}
    assert fields[0, 0] == {"messages[1]"}


def test_the_first_request_of_all_has_no_nearest_one(store, server, capsys) -> None:
    judge(store, server)
    key = rows(store, "SELECT CAST(request_key AS VARCHAR) FROM requests ORDER BY created_at LIMIT 1")[0][0]
    assert run_command(cli, ["why-miss", key, "--store", str(store.path)]) == 0
    assert "no request had been stored before it" in capsys.readouterr().out


def test_the_command_shows_the_differences(store, server, capsys) -> None:
    judge(store, server)
    judge(store, server, max_tokens=99)
    response = rows(store, "SELECT CAST(min(response_id) AS VARCHAR) FROM ratings")[0][0]
    assert run_command(cli, ["why-miss", to_text("m1", response), "--store", str(store.path)]) == 0
    shown = capsys.readouterr().out
    assert "sampling.max_tokens" in shown
    assert "2048" in shown
    assert run_command(cli, ["why-miss", response, "--all", "--json", "--store", str(store.path)]) == 0
    assert len(json.loads(capsys.readouterr().out)["misses"]) == 2


def test_a_name_that_is_neither_key_nor_answer_is_an_error(store, server) -> None:
    judge(store, server)
    with pytest.raises(UnknownName, match="no request is stored"):
        why_missed(store, "00000000-0000-0000-0000-000000000000")
    with pytest.raises(BadInput, match="neither a request key nor the id"):
        why_missed(store, "gpt-4")
