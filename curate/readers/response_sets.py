"""Response sets: a prompt with many answers of one policy or several, perhaps with a reward for each.

Answers stand under `responses`, `samples`, `outputs` or `completions`: texts, or objects with a text, a
`model` and a reward. `rewards` is a list in their order, or one list for each reward model by name. An
answer that came up twice, or empty, is a draw like any other.
"""

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from curate.format import Format, Match, Sample
from curate.reader import Answer, Draw, Reward
from curate.readers.drafts import Messages, Refusal, has_any
from curate.readers.fields import Fields, Unreadable, kind_of
from curate.readers.labels import Around, LabelReader, Told, asked, number_in
from curate.readers.turns import turns_in

ANSWERS = ("responses", "samples", "outputs", "completions")
TEXTS = ("text", "response", "completion", "output", "answer", "content")
SCORES = ("reward", "score")
REWARD_MODEL_KEYS = ("reward_model", "rm")
UNNAMED_REWARDS = "rewards"
"""The reward model of a file that names none."""
SAMPLING = (
    ("temperature", r"temp(?:erature)?_?([0-9.]+)"),
    ("top_p", r"top_?p_?([0-9.]+)"),
    ("max_tokens", r"max_?(\d+)"),
)
"""What file names tell of how their answers were drawn."""


def tell(fields: Fields, around: Around) -> Iterator[Told | Refusal]:
    """The set of a row."""
    prompt = _prompt_of(fields)
    name = next((name for name in ANSWERS if name in fields), None)
    if name is None:
        raise Unreadable(f"no answers (one of {', '.join(ANSWERS)})")
    given = fields.need_list(name)
    if not given:
        raise Unreadable("no answers")
    policy = fields.take_model("policy") or fields.take_model() or around.policy
    sampling = json.dumps(fields.take("sampling") or sampling_of_name(around.stem), sort_keys=True)
    columns = _reward_columns(fields, len(given), around)
    indices: dict[str, int] = {}
    answers = []
    for place, one in enumerate(given):
        text, author, own = _read(one, policy, around)
        index = indices[author] = indices.get(author, -1) + 1
        rewards = (*(rewarded(model, values[place]) for model, values in columns.items()), *own)
        answers.append(Answer(text, author, draws=(Draw(author, index, sampling),), rewards=rewards))
    yield Told(prompt, tuple(answers), (), fields.take_id("id", "prompt_id"), metadata=fields.rest())


def _prompt_of(fields: Fields) -> Messages:
    name = next((name for name in ("prompt", "instruction", "question", "messages") if name in fields), None)
    if name is None:
        raise Unreadable("no prompt")
    value = fields.take(name)
    if isinstance(value, str):
        return asked(value, fields.take_text("system"))
    return turns_in(value, name)


def sampling_of_name(stem: str) -> dict[str, float]:
    """Sampling parameters that a file's name tells, such as `temp0.8_topp0.95_max300`."""
    found = {key: re.search(pattern, stem) for key, pattern in SAMPLING}
    return {
        key: number
        for key, match in found.items()
        if match and (number := number_in(match[1].rstrip("."))) is not None
    }


def _reward_columns(fields: Fields, n_answers: int, around: Around) -> dict[str, list[float | None]]:
    value = fields.take("rewards") if "rewards" in fields else fields.take("scores")
    if value is None:
        return {}
    named = next((label for key in REWARD_MODEL_KEYS if (label := fields.take_model(key))), "")
    columns = value if isinstance(value, dict) else {around.labeler(named or UNNAMED_REWARDS): value}
    return {model: _column(values, n_answers) for model, values in columns.items()}


def _column(values: object, n_answers: int) -> list[float | None]:
    if not isinstance(values, list):
        raise Unreadable(f"rewards is {kind_of(values)}, not a list")
    if len(values) != n_answers:
        raise Unreadable(f"{len(values)} rewards for {n_answers} answers")
    return [number_in(value) for value in values]


def _read(one: object, policy: str, around: Around) -> tuple[str, str, Sequence[Reward]]:
    """The text of an answer, who wrote it, and the reward it carries itself."""
    if isinstance(one, str):
        return one, policy, ()
    if not isinstance(one, dict):
        raise Unreadable(f"an answer is {kind_of(one)}, neither text nor an object")
    text = next((one[key] for key in TEXTS if isinstance(one.get(key), str)), None)
    if text is None:
        raise Unreadable("an answer has no text")
    model = one.get("model")
    return text, model if isinstance(model, str) and model else policy, _own_reward(one, around)


def _own_reward(one: dict[str, Any], around: Around) -> Sequence[Reward]:
    key = next((key for key in SCORES if key in one), None)
    if key is None:
        return ()
    return (rewarded(around.labeler(UNNAMED_REWARDS), number_in(one[key])),)


def rewarded(reward_model: str, value: float | None) -> Reward:
    """A reward; what is no number is kept as one that could not be read."""
    return Reward(reward_model, value, state="done" if value is not None else "unparsed")


RESPONSE_SETS = LabelReader(tell, has_any(*ANSWERS))


def _looks_like(sample: Sample) -> Match | None:
    own = sum(_is_set(record) for record in sample.records)
    return Match(own / len(sample.records), "records have a `prompt` and a list of answers") if own else None


def _is_set(record: dict[str, object]) -> bool:
    found = next((record[name] for name in ANSWERS if name in record), None)
    if not isinstance(found, list) or not found or "prompt" not in record:
        return False
    first = found[0]
    return isinstance(first, str) or (isinstance(first, dict) and any(key in first for key in TEXTS))


FORMAT = Format(
    "response sets: a prompt with many answers, drawn from a policy, perhaps with a reward each",
    '{"prompt": "Name a prime.", "responses": ["Seven.", "Nine."], "rewards": [1.5, -0.5], "policy": "m", '
    '"reward_model": "rm"}',
    _looks_like,
)
