"""Fine-Grained RLHF's QA feedback: four predictions for a question, a person's preferences between all pairs.

Preferences stand in the order of the pairs (1, 2), (1, 3), (1, 4), (2, 3), (2, 4), (3, 4): 1 the first, 2 the
second, 0 a tie. Spans marked in the first prediction and the passages stay in the metadata.
"""

from collections.abc import Iterator
from itertools import combinations

from curate.format import Format, has_keys
from curate.reader import Answer, Verdict
from curate.readers.drafts import Refusal, has_any
from curate.readers.fields import Fields, Unreadable
from curate.readers.labels import BINARY, PERSON, Around, LabelReader, Told, asked, native_of

LABELER = "qa-feedback annotators"
TEMPLATE = "qa-feedback"
N_PREDICTIONS = 4
OUTCOMES = {1: (1.0, "win"), 2: (-1.0, "win"), 0: (0.0, "tie")}


def tell(fields: Fields, around: Around) -> Iterator[Told | Refusal]:
    """The question of a row with its predictions and the verdicts between them."""
    prompt = asked(fields.need_text("question"))
    texts = [fields.need_text(f"prediction {number}") for number in range(1, N_PREDICTIONS + 1)]
    pairs = list(combinations(range(N_PREDICTIONS), 2))
    natives = fields.need_list("preference")
    if len(natives) != len(pairs):
        raise Unreadable(f"{len(natives)} preferences for {len(pairs)} pairs")
    by = around.labeler(LABELER)
    verdicts = tuple(
        Verdict(a, b, by, PERSON, TEMPLATE, BINARY, *_outcome(native), native_label=native_of(native))
        for (a, b), native in zip(pairs, natives, strict=True)
        if texts[a] != texts[b]
    )
    yield Told(prompt, tuple(map(Answer, texts)), verdicts, metadata=fields.rest())


def _outcome(native: object) -> tuple[float | None, str]:
    return OUTCOMES.get(native, (None, "unparsed")) if isinstance(native, int) else (None, "unparsed")


QA_FEEDBACK = LabelReader(tell, has_any("question"))
FORMAT = Format(
    "Fine-Grained RLHF's QA feedback: four predictions and a person's preferences between all pairs",
    '{"question": "Name a prime.", "passages": [], "gold": "Two.", "prediction 1": "Seven.", "prediction 2": "Nine.", '
    '"prediction 3": "Four.", "prediction 4": "Ten.", "preference": [1, 1, 1, 0, 0, 2], "feedback": {}}',
    has_keys("question", "prediction 1", "preference", confidence=1.0),
)
