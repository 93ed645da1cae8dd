"""UltraInteract: a tree of attempts at a task; a row is a path in it and two next steps, the right one chosen."""

from collections.abc import Iterator

from curate.format import Format, has_keys
from curate.reader import Answer
from curate.readers.drafts import Refusal, has_any
from curate.readers.fields import Fields, Unreadable
from curate.readers.labels import RULE, Around, LabelReader, Told, preferred
from curate.readers.turns import turns_in

LABELER = "ultrainteract"
"""Whether the path reaches the known answer decides, not a judge."""
TEMPLATE = "ultrainteract"


def tell(fields: Fields, around: Around) -> Iterator[Told | Refusal]:
    """The preference between the two next steps of a row."""
    path = turns_in(fields.take("trajectory"), "trajectory")
    if not path:
        raise Unreadable("no turns in the trajectory")
    chosen, rejected = fields.need_text("chosen"), fields.need_text("rejected")
    if chosen == rejected:
        yield Refusal("chosen and rejected are the same")
        return
    verdict = preferred(0, 1, by=around.labeler(LABELER), kind=RULE, template=TEMPLATE)
    yield Told(path, (Answer(chosen), Answer(rejected)), (verdict,), fields.take_id(), metadata=fields.rest())


ULTRAINTERACT = LabelReader(tell, has_any("trajectory"))
FORMAT = Format(
    "UltraInteract: a path in a tree of attempts, and the right and a wrong next step",
    '{"id": "t1", "task": "Math", "trajectory": [{"from": "user", "value": "Name a prime."}], '
    '"chosen": "Seven.", "rejected": "Nine."}',
    has_keys("trajectory", "chosen", "rejected", confidence=1.0),
)
