"""AlpacaEval and AlpacaFarm: outputs of models, and a judge's preference between two of them.

A preference is 1 (the first output), 2 (the second), 0 or 1.5 (a tie), 1 plus the probability of the second
(annotators called `weighted_…`), or null where the judge's reply could not be read. The order shown is
written only where the reply names its models; elsewhere the two stand in an order of their own.
"""

import json
from collections.abc import Iterator

from curate.format import Format, Match, Sample
from curate.reader import Answer, Draw, Verdict
from curate.readers.drafts import Messages, Refusal, has_any
from curate.readers.fields import Fields, Unreadable
from curate.readers.instruction import rendered
from curate.readers.labels import BINARY, JUDGE, Around, LabelReader, Told, asked, native_of, number_in

WEIGHTED = "logprob"
"""The scale of verdicts that are probabilities, as our own judges give them."""
OUTPUTS = ("output_1", "output_2")
TIES = (0.0, 1.5)


def tell(fields: Fields, around: Around) -> Iterator[Told | Refusal]:
    """An output of a model, several outputs, or a preference between two."""
    prompt = asked(rendered(fields.need_text("instruction"), fields.take_text("input")))
    if "output_1" in fields:
        yield _preference(fields, prompt, around)
        return
    output = fields.take("output")
    policy = fields.take_model("generator") or around.policy
    texts = output if isinstance(output, list) else [output]
    if not texts or not all(isinstance(text, str) for text in texts):
        raise Unreadable("the output is neither text nor a list of texts")
    answers = tuple(
        Answer(text, policy, draws=(Draw(policy, index, sampling_of(fields.see("config"))),))
        for index, text in enumerate(texts)
    )
    yield Told(
        prompt, answers, (), fields.take_id(), 0 if len(answers) == 1 else None, metadata=fields.rest()
    )


def sampling_of(config: object) -> str:
    """Sampling parameters, written `top_p=0.9;temp=1.0`, as JSON text."""
    if not isinstance(config, str):
        return "{}"
    pairs = [part.split("=", 1) for part in config.split(";") if "=" in part]
    found = {("temperature" if name == "temp" else name): number_in(value) for name, value in pairs}
    return json.dumps({name: value for name, value in sorted(found.items()) if value is not None})


def _preference(fields: Fields, prompt: Messages, around: Around) -> Told:
    answers = tuple(
        Answer(fields.need_text(name), fields.take_model(name.replace("output", "generator")))
        for name in OUTPUTS
    )
    if "preference" not in fields:
        return Told(prompt, answers, metadata=fields.rest())
    verdict = _verdict(fields, around.labeler(fields.take_text("annotator") or "alpaca_eval"))
    fields.drop("raw_completion", "referenced_models")
    return Told(prompt, answers, (verdict,), metadata=fields.rest())


def _verdict(fields: Fields, annotator: str) -> Verdict:
    value = fields.take("preference")
    preference = number_in(value)
    scale = WEIGHTED if _is_weighted(annotator, preference) else BINARY
    if preference is None or not (preference == 0 or 1 <= preference <= 2):
        margin, state = None, "unparsed"
    else:
        margin = 0.0 if preference in TIES else 3 - 2 * preference
        state = "tie" if margin == 0 else "win"
    first = _shown_first(fields)
    if first == 1:
        margin = None if margin is None else 0 - margin
    return Verdict(
        first or 0,
        1 - (first or 0),
        annotator,
        JUDGE,
        f"alpaca-eval/{annotator}",
        scale,
        margin,
        state,
        native_of(value),
        is_order_known=first is not None,
        explanation=_explanation(fields.see("raw_completion")),
    )


def _is_weighted(annotator: str, preference: float | None) -> bool:
    is_between = preference is not None and 1 < preference < 2 and preference not in TIES
    return annotator.startswith("weighted") or is_between


def _shown_first(fields: Fields) -> int | None:
    """Which output the judge saw first: it was called m, the other M. None if the file does not say."""
    named = fields.see("referenced_models")
    shown = named.get("m") if isinstance(named, dict) else None
    return OUTPUTS.index(shown) if isinstance(shown, str) and shown in OUTPUTS else None


def _explanation(reply: object) -> str | None:
    if isinstance(reply, str):
        return reply or None
    said = reply.get("concise_explanation") if isinstance(reply, dict) else None
    return said if isinstance(said, str) and said else None


ALPACA_EVAL = LabelReader(tell, has_any("instruction"))


def _looks_like(sample: Sample) -> Match | None:
    pairs = sum("output_1" in record and "output_2" in record for record in sample.records)
    if pairs:
        return Match(pairs / len(sample.records), "records have `output_1` and `output_2`")
    outputs = sum(
        "generator" in record and "output" in record and "model_input" not in record
        for record in sample.records
    )
    lists = sum(isinstance(record.get("output"), list) for record in sample.records)
    if outputs or lists:
        return Match(
            max(outputs, lists) / len(sample.records), "records have an `instruction` and a model's `output`"
        )
    return None


FORMAT = Format(
    "AlpacaEval, AlpacaFarm: outputs of a model, or a judge's preference between two (1, 2, a tie, 1 + p, null)",
    '{"instruction": "Name a prime.", "output_1": "Nine.", "generator_1": "m", "output_2": "Seven.", '
    '"generator_2": "n", "annotator": "alpaca_eval_gpt4", "preference": 2.0}',
    _looks_like,
)
