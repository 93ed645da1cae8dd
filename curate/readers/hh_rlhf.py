"""HH-RLHF: two dialogues as one text each, alike but for the last answer, the better one first.

Rows whose two dialogues are the same, or part before the last answer, are no preference between two
answers to one prompt, and are rejected.
"""

from collections.abc import Iterator

from curate.format import Format, Match, Sample
from curate.reader import Answer
from curate.readers.dialogue import hh_turns
from curate.readers.drafts import Messages, Refusal, has_any
from curate.readers.fields import Fields, Unreadable
from curate.readers.labels import PERSON, Around, LabelReader, Told, preferred

LABELER = "hh-rlhf annotators"
TEMPLATE = "hh-rlhf"
SAME = "chosen and rejected are the same"
PARTED = "chosen and rejected part before the last answer"


def tell(fields: Fields, around: Around) -> Iterator[Told | Refusal]:
    """The preference of a row."""
    chosen, rejected = (_turns_of(fields.need_text(name), name) for name in ("chosen", "rejected"))
    if chosen == rejected:
        yield Refusal(SAME)
        return
    if chosen[:-1] != rejected[:-1]:
        yield Refusal(PARTED)
        return
    by = around.labeler(LABELER)
    yield Told(
        chosen[:-1],
        (Answer(chosen[-1][1]), Answer(rejected[-1][1])),
        (preferred(0, 1, by=by, kind=PERSON, template=TEMPLATE),),
        metadata=fields.rest(),
    )


def _turns_of(text: str, name: str) -> Messages:
    turns = hh_turns(text)
    if not turns:
        raise Unreadable(f"{name} does not begin with a turn of Human or Assistant")
    if turns[-1][0] != "assistant":
        raise Unreadable(f"{name} does not end with an answer")
    return turns


HH_RLHF = LabelReader(tell, has_any("chosen"))


def _looks_like(sample: Sample) -> Match | None:
    texts = [record.get("chosen") for record in sample.records]
    own = sum(isinstance(text, str) and text.lstrip().startswith("Human:") for text in texts)
    if not own or any("prompt" in record for record in sample.records):
        return None
    return Match(0.95 * own / len(texts), "`chosen` is a dialogue that begins with Human:")


FORMAT = Format(
    "HH-RLHF: two dialogues as text, alike but for the last answer; a person preferred `chosen`",
    '{"chosen": "\\n\\nHuman: Name a prime.\\n\\nAssistant: Seven.", '
    '"rejected": "\\n\\nHuman: Name a prime.\\n\\nAssistant: Nine."}',
    _looks_like,
)
