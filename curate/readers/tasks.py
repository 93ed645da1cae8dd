"""Tasks with instances: Self-Instruct, Unnatural Instructions, Super-NaturalInstructions.

Every instance is a conversation of its own.
"""

from collections.abc import Iterator

from curate.format import Format, Match, Sample, first_of, has_keys
from curate.readers.drafts import Draft, DraftReader, Refusal, has_any
from curate.readers.fields import Fields, Unreadable, kind_of
from curate.readers.instruction import rendered, rule_used

LEFT_OUT = ("Contributors", "Positive Examples", "Negative Examples", "Instance License", "URL")
"""What a Super-NaturalInstructions task says of itself that its instances do not repeat."""


def self_instruct_drafts(fields: Fields) -> Iterator[Draft | Refusal]:
    """The instances of a Self-Instruct task."""
    instruction = fields.need_text("instruction")
    instances = _instances(fields, "instances")
    task_id = fields.take_id("id")
    for number, instance in enumerate(instances, start=1):
        try:
            text = instance.take_text("input")
            answer = instance.need_text("output")
            about = [*rule_used(instruction, text), *_given(instance)]
        except Unreadable as error:
            yield Refusal(f"instance {number}: {error}")
            continue
        yield Draft(
            (("user", rendered(instruction, text)), ("assistant", answer)),
            external_id=_numbered(task_id, number, len(instances)),
            metadata=fields.rest(about),
        )


def _numbered(task_id: str, number: int, n_instances: int) -> str:
    return f"{task_id}#{number}" if task_id and n_instances > 1 else task_id


def _given(instance: Fields) -> list[tuple[str, object]]:
    """What else an instance says, under one key."""
    rest = {key: instance.see(key) for key in instance.keys()}  # noqa: SIM118 - not a dict
    return [("instance", rest)] if rest else []


def unnatural_drafts(fields: Fields) -> Iterator[Draft | Refusal]:
    """The instances of an Unnatural Instructions task, then its reformulations, as the set renders them."""
    fields.need_text("instruction")
    instances = _instances(fields, "instances")
    reformulated = _instances(fields, "reformulations") if "reformulations" in fields else []
    for kind, several in (("instance", instances), ("reformulation", reformulated)):
        for number, instance in enumerate(several, start=1):
            try:
                prompt = instance.need_text("instruction_with_input")
                answer = instance.need_text("output")
            except Unreadable as error:
                yield Refusal(f"{kind} {number}: {error}")
                continue
            instance.drop("input", "instruction")
            about = [(kind, number), *((key, instance.see(key)) for key in instance.keys())]  # noqa: SIM118
            yield Draft((("user", prompt), ("assistant", answer)), metadata=fields.rest(about))


def super_ni_drafts(fields: Fields) -> Iterator[Draft | Refusal]:
    """The instances of a task file, or the one of a flat row; of several right outputs the first is the answer."""
    if "Instances" not in fields:
        yield _flat_draft(fields)
        return
    definition = _definition(fields.take("Definition"))
    instances = _instances(fields, "Instances")
    languages = fields.see("Output_language")
    language = languages[0] if isinstance(languages, list) and len(languages) == 1 else None
    fields.drop(*LEFT_OUT)
    for number, instance in enumerate(instances, start=1):
        try:
            yield _instance_draft(fields, instance, definition, language)
        except Unreadable as error:
            yield Refusal(f"instance {number}: {error}")


def _instance_draft(fields: Fields, instance: Fields, definition: str, language: object) -> Draft:
    text = instance.need_text("input")
    outputs = instance.take("output")
    first, *others = outputs if isinstance(outputs, list) and outputs else [outputs]
    if not isinstance(first, str):
        raise Unreadable(f"the output is {kind_of(first)}, not text")
    about: list[tuple[str, object]] = [("other_outputs", others)] if others else []
    return Draft(
        (("user", rendered(definition, text)), ("assistant", first)),
        external_id=instance.take_id("id"),
        language=language if isinstance(language, str) else None,
        metadata=fields.rest([*about, *rule_used(definition, text)]),
    )


def _flat_draft(fields: Fields) -> Draft:
    definition = _definition(fields.take("definition"))
    text = fields.need_text("inputs")
    answer = fields.need_text("targets")
    return Draft(
        (("user", rendered(definition, text)), ("assistant", answer)),
        external_id=fields.take_id("id"),
        metadata=fields.rest(rule_used(definition, text)),
    )


def _definition(value: object) -> str:
    parts = value if isinstance(value, list) else [value]
    if not parts or not all(isinstance(part, str) for part in parts):
        raise Unreadable("no Definition, or one that is not text")
    return "\n".join(str(part) for part in parts)


def _instances(fields: Fields, key: str) -> list[Fields]:
    found = fields.need_list(key)
    if not found:
        raise Unreadable(f"{key} is empty")
    odd = [one for one in found if not isinstance(one, dict)]
    if odd:
        raise Unreadable(f"{key} holds {kind_of(odd[0])}, not an object")
    return [Fields(one) for one in found]


SELF_INSTRUCT = DraftReader(self_instruct_drafts, has_any("instances"))
UNNATURAL = DraftReader(unnatural_drafts, has_any("instances"))
SUPER_NI = DraftReader(super_ni_drafts, has_any("Instances", "definition"))


def _with_rendered_instances(sample: Sample) -> Match | None:
    match = has_keys("instruction", "instances", confidence=0.95)(sample)
    first = next((record["instances"] for record in sample.records if record.get("instances")), None)
    if match is None or not isinstance(first, list) or not isinstance(first[0], dict):
        return None
    if "instruction_with_input" not in first[0]:
        return None
    return Match(match.confidence, "records have `instances` with `instruction_with_input`")


def _with_plain_instances(sample: Sample) -> Match | None:
    if _with_rendered_instances(sample) is not None:
        return None
    return has_keys("instruction", "instances", confidence=0.95)(sample)


SELF_INSTRUCT_FORMAT = Format(
    "Self-Instruct tasks: an instruction with instances of input and output",
    '{"id": "task_1", "instruction": "Name the colour.", "instances": [{"input": "grass", "output": "Green."}]}',
    _with_plain_instances,
)
UNNATURAL_FORMAT = Format(
    "Unnatural Instructions: instances the set has rendered, and reformulations of them",
    '{"instruction": "Write a haiku.", "instances": [{"input": "cats", "instruction_with_input": '
    '"Write a haiku.\\ncats", "constraints": "None.", "output": "Soft paws"}]}',
    _with_rendered_instances,
)
SUPER_NI_FORMAT = Format(
    "Super-NaturalInstructions: a task file with Definition and Instances, or a row with definition and inputs",
    '{"Definition": ["Name the colour."], "Instances": [{"id": "t1-1", "input": "grass", "output": ["Green."]}]}',
    first_of(
        has_keys("Definition", "Instances", confidence=0.98),
        has_keys("definition", "inputs", "targets", confidence=0.95),
    ),
)
