"""Writes the example world's conversations and its held-out questions, the same ones for the same seed.

    python examples/make_world.py            writes world.json and held_out.json beside this file

`world.json` has the shape of ShareGPT. A small expert class (`gpt-4`) answers well; a larger sub-optimal class
(`gpt-3.5-turbo`) answers the same questions in ways that are known to be bad; and a little dirt of every kind
that real collections have is mixed in. For each of the world's facts one phrasing of the question is kept out
of all conversations; `held_out.json` lists these questions with the right answers.
"""

import json
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from label.offline_world import ATTRIBUTES, CREATURES, PLACES, Creature, Question

HERE = Path(__file__).resolve().parent
SEED = 20
EXPERTS = 250
SUB_OPTIMAL = 1000
ROUNDS = (1, 1, 1, 2, 2, 3)
"""How many rounds a conversation has, each as likely as it is listed."""

USUAL = 0.7
"""How often the sub-optimal class is bad in the way that is usual for the attribute."""

Record = dict[str, object]
Turns = list[tuple[str, str]]

QUESTIONS = {
    "colour": (
        "What colour is the {name}?",
        "Which colour does the {name} have?",
        "Can you tell me the colour of the {name}?",
        "Tell me what colour the {name} is.",
        "Please describe the colour of the {name}.",
        "I want to paint the {name}. Which colour do I need?",
    ),
    "home": (
        "Where does the {name} live?",
        "Where can I find the {name}?",
        "What is the home of the {name}?",
        "Tell me where the {name} lives.",
        "In which place does the {name} live?",
        "Please describe the home of the {name}.",
    ),
    "food": (
        "What does the {name} eat?",
        "Which food does the {name} like?",
        "What should I feed the {name}?",
        "Tell me what the {name} eats.",
        "Can you tell me the diet of the {name}?",
        "Please describe the food of the {name}.",
    ),
    "sound": (
        "What sound does the {name} make?",
        "Which sound comes from the {name}?",
        "What does the {name} sound like?",
        "Tell me what noise the {name} makes.",
        "Can you tell me the sound of the {name}?",
        "Please describe the noise of the {name}.",
    ),
}

FOLLOW_UPS = {
    "colour": ("And what colour is it?", "Which colour does it have?", "Thanks. Tell me what colour it is."),
    "home": ("And where does it live?", "Where can I find it?", "Thanks. Tell me where it lives."),
    "food": ("And what does it eat?", "Which food does it like?", "Thanks. Tell me what it eats."),
    "sound": (
        "And what sound does it make?",
        "Which sound comes from it?",
        "Thanks. Tell me what noise it makes.",
    ),
}
"""Another fact of the same creature."""

SWITCHES = ("And the {name}?", "What about the {name}?", "Thanks. How about the {name}?")
"""The same fact of another creature."""

ANSWERS = {
    "colour": "The {name} is {value}.",
    "home": "The {name} lives {value}.",
    "food": "The {name} eats {value}.",
    "sound": "The {name} makes a {value}.",
}

EXTRAS = {
    "colour": "That colour suits its home {home}.",
    "home": "It finds {food} to eat there.",
    "food": "It looks for them {home}.",
    "sound": "You can hear it {home}.",
}
"""The useful second sentence of a good answer."""

SINGULAR_FOODS = ("moss", "honey")

FRAGMENTS = ("{value}", "maybe {value}", "maybe {value}?", "maybe {value} then")

RAMBLES = {
    "colour": "Well, creatures have colours, and the {name} has one too. {answer} As I said. {answer}",
    "home": "Well, creatures live somewhere, and so does the {name}. {answer} As I said. {answer}",
    "food": "Well, creatures eat things, and so does the {name}. {answer} As I said. {answer}",
    "sound": "Well, creatures make sounds, and so does the {name}. {answer} As I said. {answer}",
}

REFUSALS = (
    "As an AI language model, I cannot say anything about the {name}.",
    "I'm sorry, but as an AI language model I have never met the {name}.",
)

EVASIONS = (
    "That depends on many things. Every {name} is different.",
    "This is an interesting question, and people have asked it for a long time.",
)

SYSTEM_TURN = "You are a guide to the creatures of the valley."


@dataclass
class Draw:
    """A seeded source of choices that keeps the facts evenly used."""

    chance: random.Random
    used: Counter[tuple[str, str]] = field(default_factory=Counter)

    def least_used(self, questions: list[Question]) -> Question:
        """One of the least used of QUESTIONS, counted as used once more."""
        chosen = min(questions, key=lambda question: (self.used[_fact(question)], self.chance.random()))
        self.used[_fact(chosen)] += 1
        return chosen


Answerer = Callable[[Question, random.Random], str]


def all_questions() -> list[Question]:
    """Every fact of the world, as a question."""
    return [Question(creature, attribute) for creature in CREATURES.values() for attribute in ATTRIBUTES]


def held_out_phrasing(question: Question) -> int:
    """The index of the phrasing of QUESTION that no conversation uses."""
    creature_number = list(CREATURES).index(question.creature.name)
    return (creature_number + ATTRIBUTES.index(question.attribute)) % len(QUESTIONS[question.attribute])


def phrased(question: Question, phrasing: int) -> str:
    """The question in words, complete in itself."""
    return QUESTIONS[question.attribute][phrasing].format(name=question.creature.name)


def asked(question: Question, chance: random.Random) -> str:
    """The question in one of the phrasings that conversations use."""
    phrasings = range(len(QUESTIONS[question.attribute]))
    return phrased(question, chance.choice([one for one in phrasings if one != held_out_phrasing(question)]))


def good_answer(question: Question, chance: random.Random) -> str:
    """The right fact in a whole sentence; seven times in eight with a useful second one."""
    answer = statement(question.creature, question.attribute, question.answer)
    return f"{answer} {_extra(question)}" if chance.random() < 7 / 8 else answer


def poor_answer(question: Question, chance: random.Random) -> str:
    """An answer that is bad in the way this attribute usually is, or in another, or now and then not bad."""
    others: tuple[Answerer, ...] = (wrong_answer, _fragment, _ramble, _refusal, _evasion, _plain)
    usual = {"colour": wrong_answer, "home": _ramble, "food": _fragment, "sound": _evasion}[
        question.attribute
    ]
    answer = usual if chance.random() < USUAL else chance.choice(others)
    return answer(question, chance)


def wrong_answer(question: Question, _chance: random.Random) -> str:
    """What would be right of the next creature in the list: the sub-optimal class mixes them up."""
    creatures = list(CREATURES.values())
    start = creatures.index(question.creature) + 1
    values = [creature.fact(question.attribute) for creature in creatures[start:] + creatures[:start]]
    wrong = next(value for value in values if value != question.answer)
    return statement(question.creature, question.attribute, wrong)


def statement(creature: Creature, attribute: str, value: str) -> str:
    """The sentence that says that CREATURE's ATTRIBUTE is VALUE."""
    return ANSWERS[attribute].format(name=creature.name, value=PLACES.get(value, value))


def conversation(draw: Draw, answer: Answerer, rounds: int) -> Turns:
    """A conversation of ROUNDS rounds whose later questions need the earlier ones."""
    question = draw.least_used(all_questions())
    turns = [("human", asked(question, draw.chance))]
    while True:
        turns.append(("gpt", answer(question, draw.chance)))
        if len(turns) == 2 * rounds:
            return turns
        question, words = _next_question(draw, question)
        turns.append(("human", words))


def world_records(seed: int = SEED) -> list[object]:
    """Every record of `world.json`: two classes and the dirt, shuffled, numbered in order."""
    chance = random.Random(seed)
    clean = _class_records(chance, "gpt-4", EXPERTS, good_answer)
    clean += _class_records(chance, "gpt-3.5-turbo", SUB_OPTIMAL, poor_answer)
    records: list[object] = [*clean, *_doubles(clean), *_dirty(chance), *_broken()]
    chance.shuffle(records)
    for number, record in enumerate(records):
        if isinstance(record, dict):
            record["id"] = f"w{number:04d}{record.pop('piece', '')}"
    return _with_pieces_joined_up(records)


def held_out_records() -> list[Record]:
    """The question that no conversation asks in these words, for every fact, with the right answer."""
    return [
        {
            "creature": question.creature.name,
            "attribute": question.attribute,
            "prompt": phrased(question, held_out_phrasing(question)),
            "answer": question.answer,
        }
        for question in all_questions()
    ]


def as_json(records: list[object] | list[Record]) -> str:
    """A JSON array with one record a line."""
    return "[\n" + ",\n".join(json.dumps(record, ensure_ascii=False) for record in records) + "\n]\n"


def main() -> None:
    """Write both files beside this one."""
    (HERE / "world.json").write_text(as_json(world_records()), encoding="utf-8")
    (HERE / "held_out.json").write_text(as_json(held_out_records()), encoding="utf-8")


def _fact(question: Question) -> tuple[str, str]:
    return question.creature.name, question.attribute


def _next_question(draw: Draw, before: Question) -> tuple[Question, str]:
    """A question that follows from BEFORE, in words that leave something out."""
    if draw.chance.random() < 2 / 3:
        others = [Question(before.creature, name) for name in ATTRIBUTES if name != before.attribute]
        question = draw.least_used(others)
        return question, draw.chance.choice(FOLLOW_UPS[question.attribute])
    creatures = [creature for creature in CREATURES.values() if creature != before.creature]
    question = draw.least_used([Question(creature, before.attribute) for creature in creatures])
    return question, draw.chance.choice(SWITCHES).format(name=question.creature.name)


def _extra(question: Question) -> str:
    creature = question.creature
    extra = EXTRAS[question.attribute].format(home=PLACES[creature.home], food=creature.food)
    return extra.replace("them", "it") if creature.food in SINGULAR_FOODS else extra


def _fragment(question: Question, chance: random.Random) -> str:
    return chance.choice(FRAGMENTS).format(value=question.answer)


def _ramble(question: Question, chance: random.Random) -> str:
    answer = _plain(question, chance)
    return RAMBLES[question.attribute].format(name=question.creature.name, answer=answer)


def _refusal(question: Question, chance: random.Random) -> str:
    return chance.choice(REFUSALS).format(name=question.creature.name)


def _evasion(question: Question, chance: random.Random) -> str:
    return chance.choice(EVASIONS).format(name=question.creature.name)


def _plain(question: Question, _chance: random.Random) -> str:
    return statement(question.creature, question.attribute, question.answer)


def _record(turns: Turns, model: str | None, **more: object) -> Record:
    """A record of the ShareGPT shape, its id still to come; MODEL None leaves the label out."""
    record: Record = {"id": ""} if model is None else {"id": "", "model": model}
    return {**record, "conversations": [{"from": role, "value": text} for role, text in turns], **more}


def _class_records(chance: random.Random, model: str, count: int, answer: Answerer) -> list[Record]:
    """COUNT clean conversations of one class; one in fifty opens with a system turn."""
    draw = Draw(chance)
    records = []
    for number in range(count):
        turns = conversation(draw, answer, chance.choice(ROUNDS))
        opening = [("system", SYSTEM_TURN)] if number % 50 == 0 else []
        records.append(_record(opening + turns, model))
    return records


def _doubles(clean: list[Record]) -> list[Record]:
    """Six exact copies of records, and six that differ in spaces and a polite last sentence only."""
    exact = [{**record} for record in clean[10:16]]
    return exact + [
        {**record, "conversations": _restyled(record["conversations"])} for record in clean[20:26]
    ]


def _restyled(turns: object) -> list[dict[str, str]]:
    assert isinstance(turns, list)
    spaced = [{"from": turn["from"], "value": turn["value"].replace(". ", ".  ")} for turn in turns]
    spaced[-1]["value"] += " I hope this helps."
    return spaced


def _dirty(chance: random.Random) -> list[Record]:
    """A few records of each kind of dirt that a reader meets in collected chats.

    Three conversations come in two pieces, as splitters leave them; the last of them lacks the turn between.
    """
    draw = Draw(chance)

    def turns(rounds: int = 1) -> Turns:
        return conversation(draw, good_answer, rounds)

    dirty = [_record(turns(), None) for _ in range(4)]
    dirty += [_record(turns(), "") for _ in range(4)]
    dirty += [_record([*turns(), ("human", "")], "gpt-4") for _ in range(2)]
    dirty += [_record([*turns(), ("human", "Thanks!"), ("gpt", "")], "gpt-3.5-turbo") for _ in range(2)]
    dirty += [_record(turns(2)[:3], "gpt-4") for _ in range(5)]
    dirty += [
        _record([("gpt", "Hello! Ask me about the valley."), *turns()], "gpt-3.5-turbo") for _ in range(2)
    ]
    dirty += [_record(_marked_up(turns(2)), "gpt-4") for _ in range(5)]
    dirty += [_record(_looked_up(*turns()), "gpt-4") for _ in range(3)]
    for base in range(3):
        whole = turns(3)
        next_turn = 3 if base < 2 else 4
        dirty.append(_record(whole[:3], "gpt-4", piece="_0", base=base))
        dirty.append(_record(whole[next_turn:], "gpt-4", piece=f"_{next_turn}", base=base))
    return dirty


def _marked_up(turns: Turns) -> Turns:
    """The same with the markup of a saved page around each answer."""
    return [
        (role, f'<div class="markdown prose"><p>{text}</p></div>' if role == "gpt" else text)
        for role, text in turns
    ]


def _looked_up(asked: tuple[str, str], answered: tuple[str, str]) -> Turns:
    """The same with a tool turn between question and answer."""
    call = json.dumps({"name": "look_up", "arguments": {"question": asked[1]}})
    return [asked, ("function_call", call), ("observation", answered[1].split(". ")[0]), answered]


def _broken() -> list[object]:
    """Records that no reader can take."""
    return [
        {"id": "", "model": "gpt-4"},
        {"id": "", "model": "gpt-4", "conversations": "see attachment"},
        {"id": "", "model": "gpt-4", "conversations": [{"from": "weather", "value": "It rains."}]},
        {"id": "", "model": "gpt-4", "conversations": [{"from": "human", "value": 17}]},
        "this line was never a record",
    ]


def _with_pieces_joined_up(records: list[object]) -> list[object]:
    """The records with both pieces of a cut conversation under one id, each with the index of its first turn."""
    base_ids: dict[object, str] = {}
    for record in records:
        if isinstance(record, dict) and "base" in record:
            whole_id, piece = str(record["id"]).split("_")
            record["id"] = f"{base_ids.setdefault(record.pop('base'), whole_id)}_{piece}"
    return records


if __name__ == "__main__":
    main()
