"""The faults of a row against what is known of it: its ids, its scores, and what the manifest says of its class."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from label.preference_models.pair_tokens import LABELS
from store.ids import path_digests, to_text
from train.recipes.crlft import is_refusal

if TYPE_CHECKING:
    from store.chat_format import Turn
    from train.checking.faults import Rules, Sight

SEEN_END = 60
"""Characters at the end of a turn that are looked for in what the trainer reads."""
NEAR = 1e-6
"""Of two weights, one of which was kept as float32."""


def digests_of(turns: "tuple[Turn, ...] | None") -> list[bytes]:
    """The ids along a conversation; none where its text is no Unicode."""
    try:
        return path_digests(turns or ())
    except UnicodeEncodeError:
        return []


def check_ids(sight: "Sight", rules: "Rules") -> Iterator[str]:
    """Ids are hashes of texts: an answer beside another prompt, or a system turn lost, no longer fits them."""
    row = sight.row
    answer_id = row.answer_id
    if rules.promise.recipe == "rsft" and answer_id is None and row.conversation_id.startswith("m1-"):
        answer_id = row.conversation_id
    digests = digests_of(row.turns)
    if len(digests) < 2:
        return
    if str(row.prompt_id).startswith("m1-") and row.prompt_id != to_text("m1", digests[-2]):
        yield "prompt not the one its id names"
    elif str(answer_id).startswith("m1-") and answer_id != to_text("m1", digests[-1]):
        yield "answer not the one its id names"


def check_scored_labels(sight: "Sight", rules: "Rules") -> Iterator[str]:
    """A good answer scored higher than the other one, and the label of two names the one that did."""
    scores = sight.row.scores
    if scores is None:
        return
    if sight.row.label is not None:
        own, other = scores if sight.row.label else scores[::-1]
        if not own > other:
            yield "label contradicts the scores"
        return
    answer = _answer(sight, rules)
    if answer in LABELS and not (scores if answer == LABELS[0] else scores[::-1])[0] >= max(scores):
        yield "label contradicts the scores"


def _answer(sight: "Sight", rules: "Rules") -> str | None:
    """The last answer's text, from the tokens that are trained on where there is no other."""
    if sight.row.turns:
        return sight.row.turns[-1][1].strip()
    runs = sight.trained_runs
    if sight.tokens is None or rules.chat is None or not runs:
        return None
    start, end = runs[-1]
    text: str = rules.chat.tokenizer.decode(sight.tokens.input_ids[start:end])
    return text.replace(rules.chat.template.end_of_turn, "").strip()


def check_class(sight: "Sight", rules: "Rules") -> Iterator[str]:
    """A row of a class has the condition and the weight that the manifest gives the class."""
    if rules.promise.recipe != "crlft" or not rules.promise.classes:
        return
    known = rules.promise.classes.get(sight.row.source_class)
    if known is None:
        yield "class not in the manifest"
        return
    if sight.row.condition and sight.row.condition != known.condition:
        yield "condition not that of its class"
    weights = {weight for weight in _weights(sight) if weight}
    wanted = known.weight
    if wanted is not None and any(abs(weight - wanted) > NEAR * max(1.0, wanted) for weight in weights):
        yield "weight not that of its class"


def _weights(sight: "Sight") -> "tuple[float, ...] | list[float]":
    if sight.row.turn_weights is not None:
        return sight.row.turn_weights
    return sight.tokens.loss_weights if sight.tokens is not None else ()


def check_trained_answers(sight: "Sight", rules: "Rules") -> Iterator[str]:
    """Answers are trained on as the recipe says: all of them, or the last alone."""
    promise, row = rules.promise, sight.row
    if row.turns is not None and row.turn_weights is not None and len(row.turns) == len(row.turn_weights):
        answers = [
            (content, weight)
            for (role, content), weight in zip(row.turns, row.turn_weights, strict=True)
            if role == "assistant"
        ]
        if any(weight == 0 and promise.wants(content) for content, weight in answers):
            yield "answer not trained on"
        if promise.refusals_are_context and any(
            weight and is_refusal(content) for content, weight in answers
        ):
            yield "refusal trained on"
        if promise.trains_last and any(weight for _, weight in answers[:-1]):
            yield "earlier answer trained on"
    elif promise.trains_last and row.pieces is None and len(sight.trained_runs) > 1:
        yield "earlier answer trained on"


def check_shown(sight: "Sight", _rules: "Rules") -> Iterator[str]:
    """No turn gets lost between the file and the trainer's text; a template may drop a thought that leads one in."""
    if sight.rendered is None or sight.row.turns is None:
        return
    place = 0
    for _, content in sight.row.turns:
        end = content.strip()[-SEEN_END:]
        found = sight.rendered.text.find(end, place)
        if found < 0:
            yield "turn not in the trainer's text"
            return
        place = found + len(end)


def check_whole_pairs(sight: "Sight", rules: "Rules") -> Iterator[str]:
    """TRL's reward trainer leaves out a pair with a side that is too long, without a word."""
    if rules.promise.recipe == "rm" and sight.tokens is not None and sight.tokens.is_cut:
        yield "pair too long, which the trainer leaves out"
