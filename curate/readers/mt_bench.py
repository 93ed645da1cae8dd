"""MT-bench: questions, answers of models, and judgments of GPT-4 and of people.

Judgments carry the whole exchange in the prompt that the judge saw, and are read from there. Answers name
their question by id only: give the question file with --with. A judgment of the second turn is about the
second answer, under the model's own first one; the two answers of a pair then have the first question in
common. `error` and -1 are replies that could not be read.
"""

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from curate.format import Format, Match, Sample
from curate.reader import UNDATED, Answer, Draw, Verdict
from curate.readers.drafts import Messages, Refusal, has_any
from curate.readers.fields import Fields, Unreadable, kind_of
from curate.readers.labels import (
    BINARY,
    JUDGE,
    PERSON,
    Around,
    LabelReader,
    Told,
    need_object,
    number_in,
    rated,
)
from curate.readers.turns import turns_in

SCALE = "1-10"
WINNERS = {"model_1": 1.0, "model_2": -1.0, "model_a": 1.0, "model_b": -1.0}
TIES = ("tie", "tie (inconsistent)", "tie (bothbad)")
PEOPLE = ("expert", "author", "arena_user")
"""How people's names begin, in MT-bench and in Chatbot Arena."""
REFERENCE = r"(?:\[The Start of Reference Answer\]\n.*?\n\[The End of Reference Answer\]\n\n)?"
SINGLE = re.compile(
    r"(?s).*?\[Question\]\n(.*?)\n\n" + REFERENCE + r"\[The Start of Assistant's Answer\]\n(.*)\n"
    r"\[The End of Assistant's Answer\]\s*"
)
PAIR = re.compile(
    r"(?s)\[User Question\]\n(.*?)\n\n" + REFERENCE + r"\[The Start of Assistant A's Answer\]\n(.*)\n"
    r"\[The End of Assistant A's Answer\]\n\n\[The Start of Assistant B's Answer\]\n(.*)\n"
    r"\[The End of Assistant B's Answer\]\s*"
)
DIALOGUE = re.compile(
    r"(?s)<\|The Start of Assistant ([AB])'s Conversation with User\|>\n\n(.*?)\n\n"
    r"<\|The End of Assistant \1's Conversation with User\|>"
)
TURN = re.compile(r"(?s)### (User|Assistant [AB]):\n(.*?)(?=\n\n### (?:User|Assistant [AB]):\n|\Z)")


def tell(fields: Fields, around: Around) -> Iterator[Told | Refusal]:
    """What a row is: a judgment, an answer or a question."""
    if "g1_winner" in fields:
        yield _pair(fields)
    elif "user_prompt" in fields:
        yield _single(fields)
    elif "winner" in fields:
        yield _human_pair(fields)
    elif "choices" in fields:
        yield from _answers(fields, around)
    else:
        yield _question(fields)


def _question(fields: Fields) -> Told:
    """The first turn; the later ones need a model's own answer before them and stay in the metadata."""
    turns = fields.see("turns")
    if not isinstance(turns, list) or not turns or not isinstance(turns[0], str):
        raise Unreadable("no turns")
    return Told((("user", turns[0]),), external_id=fields.take_id("question_id"), metadata=fields.rest())


def _answers(fields: Fields, around: Around) -> Iterator[Told]:
    """A conversation for each choice; every answer is a draw."""
    question_id = fields.take_id("question_id")
    asked = around.elsewhere.turns(question_id)
    policy = fields.take_model("model_id") or around.policy
    choices = [need_object(one, "a choice") for one in fields.need_list("choices")]
    rest = fields.rest()
    for place, choice in enumerate(choices):
        said = choice.get("turns")
        if not isinstance(said, list) or not said or not all(isinstance(text, str) for text in said):
            raise Unreadable("a choice has no turns")
        if len(said) > len(asked):
            if not around.elsewhere.has_stand_ins:
                raise Unreadable(f"{len(said)} answers to {len(asked)} questions")
            asked = (
                *asked,
                *(
                    (("user", f"[turn {n + 1} of question {question_id}]"),)
                    for n in range(len(asked), len(said))
                ),
            )
        index = choice.get("index")
        draw = Draw(policy, index if isinstance(index, int) else place)
        told = tuple(
            Answer(text, policy, before=_before(asked, said[:turn]), draws=(draw,))
            for turn, text in enumerate(said)
        )
        yield Told(asked[0], told, (), question_id, len(told) - 1, metadata=rest)


def _before(asked: Sequence[Messages], said: Sequence[str]) -> Messages:
    """What stands between the first question and the answer after those in SAID."""
    return tuple(
        turn
        for text, question in zip(said, asked[1:], strict=False)
        for turn in (("assistant", text), *question)
    )


def _single(fields: Fields) -> Told:
    turns = _seen_alone(fields.need_text("user_prompt"))
    judge, template = _judge_of(fields)
    policy = fields.take_model()
    value = fields.take("score")
    rating = rated(
        None if number_in(value) == -1 else value,
        by=judge,
        kind=JUDGE,
        template=template,
        scale=SCALE,
        explanation=fields.take_text("judgment"),
    )
    answer = Answer(turns[-1][1], policy, ratings=(rating,))
    return Told(turns[:-1], (answer,), (), fields.take_id("question_id"), 0, metadata=fields.rest())


def _judge_of(fields: Fields) -> tuple[str, str]:
    judge = fields.take("judge")
    if isinstance(judge, list) and len(judge) == 2:
        return str(judge[0]), f"mt-bench/{judge[1]}"
    return str(judge), "mt-bench"


def _seen_alone(text: str) -> Messages:
    """The exchange in the prompt of a judge who saw one answer."""
    match = SINGLE.fullmatch(text)
    if match:
        return (("user", match[1]), ("assistant", match[2]))
    return _dialogues(text)["A"]


def _dialogues(text: str) -> dict[str, Messages]:
    """The dialogues in the prompt of a judge who saw two turns, by the assistant's letter.

    Raises Unreadable if there are none of two turns.
    """
    found = {
        match[1]: tuple(
            ("user" if speaker == "User" else "assistant", said.removesuffix("\n"))
            for speaker, said in TURN.findall(match[2])
        )
        for match in DIALOGUE.finditer(text)
    }
    if "A" not in found or any(
        [role for role, _ in turns] != ["user", "assistant"] * 2 for turns in found.values()
    ):
        raise Unreadable("the judge's prompt is not laid out as FastChat does it")
    return found


def _seen_together(text: str) -> tuple[Messages, Messages]:
    match = PAIR.fullmatch(text)
    if match:
        question = ("user", match[1])
        return (question, ("assistant", match[2])), (question, ("assistant", match[3]))
    found = _dialogues(text)
    if "B" not in found:
        raise Unreadable("the judge's prompt shows one conversation only")
    return found["A"], found["B"]


def _pair(fields: Fields) -> Told:
    """Both orders: in the second the models changed places."""
    models = (fields.take_model("model_1"), fields.take_model("model_2"))
    seen = _seen_together(fields.need_text("g1_user_prompt"))
    fields.drop("g2_user_prompt")
    judge, template = _judge_of(fields)
    when = _time_of(fields.take("tstamp"))
    verdicts = []
    for order, (first, second) in ((1, (0, 1)), (2, (1, 0))):
        native = fields.take(f"g{order}_winner")
        margin, state = _outcome(native)
        if order == 2 and margin:
            margin = 0 - margin
        said = fields.take_text(f"g{order}_judgment") or None
        verdicts.append(
            Verdict(
                first, second, judge, JUDGE, template, BINARY, margin, state, str(native), True, said, 0, when
            )
        )
    return _compared(seen, models, tuple(verdicts), fields)


def _human_pair(fields: Fields) -> Told:
    """One person's verdict, about the first answers or about the whole conversations."""
    n_messages = 2 if fields.see("turn") == 1 else None
    seen = [
        turns_in(fields.take(f"conversation_{side}"), f"conversation_{side}")[:n_messages] for side in "ab"
    ]
    if any(not turns or turns[-1][0] != "assistant" for turns in seen):
        raise Unreadable("a conversation does not end with an answer")
    models = (fields.take_model("model_a"), fields.take_model("model_b"))
    judge, template = _judge_of(fields)
    is_person = judge.startswith(PEOPLE)
    native = fields.take("winner")
    margin, state = _outcome(native)
    verdict = Verdict(
        0,
        1,
        judge,
        PERSON if is_person else JUDGE,
        f"{template}/turn-{fields.see('turn')}",
        BINARY,
        margin,
        state,
        str(native),
        True,
        None,
        0,
        _time_of(fields.take("tstamp")),
    )
    return _compared((seen[0], seen[1]), models, (verdict,), fields)


def _outcome(native: object) -> tuple[float | None, str]:
    if native in TIES:
        return 0.0, "tie"
    if isinstance(native, str) and native in WINNERS:
        return WINNERS[native], "win"
    return None, "unparsed"


def _time_of(value: object) -> datetime:
    number = number_in(value)
    return UNDATED if number is None else datetime.fromtimestamp(number, UTC).replace(tzinfo=None)


def _compared(
    seen: Sequence[Messages], models: tuple[str, str], verdicts: tuple[Verdict, ...], fields: Fields
) -> Told:
    """Two conversations that begin with one question."""
    if seen[0][0] != seen[1][0]:
        raise Unreadable(f"the two conversations begin with different questions ({kind_of(seen[0][0][1])})")
    answers = tuple(
        Answer(turns[-1][1], model, before=turns[1:-1]) for turns, model in zip(seen, models, strict=True)
    )
    return Told(seen[0][:1], answers, verdicts, fields.take_id("question_id"), metadata=fields.rest())


MT_BENCH = LabelReader(tell, has_any("question_id"))


def _looks_like(sample: Sample) -> Match | None:
    marks = {
        "g1_winner": "both orders of a pair judgment",
        "user_prompt": "a judge's prompt",
        "conversation_a": "two conversations and a winner",
        "choices": "a model's choices",
        "turns": "the turns of a question",
    }
    for key, why in marks.items():
        share = sample.share("question_id", key)
        if share:
            return Match(share, f"records have `question_id` and {why}")
    return None


FORMAT = Format(
    "MT-bench: questions, answers (with --with QUESTIONS), GPT-4's single and pair judgments, people's verdicts",
    '{"question_id": 81, "model_a": "m", "model_b": "n", "winner": "model_b", "judge": "expert_1", "turn": 1, '
    '"conversation_a": [{"role": "user", "content": "Name a prime."}, {"role": "assistant", "content": "Nine."}], '
    '"conversation_b": [{"role": "user", "content": "Name a prime."}, {"role": "assistant", "content": "Seven."}]}',
    _looks_like,
)
