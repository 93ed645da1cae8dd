"""RewardBench's best-of-n files: draws of one policy, and which of them a reward model took.

The generator says it: `policy.7` is draw 7 of a policy, `model-BoN` the pick of a reward model. A pick is a
rating of 1 on the scale `best-of-n`; the scores behind it are not in these files.
"""

import re
from collections.abc import Iterator

from curate.format import Format, Match, Sample
from curate.reader import Answer, Draw, Rating
from curate.readers.alpaca_eval import sampling_of
from curate.readers.drafts import Refusal, has_any
from curate.readers.fields import Fields, Unreadable
from curate.readers.labels import REWARD_MODEL, Around, LabelReader, Told, asked

DRAW = re.compile(r"(.+)\.(\d{1,4})")
PICK = re.compile(r"(.+)-BoN")
TEMPLATE = "rewardbench-bon"
SCALE = "best-of-n"


def tell(fields: Fields, around: Around) -> Iterator[Told | Refusal]:
    """The draw or the pick of a row."""
    del around
    prompt = asked(fields.need_text("instruction"))
    text = fields.need_text("output")
    generator = fields.take_model("generator")
    sampling = sampling_of(fields.take("config"))
    drawn, picked = DRAW.fullmatch(generator), PICK.fullmatch(generator)
    if picked:
        rating = Rating(picked[1], REWARD_MODEL, TEMPLATE, SCALE, 1.0, aspect="picked")
        answer = Answer(text, ratings=(rating,))
    elif drawn:
        answer = Answer(text, drawn[1], draws=(Draw(drawn[1], int(drawn[2]), sampling),))
    else:
        raise Unreadable(f"the generator {generator[:80]!r} is neither a draw (NAME.7) nor a pick (NAME-BoN)")
    fields.drop("model_input")
    yield Told(prompt, (answer,), (), fields.take_id(), metadata=fields.rest())


REWARDBENCH_BON = LabelReader(tell, has_any("instruction"))


def _looks_like(sample: Sample) -> Match | None:
    own = sum("generator" in record and "model_input" in record for record in sample.records)
    return Match(own / len(sample.records), "records have a `generator` and a `model_input`") if own else None


FORMAT = Format(
    "RewardBench best-of-n: a draw of a policy (generator NAME.7), or a reward model's pick (NAME-BoN)",
    '{"id": "0", "instruction": "Name a prime.", "model_input": "<|user|>\\nName a prime.\\n<|assistant|>\\n", '
    '"output": "Seven.", "generator": "m.7", "config": "top_p=0.9;temp=1.0"}',
    _looks_like,
)
