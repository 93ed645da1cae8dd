import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.db import Store
from store.ids import path_digests, uuid_text
from tui.answers.browse import StoreBrowse
from tui.answers.store_review import StoreReview
from tui.browse_data import PROMPTS
from tui.query import parse_filter
from tui.response_set import ONLY_HERE, Response, marked, ranked
from tui.screens.prompts import PromptsScreen
from tui.screens.response_set import ResponseSetScreen


def a_response(name: str, reward: float | None) -> Response:
    return Response(name, f"text {name}", 0, "", (("rm", reward),) if reward is not None else ())


def test_the_best_reward_comes_first_ties_share_a_rank_and_unscored_ones_come_last():
    found = ranked(
        [a_response("a", 1.0), a_response("b", None), a_response("c", 2.0), a_response("d", 2.00001)], "rm"
    )
    assert [(one.rank, one.is_tied, one.response.response_id) for one in found] == [
        (1, True, "d"),
        (1, True, "c"),
        (3, False, "a"),
        (None, False, "b"),
    ]


@given(st.text("ab \n.", max_size=30), st.text("ab \n.", max_size=30))
def test_marks_show_what_differs_and_change_nothing_else(first: str, second: str) -> None:
    left, right = marked(first, second)
    for mark in ONLY_HERE:
        left, right = left.replace(mark, ""), right.replace(mark, "")
    assert (left, right) == (first, second)
    if first == second:
        assert marked(first, second) == (first, second)


def test_only_the_words_that_differ_are_marked():
    assert marked("the red house", "the blue house") == ("the ⟦red⟧ house", "the ⟦blue⟧ house")


def test_very_long_texts_are_compared_by_lines():
    first = "\n".join(f"line {n}" for n in range(5000))
    left, right = marked(first, first.replace("line 7\n", "line seven\n"))
    assert "⟦line 7⟧\n" in left
    assert "⟦line seven⟧\n" in right
    assert left.count("⟦") == 1


def test_sixty_four_responses_and_more_are_ranked_paged_and_read(fake, browse, driving, looking):
    async def steps(pilot):
        await looking.press(pilot, "g", "p")
        assert isinstance(pilot.app.screen, PromptsScreen)
        assert "prompt 900" in looking.frame(pilot.app)
        await looking.press(pilot, "enter")
        shown = looking.frame(pilot.app)
        assert "70 responses, 139 draws · by rm-one" in shown
        assert "prompt: prompt 900" in shown
        assert "34.000" in shown.splitlines()[3]
        await looking.press(pilot, "end")
        assert "the reply 69 of 70" in looking.frame(pilot.app)
        assert "unranked" in looking.frame(pilot.app)
        await looking.press(pilot, "up")
        assert "rank 68 (tied)" in looking.frame(pilot.app)
        await looking.press(pilot, "r")
        assert "by rm-two" in looking.frame(pilot.app)
        await looking.press(pilot, "home")
        assert "rank 1 · rm-one 0.5000 · rm-two -0.0000" in looking.frame(pilot.app)

    driving(fake, steps, browse=browse, size=(100, 30))


def test_two_responses_are_read_side_by_side_with_their_differences(fake, browse, driving, looking):
    async def steps(pilot):
        await looking.press(pilot, "g", "p", "enter", "w")
        assert "move to another" in looking.frame(pilot.app)
        await looking.press(pilot, "down", "space")
        assert "●2" in looking.frame(pilot.app)
        await looking.press(pilot, "down", "down", "w")
        shown = looking.frame(pilot.app)
        assert "Two responses" in shown
        assert "the reply ⟦67⟧ of 70" in shown
        assert "the reply ⟦65⟧ of 70" in shown
        await looking.press(pilot, "w")
        assert "the reply 67 of 70" in looking.frame(pilot.app)
        await looking.press(pilot, "escape")
        assert isinstance(pilot.app.screen, ResponseSetScreen)
        await looking.press(pilot, "p")
        assert "The prompt" in looking.frame(pilot.app)
        await looking.press(pilot, "escape", "enter")
        assert "A response" in looking.frame(pilot.app)

    driving(fake, steps, browse=browse)


def test_a_wrong_filter_of_prompts_is_explained_in_place(fake, browse, driving, looking):
    async def steps(pilot):
        await looking.press(pilot, "g", "p", "slash")
        await pilot.press(*"response>2")
        await looking.press(pilot, "enter")
        assert "did you mean 'responses'" in looking.frame(pilot.app)
        await looking.press(pilot, "home")
        await pilot.press(*"draws>3 ")
        pilot.app.screen.query_one("#filter").value = "draws>3"
        await looking.press(pilot, "enter")

    driving(fake, steps, browse=browse)
    assert browse.asked[-1] == ("prompts", "draws>3")


@pytest.fixture
def drawn(store: Store, store_rows):
    """The store with draws, two of them the same text, and rewards under the prompt `one?`."""
    prompt = [("user", "one?")]
    path = {
        text: uuid_text(path_digests([*prompt, ("assistant", text)])[-1])
        for text in ("first answer", "drawn")
    }
    prompt_id = uuid_text(path_digests(prompt)[-1])
    with store.write() as writing:
        message = {"parent_id": prompt_id, "role": "assistant", "content": "drawn", "depth": 1}
        writing.append("messages", [{**message, "message_id": path["drawn"]}])
        sample = {"prompt_id": prompt_id, "policy": "policy-x", "sampling": "{}", "finish_reason": "stop"}
        writing.append(
            "samples",
            [
                {**sample, "response_id": path[text], "sample_index": index, "n_tokens": 5}
                for index, text in enumerate(["drawn", "drawn", "first answer"])
            ],
        )
        reward = {"prompt_id": prompt_id, "reward_model": "rm", "revision": "1", "state": "done"}
        writing.append(
            "rewards",
            [
                {**reward, "response_id": path["drawn"], "value": 9.0},
                {**reward, "response_id": path["first answer"], "value": -1.5, "is_truncated": True},
                {**reward, "response_id": path["drawn"], "value": 2.5},
            ],
        )
    return prompt_id


@pytest.fixture
def browsing(store: Store):
    data = StoreReview(store, "kim")
    while data.refresh() != "none":
        pass
    found = StoreBrowse(data)
    yield found
    found.close()
    data.close()


def test_prompts_are_listed_with_responses_draws_and_rewards(browsing, drawn):
    listing = browsing.prompts(parse_filter("", PROMPTS))
    assert [line.cells for line in listing.page(0, 10)] == [("3", "3", "2.500", "4.000", "one?")]
    assert listing.words == "1 prompts"
    assert list(browsing.prompts(parse_filter("draws>3", PROMPTS)).keys) == []
    assert list(browsing.prompts(parse_filter("ONE responses:3", PROMPTS)).keys) == [drawn]
    assert list(browsing.prompts(parse_filter("zebras", PROMPTS)).keys) == []


def test_prompts_follow_the_store_by_newer_versions(browsing, store, store_rows, drawn):
    assert len(browsing.prompts(parse_filter("", PROMPTS)).keys) == 1
    store_rows.write_talks(
        store,
        [("late", "gpt-4", [("user", "new?"), ("assistant", text)]) for text in ("yes", "no")]
        + [("late", "gpt-4", [("user", "one?"), ("assistant", "a fourth")])],
    )
    lines = browsing.prompts(parse_filter("", PROMPTS)).page(0, 10)
    assert [line.cells[0] for line in lines] == ["4", "2"]


def test_a_response_set_folds_duplicates_and_knows_writers_rewards_and_ratings(browsing, drawn):
    found = browsing.response_set(drawn)
    by_text = {one.text: one for one in found.responses}
    assert [turn.content for turn in found.prompt] == ["one?"]
    assert {text: one.n_draws for text, one in by_text.items()} == {
        "first answer": 1,
        "second answer": 0,
        "drawn": 2,
    }
    assert by_text["drawn"].rewards == (("rm", 2.5),)
    assert by_text["first answer"].policies == "policy-x, gpt-4"
    assert by_text["first answer"].is_truncated
    assert by_text["first answer"].ratings == (("gpt-4", 8.0),)
    assert by_text["second answer"].policies == "gpt-3.5-turbo"


def test_a_running_app_shows_what_comes_under_a_prompt(fake, browse, a_response_set, driving, looking):
    key = next(iter(browse.sets))

    async def steps(pilot):
        await looking.press(pilot, "g", "p", "enter")
        assert "70 responses" in looking.frame(pilot.app)
        browse.sets[key] = a_response_set(900, n=71)
        fake.news = 1
        pilot.app.follow()
        await looking.settle(pilot)
        assert "71 responses" in looking.frame(pilot.app)

    driving(fake, steps, browse=browse)
