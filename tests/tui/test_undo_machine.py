"""Votes, skips, flags, comments, undo and redo by two annotators in any order, against a model of plain dicts."""

import shutil
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from store.db import Store
from store.ids import path_digests, uuid_text
from tui.answers.store_review import StoreReview
from tui.judging.blind import sided
from tui.judging.protocols import PROTOCOLS
from tui.judging.queue import QueueSettings
from tui.judging.session import Judging, save_act, save_undo
from tui.review_data import PairTexts

N_PROMPTS = 8
TEXTS = PairTexts((), "left", "right")
WHO = st.sampled_from(["kim", "lee"])
BETWEEN_RESTARTS = 100

Key = tuple[str, ...]


Done = tuple[Key, tuple[object, ...] | None]
"""An act: the pair, and the vote as (label, A acceptable, B acceptable, comment, seconds); None for a skip."""


@dataclass
class Model:
    """What one annotator did by one protocol."""

    done: list[Done] = field(default_factory=list)
    undone: list[Done] = field(default_factory=list)
    seen: set[Key] = field(default_factory=set)
    """Pairs whose authors were shown, or of which a later session assumes it."""
    voted: set[Key] = field(default_factory=set)
    """Pairs that were ever voted on."""
    marks: dict[tuple[str, str], str] = field(default_factory=dict)
    """The last flag and the last comment by the id of the comparison."""
    blind: dict[Key, bool] = field(default_factory=dict)
    """Whether the vote that stands was cast blind."""

    def standing(self) -> dict[Key, tuple[object, ...]]:
        return {key: vote for key, vote in self.done if vote is not None}

    def skipped(self) -> set[Key]:
        return {key for key, vote in self.done if vote is None}


@dataclass
class Desk:
    """One annotator's session."""

    data: StoreReview
    judging: Judging
    scale: str


class Sessions(RuleBasedStateMachine):
    """Two annotators at one store."""

    template: Path
    folder: Path
    count = 0

    def __init__(self) -> None:
        super().__init__()
        type(self).count += 1
        self.path = self.folder / f"s{self.count}.duckdb"
        shutil.copyfile(self.template, self.path)
        self.models = {(who, scale): Model() for who in ("kim", "lee") for scale in PROTOCOLS}
        self.desks = {who: self.open(who, "camels5") for who in ("kim", "lee")}
        self.steps = 0
        self.seconds = 0

    def open(self, who: str, scale: str) -> Desk:
        protocol = PROTOCOLS[scale]
        data = StoreReview(Store(self.path, wait_s=30), who, QueueSettings(protocol))
        data.prepare_to_save()
        judging = Judging(data.queue(), protocol, data.judged())
        return Desk(data, judging, scale)

    def model(self, who: str) -> Model:
        return self.models[who, self.desks[who].scale]

    def key(self, pair) -> Key:
        return (pair.prompt_id, pair.response_a_id, pair.response_b_id)

    @rule(who=WHO, step=st.integers(1, 5), is_shown=st.booleans())
    def vote(self, who: str, step: int, is_shown: bool) -> None:
        desk, model = self.desks[who], self.model(who)
        if desk.judging.is_finished or desk.judging.vote is not None:
            return
        pair = desk.judging.pair
        key = self.key(pair)
        assert pair.was_revealed == (key in model.seen)
        self.seconds += 1
        act = desk.judging.cast(step, TEXTS, float(self.seconds))
        save_act(desk.data, act)
        if is_shown:
            desk.judging.reveal(pair)
            model.seen.add(key)
        model.blind[key] = not pair.was_revealed
        model.voted.add(key)
        label = desk.judging.protocol.choices[step].native_label
        said = desk.judging.acceptable
        model.done.append((key, (label, said["a"], said["b"], desk.judging.comment, float(self.seconds))))
        model.undone.clear()
        if not is_shown:
            desk.judging.go_on()

    @rule(who=WHO)
    def skip(self, who: str) -> None:
        desk, model = self.desks[who], self.model(who)
        if desk.judging.is_finished or desk.judging.vote is not None:
            return
        key = self.key(desk.judging.pair)
        save_act(desk.data, desk.judging.skip())
        model.done.append((key, None))
        model.undone.clear()

    @rule(who=WHO)
    def go_on(self, who: str) -> None:
        desk = self.desks[who]
        if desk.judging.vote is not None:
            desk.judging.go_on()
            assert desk.judging.vote is None

    @rule(who=WHO)
    def undo(self, who: str) -> None:
        desk, model = self.desks[who], self.model(who)
        act = desk.judging.undo()
        if not model.done:
            assert act is None
            return
        save_undo(desk.data, act)
        key, label = model.done.pop()
        model.undone.append((key, label))
        assert self.key(act.pair) == key
        assert self.key(desk.judging.pair) == key
        assert desk.judging.vote is None

    @rule(who=WHO)
    def redo(self, who: str) -> None:
        desk, model = self.desks[who], self.model(who)
        act = desk.judging.redo()
        if not model.undone:
            assert act is None
            return
        save_act(desk.data, act, again=True)
        key, label = model.undone.pop()
        model.done.append((key, label))
        assert self.key(act.pair) == key
        if label is not None:
            assert self.key(desk.judging.pair) == key
            assert desk.judging.vote.choice.native_label == label[0]
            model.blind[key] = not act.vote.pair.was_revealed

    @rule(who=WHO)
    def flag(self, who: str) -> None:
        desk, model = self.desks[who], self.model(who)
        if not desk.judging.is_finished:
            pair = desk.judging.pair
            mark = desk.judging.flag()
            desk.data.mark(pair, mark)
            model.marks[pair.comparison_id, "flag"] = mark

    @rule(who=WHO, words=st.sampled_from(["odd", "[/nope]", "\x1b[31m", "ü"]))
    def comment(self, who: str, words: str) -> None:
        desk, model = self.desks[who], self.model(who)
        if not desk.judging.is_finished and desk.judging.vote is None:
            desk.judging.comment = words
            desk.data.mark(desk.judging.pair, "comment", words)
            model.marks[desk.judging.pair.comparison_id, "comment"] = words

    @rule(who=WHO, side=st.sampled_from("ab"), is_acceptable=st.booleans())
    def accept(self, who: str, side: str, is_acceptable: bool) -> None:
        desk = self.desks[who]
        if not desk.judging.is_finished and desk.judging.vote is None:
            desk.judging.accept(side, is_acceptable=is_acceptable)

    @precondition(lambda self: self.steps > BETWEEN_RESTARTS)
    @rule(who=WHO, is_other_protocol=st.booleans())
    def restart(self, who: str, is_other_protocol: bool) -> None:
        """Leave and come back, by the same protocol or the other."""
        self.steps = 0
        scale = self.desks[who].scale
        self.desks[who].data.close()
        if is_other_protocol:
            scale = next(one for one in PROTOCOLS if one != scale)
        self.desks[who] = self.open(who, scale)
        model = self.model(who)
        model.seen |= model.voted
        self.compare(who)

    def compare(self, who: str) -> None:
        """What a new session finds is what the model says, in the store, the queue and the history."""
        desk, model = self.desks[who], self.model(who)
        history = desk.judging.history
        assert [self.told(act) for act in history.done] == model.done
        assert [self.told(act) for act in history.undone] == model.undone
        left = {pair.prompt_id for pair in desk.judging.pairs}
        gone = {key[0] for key in [*model.standing(), *model.skipped()]}
        assert left | gone == self.prompts
        assert not left & gone
        with Store(self.path, wait_s=30).read() as reading:
            votes = reading.rows(
                "SELECT CAST(prompt_id AS VARCHAR), CAST(response_a_id AS VARCHAR), CAST(response_b_id AS VARCHAR),"
                " native_label, acceptable_a, acceptable_b, coalesce(explanation, ''), seconds, template"
                " FROM current_comparisons WHERE labeler = ? AND scale = ? AND state <> 'undone'",
                [who, desk.scale],
            )
            marks = reading.rows(
                "SELECT CAST(target_id AS VARCHAR), replace(mark, 'un', ''), arg_max(coalesce(note, mark), created_at)"
                " FROM marks WHERE annotator = ? AND mark NOT IN ('skip', 'unskip') GROUP BY ALL",
                [who],
            )
        assert {row[:3]: row[3:8] for row in votes} == model.standing()
        assert {row[:3]: row[8].endswith("-blind") for row in votes} == {
            key: model.blind[key] for key in model.standing()
        }
        both = [self.models[who, scale].marks for scale in PROTOCOLS]
        assert {(one, mark): last for one, mark, last in marks} == {**both[0], **both[1]}

    def told(self, act) -> Done:
        vote = act.vote
        if vote is None:
            return self.key(act.pair), None
        said = (vote.choice.native_label, vote.acceptable_a, vote.acceptable_b, vote.comment, vote.seconds)
        return self.key(act.pair), said

    @invariant()
    def what_is_on_the_desk_is_blind_and_on_its_sides(self) -> None:
        self.steps += 1
        type(self).total += 1
        for who, desk in self.desks.items():
            judging, model = desk.judging, self.model(who)
            assert [self.told(act) for act in judging.history.done] == model.done
            assert [self.told(act) for act in judging.history.undone] == model.undone
            if judging.is_finished:
                continue
            pair = judging.pair
            drawn = sided(pair.prompt_id, pair.response_b_id, pair.response_a_id, who, judging.protocol)
            assert self.key(pair) == self.key(drawn)
            assert pair.comparison_id == drawn.comparison_id
            key = self.key(pair)
            assert pair.was_revealed == (key in model.seen)
            if judging.vote is None:
                assert key not in model.standing()
                assert key not in model.skipped()
            else:
                assert model.standing()[key][0] == judging.vote.choice.native_label

    def teardown(self) -> None:
        for who, desk in self.desks.items():
            desk.data.close()
            data = StoreReview(Store(self.path, wait_s=30), who, QueueSettings(PROTOCOLS[desk.scale]))
            self.desks[who] = Desk(data, Judging(data.queue(), data.protocol, data.judged()), desk.scale)
            self.compare(who)
        self.path.unlink()


@pytest.fixture
def machine(tmp_path: Path, store_rows) -> type[Sessions]:
    """The machine over copies of a store of eight prompts with two answers each."""
    store = Store(tmp_path / "template.duckdb")
    talks = [
        ("forum", model, [("user", f"question {number}"), ("assistant", f"{model} to {number}")])
        for number in range(N_PROMPTS)
        for model in ("gpt-4", "gpt-3.5-turbo")
    ]
    store_rows.write_talks(store, talks)
    found = {uuid_text(path_digests([("user", f"question {number}")])[-1]) for number in range(N_PROMPTS)}

    class Here(Sessions):
        template, folder, prompts, total = store.path, tmp_path, found, 0

    return Here


def run(machine: type[Sessions], examples: int, steps: int) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_any_order_of_acts_leaves_what_a_plain_model_says(machine):
    run(machine, 3, 130)
    assert machine.total > 200


@pytest.mark.slow
def test_ten_thousand_acts_leave_what_a_plain_model_says(machine):
    run(machine, 28, 400)
    assert machine.total >= 10_000
