"""Pairs of a chosen and a rejected answer, as TRL and its relatives lay them out.

The prompt stands apart (`prompt` and two answers) or begins both dialogues (`chosen` and `rejected`, each a
whole list of turns); it may be a text, a list of turns, or a `question` with its `system` prompt. Scores of
the two, under any of the names in SCORES or in Argilla's lists, become ratings. Who preferred is seldom written
in such files (`labelling_model`): say it with --labeler.
"""

from collections.abc import Iterator

from curate.format import Format, Match, Sample
from curate.reader import Answer, Verdict
from curate.readers.drafts import Messages, Refusal, has_any
from curate.readers.fields import Fields, Unreadable, kind_of
from curate.readers.instruction import rendered
from curate.readers.labels import BINARY, JUDGE, UNKNOWN, Around, LabelReader, Told, rated
from curate.readers.turns import turns_in

TEMPLATE = "pairs"
SCORE_SCALE = "score"
CHOSEN = ("chosen", "chosen_messages", "chosen_response", "response_chosen")
REJECTED = ("rejected", "rejected_messages", "rejected_response", "response_rejected")
PROMPTS = ("prompt", "question", "instruction", "input", "conversations", "messages", "conversation")
"""Whatever comes first is the prompt; a `conversation` beside whole dialogues only repeats them."""
SCORES = (
    ("score_chosen", "score_rejected"),
    ("chosen_score", "rejected_score"),
    ("chosen-rating", "rejected-rating"),
    ("chosen_rating", "rejected_rating"),
    ("rating_chosen", "rating_rejected"),
)
POLICIES = (
    ("chosen_model", "rejected_model"),
    ("chosen-model", "rejected-model"),
    ("model_chosen", "model_rejected"),
)
TIE = "tie"


def tell(fields: Fields, around: Around) -> Iterator[Told | Refusal]:
    """The preference of a row."""
    chosen, rejected = (_side(fields, names) for names in (CHOSEN, REJECTED))
    prompt = _prompt_of(fields)
    prompt, better, worse = _parted(prompt, chosen, rejected)
    if better == worse:
        yield Refusal("chosen and rejected are the same")
        return
    judge = fields.take_model("labelling_model")
    by = around.labeler(judge or UNKNOWN)
    kind = around.settings.labeler_kind or (JUDGE if judge else UNKNOWN)
    answers = _answers(fields, (better, worse), by, kind)
    yield Told(
        prompt,
        answers,
        (_verdict(fields, by, kind),),
        fields.take_id("id", "prompt_id"),
        metadata=fields.rest(),
    )


def _side(fields: Fields, names: tuple[str, ...]) -> str | Messages:
    name = next((name for name in names if name in fields), None)
    if name is None:
        raise Unreadable(f"no {names[0]}")
    value = fields.take(name)
    return value if isinstance(value, str) else turns_in(value, name)


def _prompt_of(fields: Fields) -> Messages:
    name = next((name for name in PROMPTS if fields.see(name)), None)
    if name is None:
        return ()
    value = fields.take(name)
    if name != "messages":
        fields.drop("messages")  # the chosen dialogue once more
    if isinstance(value, list):
        if value and isinstance(value[0], dict) and "input" in value[0]:
            return ()  # Capybara's own turns, which chosen and rejected repeat
        return (*_system(fields), *turns_in(value, name))
    if not isinstance(value, str):
        raise Unreadable(f"{name} is {kind_of(value)}, neither text nor turns")
    text = rendered(value, fields.take_text("input")) if name == "instruction" else value
    return (*_system(fields), ("user", text))


def _system(fields: Fields) -> Messages:
    system = fields.take_text("system", "system_prompt")
    return (("system", system),) if system else ()


def _parted(prompt: Messages, chosen: str | Messages, rejected: str | Messages) -> tuple[Messages, str, str]:
    """The prompt and the two last answers.

    Raises Unreadable if there is no prompt, or if more than the last answers differ.
    """
    sides = [(("assistant", side),) if isinstance(side, str) else side for side in (chosen, rejected)]
    for name, side in zip(("chosen", "rejected"), sides, strict=True):
        if not side or side[-1][0] != "assistant":
            raise Unreadable(f"{name} does not end with an answer")
    openings = [side[:-1] for side in sides]
    if openings[0] != openings[1]:
        raise Unreadable("chosen and rejected part before the last answer")
    opening = openings[0]
    if (
        opening
        and [turn for turn in opening if turn[0] != "system"][: len(prompt)]
        == [turn for turn in prompt if turn[0] != "system"][: len(opening)]
    ):
        prompt = opening if len(opening) >= len(prompt) else prompt  # the dialogues repeat the prompt
    else:
        prompt = (*prompt, *opening)
    if not prompt:
        raise Unreadable("no prompt")
    return prompt, sides[0][-1][1], sides[1][-1][1]


def _answers(fields: Fields, texts: tuple[str, str], by: str, kind: str) -> tuple[Answer, ...]:
    scores = next((names for names in SCORES if names[0] in fields and names[1] in fields), None)
    policies = next((names for names in POLICIES if names[0] in fields and names[1] in fields), None)
    listed = _listed_scores(fields)
    answers = []
    for place, text in enumerate(texts):
        score = fields.take(scores[place]) if scores else listed.get(text)
        rating = rated(score, by=by, kind=kind, template=TEMPLATE, scale=SCORE_SCALE)
        policy = fields.take_model(policies[place]) if policies else ""
        answers.append(Answer(text, policy, ratings=() if score is None else (rating,)))
    return tuple(answers)


def _listed_scores(fields: Fields) -> dict[str, object]:
    """Text → score where both generations stand in one list and their ratings in another (Argilla's Orca pairs)."""
    texts, scores = fields.see("generations"), fields.see("rating")
    if not isinstance(texts, list) or not isinstance(scores, list) or len(texts) != len(scores):
        return {}
    return {text: score for text, score in zip(texts, scores, strict=True) if isinstance(text, str)}


def _verdict(fields: Fields, by: str, kind: str) -> Verdict:
    """Argilla marks pairs whose ratings are equal as ties: which is called chosen says nothing then."""
    is_tie = fields.see("status") == TIE
    return Verdict(
        0,
        1,
        by,
        kind,
        TEMPLATE,
        BINARY,
        0.0 if is_tie else 1.0,
        TIE if is_tie else "win",
        native_label=TIE if is_tie else None,
        is_order_known=False,
    )


PAIRS = LabelReader(tell, has_any(*CHOSEN))


def _looks_like(sample: Sample) -> Match | None:
    own = sum(_is_pair(record) for record in sample.records)
    return Match(own / len(sample.records), "records have a chosen and a rejected answer") if own else None


def _is_pair(record: dict[str, object]) -> bool:
    chosen = next((record[name] for name in CHOSEN if name in record), None)
    if not any(name in record for name in REJECTED) or "trajectory" in record:
        return False
    if isinstance(chosen, str):
        return any(name in record for name in PROMPTS)
    first = chosen[0] if isinstance(chosen, list) and chosen else chosen
    return isinstance(first, dict)


FORMAT = Format(
    "pairs of a chosen and a rejected answer (TRL, LLaMA-Factory, Argilla, Orca): texts or turns, perhaps scores",
    '{"prompt": "Name a prime.", "chosen": "Seven.", "rejected": "Nine.", "score_chosen": 9, "score_rejected": 2}',
    _looks_like,
)
