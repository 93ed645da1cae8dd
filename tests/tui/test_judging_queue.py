from hypothesis import given
from hypothesis import strategies as st

from store.db import Store
from store.ids import digest_of, path_digests, uuid_text
from store.selections import write_selection
from tui.answers.store_review import StoreReview
from tui.browse_data import PAIRS
from tui.judging.blind import BlindPair, Vote, sided
from tui.judging.protocols import CAMELS, XWIN
from tui.judging.queue import (
    KNOWN_EVERY,
    QueueSettings,
    Standing,
    is_shared,
    pairs_of_sets,
    pairs_of_triples,
    with_known,
)
from tui.query import parse_filter
from tui.screens.help import GuidelinesScreen

IDS = [f"00000000-0000-0000-0000-{number:012d}" for number in range(400)]


def test_the_share_that_everybody_judges_is_met_and_the_same_for_all():
    shared = [one for one in IDS if is_shared(one, 0.25)]
    assert 70 < len(shared) < 130
    assert not any(is_shared(one, 0.0) for one in IDS)
    assert all(is_shared(one, 1.0) for one in IDS)
    sets = dict.fromkeys(IDS[10:], IDS[:5])
    settings = QueueSettings(double=0.25)
    kim, lee = (
        {pair.prompt_id: pair for pair in pairs_of_sets(sets.items(), name, settings, IDS[10:])}
        for name in ("kim", "lee")
    )
    assert set(kim) == set(lee) == {one for one in shared if one in sets}
    for one, pair in kim.items():
        assert {pair.response_a_id, pair.response_b_id} == {lee[one].response_a_id, lee[one].response_b_id}
    assert any(pair.response_a_id != lee[one].response_a_id for one, pair in kim.items())


def test_what_is_not_shared_is_left_to_whoever_judged_it_first():
    sets = dict.fromkeys(IDS[10:60], IDS[:2])
    found = pairs_of_sets(sets.items(), "kim", QueueSettings(double=0.0), IDS[10:40])
    assert {pair.prompt_id for pair in found} == set(IDS[40:60])
    assert len(pairs_of_sets(sets.items(), "kim", QueueSettings(), IDS[10:40])) == 50


@given(st.integers(0, 60), st.integers(0, 8))
def test_known_pairs_are_mixed_in_one_in_ten_and_nothing_is_lost(n: int, n_known: int) -> None:
    pairs = pairs_of_triples([(one, IDS[0], IDS[1]) for one in IDS[10 : 10 + n]], "kim", CAMELS)
    known = pairs_of_triples([(one, IDS[0], IDS[1]) for one in IDS[200 : 200 + n_known]], "kim", CAMELS)
    mixed = with_known(pairs, known, "kim")
    assert sorted(mixed, key=str) == sorted([*pairs, *known], key=str)
    assert [pair for pair in mixed if pair in pairs] == pairs
    for number, pair in enumerate(known):
        if len(pairs) >= (number + 1) * (KNOWN_EVERY - 1):
            assert number * KNOWN_EVERY <= mixed.index(pair) < (number + 1) * KNOWN_EVERY


def test_agreement_counts_a_tie_half_and_known_answers_count_by_side():
    standing = Standing()
    standing.take(("p", "x", "y"), 1.0)
    standing.take(("p", "y", "x"), -0.5, "lee")
    standing.take(("q", "x", "y"), 0.0)
    standing.take(("q", "x", "y"), 1.0, "lee")
    standing.known = {("p", "x", "y"): -1.0}
    assert standing.words() == "2 judged · agreement with others 0.75 over 2 · known answers 0 of 1"
    standing.take(("q", "x", "y"), None)
    standing.take(("p", "x", "y"), None, "lee")
    assert standing.words() == "1 judged · known answers 0 of 1"


def test_xwin_has_four_strengths_on_each_side_and_no_tie():
    margins = [XWIN.choices[key].signed_margin for key in range(1, 9)]
    assert margins == [1.0, 0.75, 0.5, 0.25, -0.25, -0.5, -0.75, -1.0]
    assert (
        BlindPair("p", "a", "b", "kim", protocol=XWIN).comparison_id
        != BlindPair("p", "a", "b", "kim").comparison_id
    )


def test_xwin_is_judged_with_eight_keys_and_its_guidelines_are_a_key_away(fake, driving, looking):
    fake.protocol = XWIN.with_guidelines("Be kind.\x1b[31m [/nope]")

    async def steps(pilot):
        await looking.press(pilot, "b")
        shown = looking.frame(pilot.app)
        assert "8 significantly" in shown
        await looking.press(pilot, "v")
        assert isinstance(pilot.app.screen, GuidelinesScreen)
        assert "Guidelines xwin4-" in looking.frame(pilot.app)
        assert "Be kind.⟨U+001B⟩[31m [/nope]" in looking.frame(pilot.app)
        await looking.press(pilot, "escape", "9", "7")
        assert "your vote: B better" in looking.frame(pilot.app)

    driving(fake, steps)
    ((_, vote),) = fake.saved
    assert vote.choice.native_label == "b-is-better"
    assert vote.pair.protocol.guideline_version.startswith("xwin4-")


def test_a_key_that_the_protocol_does_not_have_is_no_vote(fake, driving, looking):
    async def steps(pilot):
        await looking.press(pilot, "b", "8", "6", "9")
        assert "0 voted" in looking.frame(pilot.app)

    driving(fake, steps)
    assert fake.saved == []


PROMPT, OTHER = (uuid_text(path_digests([("user", text)])[-1]) for text in ("one?", "two?"))
FIRST, SECOND = (
    uuid_text(path_digests([("user", "one?"), ("assistant", text)])[-1])
    for text in ("first answer", "second answer")
)


def compare(store: Store, a: str, b: str, margin: float, labeler: str, *, kind: str = "judge") -> None:
    with store.write() as writing:
        row = {
            "comparison_id": uuid_text(digest_of("p1", PROMPT, a, b, labeler)),
            "prompt_id": PROMPT,
            "response_a_id": a,
            "response_b_id": b,
            "labeler": labeler,
            "labeler_kind": kind,
            "template": "t",
            "scale": "camels5",
            "draw_index": 0,
            "signed_margin": margin,
            "state": "win" if margin else "tie",
            "parser_version": "1",
            "created_at": "2026-01-01T00:00:00",
        }
        writing.append("comparisons", [row])


def reward(store: Store, response_id: str, value: float) -> None:
    row = {
        "prompt_id": PROMPT,
        "response_id": response_id,
        "reward_model": "rm",
        "revision": "1",
        "state": "done",
    }
    with store.write() as writing:
        writing.append("rewards", [{**row, "value": value}])


def queue_of(store: Store, settings: QueueSettings) -> list[BlindPair]:
    data = StoreReview(Store(store.path, wait_s=20), "kim", settings)
    try:
        return data.queue()
    finally:
        data.close()


EXPECTED = sided(PROMPT, FIRST, SECOND, "kim")


def test_disagreement_finds_orders_labelers_and_rewards_that_contradict(store):
    settings = QueueSettings(kind="disagreement")
    compare(store, FIRST, SECOND, 1.0, "gpt-4")
    reward(store, FIRST, 2.0)
    reward(store, SECOND, 1.0)
    assert queue_of(store, settings) == []
    reward(store, SECOND, 3.0)
    assert queue_of(store, settings) == [EXPECTED]
    reward(store, SECOND, 1.0)
    assert queue_of(store, settings) == []
    compare(store, FIRST, SECOND, -0.5, "lee", kind="person")
    assert queue_of(store, settings) == [EXPECTED]
    compare(store, FIRST, SECOND, 0.5, "lee", kind="person")
    compare(store, SECOND, FIRST, 1.0, "gpt-4")
    assert queue_of(store, settings) == [EXPECTED]


def test_uncertain_pairs_are_the_two_best_by_a_reward_model(store):
    reward(store, FIRST, 2.0)
    assert queue_of(store, QueueSettings(kind="uncertain")) == []
    reward(store, SECOND, 1.0)
    assert queue_of(store, QueueSettings(kind="uncertain")) == [EXPECTED]


def test_a_filter_of_pairs_makes_a_queue(store):
    compare(store, FIRST, SECOND, 0.5, "gpt-4")
    assert queue_of(store, QueueSettings(pairs=parse_filter("labeler:gpt-4 gap<0.6", PAIRS))) == [EXPECTED]
    assert queue_of(store, QueueSettings(pairs=parse_filter("gap>0.6", PAIRS))) == []


def test_known_pairs_leave_the_queue_when_judged_and_agreement_is_live(store):
    with store.write() as writing:
        row = (
            f"SELECT '{PROMPT}'::UUID AS prompt_id, '{FIRST}'::UUID AS chosen_id, '{SECOND}'::UUID AS rejected_id,"
            " NULL AS score_chosen, NULL AS score_rejected, NULL AS score_gap, NULL AS rank_chosen,"
            " NULL AS rank_rejected, NULL AS strength, NULL AS part"
        )
        write_selection(writing, "known", "pairs", row, settings={}, steps={}, run_id=None)
    settings = QueueSettings(kind="disagreement", calibration="known")
    data = StoreReview(Store(store.path, wait_s=20), "kim", settings)
    (pair,) = data.queue()
    assert pair == EXPECTED
    step = 1 if pair.response_a_id == FIRST else 5
    data.vote(Vote(pair, CAMELS.choices[step], None, None, "", 1.0, "hash"))
    assert data.pair_authors(pair).standing == "1 judged · known answers 1 of 1"
    compare(store, SECOND, FIRST, 0.5, "lee", kind="person")
    assert "agreement with others 0.00 over 1" in data.pair_authors(pair).standing
    compare(store, SECOND, FIRST, -0.5, "lee", kind="person")
    assert "agreement with others 1.00 over 1" in data.pair_authors(pair).standing
    data.close()
    assert queue_of(store, settings) == []
