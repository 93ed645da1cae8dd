from contextlib import contextmanager
from pathlib import Path

import pytest

from tui.outside import page


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
