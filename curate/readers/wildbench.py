"""WildBench: a model's output rated from 1 to 10 by a judge, the score written as text.

A row names its task by `session_id`; give the tasks with --with, unless rows hold `conversation_input`.
"""

from collections.abc import Iterator

from curate.format import Format, has_keys
from curate.reader import Answer, Draw
from curate.readers.drafts import Refusal, has_any
from curate.readers.fields import Fields
from curate.readers.labels import JUDGE, Around, LabelReader, Told, rated
from curate.readers.turns import turns_in

LABELER = "gpt-4o-2024-05-13"
TEMPLATE = "wildbench-score/2"
SCALE = "1-10"


def tell(fields: Fields, around: Around) -> Iterator[Told | Refusal]:
    """The rated output of a row."""
    session_id = fields.take_id("session_id")
    own = fields.take("conversation_input")
    prompt = around.elsewhere.question(session_id) if own is None else turns_in(own, "conversation_input")
    policy = fields.take_model("model_test") or around.policy
    parsed = fields.take("parsed_result")
    said = parsed if isinstance(parsed, dict) else {}
    reasons = [f"{name}: {said[name]}" for name in ("strengths", "weaknesses") if said.get(name)]
    rating = rated(
        fields.take("score"),
        by=around.labeler(judge_of(around)),
        kind=JUDGE,
        template=TEMPLATE,
        scale=SCALE,
        explanation="\n".join(reasons),
    )
    answer = Answer(fields.need_text("model_output"), policy, draws=(Draw(policy, 0),), ratings=(rating,))
    yield Told(prompt, (answer,), (), session_id, 0, metadata=fields.rest())


def judge_of(around: Around) -> str:
    """Who judged, as the folder of the file says: `eval=NAME`."""
    name = around.path.parent.name
    return name.removeprefix("eval=") if name.startswith("eval=") else LABELER


WILDBENCH = LabelReader(tell, has_any("session_id"))
FORMAT = Format(
    "WildBench: a model's output with a judge's score as text (with --with TASKS)",
    '{"session_id": "s1", "model_test": "m", "model_output": "Seven.", "score": "8", "conversation_input": '
    '[{"role": "user", "content": "Name a prime."}], '
    '"parsed_result": {"strengths": "right", "weaknesses": "short", "score": "8"}}',
    has_keys("session_id", "model_test", "model_output", confidence=1.0),
)
