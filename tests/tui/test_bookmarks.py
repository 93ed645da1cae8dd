"""Bookmarks: durable at the key press, by annotator, and kept as selections."""

import json

import pytest
from click.testing import CliRunner

from curate.bookmarks import Bookmark, keep_bookmarks, read_bookmarks
from curate.cli import cli
from store.db import Store
from store.errors import RequestError
from store.ids import digest_of, path_digests, uuid_text
from store.verify import verify
from tui.answers.browse import StoreBrowse
from tui.answers.store_review import StoreReview
from tui.query import Filter
from tui.screens.conversation import ConversationScreen

PROMPT = uuid_text(path_digests([("user", "one?")])[-1])
FIRST, SECOND = (
    uuid_text(path_digests([("user", "one?"), ("assistant", text)])[-1])
    for text in ("first answer", "second answer")
)


class Session:
    """One annotator's session on a store."""

    def __init__(self, store: Store, annotator: str) -> None:
        self.data = StoreReview(Store(store.path, wait_s=20), annotator)
        while self.data.refresh() != "none":
            pass
        self.browse = StoreBrowse(self.data)

    def toggle(self, kind: str, target_id: str) -> bool:
        return self.browse.toggle_bookmark(Bookmark(kind, target_id, self.data.annotator))

    def cells(self, *, is_everyones: bool = False) -> list[tuple[str, ...]]:
        lines = self.browse.bookmarks(is_everyones=is_everyones).page(0, 100)
        return [(line.cells[0], line.cells[1], *line.cells[3:]) for line in lines]

    def close(self) -> None:
        self.browse.close()
        self.data.close()


@pytest.fixture
def session(store: Store):
    """Opens sessions and closes them."""
    opened: list[Session] = []

    def open_one(annotator: str) -> Session:
        opened.append(Session(store, annotator))
        return opened[-1]

    yield open_one
    for one in opened:
        one.close()


def conversations(store: Store) -> list[str]:
    with store.read() as reading:
        return [
            str(row[0]) for row in reading.rows("SELECT conversation_id FROM conversations ORDER BY line, 1")
        ]


def decide_pair(store: Store, margin: float) -> None:
    with store.write() as writing:
        row = {
            "comparison_id": uuid_text(digest_of("p1", PROMPT, "gpt-4")),
            "prompt_id": PROMPT,
            "response_a_id": FIRST,
            "response_b_id": SECOND,
            "labeler": "gpt-4",
            "labeler_kind": "judge",
            "template": "t",
            "scale": "camels5",
            "draw_index": 0,
            "signed_margin": margin,
            "state": "win" if margin else "tie",
            "parser_version": "1",
            "created_at": "2026-01-01T00:00:00",
        }
        writing.append("comparisons", [row])


def test_a_bookmark_is_set_and_taken_away_and_outlives_the_session(store, session):
    one = conversations(store)[0]
    kim = session("kim")
    assert kim.toggle("conversation", one)
    assert kim.browse.my_bookmarks() == {one}
    assert kim.cells() == [("conversation", "kim", "", "one?")]
    kim.close()
    again = Session(store, "kim")
    assert again.browse.my_bookmarks() == {one}
    assert not again.toggle("conversation", one)
    assert again.cells() == []
    again.close()
    with store.read() as reading:
        assert read_bookmarks(reading) == []
        assert reading.rows("SELECT mark FROM marks ORDER BY version, seq") == [
            ("bookmark",),
            ("unbookmark",),
        ]
    assert "bookmark_target" not in verify(store).problems


def test_bookmarks_are_each_annotators_own_and_seen_by_all(store, session):
    one, two, _ = conversations(store)
    kim, lee = session("kim"), session("lee")
    kim.toggle("conversation", one)
    lee.toggle("conversation", two)
    lee.browse.note_bookmark(Bookmark("conversation", two, "lee"), "odd [/nope]")
    kim.data.drain()
    lee.data.drain()
    assert kim.browse.my_bookmarks() == {one}
    assert {(cell[1], cell[2]) for cell in kim.cells(is_everyones=True)} == {
        ("kim", ""),
        ("lee", "odd [/nope]"),
    }


def test_bookmarks_of_each_kind_become_a_selection_for_other_commands(store, session):
    decide_pair(store, 0.5)
    kim = session("kim")
    (pair,) = kim.browse.pairs(Filter()).page(0, 9)
    kim.toggle("conversation", conversations(store)[0])
    kim.toggle("prompt", PROMPT)
    kim.toggle("pair", pair.key)
    assert {cell[3] for cell in kim.cells()} == {"one?"}
    assert kim.browse.keep_bookmarks("pair", "mine").startswith("✓ 1 pairs are selection mine")
    assert kim.browse.keep_bookmarks("conversation", "talks").startswith("✓ 1 conversations")
    assert kim.browse.keep_bookmarks("prompt", "prompts").startswith("✓ 1 prompts")
    with store.read() as reading:
        rows = reading.rows(
            "SELECT CAST(prompt_id AS VARCHAR), CAST(chosen_id AS VARCHAR) FROM selection_pairs"
        )
        assert rows == [(PROMPT, FIRST)]
        assert reading.rows("SELECT count(*) FROM selection_conversations") == [(1,)]
        assert reading.rows("SELECT CAST(prompt_id AS VARCHAR) FROM selection_prompts") == [(PROMPT,)]
    assert kim.browse.keep_bookmarks("pair", "mine@v1").startswith("✗ ")


def test_a_pair_that_nobody_decided_is_no_training_pair(store, session):
    decide_pair(store, 0.0)
    kim = session("kim")
    (pair,) = kim.browse.pairs(Filter()).page(0, 9)
    kim.toggle("pair", pair.key)
    assert "nobody chose" in kim.browse.keep_bookmarks("pair", "mine")


def test_home_counts_bookmarks_and_leads_to_them_and_labelers_to_their_measures(store, session):
    decide_pair(store, 0.5)
    kim = session("kim")
    kim.toggle("prompt", PROMPT)
    kim.data.drain()
    lines = {line.cells[:3]: line.key for line in kim.browse.home().page(0, 100)}
    assert lines["bookmarks", "kim", "1"].startswith("k:")
    assert lines["judge", "gpt-4", "1"].startswith("m:")


def test_the_command_lists_bookmarks_and_keeps_them_once(store, session):
    kim = session("kim")
    kim.toggle("conversation", conversations(store)[0])
    kim.close()

    def run(*words: str) -> dict[str, object]:
        done = CliRunner().invoke(cli, ["bookmarks", *words, "--json", "--store", str(store.path)])
        assert done.exit_code == 0, done.output
        return json.loads(done.output)

    (listed,) = run()["bookmarks"]
    assert (listed["kind"], listed["annotator"]) == ("conversation", "kim")
    kept = run("--keep", "odd", "--of", "conversations")
    assert (kept["rows"], kept["is_new"]) == (1, True)
    again = run("--keep", "odd", "--of", "conversations")
    assert (again["version"], again["is_new"]) == (kept["version"], False)
    with pytest.raises(RequestError, match="no prompt is bookmarked by kim"):
        keep_bookmarks(store, "prompt", "p", "kim")


def test_one_key_bookmarks_on_every_screen_and_a_star_shows_it(fake, browse, driving, looking):
    async def steps(pilot):
        await looking.press(pilot, "asterisk")
        assert "★ bookmarked" in looking.frame(pilot.app)
        assert "▶★GPT4" in looking.frame(pilot.app)
        await looking.press(pilot, "enter")
        assert isinstance(pilot.app.screen, ConversationScreen)
        assert looking.frame(pilot.app).startswith(" ★ · open")
        await looking.press(pilot, "asterisk")
        assert "taken away" in looking.frame(pilot.app)
        await looking.press(pilot, "escape")
        assert "▶ GPT4" in looking.frame(pilot.app)
        for letter in ("p", "a"):
            await looking.press(pilot, "g", letter, "asterisk")
            assert "▶★" in looking.frame(pilot.app)
        await looking.press(pilot, "g", "p", "enter")
        assert "★ prompt:" in looking.frame(pilot.app)

    driving(fake, steps, browse=browse)
    assert len(browse.marked) == 2


def test_the_list_of_bookmarks_opens_takes_notes_and_keeps_a_selection(fake, browse, driving, looking):
    async def steps(pilot):
        await looking.press(pilot, "g", "k")
        shown = looking.frame(pilot.app)
        assert "Bookmarks · 2 bookmarks" in shown
        assert "s Selection" in shown
        await looking.press(pilot, "down", "enter")
        assert "question 1" in looking.frame(pilot.app)
        await looking.press(pilot, "escape", "n", "end")
        await pilot.press(*"!")
        await looking.press(pilot, "enter", "s")
        await pilot.press(*"odd")
        await looking.press(pilot, "enter")
        assert "✓ kept" in looking.frame(pilot.app)
        await looking.press(pilot, "a", "asterisk")
        assert "only lee changes this one" in looking.frame(pilot.app)

    driving(fake, steps, browse=browse)
    assert browse.asked == [("note conversation", "note!"), ("keep conversation", "odd")]
    assert browse.marked == set()


def test_nothing_is_bookmarked_in_the_past(fake, browse, driving, looking):
    fake.is_read_only = True

    async def steps(pilot):
        await looking.press(pilot, "asterisk")
        assert "nothing can be bookmarked" in looking.frame(pilot.app)

    driving(fake, steps, browse=browse)
    assert browse.marked == set()
