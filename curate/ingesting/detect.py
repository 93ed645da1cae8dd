"""Which format a file is of, and why; the table of formats that can be told apart.

A format is a line here and a `Format` beside its reader, with the same name as the reader. Where the two
surest formats are too near to one another, or none is sure, the file is refused and both are named.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from curate.format import Format, Match, Sample
from curate.readers.rows import sample_of
from curate.readers.text_files import inspect_text
from store.errors import BadInput
from store.extensions import ExtensionPoint

SURE = 0.5
"""A format below it is not taken unasked."""
LEAD = 0.1
"""By how much the surest format must lead the next one."""

TEXT_CONTAINERS = ("json", "csv", "tsv")

AUTO = "auto"
"""The name that stands for whichever format is found."""

FORMATS: ExtensionPoint[Format] = ExtensionPoint(
    kind="format",
    group="curate.formats",
    built_in={
        "alpaca": "curate.readers.alpaca:ALPACA_FORMAT",
        "alpaca-eval": "curate.readers.alpaca_eval:FORMAT",
        "alternating": "curate.readers.alternating:FORMAT",
        "baize": "curate.readers.marked_text:BAIZE_FORMAT",
        "chatgpt-export": "curate.readers.chatgpt_export:FORMAT",
        "columns": "curate.readers.columns:FORMAT",
        "completion": "curate.readers.question_answer:COMPLETION_FORMAT",
        "dialogstudio": "curate.readers.turn_pairs:DIALOGSTUDIO_FORMAT",
        "dolly": "curate.readers.alpaca:DOLLY_FORMAT",
        "flan": "curate.readers.question_answer:FLAN_FORMAT",
        "flan-cot": "curate.readers.flan_cot:FORMAT",
        "gpt4-scores": "curate.readers.gpt4_scores:FORMAT",
        "helpsteer": "curate.readers.helpsteer:FORMAT",
        "hh-rlhf": "curate.readers.hh_rlhf:FORMAT",
        "human-eval": "curate.readers.human_eval:FORMAT",
        "kto": "curate.readers.kto:FORMAT",
        "llm-drift": "curate.readers.llm_drift:FORMAT",
        "lmsys": "curate.readers.chat_logs:LMSYS_FORMAT",
        "marked-text": "curate.readers.marked_text:MARKED_FORMAT",
        "messages": "curate.readers.chat_messages:FORMAT",
        "moss": "curate.readers.moss:FORMAT",
        "mt-bench": "curate.readers.mt_bench:FORMAT",
        "nectar": "curate.readers.nectar:FORMAT",
        "oasst": "curate.readers.oasst:FORMAT",
        "orca": "curate.readers.question_answer:ORCA_FORMAT",
        "pairs": "curate.readers.pairs:FORMAT",
        "pku-saferlhf": "curate.readers.pku_saferlhf:FORMAT",
        "prometheus": "curate.readers.prometheus:FORMAT",
        "prompt-blocks": "curate.readers.text_prompts:BLOCKS_FORMAT",
        "prompt-lines": "curate.readers.text_prompts:LINES_FORMAT",
        "prompts": "curate.readers.prompts:FORMAT",
        "qa-feedback": "curate.readers.qa_feedback:FORMAT",
        "response-sets": "curate.readers.response_sets:FORMAT",
        "rewardbench-bon": "curate.readers.rewardbench_bon:FORMAT",
        "rm-bench": "curate.readers.rm_bench:FORMAT",
        "self-instruct": "curate.readers.tasks:SELF_INSTRUCT_FORMAT",
        "sharegpt": "curate.readers.sharegpt:FORMAT",
        "shp": "curate.readers.shp:FORMAT",
        "summarize": "curate.readers.summarize:FORMAT",
        "super-ni": "curate.readers.tasks:SUPER_NI_FORMAT",
        "turn-pairs": "curate.readers.turn_pairs:TURN_PAIRS_FORMAT",
        "ultrafeedback": "curate.readers.ultrafeedback:FORMAT",
        "ultrainteract": "curate.readers.ultrainteract:FORMAT",
        "unnatural": "curate.readers.tasks:UNNATURAL_FORMAT",
        "vicuna-eval": "curate.readers.vicuna_eval:FORMAT",
        "wildbench": "curate.readers.wildbench:FORMAT",
        "wildchat": "curate.readers.chat_logs:WILDCHAT_FORMAT",
    },
)


@dataclass(frozen=True, slots=True)
class Detected:
    """The format of a file."""

    reader: str
    why: str


def detect(path: Path) -> Detected:
    """The format of the file at PATH.

    Raises BadInput, with the nearest candidates, if none is sure enough.
    """
    sample = sample_of(path)
    try:
        return choose(sample)
    except BadInput:
        if sample.container in TEXT_CONTAINERS:
            inspect_text(path)  # says what it is instead, if that is known
        raise


def choose(sample: Sample) -> Detected:
    """The format SAMPLE is of.

    Raises BadInput, with the nearest candidates, if none is sure enough.
    """
    found = sorted(_matches(sample), key=lambda one: (-one[1].confidence, one[0]))
    if not found:
        raise BadInput(
            f"{sample.path} is of no known format ({_seen(sample)}){_nearest(sample)}; see: curate formats;"
            " a table of prompts and answers goes in with: curate ingest columns --columns prompt=…,response=…"
        )
    (name, match), *others = found
    runner_up = others[0] if others else None
    if match.confidence >= SURE and (runner_up is None or match.confidence - runner_up[1].confidence >= LEAD):
        return Detected(name, match.why)
    raise BadInput(f"the format of {sample.path} is not clear: {_candidates(found[:2])}; name one of them")


def _matches(sample: Sample) -> Iterable[tuple[str, Match]]:
    for name in FORMATS.names():
        match = FORMATS.load(name).detect(sample)
        if match is not None and match.confidence > 0:
            yield name, match


def _candidates(found: list[tuple[str, Match]]) -> str:
    return " or ".join(f"{name} ({match.why})" for name, match in found)


def _nearest(sample: Sample) -> str:
    """The two formats whose example has most fields in common with SAMPLE, in words."""
    keys = {key for record in sample.records for key in record}
    shared = {name: len(keys & _example_keys(FORMATS.load(name))) for name in FORMATS.names()}
    names = sorted((name for name in shared if shared[name]), key=lambda name: (-shared[name], name))[:2]
    return f"; the nearest are {' and '.join(names)}" if names else ""


def _example_keys(form: Format) -> set[str]:
    try:
        return set(json.loads(form.example))
    except ValueError:
        return set()


def _seen(sample: Sample) -> str:
    """What its records look like, in a few words."""
    if not sample.records:
        return "no record could be read at its beginning"
    keys = list(sample.records[0])
    shown = ", ".join(key[:40] for key in keys[:8])
    return f"its records have {shown}{' …' if len(keys) > 8 else ''}" if keys else "its records are empty"
