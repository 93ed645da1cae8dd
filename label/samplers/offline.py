"""The offline policy: it answers the example world's questions, well or badly as its seed has it, and nothing else.

It is a stand-in for demonstrations and tests, and says so in every record it leaves. The hotter it is sampled,
the more often it errs, so that several draws differ and the best of them is better than the first.
"""

import random
from collections.abc import Callable

from label.offline_world import CREATURES, PLACES, VALUES, Question, question_of
from label.sampler import Ask, Drawn, Reply, SamplerChoice, refuse, seeds
from store.errors import BadInput

STATEMENTS = {
    "colour": "The {name} is {value}.",
    "home": "The {name} lives {value}.",
    "food": "The {name} eats {value}.",
    "sound": "The {name} makes a {value}.",
}
EXTRAS = {
    "colour": "You meet it {home}.",
    "home": "Its sound is a {sound}.",
    "food": "You meet it {home}.",
    "sound": "You meet it {home}.",
}

Answerer = Callable[[Question, random.Random], str]


class OfflineSampler:
    """A policy without a model."""

    provider = "offline"
    base_url = ""
    policy = "offline"
    weights = None
    draws_per_ask = 16
    asks_at_once = 8
    makes_space = False

    def check(self) -> None:
        """Nothing is missing."""

    async def draw(self, ask: Ask, timeout_s: float) -> Reply:
        """One answer for each seed, or refusals where the prompt asks nothing about the world."""
        try:
            question = question_of(ask.turns)
        except BadInput as error:
            why = str(error).replace("offline judge", "offline policy").replace("grades", "answers")
            return Reply(tuple(Drawn("", "refusal", 0, why) for _ in range(ask.n)))
        draws = tuple(_drawn(question, seed, ask) for seed in seeds(ask))
        return Reply(draws, 0, sum(drawn.n_tokens or 0 for drawn in draws))

    async def close(self) -> None:
        """Nothing is open."""


def _drawn(question: Question, seed: int, ask: Ask) -> Drawn:
    words = answer(question, seed, ask.sampling.temperature).split(" ")
    most = ask.sampling.max_new_tokens
    return Drawn(" ".join(words[:most]), "stop" if len(words) <= most else "length", min(len(words), most))


def answer(question: Question, seed: int, temperature: float) -> str:
    """What the policy says: at temperature 0 always its best, at 2 nearly always something worse."""
    chance = random.Random(seed)
    errs = chance.random() < temperature / (temperature + 1)
    return chance.choice(WORSE)(question, chance) if errs else _good(question, chance)


def _statement(question: Question, value: str) -> str:
    return STATEMENTS[question.attribute].format(name=question.creature.name, value=PLACES.get(value, value))


def _plain(question: Question, _chance: random.Random) -> str:
    return _statement(question, question.answer)


def _good(question: Question, _chance: random.Random) -> str:
    creature = question.creature
    extra = EXTRAS[question.attribute].format(home=PLACES[creature.home], sound=creature.sound)
    return f"{_statement(question, question.answer)} {extra}"


def _wrong(question: Question, chance: random.Random) -> str:
    values = [value for value in VALUES[question.attribute] if value != question.answer]
    return _statement(question, chance.choice(values))


def _other(question: Question, chance: random.Random) -> str:
    """The right fact, said of another creature."""
    others = [creature for creature in CREATURES.values() if creature != question.creature]
    return _statement(Question(chance.choice(others), question.attribute), question.answer)


def _fragment(question: Question, _chance: random.Random) -> str:
    return question.answer


def _ramble(question: Question, chance: random.Random) -> str:
    said = _plain(question, chance)
    return f"Well, that is a good question about the {question.creature.name}. {said} As I said. {said}"


def _refusal(question: Question, _chance: random.Random) -> str:
    return f"I'm sorry, but as an AI language model I have never met the {question.creature.name}."


WORSE: tuple[Answerer, ...] = (_plain, _fragment, _ramble, _wrong, _other, _refusal)


def open_offline(choice: SamplerChoice) -> OfflineSampler:
    """The offline policy; it has no server, no template and no engine."""
    refuse(bool(choice.base_urls), "the offline policy has no server; leave --base-url out")
    refuse(
        choice.template is not None or choice.condition is not None or choice.tokenizer is not None,
        "the offline policy has no template; leave --template, --condition and --tokenizer out",
    )
    refuse(bool(choice.engine), "--engine is for vLLM and transformers in this process")
    return OfflineSampler()
