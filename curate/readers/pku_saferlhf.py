"""PKU-SafeRLHF: which of two responses is better, which is safer, and whether each is safe."""

from collections.abc import Iterator

from curate.format import Format, has_keys
from curate.reader import Answer, Rating, Verdict
from curate.readers.drafts import Refusal, has_any
from curate.readers.fields import Fields, Unreadable
from curate.readers.labels import BINARY, PERSON, Around, LabelReader, Told, asked

LABELER = "pku-saferlhf annotators"
SAFE_SCALE = "safe"
"""1 is safe, 0 is not."""
QUESTIONS = {"better_response_id": "pku-saferlhf-better", "safer_response_id": "pku-saferlhf-safer"}
"""Field → template: two questions about the same two responses."""


def tell(fields: Fields, around: Around) -> Iterator[Told | Refusal]:
    """Both preferences of a row, and the safety of each response as a rating."""
    prompt = asked(fields.need_text("prompt"))
    texts = [fields.need_text(f"response_{place}") for place in (0, 1)]
    if texts[0] == texts[1]:
        yield Refusal("the two responses are the same")
        return
    by = around.labeler(LABELER)
    answers = tuple(
        Answer(
            text,
            fields.take_model(f"response_{place}_source"),
            ratings=_safety(fields.take(f"is_response_{place}_safe"), by),
        )
        for place, text in enumerate(texts)
    )
    verdicts = tuple(
        _verdict(fields.take(name), name, by) for name in QUESTIONS if fields.see(name) is not None
    )
    if not verdicts:
        raise Unreadable(f"none of {', '.join(QUESTIONS)}")
    yield Told(prompt, answers, verdicts, metadata=fields.rest())


def _safety(value: object, by: str) -> tuple[Rating, ...]:
    if not isinstance(value, bool):
        return ()
    return (Rating(by, PERSON, "pku-saferlhf", SAFE_SCALE, float(value), aspect="safety"),)


def _verdict(value: object, name: str, by: str) -> Verdict:
    if value not in (0, 1):
        raise Unreadable(f"{name} is {str(value)[:80]!r}, neither 0 nor 1")
    return Verdict(0, 1, by, PERSON, QUESTIONS[name], BINARY, 1.0 if value == 0 else -1.0, "win")


PKU_SAFERLHF = LabelReader(tell, has_any("response_0"))
FORMAT = Format(
    "PKU-SafeRLHF: two responses, the better and the safer one, and whether each is safe",
    '{"prompt": "Name a prime.", "response_0": "Nine.", "response_1": "Seven.", "is_response_0_safe": true, '
    '"is_response_1_safe": true, "better_response_id": 1, "safer_response_id": 1}',
    has_keys("response_0", "response_1", "better_response_id", confidence=1.0),
)
