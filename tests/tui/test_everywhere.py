from contextlib import contextmanager
from pathlib import Path

import pytest

from store import engines
from store.engines import Thrift, be_thrifty
from store.errors import NeedsMemory
from tui.outside import edit, page


async def say(pilot, looking, words):
    await looking.press(pilot, "ctrl+p")
    await pilot.press(*words)
    await looking.settle(pilot)


async def wait_for(pilot, looking, words):
    for _ in range(100):
        if words in looking.frame(pilot.app):
            return
        await pilot.pause(0.05)
    raise AssertionError(f"{words!r} never came:\n{looking.frame(pilot.app)}")


def test_the_palette_goes_to_every_screen_by_name(fake, browse, driving, looking):
    async def steps(pilot):
        await say(pilot, looking, "rejects")
        await wait_for(pilot, looking, "Rejects: records")
        await looking.press(pilot, "enter")
        await wait_for(pilot, looking, "Rejects · rejects")

    driving(fake, steps, browse=browse)


def test_the_palette_offers_no_other_screen_while_one_judges_blind(fake, browse, driving, looking):
    async def steps(pilot):
        await looking.press(pilot, "b", "ctrl+p")
        await wait_for(pilot, looking, "Save a screenshot")
        assert "Go to" not in looking.frame(pilot.app)

    driving(fake, steps, browse=browse, size=(80, 40))


def test_the_palette_over_the_guidelines_offers_no_other_screen_either(fake, browse, driving, looking):
    async def steps(pilot):
        await looking.press(pilot, "b", "v", "ctrl+p")
        await wait_for(pilot, looking, "Save a screenshot")
        assert "Go to" not in looking.frame(pilot.app)

    driving(fake, steps, browse=browse, size=(80, 40))


def test_a_text_is_copied_with_nothing_that_steers_a_terminal(fake, nasty, driving, looking, a_conversation):
    fake.conversations[0] = a_conversation(0, nasty)

    async def steps(pilot):
        await looking.press(pilot, "enter", "y")
        assert "characters copied" in looking.frame(pilot.app)
        copied = pilot.app.clipboard
        assert copied.startswith("question 0 [/nope]")
        assert "⟨U+001B⟩[31m" in copied
        assert not any(character in copied for character in "\x1b\x9b\x07\u202e")

    driving(fake, steps, size=(100, 30))


def test_a_text_is_opened_in_the_pager_and_removed_afterwards(fake, driving, looking, tmp_path, monkeypatch):
    seen = tmp_path / "seen.txt"
    pager = tmp_path / "pager"
    pager.write_text(f'#!/bin/sh\ncat "$1" > {seen}; echo "$1" > {seen}.path\n')
    pager.chmod(0o755)
    monkeypatch.setenv("PAGER", str(pager))

    @contextmanager
    def suspended(_app):
        yield

    monkeypatch.setattr("tui.app.ReviewApp.suspend", suspended)

    async def steps(pilot):
        await looking.press(pilot, "enter", "o")

    driving(fake, steps)
    assert seen.read_text().startswith("question 0")
    assert not Path((tmp_path / "seen.txt.path").read_text().strip()).exists()


@pytest.mark.parametrize(
    ("editor", "asked"), [("vim -N", "-N -R"), ("nano", "-v"), ("other-editor --wait", "--wait")]
)
def test_a_text_is_opened_in_the_editor_to_read_only_on_a_copy_of_ones_own(
    tmp_path, monkeypatch, editor, asked
):
    name, *_ = editor.split()
    program = tmp_path / name
    program.write_text(
        "#!/bin/sh\nfor last; do :; done\n"
        f'echo "$@" > {tmp_path}/asked; stat -c %a "$last" >> {tmp_path}/asked; echo more >> "$last"\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("EDITOR", editor.replace(name, str(program)))
    monkeypatch.delenv("VISUAL", raising=False)
    assert edit("the text") == ""
    words, mode = (tmp_path / "asked").read_text().splitlines()
    path = Path(words.split()[-1])
    assert words == f"{asked} {path}"
    assert mode == "600"
    assert not path.parent.exists()


def test_the_editor_opens_the_text_under_a_name_that_says_nothing_while_one_judges_blind(
    fake, driving, tmp_path, monkeypatch, secrets
):
    editor = tmp_path / "editor"
    editor.write_text(f'#!/bin/sh\necho "$1" > {tmp_path}/seen; cat "$1" >> {tmp_path}/seen\n')
    editor.chmod(0o755)
    monkeypatch.setenv("VISUAL", str(editor))

    @contextmanager
    def suspended(_app):
        yield

    monkeypatch.setattr("tui.app.ReviewApp.suspend", suspended)

    async def steps(pilot):
        await pilot.press("b")
        await pilot.app.workers.wait_for_complete()
        await pilot.pause()
        await pilot.press("e")
        await pilot.pause()

    driving(fake, steps)
    path, text = (tmp_path / "seen").read_text().split("\n", 1)
    assert Path(path).name == "text.txt"
    assert text.startswith(("the left one", "the right one"))
    assert not any(secret in path + text for secret in secrets)


@pytest.mark.parametrize("pager", ["no-such-pager-anywhere", "false"])
def test_a_pager_that_fails_is_said(monkeypatch, pager):
    monkeypatch.setenv("PAGER", pager)
    assert pager in page("text")


def test_a_screenshot_is_saved_where_one_is(fake, driving, looking, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    async def steps(pilot):
        await looking.press(pilot, "ctrl+s")
        assert "✓ saved as review-" in looking.frame(pilot.app)

    driving(fake, steps)
    (picture,) = tmp_path.glob("review-*.svg")
    assert "question" in picture.read_text()


def test_a_question_that_does_not_fit_is_asked_again_with_more_memory(fake, driving, looking):
    queue, asked = fake.queue, []

    def large_queue():
        asked.append(engines.memory())
        if len(asked) == 1:
            raise NeedsMemory("too large")
        return queue()

    fake.queue = large_queue

    async def steps(pilot):
        be_thrifty(Thrift("1MB", 1, 0))
        await looking.press(pilot, "b")
        assert "pair 1 of 3" in looking.frame(pilot.app)

    driving(fake, steps)
    assert asked == ["1MB", engines.MEMORY]
