"""The example world: sixteen made-up creatures, four facts about each, and the rule that grades answers.

Nothing here is true outside the world. What makes it useful is that the right answer to every question is
known, so that quality can be checked without a model: `examples/make_world.py` writes conversations about
the creatures, and the `offline` judge grades them by `rate`. Whatever the rule cannot read as a question
about one creature and one fact it refuses to grade.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from store.errors import BadInput

ATTRIBUTES = ("colour", "home", "food", "sound")


@dataclass(frozen=True, slots=True)
class Creature:
    """One creature and its four facts, each a word of `VALUES`."""

    name: str
    colour: str
    home: str
    food: str
    sound: str

    def fact(self, attribute: str) -> str:
        """The creature's value of ATTRIBUTE."""
        return {"colour": self.colour, "home": self.home, "food": self.food, "sound": self.sound}[attribute]


VALUES: dict[str, tuple[str, ...]] = {
    "colour": ("red", "blue", "green", "white", "black", "grey", "amber", "violet"),
    "home": ("caves", "marshes", "cliffs", "orchards", "bridges", "haystacks", "wells", "rooftops"),
    "food": ("moss", "plums", "beetles", "seeds", "honey", "reeds", "snails", "acorns"),
    "sound": ("hum", "click", "whistle", "purr", "rattle", "chirp", "hoot", "hiss"),
}
"""Every value an attribute can have; no word belongs to two attributes."""

PLACES = {
    "caves": "in caves",
    "marshes": "in marshes",
    "cliffs": "on cliffs",
    "orchards": "in orchards",
    "bridges": "under bridges",
    "haystacks": "in haystacks",
    "wells": "in wells",
    "rooftops": "on rooftops",
}
"""How a home is said in a sentence."""

CREATURES: dict[str, Creature] = {
    creature.name: creature
    for creature in (
        Creature("marlo", "amber", "caves", "moss", "hum"),
        Creature("tindle", "blue", "orchards", "plums", "whistle"),
        Creature("quessel", "white", "cliffs", "seeds", "hoot"),
        Creature("brunt", "grey", "bridges", "snails", "rattle"),
        Creature("dovrin", "violet", "marshes", "reeds", "chirp"),
        Creature("lumpet", "green", "wells", "beetles", "click"),
        Creature("parrick", "red", "rooftops", "acorns", "hiss"),
        Creature("sorrel-cat", "black", "haystacks", "honey", "purr"),
        Creature("wimbrel", "green", "marshes", "plums", "hoot"),
        Creature("gorse-pup", "amber", "haystacks", "snails", "chirp"),
        Creature("fennick", "blue", "cliffs", "moss", "hiss"),
        Creature("hobbin", "red", "wells", "seeds", "purr"),
        Creature("jessamer", "violet", "orchards", "honey", "hum"),
        Creature("kettlewing", "black", "rooftops", "beetles", "whistle"),
        Creature("mopple", "white", "caves", "acorns", "click"),
        Creature("nessick", "grey", "marshes", "seeds", "rattle"),
    )
}

CUES: dict[str, tuple[str, ...]] = {
    "colour": ("colour", "colours", "coloured", "color", "shade"),
    "home": ("home", "live", "lives", "find", "found", "place"),
    "food": ("food", "eat", "eats", "feed", "diet"),
    "sound": ("sound", "sounds", "noise", "noises"),
}
"""The words by which a question asks for an attribute."""

REFUSALS = ("as an ai", "language model", "i'm sorry", "i am sorry", "i cannot", "i can't", "not able to")

LONGEST_GOOD_ANSWER = 40
"""Words; a longer answer to one of these questions is rambling."""

CURT = 3
"""Words; a first sentence of so few is a fragment."""

WORD = re.compile(r"[a-z]+(?:[-'][a-z]+)*")
SENTENCE = re.compile(r"[^.!?\n]+[.!?]?")
MARKUP = re.compile(r"</?[a-z][^>]*>|&[a-z]+;", re.IGNORECASE)

Turn = tuple[str, str]
"""A role of the store and the content."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked: one creature and one attribute."""

    creature: Creature
    attribute: str

    @property
    def answer(self) -> str:
        """The right value, one word of `VALUES`."""
        return self.creature.fact(self.attribute)


def question_of(prompt_messages: Sequence[Turn]) -> Question:
    """The question that the last user turn asks; what it leaves out is taken from the turns before.

    Raises BadInput if the prompt is no question about this world.
    """
    asked = [WORD.findall(content.lower()) for role, content in prompt_messages if role == "user"]
    if not asked or prompt_messages[-1][0] == "assistant":
        raise BadInput("the offline judge has no rule for a prompt that asks nothing")
    names = [CREATURES.keys() & words for words in asked]
    attributes = [_asked_for(words) for words in asked]
    if not names[-1] and not attributes[-1]:
        raise BadInput("the offline judge has no rule for this prompt; it grades the example world only")
    return Question(CREATURES[_latest(names, "creature")], _latest(attributes, "fact"))


def right_answer(prompt_messages: Sequence[Turn]) -> str:
    """The right value for the question that the prompt ends with.

    Raises BadInput if the prompt is no question about this world.
    """
    return question_of(prompt_messages).answer


def is_right(prompt_messages: Sequence[Turn], response: str) -> bool:
    """Whether the response states the right value and no other.

    Raises BadInput if the prompt is no question about this world.
    """
    question = question_of(prompt_messages)
    return _stated(_words(response), question.attribute) == {question.answer}


def rate(prompt_messages: Sequence[Turn], response: str) -> tuple[int, str]:
    """The rating of the response, 1 to 10, and one sentence that says why.

    Right answers in a whole sentence get 8 to 10, right ones spoilt by an error in what was added 6, everything
    else 1 to 4; left-over markup costs one more.
    Raises BadInput if the prompt is no question about this world.
    """
    question = question_of(prompt_messages)
    plain = MARKUP.sub(" ", response)
    rating, reason = _fault_of(question, plain) or _merit_of(question, plain)
    if plain == response:
        return rating, f"{reason}."
    return max(1, rating - 1), f"{reason}, and markup was left in the text."


def _fault_of(question: Question, response: str) -> tuple[int, str] | None:
    """The rating of a bad answer and what is wrong with it, None for a good one."""
    words, answer = _words(response), question.answer
    stated = _stated(words, question.attribute)
    if not words:
        return 1, "It is empty"
    if any(phrase in response.lower() for phrase in REFUSALS):
        return (4, "It gives the answer but hedges") if stated == {answer} else (1, "It refuses to answer")
    if not stated:
        return 2, f"It never says the {question.attribute} of the {question.creature.name}"
    if answer not in stated:
        return 1 + (not _is_curt(response)), f"It says {_listed(stated)} where {answer} is right"
    if len(stated) > 1:
        return 3, f"It contradicts itself: it says {_listed(stated)}, and {answer} is right"
    return _fault_of_form(question, response, words)


def _fault_of_form(question: Question, response: str, words: list[str]) -> tuple[int, str] | None:
    """The same for an answer that states the right value."""
    others = (CREATURES.keys() & words) - {question.creature.name}
    if others and question.creature.name not in words:
        return 2, f"It speaks of the {_listed(others)} and not of the {question.creature.name}"
    if _is_curt(response):
        return 4, "The answer is right but a bare fragment"
    if len(words) > LONGEST_GOOD_ANSWER or _repeats(response) or words.count(question.answer) > 2:
        return 3, "The answer is right but it rambles"
    return None


def _merit_of(question: Question, response: str) -> tuple[int, str]:
    """The rating of an answer that is right and whole, by what it adds."""
    words = _words(response)
    extras = {
        attribute: stated
        for attribute in ATTRIBUTES
        if attribute != question.attribute and (stated := _stated(words, attribute))
    }
    wrong = [
        attribute for attribute, stated in extras.items() if stated != {question.creature.fact(attribute)}
    ]
    if wrong:
        return 6, f"The answer is right, but what it adds about the {wrong[0]} is wrong"
    named = question.creature.name in words
    reason = "Right, in a whole sentence"
    reason += ", naming the creature" if named else ""
    reason += ", with a useful fact added" if extras else ""
    return 8 + named + bool(extras), reason


def _asked_for(words: list[str]) -> set[str]:
    """The attributes whose cue words occur among WORDS."""
    return {attribute for attribute, cues in CUES.items() if not set(cues).isdisjoint(words)}


def _latest(turns: list[set[str]], kind: str) -> str:
    """The one word of the latest turn that has any; BadInput if there is none, or more than one."""
    found = next((words for words in reversed(turns) if words), set())
    if len(found) != 1:
        raise BadInput(f"the offline judge has no rule for a prompt with {len(found)} {kind}s in question")
    return next(iter(found))


def _words(text: str) -> list[str]:
    return WORD.findall(text.lower())


def _stated(words: list[str], attribute: str) -> set[str]:
    """The values of ATTRIBUTE among WORDS; a verb's or plural's s does not matter."""
    return {value for value in VALUES[attribute] if value in words or f"{value}s" in words}


def _sentences(text: str) -> list[str]:
    return [stripped for sentence in SENTENCE.findall(text) if (stripped := sentence.strip())]


def _is_curt(response: str) -> bool:
    """Whether even the longest sentence is a bare fragment."""
    return max(len(_words(sentence)) for sentence in _sentences(response)) <= CURT


def _repeats(response: str) -> bool:
    """Whether one sentence comes twice."""
    sentences = [" ".join(_words(sentence)) for sentence in _sentences(response)]
    return len(set(sentences)) < len(sentences)


def _listed(words: set[str]) -> str:
    return " and ".join(sorted(words))
