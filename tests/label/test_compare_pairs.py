"""Which pairs are compared, in which order, and in which part of a split."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from label.comparing.pairing import Answer, Pair, Pairing, Split, pairs_of, plan_pairs, shown_orders
from store.db import Store
from store.errors import BadSettings, RequestError, UnknownName
from store.ids import message_digest, path_digests, uuid_text
from store.selections import write_selection

answers = st.lists(
    st.builds(Answer, st.sampled_from("rstuv"), st.sampled_from(["A", "B", "C", ""])), min_size=2, max_size=8
)
which = st.sampled_from(["random", "all", "first-two"])


@given(answers, which, st.integers(0, 3))
def test_a_pair_stands_once_and_its_order_depends_on_ids(given, which, seed) -> None:
    pairs = pairs_of(given, Pairing(which=which, seed=seed), "p")
    assert len(set(pairs)) == len(pairs)
    assert all(first <= second for first, second in pairs)
    assert all({first, second} <= set(given) for first, second in pairs)
    if which == "all":
        assert len(pairs) == len(set(given)) * (len(set(given)) - 1) // 2
        assert pairs == pairs_of(given[::-1], Pairing(which="all", seed=seed), "p")
    else:
        assert len(pairs) == 1


def test_the_first_two_are_the_first_two_as_they_were_drawn() -> None:
    drawn = [Answer("z", "P"), Answer("b", "P"), Answer("a", "P")]
    assert pairs_of(drawn, Pairing(which="first-two"), "p") == [(Answer("b", "P"), Answer("z", "P"))]


def test_two_equal_draws_are_a_pair_of_their_own() -> None:
    drawn = [Answer("a", "P"), Answer("a", "P")]
    assert pairs_of(drawn, Pairing(which="first-two"), "p") == [(drawn[0], drawn[1])]


def test_random_pairs_follow_the_seed_and_reach_every_pair() -> None:
    drawn = [Answer(name, "P") for name in "abcd"]
    found = {pairs_of(drawn, Pairing(seed=seed), "p")[0] for seed in range(60)}
    assert len(found) == 6
    assert pairs_of(drawn, Pairing(seed=5), "p") == pairs_of(drawn, Pairing(seed=5), "p")


def test_named_policies_meet_one_another_only() -> None:
    drawn = [Answer("a", "P"), Answer("b", "Q"), Answer("c", "R"), Answer("d", "P")]
    pairs = pairs_of(drawn, Pairing(which="all", policies=("P", "Q")), "p")
    assert [{first.policy, second.policy} for first, second in pairs] == [{"P", "Q"}] * 2
    against = pairs_of(drawn, Pairing(which="all", against="R"), "p")
    assert [{first.policy, second.policy} for first, second in against] == [
        {"P", "R"},
        {"Q", "R"},
        {"P", "R"},
    ]
    some = pairs_of(drawn, Pairing(which="all", policies=("Q",), against="R"), "p")
    assert some == [(Answer("b", "Q"), Answer("c", "R"))]


def test_policies_that_gave_the_same_text_are_still_a_pair() -> None:
    drawn = [Answer("a", "P"), Answer("a", "Q")]
    assert pairs_of(drawn, Pairing(policies=("P", "Q")), "p") == [(drawn[0], drawn[1])]


def test_draws_of_a_single_policy_meet_one_another_only() -> None:
    drawn = [Answer("z", "P"), Answer("c", "R"), Answer("b", "P"), Answer("a", "P")]
    pairs = pairs_of(drawn, Pairing(which="first-two", policies=("P",)), "p")
    assert pairs == [(Answer("b", "P"), Answer("z", "P"))]
    assert len(pairs_of(drawn, Pairing(which="all", policies=("P",)), "p")) == 3
    assert pairs_of(drawn, Pairing(policies=("R",)), "p") == []


PAIR = Pair("p", Answer("a", "P"), Answer("b", "Q"))


def test_both_orders_are_shown_unless_one_is_asked_for() -> None:
    assert shown_orders(PAIR, "both") == [(PAIR.first, PAIR.second), (PAIR.second, PAIR.first)]
    assert len(shown_orders(PAIR, "hashed")) == 1
    assert shown_orders(PAIR, "hashed") == shown_orders(PAIR, "hashed")


def test_the_hashed_order_puts_each_response_first_about_half_the_time() -> None:
    firsts = [
        shown_orders(Pair(f"p{number}", PAIR.first, PAIR.second), "hashed")[0][0] for number in range(1000)
    ]
    assert 430 < firsts.count(PAIR.first) < 570
    others = [
        shown_orders(Pair("p", PAIR.first, Answer(f"b{number}", "Q")), "hashed")[0][0]
        for number in range(1000)
    ]
    assert 430 < others.count(PAIR.first) < 570


def test_a_split_gives_every_prompt_exactly_one_part_near_its_share() -> None:
    split = Split.parse("train=0.9,validation=0.1")
    parts = [split.part_of(f"prompt {number}") for number in range(5000)]
    assert set(parts) == {"train", "validation"}
    assert 0.88 < parts.count("train") / len(parts) < 0.92
    assert parts == [split.part_of(f"prompt {number}") for number in range(5000)]
    assert Split().part_of("anything") == "all"


@pytest.mark.parametrize(
    "text", ["", "train", "train=1.5,b=-0.5", "a=0.5,a=0.5", "a=0.5,b=0.4", "a=x", "=1", "a=nan", "a=1,b=0"]
)
def test_shares_that_do_not_add_up_are_refused(text: str) -> None:
    with pytest.raises(BadSettings, match="is no split"):
        Split.parse(text)


def plan(store: Store, **pairing) -> list[Pair]:
    with store.read() as reading:
        return plan_pairs(reading, Pairing(**pairing))


@pytest.fixture
def siblings(tmp_path, write) -> Store:
    asked = [("user", "Name a prime.")]
    later = [*asked, ("assistant", "Two."), ("user", "Another?")]
    return write(
        tmp_path / "siblings.duckdb",
        [
            ("gpt-4", [*asked, ("assistant", "Seven.")]),
            ("gpt-3.5-turbo", [*asked, ("assistant", "Nine.")]),
            ("gpt-4", [*later, ("assistant", "Three.")]),
            ("gpt-3.5-turbo", [*later, ("assistant", "Three.")]),
            ("gpt-4", [("user", "Alone"), ("assistant", "Yes.")]),
        ],
    )


def test_a_selection_says_under_which_prompts_answers_meet(siblings: Store) -> None:
    (root,) = path_digests([("user", "Name a prime.")])
    (alone,) = path_digests([("user", "Alone")])
    with siblings.write() as writing:
        for name, prompt in (("first", root), ("alone", alone)):
            write_selection(
                writing,
                name,
                "prompts",
                f"SELECT CAST('{uuid_text(prompt)}' AS UUID) AS prompt_id, NULL AS part",
                settings={},
                steps={},
                run_id=None,
            )
    assert len(plan(siblings)) > 1
    (pair,) = plan(siblings, prompts="first")
    assert pair.prompt_id == uuid_text(root)
    with pytest.raises(RequestError, match="no prompt of selection alone has two answers"):
        plan(siblings, prompts="alone")
    with pytest.raises(UnknownName, match="no selection named 'frist'; did you mean 'first'"):
        plan(siblings, prompts="frist")


def sample(store: Store, prompt: str, texts: list[str], policy: str = "sft") -> None:
    (root,) = path_digests([("user", prompt)])
    ids = [message_digest(root, "assistant", text) for text in texts]
    messages = {
        digest: {
            "message_id": uuid_text(digest),
            "parent_id": uuid_text(root),
            "role": "assistant",
            "content": text,
            "depth": 1,
        }
        for digest, text in zip(ids, texts, strict=True)
    }
    with store.write() as writing:
        writing.append("messages", list(messages.values()))
        writing.append(
            "samples",
            [
                {
                    "prompt_id": uuid_text(root),
                    "response_id": uuid_text(digest),
                    "sample_index": index,
                    "policy": policy,
                    "sampling": "{}",
                    "finish_reason": "stop",
                }
                for index, digest in enumerate(ids)
            ],
        )


def test_answers_of_conversations_under_one_prompt_are_siblings(siblings) -> None:
    pairs = plan(siblings, which="all")
    assert len(pairs) == 6 + 1
    assert len({pair.prompt_id for pair in pairs}) == 2
    assert [pair.first.response_id == pair.second.response_id for pair in pairs].count(True) == 2
    models = {frozenset((pair.first.policy, pair.second.policy)) for pair in pairs}
    assert frozenset(("gpt-4", "gpt-3.5-turbo")) in models


def test_draws_of_a_policy_meet_in_the_order_they_were_drawn(siblings) -> None:
    sample(siblings, "Alone", ["Maybe.", "Never.", "Maybe."])
    pairs = plan(siblings, which="first-two", policies=(), limit=None)
    drawn = [pair for pair in pairs if pair.first.policy == pair.second.policy == "sft"]
    assert len(drawn) == 1
    assert drawn[0].first.response_id != drawn[0].second.response_id
    against = plan(siblings, which="all", against="gpt-4")
    assert len([pair for pair in against if "sft" in (pair.first.policy, pair.second.policy)]) == 2


def test_what_curate_dropped_is_not_compared(siblings) -> None:
    with siblings.read() as reading:
        dropped = reading.rows(
            "SELECT CAST(conversation_id AS VARCHAR) FROM conversations WHERE model = 'gpt-3.5-turbo'"
        )
    with siblings.write() as writing:
        writing.append(
            "decisions",
            [
                {
                    "target_kind": "conversation",
                    "target_id": conversation_id,
                    "verdict": "drop",
                    "reason": "test",
                    "decided_by": "test",
                    "decided_at": "2026-01-01T00:00:00",
                }
                for (conversation_id,) in dropped
            ],
        )
    pairs = plan(siblings, which="all")
    assert {pair.first.policy for pair in pairs} | {pair.second.policy for pair in pairs} == {"gpt-4"}


def test_samples_and_limits_depend_on_ids_only(siblings) -> None:
    every = plan(siblings, which="all")
    assert plan(siblings, which="all", limit=2) == every[:2]
    drawn = {plan(siblings, sample=1, seed=seed)[0].prompt_id for seed in range(12)}
    assert len(drawn) == 2


def test_a_policy_nobody_knows_gets_the_nearest_one(siblings) -> None:
    with pytest.raises(UnknownName, match="did you mean 'gpt-4'"):
        plan(siblings, policies=("gpt-44", "gpt-3.5-turbo"))


def test_a_store_without_siblings_says_so(store) -> None:
    with pytest.raises(RequestError, match="no prompt has two answers"):
        plan(store)
