"""What filters skip to be quick changes nothing in what they find."""

import random
import re
from pathlib import Path

import polars as pl
import pytest

from curate.deciding import Caution
from curate.filtering.filter_options import choose
from curate.filtering.filter_run import FilterSettings, filter_store
from curate.filtering.mojibake import MOJIBAKE_MARKS
from curate.filters.byte_scan import texts_with_controls
from curate.filters.encoding_damage import CONTROLS, REPLACEMENT, EncodingDamage
from curate.filters.pii import EMAIL, IBAN_LENGTHS, KINDS, PersonalData, addresses, is_iban
from curate.filters.refusal import CLUES, HEAD_CHARS, REFUSALS, Refusal
from curate.filters.repetition import GRAM_WORDS, RUN, WORD, first_run, repeated_grams
from curate.filters.secret_keys import FORMATS, Secrets
from curate.filters.truncated import DANGLING, LAST_WORD
from curate.ingesting.ingest import IngestSettings, ingest_files
from store.db import Store

BITS = (
    *("\x00", "\x1b", "\x7f", "\r", "\t", "\n", "\n\n", REPLACEMENT, "â€", "Ã©", "Â°", "```", "```py\nf(x"),
    *("@", "a.b@c.de", "x" * 70 + "@ab.com", "me@real-site.org", "a@b.co.x+y@c.de", ".z@", "ü@x.de"),
    *("+49 170 123 4567", "(212) 444-7890", "212-444-7890", "+٤٩ ١٧٠ ١٢٣ ٤٥٦٧", "4539 1488 0343 6467", "1234567890123"),
    *("DE44 5001 0517 5407 3249 31", "AB12 DE44 5001 0517 5407 3249 31", "GB33BUKB20201555555555"),
    *("haha" * 40, "ab" * 31, "x" * 40, "ha-" * 40, "abc" * 29, "哈" * 31, "the same six words come again. " * 12),
    *("I’m sorry, but I can't do that.", "As an AI language model, I cannot", "İ cannot", "Sorry, ı can't"),
    *("sorry\x1ci can't", "I cannot wait", "i\x1fcannot", "sorry, ſo i will not", "抱歉，我无法", "However, here is"),
    *("sk-proj-abcDEF1234567890abcdEFGH", "AKIAABCDEFGHIJKLMNOP", "ghp_" + "aB3" * 13, "hf_" + "aBcDeFgHij" * 4),
    *("postgres://u:passw0rd@h.io", "xoxb-123456789012-abcdefABCDEF"),
    *(" and", " because", "wherethe", " the", "ſhould", "https://x.y/and", "\n3.", " \n", " ", ". ", "word", "，"),
)  # fmt: skip


def made_up(n: int, seed: int = 3) -> list[str]:
    """Texts put together from what filters look for, what is nearly that, and words."""
    draw = random.Random(seed)
    words = [
        "a",
        "short",
        "answer",
        "of",
        "plain",
        "words",
        "that",
        "says",
        "nothing",
        "remarkable",
        "at",
        "all",
        "and",
        "ends",
    ]
    texts = []
    for _ in range(n):
        parts = [
            draw.choice(BITS) if draw.random() < 0.5 else " ".join(draw.choices(words, k=draw.randint(1, 30)))
            for _ in range(draw.randint(0, 14))
        ]
        texts.append(draw.choice(["", " "]).join(parts))
    return texts


def frame(texts: list[str], role: str = "assistant") -> pl.DataFrame:
    rows = {"row": range(len(texts)), "role": [role] * len(texts), "content": texts}
    return pl.DataFrame(rows, schema={"row": pl.Int64, "role": pl.String, "content": pl.String})


def check_all(texts: list[str]) -> None:
    """Every shortcut against the rule said plainly, on every text."""
    control = re.compile("[" + "".join(map(re.escape, CONTROLS)) + "]")
    plain = [i for i, text in enumerate(texts) if control.search(text)]
    assert texts_with_controls(pl.Series(texts, dtype=pl.String)).tolist() == plain

    marks = [REPLACEMENT, *MOJIBAKE_MARKS, *CONTROLS]
    damaged = EncodingDamage().notice(frame(texts)).get_column("row").to_list()
    outside_fences = ["".join(text.split("```")[::2]) for text in texts]
    assert sorted(damaged) == [i for i, prose in enumerate(outside_fences) if any(m in prose for m in marks)]

    for text in texts:
        assert [m.span() for m in addresses(text)] == [m.span() for m in EMAIL.finditer(text)]
        runs = [run and run[0] for run in (first_run(text), RUN.search(text))]
        assert runs[0] == runs[1]
        assert bool(DANGLING.search(text[-LAST_WORD:])) == bool(DANGLING.search(text[-200:]))
        words = WORD.findall(text.lower())
        grams = list(zip(*(words[i:] for i in range(GRAM_WORDS)), strict=False))
        share = (len(grams) - len(set(grams))) / len(grams) if len(grams) >= 20 else 0.0
        assert repeated_grams(text) == share

    declining = Refusal(max_chars=10**6).notice(frame(texts)).get_column("row").to_list()
    asked = [i for i, text in enumerate(texts) if any(clue in text[:HEAD_CHARS].lower() for clue in CLUES)]
    judged = [i for i in asked if REFUSALS.search(texts[i][:HEAD_CHARS])]
    assert set(declining) <= set(judged)
    assert {i for i in judged if Refusal()._judge(texts[i])} == set(declining)

    keys = Secrets().notice(frame(texts)).get_column("row").to_list()
    likely = [i for i, text in enumerate(texts) if any(re.search(known, text) for known in FORMATS.values())]
    assert keys == [i for i in likely if Secrets()._judge(texts[i])]


def check_kinds(texts: list[str]) -> None:
    """A message's kinds of personal data are those that each pattern finds alone."""
    rule = PersonalData()
    found = dict(rule.notice(frame(texts)).select("row", "label").iter_rows())
    for i, label in found.items():
        assert (first := rule._judge(texts[i], set(KINDS))) is not None
        assert first[0] == label
    alone = [set(PersonalData((kind,)).notice(frame(texts)).get_column("row").to_list()) for kind in KINDS]
    assert set.union(*alone) <= set(found)


def test_shortcuts_find_what_the_plain_rules_find_in_made_up_texts() -> None:
    texts = made_up(4_000)
    check_all(texts)
    check_kinds(texts)
    assert len(IBAN_LENGTHS) > 20
    assert is_iban("DE44 5001 0517 5407 3249 31")  # so that one of the bits is an account


@pytest.mark.data
@pytest.mark.slow
def test_shortcuts_find_what_the_plain_rules_find_in_real_texts(shared_data: Path, tmp_path: Path) -> None:
    store = Store(tmp_path / "s.duckdb")
    paths = [
        next(shared_data.rglob(name))
        for name in ("sharegpt92k_stripped.json", "sharegpt_zh_1K_format.jsonl.gz")
    ]
    ingest_files(store, "sharegpt", paths, IngestSettings())
    with store.read() as reading:
        texts = [
            row[0]
            for row in reading.rows("SELECT content FROM messages WHERE hash(content) % 4 = 0 ORDER BY ALL")
        ]
    assert len(texts) > 1_000
    check_all(texts)
    check_kinds(texts)


def test_same_answer_drops_the_same_beside_other_filters_and_alone(tmp_path: Path) -> None:
    path = tmp_path / "talks.json"
    path.write_text(talks(), encoding="utf-8")
    store = Store(tmp_path / "s.duckdb")
    ingest_files(store, "sharegpt", [path], IngestSettings())
    settings = FilterSettings(Caution(is_dry_run=True))
    alone = filter_store(store, choose(["same-answer"], ()), settings)
    beside = filter_store(store, choose(["turns", "same-answer"], ()), settings)
    assert beside.decided.weighed.reasons == alone.decided.weighed.reasons == {"same-answer": 6}
    assert beside.examples["same-answer"] == alone.examples["same-answer"]


def talks() -> str:
    """Six prompts with one answer, four with another, one with a short one many times."""
    import json

    answers = ["I am the very same answer to all of you."] * 6 + [
        "I stand under four prompts only, friend."
    ] * 4
    answers += ["Yes."] * 8
    return json.dumps(
        [
            {
                "id": str(i),
                "conversations": [
                    {"from": "human", "value": f"Question {i}?"},
                    {"from": "gpt", "value": answer},
                ],
            }
            for i, answer in enumerate(answers)
        ]
    )
