"""A small store that has something to show on every screen, and a tour of all of them."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from store.db import Store, Writing
from store.ids import digest_of, path_digests, uuid_text
from tui.answers.browse import StoreBrowse
from tui.answers.store_review import StoreReview
from tui.judging.queue import QueueSettings

Spice = Callable[[str], str]
"""What is done to every text of the store that data or a model could have brought."""

REVERSE = "How do I reverse a list in Python?"
CLEANED = "Write a loop from the last index that appends every element to an empty list."
REVERSED = (
    "Use `reversed(items)` to walk through it backwards, or `items[::-1]` for a new list.",
    "Write a loop that starts at the last index and appends every element to an empty list.",
)
LEAVES = "Why do leaves turn yellow in autumn?"
YELLOW = (
    "The tree takes its chlorophyll back before winter. The yellow was there all summer, under the green.",
    "As an AI language model, I cannot answer questions about trees.",
)
RAIN = "Write one line about rain."
LINES = (
    "Rain writes on the window and wipes it out again.",
    "The gutter is telling the whole street about it.",
    "It rains.",
    "Rain falls, and the rain falls, and rain falls.",
    "Clouds let go of what the sea lent them.",
    "雨が窓をたたく。",
)
WORLD: list[tuple[str, str, list[tuple[str, str]]]] = [
    (
        "sharegpt",
        "gpt-4",
        [
            ("user", REVERSE),
            ("assistant", REVERSED[0]),
            ("user", "And a string?"),
            ("assistant", "A string too: `text[::-1]`."),
        ],
    ),
    ("sharegpt", "gpt-3.5-turbo", [("user", REVERSE), ("assistant", REVERSED[1])]),
    ("sharegpt", "gpt-4", [("user", LEAVES), ("assistant", YELLOW[0])]),
    ("sharegpt", "gpt-3.5-turbo", [("user", LEAVES), ("assistant", YELLOW[1])]),
    (
        "oasst",
        "",
        [("system", "Answer in one line."), ("user", "光合作用是什么?"), ("assistant", "植物用光制造糖。")],
    ),
    ("oasst", "", [("user", "Name a prime above 100."), ("assistant", "101.")]),
]
WHEN = "2026-01-02T10:00:00"
SCALES = {"gpt-4": "xwin4", "lee": "camels5", "kim": "camels5"}
REWARD_MODELS = ("rm-7b", "rm-13b")


@dataclass(frozen=True, slots=True)
class Stop:
    """A screen of the tour."""

    name: str
    keys: tuple[str, ...]
    """What leads there from the stop before."""
    sign: str
    """Words of its own that say it has arrived with its contents."""
    text: str = ""
    """What is typed there afterwards, and sent with Enter."""


TOUR = (
    Stop("conversations", (), "7 conversations"),
    Stop("conversation", ("enter",), "1 of 6"),
    Stop("cleaning", ("escape", "end", "enter", "c"), "✎ changed"),
    Stop("cleaning-lines", ("c",), "after"),
    Stop("conversations-filtered", ("escape", "escape", "slash"), "5 of 7 conversations", "-rating<3"),
    Stop("go", ("g",), "Go to"),
    Stop("home", ("h",), "reward model"),
    Stop("prompts", ("g", "p"), "3 prompts"),
    Stop("responses", ("enter",), "6 responses"),
    Stop("reading", ("home", "enter"), "rank 1"),
    Stop("compare", ("escape", "space", "down", "w"), "only on this side"),
    Stop("pairs", ("escape", "g", "a"), "5 pairs"),
    Stop("pair", ("enter",), "rejected"),
    Stop("decisions", ("escape", "g", "d"), "4 by 3 reasons"),
    Stop("rule", ("enter",), "Bring back"),
    Stop("evidence", ("e",), "evidence"),
    Stop("flags", ("escape", "g", "w"), "1 to be looked at"),
    Stop("bookmarks", ("escape", "g", "k"), "Everyone's"),
    Stop("rejects", ("escape", "g", "r"), "Rejects · 2"),
    Stop("reject", ("enter",), "excerpt"),
    Stop("exports", ("escape", "g", "x"), "Exports · 1"),
    Stop("export-rows", ("enter",), "3 rows"),
    Stop("export-row", ("enter",), "row 0"),
    Stop("faults", ("escape", "f"), "not in the manifest"),
    Stop("sql", ("escape", "g", "s", "slash"), "sharegpt", "FROM sources"),
    Stop("sql-error", ("slash", "ctrl+u"), "no answer", "SELECT x"),
    Stop("find", ("g", "f"), "found in", "rain"),
    Stop("measures", ("escape", "g", "m"), "Measures · 1 of"),
    Stop("measures-order", ("n",), "Measures · 2 of"),
    Stop("judging", ("escape", "b"), "pair 1 of 3"),
    Stop("guidelines", ("v",), "Guidelines camels-1"),
    Stop("comment", ("escape", "c"), "Comment on this pair"),
    Stop("voted", ("escape", "u", "k", "1"), "✓ saved"),
    Stop("finished", ("enter", "s", "s"), "no pair is left"),
    Stop("reason", ("escape", "enter", "d", "r"), "Reason to drop"),
    Stop("help", ("escape", "question_mark"), "Everywhere"),
)
"""Every screen there is, so that the last key of one leads to the next."""


def message_id(*turns: tuple[str, str]) -> str:
    return uuid_text(path_digests(list(turns))[-1])


def fill(store: Store, spice: Spice, talks: Callable[..., list[str]]) -> None:
    """Write the world of this file into STORE, every text changed by SPICE."""
    world = [
        (spice(source), spice(model) if model else "", [(role, spice(content)) for role, content in turns])
        for source, model, turns in WORLD
    ]
    ids = talks(store, world)
    with store.write() as writing:
        _cleaned(writing, spice, ids[1])
        _flag(writing, spice, ids[0])
        _bookmarks(writing, spice, ids)
        _classes(writing, spice)
        _ratings(writing, spice)
        _draws(writing, spice)
        _comparisons(writing, spice)
        _selection(writing, spice)
        _decisions(writing, spice, ids)
        _rejects(writing, spice)
        _runs(writing, spice)


def _cleaned(writing: Writing, spice: Spice, origin: str) -> None:
    """The second conversation as a step of cleaning left it."""
    asked, answer = ("user", spice(REVERSE)), ("assistant", spice(CLEANED))
    path = [message_id(asked), message_id(asked, answer)]
    row = {"message_id": path[1], "parent_id": path[0], "role": "assistant", "content": answer[1], "depth": 1}
    writing.append("messages", [row])
    writing.append(
        "conversations",
        [
            {
                "conversation_id": "00000000-0000-0000-0000-00000000c1ea",
                "leaf_id": path[1],
                "message_ids": path,
                "source_id": uuid_text(digest_of("s1", spice("sharegpt"))),
                "record_numbers": [1],
                "line": 1,
                "byte_offset": 1,
                "reader": "sharegpt",
                "external_id": spice("e1"),
                "model": spice("gpt-3.5-turbo"),
                "occurrence": 0,
                "derived_from": origin,
                "derived_step": spice("tags"),
            }
        ],
    )


def _flag(writing: Writing, spice: Spice, target: str) -> None:
    found = {"benchmark": spice("humaneval"), "item": "7", "method": "words", "score": 0.9, "position": 2}
    writing.append(
        "decisions",
        [
            {
                "target_kind": "conversation",
                "target_id": target,
                "verdict": "undecided",
                "reason": spice("contaminated"),
                "evidence": json.dumps({**found, "found": "reversed(items)"}),
                "decided_by": "decontaminate:words/1",
                "decided_at": WHEN,
                "decider_kind": "filter",
            }
        ],
    )


def _bookmarks(writing: Writing, spice: Spice, ids: list[str]) -> None:
    writing.append(
        "marks",
        [
            {
                "target_kind": kind,
                "target_id": target,
                "mark": "bookmark",
                "note": json.dumps({"note": spice(note)}),
                "annotator": "kim",
                "created_at": WHEN,
            }
            for kind, target, note in (
                ("conversation", ids[2], "for the paper"),
                ("prompt", message_id(("user", spice(RAIN))), "odd rewards"),
            )
        ],
    )


def _classes(writing: Writing, spice: Spice) -> None:
    rows = [("GPT4", 1.0, "*gpt-4*"), ("GPT3", 0.1, "*gpt-3.5*")]
    writing.append(
        "source_classes",
        [
            {"name": spice(name), "condition": spice(name), "weight": weight, "patterns": [pattern]}
            for name, weight, pattern in rows
        ],
    )


def _ratings(writing: Writing, spice: Spice) -> None:
    given = [
        (message_id(("user", spice(question)), ("assistant", spice(answer))), value, why)
        for question, answer, value, why in (
            (REVERSE, REVERSED[0], 9, "Both ways are right, and short."),
            (REVERSE, REVERSED[1], 5, "It works, but nobody would write it."),
            (LEAVES, YELLOW[0], 8, "Right and easy to remember."),
            (LEAVES, YELLOW[1], 1, "It refuses a harmless question."),
        )
    ]
    writing.append(
        "ratings",
        [
            {
                "response_id": response,
                "labeler": spice("gpt-4"),
                "labeler_kind": "judge",
                "template": spice("openchat-appendix-g"),
                "scale": "rating10",
                "aspect": "overall",
                "draw_index": 0,
                "value": value,
                "explanation": spice(why),
                "state": "done",
                "parser_version": "1",
                "created_at": WHEN,
            }
            for response, value, why in given
        ],
    )


def _draws(writing: Writing, spice: Spice) -> None:
    """Six lines about rain, the first drawn twice, the last without a reward."""
    turns = [(("user", spice(RAIN)), ("assistant", spice(line))) for line in LINES]
    prompt, answers = message_id(turns[0][0]), [message_id(*pair) for pair in turns]
    writing.append(
        "messages",
        [
            {"message_id": prompt, "parent_id": None, "role": "user", "content": spice(RAIN), "depth": 0},
            *(
                {
                    "message_id": one,
                    "parent_id": prompt,
                    "role": "assistant",
                    "content": spice(line),
                    "depth": 1,
                }
                for one, line in zip(answers, LINES, strict=True)
            ),
        ],
    )
    writing.append(
        "samples",
        [
            {
                "prompt_id": prompt,
                "response_id": answers[place % len(answers)],
                "sample_index": place,
                "policy": spice("policy-b" if place == 3 else "policy-a"),
                "sampling": "{}",
                "finish_reason": "stop",
                "n_tokens": 12,
            }
            for place in range(len(answers) + 1)
        ],
    )
    writing.append(
        "rewards",
        [
            {
                "prompt_id": prompt,
                "response_id": one,
                "reward_model": spice(model),
                "revision": "main",
                "value": sign * (2.5 - place),
                "state": "done",
            }
            for model, sign in zip(REWARD_MODELS, (1, -0.5), strict=True)
            for place, one in enumerate(answers[:-1])
        ],
    )


def _comparisons(writing: Writing, spice: Spice) -> None:
    given = [
        ("gpt-4", REVERSE, REVERSED, (0.75, -0.75)),
        ("gpt-4", LEAVES, YELLOW, (0.25, 0.25)),
        ("lee", REVERSE, REVERSED, (0.5,)),
    ]
    rows = []
    for labeler, question, answers, margins in given:
        asked = ("user", spice(question))
        first, second = (message_id(asked, ("assistant", spice(answer))) for answer in answers)
        for place, margin in enumerate(margins):
            a, b = (second, first) if place else (first, second)
            rows.append(
                {
                    "comparison_id": uuid_text(digest_of("p1", message_id(asked), a, b, labeler)),
                    "prompt_id": message_id(asked),
                    "response_a_id": a,
                    "response_b_id": b,
                    "labeler": spice(labeler),
                    "labeler_kind": "person" if labeler == "lee" else "judge",
                    "template": spice("pairs"),
                    "scale": SCALES[labeler],
                    "draw_index": 0,
                    "signed_margin": margin,
                    "state": "tie" if margin == 0 else "win",
                    "explanation": spice("One of them helps."),
                    "parser_version": "1",
                    "created_at": WHEN,
                }
            )
    writing.append("comparisons", rows)


def _selection(writing: Writing, spice: Spice) -> None:
    asked = ("user", spice(RAIN))
    best, *others = (message_id(asked, ("assistant", spice(line))) for line in LINES)
    chosen = "00000000-0000-0000-0000-00000000beef"
    writing.append(
        "selections",
        [
            {
                "selection_id": chosen,
                "name": spice("best-of-rain"),
                "kind": "pairs",
                "settings": "{}",
                "at_version": 1,
                "steps": "{}",
                "row_count": 2,
                "created_at": WHEN,
            }
        ],
    )
    writing.append(
        "selection_pairs",
        [
            {
                "selection_id": chosen,
                "prompt_id": message_id(asked),
                "chosen_id": best,
                "rejected_id": other,
                "score_chosen": 2.5,
                "score_rejected": 2.5 - gap,
                "score_gap": gap,
                "rank_chosen": 1,
                "rank_rejected": 2,
                "strength": spice("large"),
                "part": spice("train"),
            }
            for other, gap in zip(others, (1.0, 2.0), strict=False)
        ],
    )


def _decisions(writing: Writing, spice: Spice, ids: list[str]) -> None:
    refusal = {
        "verdict": "drop",
        "reason": "refusal",
        "decided_by": "filter:refusal/1",
        "decider_kind": "filter",
    }
    short = {
        "verdict": "drop",
        "reason": "too short",
        "decided_by": "filter:length/2",
        "decider_kind": "filter",
    }
    kept = {"verdict": "keep", "reason": "a good one", "decided_by": "lee", "decider_kind": "person"}
    said = {"phrase": spice("I cannot"), "turn": 2}
    writing.append(
        "decisions",
        [
            {
                **{
                    name: spice(value) if name in ("reason", "decided_by") else value
                    for name, value in one.items()
                },
                "target_kind": "conversation",
                "target_id": target,
                "evidence": json.dumps(said),
                "decided_at": WHEN,
            }
            for one, target in ((refusal, ids[3]), (refusal, ids[4]), (short, ids[5]), (kept, ids[2]))
        ],
    )


def _rejects(writing: Writing, spice: Spice) -> None:
    writing.append(
        "rejects",
        [
            {
                "source_id": uuid_text(digest_of("s1", spice("oasst"))),
                "sha256": "0" * 64,
                "record_number": number,
                "line": number + 1,
                "byte_offset": 100 * number,
                "reason": spice(reason),
                "excerpt": spice(excerpt),
            }
            for number, reason, excerpt in (
                (12, "no turns", '{"id": 12, "turns": []}'),
                (15, "not JSON", '{"id": 15, "tur'),
            )
        ],
    )


def _runs(writing: Writing, spice: Spice) -> None:
    writing.append(
        "runs",
        [
            {
                "run_id": f"20260102T1{number}0000-{number:06d}",
                "command": spice(command),
                "settings": "{}",
                "software_version": "0",
                "host": "here",
                "pid": 1,
                "state": state,
                "started_at": f"2026-01-02T1{number}:00:00",
                "ended_at": f"2026-01-02T1{number}:05:00",
                "counts": json.dumps({spice("done"): 4, "failed": number}),
                "cost_usd": cost,
            }
            for number, (command, state, cost) in enumerate(
                (
                    ("curate ingest", "finished", None),
                    ("label judge", "finished", 0.12),
                    ("label compare", "failed", 0.4),
                )
            )
        ],
    )


def export_rows(store: Store, spice: Spice, tokenizer: Path) -> None:
    """An export in the working directory, as a recipe of C-RLFT writes it, with one row too many."""
    folder = Path("exports/crlft")
    folder.mkdir(parents=True)
    rows = [
        {
            "conversation_id": f"row-{number}",
            "source_class": spice(source_class),
            "chat_template_kwargs": {"condition": spice(source_class)},
            "messages": [
                {"role": "user", "content": spice(question)},
                {"role": "assistant", "content": spice(answer)},
            ],
            "weight": weight,
        }
        for number, (source_class, weight, question, answer) in enumerate(
            (("GPT4", 1.0, REVERSE, REVERSED[0]), ("GPT3", 0.1, LEAVES, YELLOW[1]), ("GPT3", 0.1, RAIN, ""))
        )
    ]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    settings = {"tokenizer": str(tokenizer), "template": "openchat", "max_length": 4000}
    (folder / "manifest.json").write_text(json.dumps({"recipe": "crlft", "rows": 3, "settings": settings}))
    with store.write() as writing:
        writing.append(
            "exports",
            [
                {
                    "export_id": "00000000-0000-0000-0000-00000000cafe",
                    "recipe": "crlft",
                    "layout": "messages",
                    "settings": json.dumps(settings),
                    "at_version": 1,
                    "path": str(folder),
                    "sha256": "0" * 64,
                    "row_count": 3,
                    "steps": "{}",
                    "created_at": WHEN,
                }
            ],
        )


@pytest.fixture(scope="session")
def make_gallery(byte_tokenizer_maker, store_rows) -> Callable[..., Path]:
    """Makes the gallery's store and files in a folder, every text changed by SPICE."""

    def make(folder: Path, spice: Spice = str) -> Path:
        with working_in(folder):
            byte_tokenizer_maker().save_pretrained(folder / "tokenizer")
            store = Store(folder / "gallery.duckdb", wait_s=20)
            fill(store, spice, store_rows.write_talks)
            export_rows(store, spice, Path("tokenizer"))
        return folder / "gallery.duckdb"

    return make


@contextmanager
def working_in(folder: Path) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield


@pytest.fixture(scope="session")
def tour() -> tuple[Stop, ...]:
    """Every screen."""
    return TOUR


@pytest.fixture(scope="session")
def visit(driving, looking, make_gallery) -> Callable[..., None]:
    """Visits every screen of the real app over the gallery in memory, and looks at each with SEE(pilot, stop)."""

    def visit(
        folder: Path,
        see: Callable[..., object],
        *,
        size: tuple[int, int] = (80, 24),
        spice: Spice = str,
        drive: Callable[..., object] = driving,
    ) -> None:
        path = make_gallery(folder, spice)
        data = StoreReview(Store(path, wait_s=20), "kim", QueueSettings())
        browse = StoreBrowse(data)
        lost: list[str] = []

        async def steps(pilot) -> None:
            for stop in TOUR:
                await looking.press(pilot, *stop.keys)
                if stop.text:
                    await pilot.press(*stop.text)
                    await looking.press(pilot, "enter")
                if stop.sign not in looking.frame(pilot.app):
                    lost.append(f"{stop.name}:\n{looking.frame(pilot.app)}")
                await see(pilot, stop)

        try:
            with working_in(folder):
                drive(data, steps, size=size, browse=browse, store_name="gallery.duckdb")
        finally:
            browse.close()
            data.close()
        assert lost == [], "\n".join(lost)

    return visit
