"""What each filter notices and drops, and what it lets be."""

from typing import Any

import polars as pl
import pytest

from curate.filter import FILTERS, Filter, StoreFilter
from curate.filtering.filter_options import choose, make, pipeline
from curate.filters.language import fallback
from curate.filters.pii import PersonalData, is_iban, is_luhn
from curate.filters.truncated import is_cut
from store.errors import BadSettings, UnknownName

Talk = list[tuple[str, str]]


def frames(talks: list[Talk]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Texts and turns of some conversations, as the engine hands them to a filter."""
    texts, turns, row = [], [], 0
    for number, talk in enumerate(talks):
        for position, (role, content) in enumerate(talk, start=1):
            texts.append((row, role, content))
            turns.append((number, position, row, role, len(content)))
            row += 1
    text_frame = pl.DataFrame(
        texts, schema={"row": pl.Int64, "role": pl.String, "content": pl.String}, orient="row"
    )
    turn_frame = pl.DataFrame(
        turns, schema=["conversation", "position", "row", "role", "n_chars"], orient="row"
    )
    return text_frame, turn_frame


def dropped(name: str, talks: list[Talk], **options: Any) -> dict[int, str | None]:
    """Conversation → label, of those that the filter drops."""
    rule = make(name, options, "test").rule
    assert isinstance(rule, Filter)
    texts, turns = frames(talks)
    noticed = rule.notice(texts)
    if noticed is None:
        empty = {"label": pl.String, "score": pl.Float64, "found": pl.String, "start": pl.Int64}
        marked = turns.with_columns(**{key: pl.lit(None, kind) for key, kind in empty.items()})
    else:
        hit = turns.join(noticed, on="row", how="semi").get_column("conversation").unique().to_list()
        marked = turns.filter(pl.col("conversation").is_in(hit)).join(noticed, on="row", how="left")
    found = rule.drops(marked)
    assert set(found.columns) == {"conversation", "label", "position", "score", "found", "start"}
    assert found.get_column("conversation").is_unique().all()
    return dict(zip(found["conversation"].to_list(), found["label"].to_list(), strict=True))


def answered(*answers: str) -> Talk:
    talk: Talk = []
    for answer in answers:
        talk += [("user", "And?"), ("assistant", answer)]
    return talk


def test_every_filter_is_a_dataclass_with_a_version_and_one_of_the_two_kinds() -> None:
    for name in FILTERS.names():
        rule = FILTERS.load(name)()
        assert isinstance(rule, Filter | StoreFilter), name
        assert rule.rule_version >= 1


@pytest.mark.parametrize(
    "answer",
    [
        "I'm sorry, but I can't assist with that.",
        "As an AI language model, I cannot browse the internet. Is there anything else I can help with?",
        "I apologize, but I am unable to open files.",
        "I cannot do that.",
        "抱歉，我无法浏览互联网。还有什么可以帮忙的吗？",
    ],
)
def test_a_refusal_is_dropped(answer: str) -> None:
    assert dropped("refusal", [answered("Fine.", answer)]) == {0: ""}


@pytest.mark.parametrize(
    "answer",
    [
        "I'm sorry to hear that! Here is what helps against a cold: rest, tea, and patience.",
        "I cannot recommend this book enough.",
        "I can't wait to see it.",
        "As an AI language model, I don't have personal opinions. However, I can tell you what people say: "
        + "some like the new bridge for its view, others find it too narrow, and most of them cross it daily. "
        * 2,
        "You can't divide by zero.",
        "As an airline, I cannot fly on Sundays.",
    ],
)
def test_an_answer_that_only_sounds_like_a_refusal_stays(answer: str) -> None:
    assert dropped("refusal", [answered(answer)]) == {}


def test_a_share_of_refusals_can_be_asked_for() -> None:
    talk = answered("I cannot do that.", "Yes.", "No.")
    assert dropped("refusal", [talk], share=0.3) == {0: ""}
    assert dropped("refusal", [talk], share=0.5) == {}


LONG = "This is a sentence of some length that says something about the matter. " * 4


@pytest.mark.parametrize(
    "answer",
    [
        LONG + "And then we have to think about the",
        LONG + "Here is the code:\n```python\nx = 1\n",
        LONG + "\n\nThere are three of them: the first one,",
        LONG + "\n```js\n" + "const a = 1;\n" * 8 + "function f() {\n  return g(\n```",
        LONG + "\n- One is closed.\n- Two is closed.\n- Three stops in the middl",
        LONG + "\n1. One.\n2.",
    ],
)
def test_an_answer_that_stops_in_the_middle_is_cut(answer: str) -> None:
    assert is_cut(answer, 200)


@pytest.mark.parametrize(
    "answer",
    [
        "Paris",
        LONG,
        LONG + "\n- apples\n- pears\n- plums",
        LONG + "\n```python\nprint(1)\n```",
        LONG + "\n\nSee https://example.org/a/b",
        LONG + "\n\nBest regards,\nYour Team",
        LONG + "Is it so?",
        LONG + "| a | b |\n|---|---|\n| 1 | 2 |",
        "これは長い文です。" * 40,
    ],
)
def test_an_answer_that_ends_is_not(answer: str) -> None:
    assert is_cut(answer, 200) is None


def test_empty_answers_and_prompts_to_go_on_are_reasons() -> None:
    talks = [
        answered("Yes.", " \u200b"),
        [("user", "Tell."), ("assistant", "Once."), ("user", "please continue"), ("assistant", "More.")],
        [("user", "Continue."), ("assistant", "With what?")],
    ]
    assert dropped("truncated", talks) == {0: "empty answer", 1: "continued"}
    assert dropped("truncated", talks, empty=False, continued=False) == {}


def test_turns_are_dropped_by_their_shape() -> None:
    user, assistant = ("user", "u"), ("assistant", "a")
    talks: list[Talk] = [
        [user, assistant],
        [("system", "s"), user, assistant, user, assistant],
        [assistant, user, assistant],
        [user, user, assistant],
        [user],
        [("system", "s")],
        [user, assistant, ("tool_call", "f()"), ("tool", "1"), assistant],
        [user, assistant, assistant],
        [user, assistant, user],
    ]
    assert dropped("turns", talks) == {
        2: "does not begin with the user",
        3: "the user twice in a row",
        4: "too few rounds",
        5: "too few rounds",
        7: "the assistant twice in a row",
    }
    assert dropped("turns", talks[:2], max_rounds=1) == {1: "too many rounds"}
    assert dropped("turns", talks[2:3], starts_with_user=False) == {}
    assert dropped("turns", talks[8:], ends_with_answer=True) == {0: "ends without an answer"}


def test_length_counts_answers_and_whole_conversations() -> None:
    talks = [answered(""), answered("x" * 10), answered("x" * 1000), [("user", "alone")]]
    assert dropped("length", talks) == {0: "answers too short", 3: "answers too short"}
    assert dropped("length", talks[1:3], max_answer_chars=100) == {1: "an answer too long"}
    assert dropped("length", talks[1:3], max_chars=500) == {1: "too long"}


def test_circles_are_dropped_and_lists_stay() -> None:
    circle = "we will see what we will see and then " * 20
    lines = "This line says the same thing again.\n" * 12
    listing = "\n".join(
        f"{n}. Item number {n} of the list, {n * 7} pieces, colour {n % 5}" for n in range(30)
    )
    code = "```\n" + "print('the same line of code')\n" * 30 + "```"
    talks = [answered(text) for text in (circle, lines, "ab" * 200, listing, code, "=" * 300)]
    assert dropped("repetition", talks) == {0: "words", 1: "lines", 2: "a few characters"}


def test_damaged_text_is_dropped_and_text_about_damage_stays() -> None:
    texts = ("na\ufffdve", "donâ€™t", "a\x02b", "café", "```\ncafÃ©\n```", "São Paulo")
    talks = [answered(text) for text in texts]
    assert dropped("encoding", talks) == {
        0: "replacement characters",
        1: "decoded twice",
        2: "control characters",
    }
    assert dropped("encoding", talks, control_characters=False, min_count=2) == {}


def test_code_without_a_word_is_dropped() -> None:
    fence = "```python\nprint(1)\n```"
    talks = [
        answered(fence),
        answered("Here you go:\n" + fence),
        answered(fence, "It prints one, as you see."),
    ]
    talks.append(answered("This prints the number one on a line of its own.\n" + fence))
    assert dropped("code-only", talks) == {0: "", 1: ""}
    assert dropped("code-only", talks, share=0.5) == {0: "", 1: "", 2: ""}


def test_control_tokens_are_found_and_html_is_not() -> None:
    texts = ("<|im_end|>", "Hi </s>", "[INST] x [/INST]", "<s>struck</s> out", "a <b> c", "### Human: hi")
    found = dropped("control-tokens", [answered(text) for text in texts])
    assert found == {0: "<|im_end|>", 1: "</s>", 2: "[INST]", 5: "### Human:"}


def test_languages_that_are_not_kept_are_dropped() -> None:
    talks = [
        answered("The weather in the mountains changes quickly, so take a coat with you."),
        answered("Das Wetter in den Bergen ändert sich schnell, nimm also einen Mantel mit."),
        answered("山里的天气变化很快，所以请带上外套，还要带上足够的水和食物。"),
        answered("ok"),
    ]
    assert dropped("language", talks) == {1: "de", 2: "zh"}
    assert dropped("language", talks, keep=["de", "en"]) == {2: "zh"}


def test_the_other_detector_does_as_well() -> None:
    guess = fallback()
    assert guess("Das Wetter in den Bergen ändert sich schnell, nimm also einen Mantel mit.")[0] == "de"
    language, score = guess("The weather in the mountains changes quickly, so take a coat with you.")
    assert language == "en"
    assert 0.5 < score <= 1


def test_check_digits_are_checked() -> None:
    assert is_luhn("4539578763621486")
    assert not is_luhn("4539578763621487")
    assert is_iban("DE75 5121 0800 1245 1261 99")
    assert not is_iban("DE75 5121 0800 1245 1261 98")
    assert not is_iban("DE75 5121 0800 1245 1261")


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("write to kim.miller82@gmail.com please", "email"),
        ("call 901 820 or so", None),
        ("call +49 30 90182016 today", "phone"),
        ("call (613) 703-0277", "phone"),
        ("card 4539 5787 6362 1486", "card"),
        ("IBAN DE75 5121 0800 1245 1261 99", "iban"),
        ("write to john.doe@example.com or support@acme.com", None),
        ("git@github.com:a/b.git", None),
        ("call (555) 123-4567 or (123) 456-7890", None),
        ("card 4111 1111 1111 1111", None),
        ("import { x } from '@nestjs/graphql'", None),
        ("order 1234567890123456", None),
        ("on 2023-03-28T14:39:45 at 192.168.100.200", None),
        ("pi is 3.14159265358979", None),
    ],
)
def test_personal_data_is_found_and_examples_are_not(text: str, kind: str | None) -> None:
    assert dropped("pii", [answered(text)]) == ({0: kind} if kind else {})


def test_evidence_does_not_repeat_personal_data() -> None:
    texts, _ = frames([answered("write to kim.miller82@gmail.com")])
    assert PersonalData().notice(texts).row(0, named=True)["found"] == "ki…"


# Made up here, put together so that nobody's scanner takes them for real ones.
AWS = "AKIA" + "QX7RT2MZP4LDWV9K"
GITHUB = "gh" + "p_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"
OPENAI = "sk" + "-" + "Qw3eRt5yUi7oPa9sDf1gHj2kLz4xCv6b"
PRIVATE = "-----BEGIN RSA PRIVATE" + " KEY-----\n" + "MIIEpAIBAAKCAQEA7bq9" * 5
URL = "postgresql://" + "kim:Tr0ub4dor@db.internal.net/prod"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (f"my key is {AWS}", "AWS key"),
        (f"token={GITHUB}", "GitHub token"),
        (f"OPENAI_API_KEY={OPENAI}", "OpenAI key"),
        (PRIVATE, "private key"),
        (URL, "connection string"),
        ("sk-XXXXXXXXXXXXXXXXXXXXXXXXXXXXXX", None),
        ("api_key = 'your-api-key-goes-here-please'", None),
        ("AKIAIOSFODNN7EXAMPLE", None),
        ("mongodb://user:password@localhost/db", None),
        ("-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----", None),
        ("class sk-learn-estimator", None),
    ],
)
def test_keys_are_found_and_placeholders_are_not(text: str, kind: str | None) -> None:
    assert dropped("secrets", [answered(text)]) == ({0: kind} if kind else {})


def test_options_are_parsed_by_their_kind() -> None:
    (language,) = choose(["language"], ["keep=en, de", "language.min_score=0.9"])
    assert language.options == {"keep": ("en", "de"), "min_score": 0.9}
    (turns,) = choose(["turns"], ["alternates=false", "min_rounds=2"])
    assert (turns.options["alternates"], turns.options["min_rounds"]) == (False, 2)


@pytest.mark.parametrize(
    ("names", "given", "words"),
    [
        (["refusal"], ["shar=1"], "did you mean 'share'"),
        (["refusal"], ["share=much"], "must be a number"),
        (["refusal", "turns"], ["share=1"], "FILTER.OPTION=VALUE"),
        (["refusal"], ["refusl.share=1"], "did you mean 'refusal'"),
        (["turns"], ["alternates=maybe"], "true or false"),
        (["refusal", "refusal"], [], "named twice"),
        (["pii"], ["kinds=email,fone"], "did you mean 'phone'"),
    ],
)
def test_options_that_make_no_sense_are_refused(names: list[str], given: list[str], words: str) -> None:
    with pytest.raises(BadSettings, match=words):
        choose(names, given)


def test_a_filter_that_does_not_exist_gets_the_nearest() -> None:
    with pytest.raises(UnknownName, match="did you mean 'refusal'"):
        choose(["refusals"], [])


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ([], "has no pipeline"),
        ([{"share": 0.5}], "entry 1: it needs filter"),
        ([{"filter": "refusl"}], "entry 1: no filter named 'refusl'; did you mean 'refusal'"),
        ([{"filter": "turns"}, {"filter": "refusal", "shares": 1}], "entry 2: .*did you mean 'share'"),
        ([{"filter": "refusal", "share": "half"}], "refusal.share must be a number, not 'half'"),
        ([{"filter": "turns", "min_rounds": True}], "must be a whole number"),
        ([{"filter": "turns"}, {"filter": "turns"}], "turns stands twice"),
    ],
)
def test_a_pipeline_that_makes_no_sense_is_refused(entries: list[dict[str, Any]], words: str) -> None:
    with pytest.raises(BadSettings, match=words):
        pipeline(entries, "preferably.toml")
