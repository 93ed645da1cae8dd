"""Collections of prompts: one user's message a record, no answer (InstructionWild, question lists).

Of a question in several turns the first is the prompt: what follows depends on an answer that is not
there, and stays in the metadata.
"""

from collections.abc import Iterator

from curate.format import Format, Match, Sample
from curate.readers.drafts import Draft, DraftReader, has_any
from curate.readers.fields import Fields, Unreadable, kind_of
from curate.readers.instruction import rendered, rule_used

TEXTS = ("prompt", "instruction", "Instruction", "question", "query")
IDS = ("id", "prompt_id", "question_id", "task_id", "idx")
ANSWERED = ("response", "output", "completion", "answer", "target", "solution", "chosen", "rejected", "label")
"""How fields begin whose records are more than a prompt."""
OTHERWISE = ("options", "choices", "instances", "messages", "conversation", "conversations", "preference")
"""Fields of records that are something else."""


def prompt_drafts(fields: Fields) -> Iterator[Draft]:
    """The prompt of a record."""
    if "turns" in fields:
        turns = fields.take("turns")
        if not isinstance(turns, list) or not turns or not all(isinstance(turn, str) for turn in turns):
            raise Unreadable(f"turns is {kind_of(turns)}, not a list of texts")
        prompt, later = turns[0], turns[1:]
        about: list[tuple[str, object]] = [("later_turns", later)] if later else []
    else:
        instruction, text = fields.need_text(*TEXTS), fields.take_text("input", "context")
        prompt, about = rendered(instruction, text), rule_used(instruction, text)
    yield Draft(
        (("user", prompt),),
        external_id=fields.take_id(next((key for key in IDS if key in fields), "id")),
        language=fields.take_language(),
        metadata=fields.rest(about),
    )


PROMPTS = DraftReader(prompt_drafts, has_any("turns", *TEXTS))


def _looks_like(sample: Sample) -> Match | None:
    keys = {key for record in sample.records for key in record}
    if not keys or any(key.startswith(ANSWERED) or key in OTHERWISE for key in keys):
        return None
    n_turns = sum(_is_texts(record.get("turns")) for record in sample.records)
    if n_turns:
        return Match(0.8 * n_turns / len(sample.records), "records have `turns` of a user and no answers")
    for key in TEXTS:
        share = sum(isinstance(record.get(key), str) for record in sample.records) / len(sample.records)
        if share:
            return Match(0.8 * share, f"records have `{key}` and no answer")
    return None


def _is_texts(turns: object) -> bool:
    return isinstance(turns, list) and bool(turns) and all(isinstance(turn, str) for turn in turns)


FORMAT = Format(
    "prompts without answers (InstructionWild, question lists)",
    '{"instruction": "Plan a week of meals.", "instruction_type": "Generation"}',
    _looks_like,
)
