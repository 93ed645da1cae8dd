"""The screen of agreement and bias: plots of characters, each with its table."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from label.measures import Resampling
from label.trust.agree import AgreeSettings, agree
from label.trust.pairwise import agreement_by_pair
from label.trust.verdict_agreement import AgreementSettings
from store.db import Store
from store.ids import digest_of, uuid_text
from tui.answers import measuring
from tui.answers.measures import StoreMeasures
from tui.answers.measuring import Measuring
from tui.browse_data import MeasureStep
from tui.figures import Figure, Mark, columns_of, lines_of, plot, said

FEW = Resampling(30)
POLICIES = ("llama", "mistral")


def ids(name: str) -> str:
    return uuid_text(digest_of("m1", name))


@pytest.fixture
def judged(store: Store) -> Store:
    """Twelve prompts with an answer of two policies; kim and lee, and a judge in both orders, compared them."""
    rows = []
    with store.write() as writing:
        for number in range(12):
            prompt = ids(f"p{number}")
            first, second = (ids(f"{policy} {number}") for policy in POLICIES)
            texts = [(prompt, None, "user", f"asked {number}", 0)]
            texts += [(first, prompt, "assistant", "short", 1), (second, prompt, "assistant", "long " * 9, 1)]
            names = ("message_id", "parent_id", "role", "content", "depth")
            writing.append("messages", [dict(zip(names, text, strict=True)) for text in texts])
            margin = 1.0 if number % 3 else -1.0
            rows.append(verdict(prompt, first, second, margin, "kim"))
            rows.append(verdict(prompt, first, second, margin if number < 9 else -margin, "lee"))
            rows.append(verdict(prompt, first, second, 0.5, "gpt-4", kind="judge"))
            rows.append(
                verdict(
                    prompt,
                    second,
                    first,
                    0.5 if number % 2 else -0.5,
                    "gpt-4",
                    policies=POLICIES[::-1],
                    kind="judge",
                )
            )
        writing.append("comparisons", rows)
    return store


def verdict(
    prompt: str,
    a: str,
    b: str,
    margin: float,
    labeler: str,
    *,
    policies: tuple[str, str] = POLICIES,
    kind: str = "person",
) -> dict[str, object]:
    return {
        "comparison_id": uuid_text(digest_of("p1", prompt, a, b, labeler)),
        "prompt_id": prompt,
        "response_a_id": a,
        "response_b_id": b,
        "labeler": labeler,
        "labeler_kind": kind,
        "template": "camels5-blind" if kind == "person" else "pair",
        "scale": "camels5",
        "draw_index": 0,
        "signed_margin": margin,
        "state": "win",
        "parser_version": "1",
        "created_at": "2026-01-01T00:00:00",
        "policy_a": policies[0],
        "policy_b": policies[1],
    }


def figures_of(steps: list[MeasureStep]) -> dict[str, Figure]:
    return {one.title: one for step in steps for one in step.measure()}


def starting(figures: dict[str, Figure], words: str) -> Figure:
    return next(one for title, one in figures.items() if title.startswith(words))


def test_the_agreement_of_two_labelers_is_what_the_command_prints(judged):
    settings = AgreementSettings(first=1, resampling=FEW)
    pairs = {(one.first, one.second): one for one in agreement_by_pair(judged, settings)}
    assert set(pairs) == {("gpt-4", "kim"), ("gpt-4", "lee"), ("kim", "lee")}
    report = agree(judged, AgreeSettings(("kim",), ("lee",), agreement=settings))
    printed = {(one.measure, one.of): one for one in report.measures}
    found = pairs["kim", "lee"]
    assert found.raw == printed["raw", "micro"]
    assert found.raw.value == 0.75
    assert found.tie_discounted == printed["tie_discounted", "micro"].value
    assert found.kappa == printed["cohen_kappa", "micro"].value


def test_every_measure_of_a_store_is_a_figure_with_its_table(judged):
    figures = figures_of(StoreMeasures(judged, FEW).steps())
    agreement = starting(figures, "Agreement: two labelers")
    assert [mark.name for mark in agreement.marks] == ["gpt-4 : kim", "gpt-4 : lee", "kim : lee"]
    flips = starting(figures, "Order: how often turning")
    assert [(mark.name, mark.value) for mark in flips.marks] == [("gpt-4", 0.5)]
    longer = starting(figures, "Length")
    assert {mark.name for mark in longer.marks} >= {"people, all lengths", "gpt-4, all lengths"}
    assert [mark.name for mark in starting(figures, "gpt-4: win rate by unique").marks] == list(POLICIES)
    assert starting(figures, "gpt-4 against people").marks[0].name == "all strengths"
    assert [mark.name for mark in starting(figures, "Win rates of the first policy by people").marks] == [
        "llama : mistral"
    ]
    for figure in figures.values():
        cells = {len(line.cells) for line in lines_of(figure)}
        assert cells == {len(columns_of(figure))}


def test_ratings_are_shown_by_class_as_shares(store):
    figure = starting(figures_of(StoreMeasures(store, FEW).steps()), "Ratings by class")
    (mark,) = figure.marks
    assert (mark.group, mark.at, mark.value) == ("GPT4", 6.0, 1.0)
    assert "mean 6.00 of 1" in mark.name


def test_measuring_leaves_no_run_in_the_store(judged):
    figures_of(StoreMeasures(judged, FEW).steps())
    with judged.read() as reading:
        assert reading.rows("SELECT count(*) FROM runs") == [(0,)]


def test_a_process_of_its_own_measures_the_same(judged):
    apart = {step.words: step.measure for step in Measuring(judged).steps()}
    here = {step.words: step.measure for step in StoreMeasures(judged).steps()}
    assert list(apart) == list(here)
    for words in ("agreement of labelers", "ratings by class"):
        assert list(apart[words]()) == list(here[words]())


def test_a_process_of_its_own_looks_at_the_past_that_was_asked_for(judged):
    then = Store(judged.path, at="v1")
    (apart, *_), (here, *_) = Measuring(then).steps(), StoreMeasures(then).steps()
    assert list(apart.measure()) == list(here.measure())
    assert list(apart.measure()) != list(StoreMeasures(judged).steps()[0].measure())


def test_a_process_that_fails_is_a_figure_that_says_so(tmp_path):
    (figure,) = Measuring(Store(tmp_path / "none.duckdb")).steps()[4].measure()
    assert "none.duckdb" in figure.note


def test_what_nobody_waits_for_is_stopped(judged, monkeypatch):
    monkeypatch.setattr(measuring, "COMMAND", ("-c", "import time; time.sleep(600)"))
    apart = Measuring(judged)
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(apart.steps()[0].measure)
        while not waiting.done():
            apart.stop()
        assert waiting.result() == []


def test_a_store_without_verdicts_says_so_in_each_figure(tmp_path):
    store = Store(tmp_path / "empty.duckdb")
    with store.write():
        pass
    figures = figures_of(StoreMeasures(store, FEW).steps())
    assert len(figures) == 6
    assert all(figure.note and not figure.marks for figure in figures.values())


MARKS = tuple(Mark(f"number {place}", place / 40, place / 50, place / 30) for place in range(30))


@pytest.mark.parametrize("first", [0, 7, 29])
def test_a_plot_of_many_intervals_holds_the_one_at_the_cursor(first):
    pytest.importorskip("plotext", reason="plots come with the extra `plots`")
    figure = Figure("many", "intervals", "share", MARKS, span=(0.0, 1.0), guide=0.5)
    drawn = plot(figure, 80, 13, first)
    rows = [line for line in drawn.splitlines() if line[1:2] == "┤"]
    assert len(rows) == 8
    assert figure.letters[first] in [row[0] for row in rows]
    assert max(map(len, drawn.splitlines())) <= 80
    assert "\x1b" not in drawn


def test_bars_of_two_classes_have_two_letters_and_their_table_the_same():
    pytest.importorskip("plotext", reason="plots come with the extra `plots`")
    marks = [
        Mark(name, share, at=at, group=name)
        for name, share in (("GPT4", 0.75), ("GPT3", 0.25))
        for at in (3.0, 9.0)
    ]
    figure = Figure("ratings", "bars", "rating", tuple(marks), value_name="share")
    assert [line.cells for line in lines_of(figure)] == [
        ("a", "3", "0.750", "GPT4"),
        ("a", "9", "0.750", "GPT4"),
        ("b", "3", "0.250", "GPT3"),
        ("b", "9", "0.250", "GPT3"),
    ]
    rows = [line for line in plot(figure, 60, 12).splitlines() if "a" in line and "b" in line]
    assert rows


def test_nothing_to_plot_is_said_in_words():
    assert plot(said("title", "nobody compared anything"), 80, 10) == "nobody compared anything"


@pytest.mark.parametrize("size", [(80, 24), (160, 50)])
def test_figures_are_turned_by_keys_and_stand_beside_their_table_where_there_is_room(
    fake, browse, driving, looking, size
):
    pytest.importorskip("plotext", reason="plots come with the extra `plots`")

    async def steps(pilot):
        await looking.press(pilot, "g", "m")
        shown = looking.frame(pilot.app)
        assert "Measures · 1 of 2 · agreement" in shown
        line = next(line for line in shown.splitlines() if "kim : lee" in line)
        assert ("┤" in line or "│" in line or "┌" in line or "─" in line) == (size[0] == 160)
        assert "|" in shown
        assert "n Next" in shown.splitlines()[-1]
        await looking.press(pilot, "n")
        assert "2 of 2 · ratings" in looking.frame(pilot.app)
        await looking.press(pilot, "n")
        assert "no more figures" in looking.frame(pilot.app)
        await looking.press(pilot, "p", "r")
        assert "1 of 2" in looking.frame(pilot.app)

    driving(fake, steps, browse=browse, size=size)


def test_a_table_longer_than_the_plot_moves_the_plot_with_the_cursor(fake, browse, driving, looking):
    pytest.importorskip("plotext", reason="plots come with the extra `plots`")
    figure = Figure("many", "intervals", "share", MARKS, span=(0.0, 1.0))
    browse.measures = lambda: [MeasureStep("all", lambda: [figure])]

    async def steps(pilot):
        await looking.press(pilot, "g", "m")
        assert "h┤" not in looking.frame(pilot.app)
        await looking.press(pilot, "end")
        assert "d┤" in looking.frame(pilot.app)

    driving(fake, steps, browse=browse)
