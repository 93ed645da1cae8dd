"""Rows of one question and one answer: Orca, SlimOrca and Orca-Math rows, GPT-3 fine-tuning, Flan V2."""

from collections.abc import Iterator

from curate.format import Format, first_of, has_keys
from curate.readers.drafts import Draft, DraftReader, Messages, has_any
from curate.readers.fields import Fields

END_OF_TEXT = "<|endoftext|>"
"""How a completion ends in GPT-3 fine-tuning files; a mark of the format, no part of the text."""
ANSWERS = ("response", "answer", "solution")
EXAM = ("options", "choices", "label", "passage", "model_a", "chosen", "rationale", "response_a")
"""Fields of multiple-choice questions and comparisons, which are something else."""


def orca_drafts(fields: Fields) -> Iterator[Draft]:
    """The conversation of an Orca row."""
    question = fields.need_text("question")
    answer = fields.need_text(*ANSWERS)
    yield _draft(fields, fields.take_text("system_prompt", "system"), question, answer)


def completion_drafts(fields: Fields) -> Iterator[Draft]:
    """The conversation of a row for fine-tuning GPT-3."""
    prompt = fields.need_text("prompt")
    completion = fields.need_text("completion")
    yield _draft(fields, "", prompt, completion.removesuffix(END_OF_TEXT))


def flan_drafts(fields: Fields) -> Iterator[Draft]:
    """The conversation of a Flan V2 row."""
    inputs = fields.need_text("inputs")
    targets = fields.need_text("targets")
    yield _draft(fields, "", inputs, targets)


def _draft(fields: Fields, system: str, prompt: str, answer: str) -> Draft:
    opening: Messages = (("system", system),) if system else ()
    return Draft(
        (*opening, ("user", prompt), ("assistant", answer)),
        external_id=fields.take_id("id"),
        model=fields.take_model(),
        language=fields.take_language(),
        metadata=fields.rest(),
    )


ORCA = DraftReader(orca_drafts, has_any("question"))
COMPLETION = DraftReader(completion_drafts, has_any("prompt"))
FLAN = DraftReader(flan_drafts, has_any("inputs"))


ORCA_FORMAT = Format(
    "Orca rows: a question and its response, perhaps a system prompt (OpenOrca, Orca-Math)",
    '{"id": "q1", "system_prompt": "Be brief.", "question": "2+2?", "response": "4"}',
    first_of(
        has_keys("system_prompt", "question", "response", confidence=0.95, without=EXAM),
        *(has_keys("question", answer, confidence=0.8, without=EXAM) for answer in ANSWERS),
    ),
)
COMPLETION_FORMAT = Format(
    "GPT-3 fine-tuning rows: a prompt and a completion that ends with <|endoftext|>",
    '{"prompt": "Task: Name a colour.\\n\\nOutput:", "completion": " red<|endoftext|>"}',
    has_keys("prompt", "completion", confidence=0.9, without=("completions", "label")),
)
FLAN_FORMAT = Format(
    "Flan V2 rows: inputs and targets, with their task",
    '{"inputs": "Is grass green?", "targets": "yes", "task": "colours"}',
    has_keys("inputs", "targets", confidence=0.95, without=("definition",)),
)
