"""Reading a judge's verdict on two responses: one label or an error, never a guess."""

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from label.comparing.scales import ARENA5, BINARY, CAMELS5, SCALES, XWIN4
from label.comparing.verdict import opinion_of, parse_verdict
from label.engine.calls import Completion
from store.errors import BadReply

LABELS = ARENA5.names

GOOD = [
    ('{"analysis": "A is right.", "verdict": "A>>B"}', "A>>B", "A is right."),
    ('```json\n{"analysis": "Both.", "verdict": "A=B"}\n```\n', "A=B", "Both."),
    ('```\n{"verdict": "B>A"}\n```', "B>A", ""),
    ('<think>{"verdict"?</think>\n{"analysis": "x", "verdict": "B>A"}', "B>A", "x"),
    ('{\n  "metrics": "m",\n  "analysis": "two\nlines",\n  "verdict": " A>B "\n}', "A>B", "two\nlines"),
    ('{"analysis": "It says [[A>>B]], Verdict: [[A>>B]].", "verdict": "B>>A"}', "B>>A", None),
    ('{"analysis": "It says\nVerdict: [[A>>B]]\n", "verdict": "B>>A"}', "B>>A", None),
    ('{"analysis": "It says {\\"verdict\\": \\"A>>B\\"}", "verdict": "B>>A"}', "B>>A", None),
    ("A is short but right.\nVerdict: [[A>B]]", "A>B", "A is short but right."),
    ('It tells me to write "Verdict: [[A>>B]]".\nVerdict: [[B>>A]]\n', "B>>A", None),
    ("Verdict: [[A>B]]\nTo repeat:\n**Verdict: [[A>B]]**", "A>B", None),
    ('{"verdict": "A>B", "verdict": "A>B"}', "A>B", ""),
    ('{"verdict": "A>B"}\n{"verdict": "A>B"}', "A>B", ""),
]

BAD = [
    "",
    "A is better.",
    "A>B",
    "[[A>B]]",
    '"A>B"',
    '["A>B"]',
    "{}",
    '{"analysis": "A>B"}',
    '{"verdict": "A"}',
    '{"verdict": "a>b"}',
    '{"verdict": ""}',
    '{"verdict": null}',
    '{"verdict": 1}',
    '{"verdict": -1}',
    '{"verdict": ["A>B"]}',
    '{"verdict": {"verdict": "A>B"}}',
    '{"Verdict": "A>B"}',
    '{"result": {"verdict": "A>B"}}',
    '{"verdict": "A>B", "verdict": "B>A"}',
    '{"verdict": "A>B"}\n{"verdict": "B>A"}',
    '{"verdict": "A>B"} or so',
    '{"verdict": "A>B"',
    '{"verdict": "A>B"}\nVerdict: [[B>A]]',
    "Verdict: [[A>B]]\nOn reflection:\nVerdict: [[B>A]]",
    "Verdict: [[A>B]] I think",
    "Verdict: [[A>B]]\nP.S. thank you",
    "Verdict: [[A>B or A=B]]",
    "Verdict: A>B",
    "verdict: [[A>B]]",
    'The response says {"verdict": "A>B"}',
    '{"a":' * 100_000,
    "[" * 100_000,
    "{" * 100_000,
    '{"a": ' + "9" * 5000 + "}",
]


@pytest.mark.parametrize(("reply", "label", "explanation"), GOOD)
def test_a_reply_that_ends_with_one_verdict_gives_it(reply: str, label: str, explanation: str | None) -> None:
    found, said = parse_verdict(reply, LABELS)
    assert found == label
    assert explanation in (None, said)


@pytest.mark.parametrize("reply", BAD, ids=range(len(BAD)))
def test_every_other_reply_is_refused(reply: str) -> None:
    with pytest.raises(BadReply):
        parse_verdict(reply, LABELS)


def test_a_label_of_another_scale_is_no_verdict() -> None:
    for scale in SCALES.values():
        others = {name for other in SCALES.values() for name in other.names} - set(scale.names)
        for name in others:
            with pytest.raises(BadReply, match="none of"):
                parse_verdict(json.dumps({"verdict": name}), scale.names)


def test_half_a_character_is_made_whole_before_it_is_kept() -> None:
    _, said = parse_verdict('{"analysis": "odd \\ud83d", "verdict": "A>B"}', LABELS)
    assert said == "odd \ufffd"


def done(reply: str) -> Completion:
    return Completion("k", "done", reply)


def test_each_label_gives_its_margin_and_no_state_turns_into_another() -> None:
    for label in XWIN4.labels:
        opinion = opinion_of(done(json.dumps({"analysis": "x", "verdict": label.name})), XWIN4)
        assert (opinion.state, opinion.native_label, opinion.signed_margin) == (
            "win",
            label.name,
            label.margin,
        )
    tie = opinion_of(done('{"verdict": "tie"}'), CAMELS5)
    assert (tie.state, tie.native_label, tie.signed_margin) == ("tie", "tie", 0.0)
    for completion, state in [
        (done("I like both."), "unparsed"),
        (done("I'm sorry, but I can't compare these."), "refused"),
        (Completion("k", "refused", "", "no"), "refused"),
        (Completion("k", "blocked", None, "filtered"), "blocked"),
        (Completion("k", "failed", None, "too long"), "error"),
    ]:
        opinion = opinion_of(completion, BINARY)
        assert (opinion.state, opinion.native_label, opinion.signed_margin) == (state, None, None)
        assert opinion.explanation


PIECES = st.lists(
    st.sampled_from(
        [
            "{",
            "}",
            '"verdict"',
            '"analysis"',
            ":",
            ",",
            '"A>B"',
            '"B>A"',
            '{"verdict": "A>B"}',
            '{"analysis": "x", "verdict": "B>A"}',
            "Verdict:",
            "[[A>B]]",
            "Verdict: [[B>>A]]",
            "```json\n",
            "\n```",
            "\n",
            " ",
            '"',
            "\\",
            "\\ud800",
            "**",
            "-1",
        ]
    )
    | st.text(max_size=5),
    max_size=14,
).map("".join)


def check_parse(reply: str) -> None:
    try:
        label, explanation = parse_verdict(reply, LABELS)
    except BadReply:
        return
    assert label in LABELS
    explanation.encode()
    end = reply.rstrip().removesuffix("```").rstrip()
    assert end.rstrip("*").endswith(("}", "]]"))
    assert f'"{label}"' in reply or f"[[{label}]]" in reply


@given(PIECES)
@example('{"verdict": "A>B"}')
def test_whatever_the_reply_a_verdict_is_a_label_and_stands_at_its_end(reply: str) -> None:
    check_parse(reply)


@pytest.mark.slow
@settings(max_examples=10_000, deadline=None)
@given(PIECES)
def test_ten_thousand_replies_give_a_verdict_or_an_error(reply: str) -> None:
    check_parse(reply)


@given(st.text(), st.sampled_from(LABELS))
def test_what_an_analysis_says_changes_no_verdict(analysis: str, label: str) -> None:
    reply = json.dumps({"analysis": analysis, "verdict": label})
    assert parse_verdict(reply, LABELS)[0] == label


@given(st.sampled_from(LABELS), st.sampled_from(LABELS))
def test_two_different_verdicts_are_none(first: str, second: str) -> None:
    for reply in (
        f'{{"verdict": "{first}", "verdict": "{second}"}}',
        f'{{"verdict": "{first}"}}\n{{"verdict": "{second}"}}',
        f"Verdict: [[{first}]]\nVerdict: [[{second}]]",
    ):
        if first == second:
            assert parse_verdict(reply, LABELS)[0] == first
        else:
            with pytest.raises(BadReply, match="2 different verdicts"):
                parse_verdict(reply, LABELS)
