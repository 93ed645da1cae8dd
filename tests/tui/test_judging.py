import random
import threading

import pytest

from tui.judging.blind import Vote, pair_of
from tui.screens.judge import JudgeScreen


def votes(fake) -> list[Vote]:
    return [entry[1] for entry in fake.saved if entry[0] == "vote"]


def test_a_vote_is_saved_with_sides_seconds_and_hash_and_then_revealed(fake, driving, looking, secrets):
    async def steps(pilot):
        await looking.press(pilot, "b", "u", "k")
        assert "A ✓ acceptable · B ✗ not acceptable" in looking.frame(pilot.app)
        await looking.press(pilot, "2")
        shown = looking.frame(pilot.app)
        assert "your vote: A slightly better" in shown
        assert secrets[0] in shown
        assert secrets[1] in shown

    driving(fake, steps)
    (vote,) = votes(fake)
    prompt, answers = next(iter(fake.sets.items()))
    assert vote.pair == pair_of(prompt, answers, "kim")
    assert (vote.acceptable_a, vote.acceptable_b) == (True, False)
    assert vote.choice.native_label == "a-is-slightly-better"
    assert len(vote.shown_text_hash) == 64
    assert vote.seconds > 0


def test_the_answers_stand_on_the_sides_the_pair_says(fake, driving, looking):
    async def steps(pilot):
        await looking.press(pilot, "b")
        for prompt, answers in fake.sets.items():
            pair = pair_of(prompt, answers, "kim")
            line = next(
                row for row in looking.frame(pilot.app).splitlines() if "one 0" in row or "one 1" in row
            )
            assert line.index(fake.texts[pair.response_a_id]) < line.index(fake.texts[pair.response_b_id])
            await looking.press(pilot, "3", "enter")
        assert "no pair is left to judge" in looking.frame(pilot.app)

    driving(fake, steps)


def test_nothing_that_names_an_author_is_in_any_frame_before_the_vote(fake, driving, looking, secrets):
    marks = {}

    async def steps(pilot):
        marks["from"] = len(pilot.app.frames)
        await looking.press(
            pilot, "b", "u", "i", "j", "k", "tab", "down", "f", "question_mark", "escape", "c"
        )
        await pilot.press(*"hm")
        await looking.press(pilot, "enter", "t", "s", "u", "f", "enter", "backspace")
        await pilot.resize_terminal(100, 40)
        await looking.settle(pilot)
        marks["to"] = len(pilot.app.frames)
        await looking.press(pilot, "1")
        assert secrets[0] in looking.frame(pilot.app)

    app = driving(fake, steps)
    judging = [frame for frame in app.frames[marks["from"] + 1 : marks["to"]] if "Blind judging" in frame[0]]
    assert len(judging) > 10
    for frame in judging:
        text = "\n".join(frame)
        for name in (*secrets, "GPT4", "gpt-4", "7.0"):
            assert name not in text


def test_undo_takes_votes_and_skips_back_in_turn(fake, driving, looking):
    async def steps(pilot):
        await looking.press(pilot, "b", "1", "enter", "s", "5")
        assert "pair 3 of 3" in looking.frame(pilot.app)
        await looking.press(pilot, "backspace")
        assert "pair 3 of 3" in looking.frame(pilot.app)
        await looking.press(pilot, "backspace")
        assert "pair 2 of 3" in looking.frame(pilot.app)
        await looking.press(pilot, "backspace")
        assert "pair 1 of 3 · 0 voted" in looking.frame(pilot.app)
        await looking.press(pilot, "backspace")
        assert "nothing to undo" in looking.frame(pilot.app)

    driving(fake, steps)
    assert [entry[0] if entry[0] != "mark" else entry[2] for entry in fake.saved] == [
        "vote",
        "skip",
        "vote",
        "undo vote",
        "unskip",
        "undo vote",
    ]


def test_a_vote_after_the_reveal_is_told_apart(fake, driving, looking):
    async def steps(pilot):
        await looking.press(pilot, "b", "1", "backspace", "5")

    driving(fake, steps)
    first, second = votes(fake)
    assert first.pair.comparison_id == second.pair.comparison_id
    assert (first.pair.was_revealed, second.pair.was_revealed) == (False, True)


def test_flags_and_comments_are_stored_at_once_and_the_comment_with_the_vote(fake, driving, looking):
    async def steps(pilot):
        await looking.press(pilot, "b", "f")
        assert "⚑ flagged" in looking.frame(pilot.app)
        await looking.press(pilot, "f", "c")
        await pilot.press(*"odd")
        await looking.press(pilot, "enter")
        assert "comment: odd" in looking.frame(pilot.app)
        await looking.press(pilot, "3")

    driving(fake, steps)
    assert [(entry[2], entry[3]) for entry in fake.saved if entry[0] == "mark"] == [
        ("flag", ""),
        ("unflag", ""),
        ("comment", "odd"),
    ]
    assert votes(fake)[0].comment == "odd"


def test_keys_pressed_before_a_pair_has_arrived_do_nothing(fake, driving, looking):
    queue, may_answer = fake.queue, threading.Event()

    def late_queue():
        assert may_answer.wait(10)
        return queue()

    fake.queue = late_queue

    async def steps(pilot):
        await pilot.press("b", "1", "s", "f")
        may_answer.set()
        await looking.settle(pilot)
        assert "pair 1 of 3 · 0 voted" in looking.frame(pilot.app)

    driving(fake, steps)
    assert fake.saved == []


def test_an_empty_queue_says_so(fake, driving, looking):
    fake.sets.clear()

    async def steps(pilot):
        await looking.press(pilot, "b")
        assert "no prompt has two answers" in looking.frame(pilot.app)
        await looking.press(pilot, "1", "s", "f", "c", "enter", "u", "escape")

    driving(fake, steps)
    assert fake.saved == []


@pytest.mark.parametrize("seed", [1, 2])
def test_any_sequence_of_keys_leaves_what_a_simple_model_says(fake, driving, looking, seed):
    """The standing votes are those of the model after random votes, skips, undos and redos."""
    chance = random.Random(seed)
    keys = chance.choices(["1", "3", "5", "s", "enter", "backspace", "backspace", "r", "r", "u"], k=40)
    pairs = fake.queue()
    model: list[tuple[int, str]] = []
    undone: list[tuple[int, str]] = []
    position, is_voted = 0, False
    for key in keys:
        if key == "backspace":
            if model:
                undone.append(model.pop())
                position, is_voted = undone[-1][0], False
        elif key == "r":
            if undone:
                model.append(undone.pop())
                is_voted = model[-1][1] != "s"
                position = model[-1][0] + (not is_voted)
        elif position >= len(pairs):
            continue
        elif key in "135s" and not is_voted:
            model.append((position, key))
            undone.clear()
            is_voted = key != "s"
            position += key == "s"
        elif key == "enter" and is_voted:
            position, is_voted = position + 1, False

    async def steps(pilot):
        await looking.press(pilot, "b")
        await looking.press(pilot, *keys)
        assert isinstance(pilot.app.screen, JudgeScreen)

    driving(fake, steps)
    standing: dict[str, str] = {}
    for entry in fake.saved:
        if entry[0] == "vote":
            standing[entry[1].pair.comparison_id] = entry[1].choice.native_label
        elif entry[0] == "undo vote":
            del standing[entry[1].pair.comparison_id]
    labels = {"1": "a-is-better", "3": "tie", "5": "b-is-better"}
    assert standing == {pairs[at].comparison_id: labels[key] for at, key in model if key != "s"}
