"""Reward models beside people and judges: by the order of their rewards, and by Pearson with ratings."""

import json

import pytest

from label.cli import cli
from store.console import run_command
from store.ids import digest_of, uuid_text

PROMPTS = 20
POLICIES = ("long", "middle", "short")


@pytest.fixture
def scored(tmp_path, write):
    """Twenty prompts, three answers each; ann likes the long one better than the short one, always.

    The reward model gives the long answer most, on four prompts the short one, and on two it can hardly
    tell them apart. A judge rated them like the rewards, one prompt after the other a point higher.
    """
    store = write(
        tmp_path / "scored.duckdb",
        [
            (policy, [("user", f"Question {number}?"), ("assistant", f"{number} " + "x" * length)])
            for number in range(PROMPTS)
            for policy, length in zip(POLICIES, (300, 30, 3), strict=True)
        ],
    )
    with store.read() as reading:
        answers = reading.rows(
            "SELECT CAST(parent_id AS VARCHAR), CAST(message_id AS VARCHAR), CAST(split_part(content, ' ', 1) AS INT),"
            " length(split_part(content, ' ', 2)) FROM messages WHERE role = 'assistant' ORDER BY ALL"
        )
    by_place = {(number, length): (prompt, answer) for prompt, answer, number, length in answers}
    with store.write() as writing:
        writing.append("rewards", [reward(*by_place[place], value_of(*place)) for place in by_place])
        writing.append(
            "ratings", [rating(by_place[place][1], value_of(*place) + place[0]) for place in by_place]
        )
        verdicts = [(by_place[number, 300], by_place[number, 3]) for number in range(PROMPTS)]
        writing.append(
            "comparisons",
            [comparison(prompt, long, short) for (prompt, long), (_, short) in verdicts],
        )
    return store


def value_of(number: int, length: int) -> float:
    place = (3, 30, 300).index(length)
    if number < 4:
        return 2.0 - place
    return 0.5 + 1e-6 * place if number < 6 else float(place)


def reward(prompt: str, response: str, value: float, revision: str = "r1") -> dict[str, object]:
    return {
        "prompt_id": prompt,
        "response_id": response,
        "reward_model": "rm-7b",
        "revision": revision,
        "value": value,
        "n_tokens": 5,
        "is_truncated": False,
        "state": "done",
    }


def rating(response: str, value: float) -> dict[str, object]:
    return {
        "response_id": response,
        "labeler": "gpt-4",
        "labeler_kind": "judge",
        "template": "t",
        "scale": "1-10",
        "aspect": "overall",
        "draw_index": 0,
        "value": value,
        "state": "done",
        "parser_version": "1",
        "created_at": "2026-01-01T00:00:00",
    }


def comparison(prompt: str, long: str, short: str) -> dict[str, object]:
    return {
        "comparison_id": uuid_text(digest_of("p1", prompt)),
        "prompt_id": prompt,
        "response_a_id": long,
        "response_b_id": short,
        "labeler": "ann",
        "labeler_kind": "person",
        "template": "camels5-blind",
        "scale": "camels5",
        "draw_index": 0,
        "native_label": "a-is-better",
        "signed_margin": 1.0,
        "state": "win",
        "parser_version": "1",
        "created_at": "2026-01-01T00:00:00",
    }


def run(store, capsys, command, *options: str):
    words = [command, "--store", str(store.path), "--resamples", "20", *options]
    assert run_command(cli, [*words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def value(measures, name: str, of: str | None = None):
    return next(one["value"] for one in measures if one["measure"] == name and of in (None, one["of"]))


@pytest.mark.parametrize("word", ["rm-7b", "reward-models"])
def test_a_reward_models_verdict_is_the_order_of_its_rewards(scored, capsys, word) -> None:
    found = run(scored, capsys, "agree", "--among", "people", "--against", word)
    assert value(found["measures"], "raw", "micro") == pytest.approx(14 / 20)
    assert value(found["measures"], "tie_discounted", "micro") == pytest.approx((14 + 0.5 * 2) / 20)
    assert found["items"] == 20
    assert "rm-7b" in found["labelers"]


def test_rewards_are_compared_with_ratings_by_pearson(scored, capsys) -> None:
    found = run(scored, capsys, "agree", "--among", "rm-7b", "--against", "judges")["measures"]
    of = "rm-7b : gpt-4, 1-10"
    assert 0 < value(found, "pearson", of) < 0.5  # the prompts' own levels are in it
    assert value(found, "pearson_within_prompts", of) == pytest.approx(1)
    assert value(found, "pearson_over_models", of) == pytest.approx(1)


def test_people_alone_are_measured_as_before(scored, capsys) -> None:
    found = run(scored, capsys, "agree")
    assert found["labelers"] == ["ann"]
    assert not any("rm-7b" in one["of"] for one in found["measures"])


def test_reward_and_length_go_together_prompt_by_prompt_with_a_heatmap(scored, capsys, tmp_path) -> None:
    png = tmp_path / "bias.png"
    (report,) = run(scored, capsys, "bias", "--by", "reward-models", "--png", str(png))["labelers"]
    assert report["labeler"] == "rm-7b"
    r = value(report["measures"], "reward_length_r", "all lengths")
    with scored.read() as reading:
        expected = reading.rows(
            "SELECT avg(r) FROM (SELECT corr(value, length(content)) AS r FROM rewards JOIN messages"
            " ON message_id = response_id GROUP BY rewards.prompt_id)"
        )
    assert r == pytest.approx(expected[0][0])
    assert sum(map(sum, report["heatmap"]["counts"])) == PROMPTS
    assert sum(report["heatmap"]["counts"][-1]) == PROMPTS - 4
    assert png.read_bytes().startswith(b"\x89PNG")
    assert run_command(cli, ["bias", "--by", "rm-7b", "--store", str(scored.path), "--resamples", "20"]) == 0
    assert ", reward and length r 0.5" in capsys.readouterr().out


def test_two_revisions_are_two_labelers_and_a_misspelt_one_gets_the_nearest(scored, capsys) -> None:
    with scored.read() as reading:
        rows = reading.rows(
            "SELECT CAST(prompt_id AS VARCHAR), CAST(response_id AS VARCHAR), value FROM rewards"
        )
    with scored.write() as writing:
        writing.append(
            "rewards", [reward(prompt, response, -given, "r2") for prompt, response, given in rows]
        )
    found = run(scored, capsys, "agree", "--among", "people", "--against", "rm-7b@r2")
    assert value(found["measures"], "raw", "micro") == pytest.approx(4 / 20)
    words = ["--store", str(scored.path), "--among", "people", "--against", "rm-7b@r3"]
    assert run_command(cli, ["agree", *words]) == 2
    assert "did you mean 'rm-7b@r2'" in capsys.readouterr().err
