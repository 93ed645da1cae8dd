"""What a reader is: it turns one file into records, verdicts, rejects and remarks, in the file's order.

A reader takes records as they are. Whether a conversation is fit for training is decided later, by
filters and exports; only what cannot be stored at all is a reject, and it says why and where.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

from store.extensions import ExtensionPoint

Pieces = Literal["keep", "join"]

UNDATED = datetime(1970, 1, 1)
"""Stands where a file gives no time."""
IMPORTED = "imported"
"""The revision of a reward that a file brought: what made it is not known here."""

Columns = tuple[tuple[str, str], ...]
"""(what it is, such as `prompt`; the field of the file that holds it)"""


@dataclass(frozen=True, slots=True)
class Rating:
    """A number that somebody gave to one answer."""

    labeler: str
    labeler_kind: str
    """`person`, `judge` or `reward_model`."""
    template: str
    """The protocol of the file it comes from."""
    scale: str
    """`1-5`, `rank` …"""
    value: float | None
    """As it was given; None where there is none, and the state says why."""
    aspect: str = "overall"
    state: str = "done"
    draw_index: int = 0
    """Which of several ratings of one labeler on the same answer it is."""
    explanation: str | None = None
    created_at: datetime = UNDATED
    """In UTC, without a zone."""


@dataclass(frozen=True, slots=True)
class Record:
    """One conversation of a file."""

    record_number: int
    """Counted from 1, rejects included."""
    line: int
    """Where the record begins, counted from 1."""
    byte_offset: int
    """Where the record begins, in the text after decompression."""
    external_id: str
    """The id the file gives it, or empty."""
    messages: tuple[tuple[str, str], ...]
    """(role, content), with the store's roles."""
    model: str
    """The model label as the file gives it, or empty."""
    source_class: str | None
    """Only where the file names a class; otherwise the class follows from the model label."""
    language: str | None
    metadata: str | None
    """JSON text of whatever else the record holds."""
    record_numbers: tuple[int, ...]
    """More than one when pieces were joined, in the order of their turns."""
    ratings: tuple[tuple[int, Rating], ...] = ()
    """What somebody gave to one of the messages, by its place."""


@dataclass(frozen=True, slots=True)
class Inspection:
    """A file, looked at from beginning to end."""

    sha256: str
    """Of the file as it lies there, compressed or not."""
    stored_bytes: int
    text_bytes: int
    """After decompression."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A record that is a verdict on two answers to one prompt.

    Prompt and answers are stored as conversations too, each answer of a model once however many verdicts
    name it.
    """

    record_number: int
    """Counted from 1, rejects included."""
    line: int
    byte_offset: int
    external_id: str
    """The id the file gives the prompt, or empty."""
    prompt: tuple[tuple[str, str], ...]
    """(role, content), with the store's roles."""
    answer_a: str
    """The one shown first."""
    answer_b: str
    policy_a: str
    """Who wrote it, or empty."""
    policy_b: str
    labeler: str
    labeler_kind: str
    """`person`, `judge` …"""
    template: str
    """What the labeler was shown."""
    scale: str
    native_label: str | None
    """The verdict in the scale's own words."""
    signed_margin: float | None
    """From 1, A is clearly better, to -1; None where there is no verdict."""
    state: str
    """`win`, `tie`, or why there is no verdict."""
    created_at: datetime
    """In UTC, without a zone; the epoch where the file gives no time."""
    acceptable_a: bool | None = None
    acceptable_b: bool | None = None
    explanation: str | None = None
    draw_index: int = 0
    """Which of several verdicts of one labeler on the same order it is."""


@dataclass(frozen=True, slots=True)
class Draw:
    """One draw of a policy: that it gave this answer, and how it was asked."""

    policy: str
    sample_index: int
    sampling: str = "{}"
    """JSON text of the sampling parameters, as far as the file gives them."""
    finish_reason: str = "unknown"
    seed: int | None = None
    n_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Reward:
    """A reward model's number for one answer."""

    reward_model: str
    value: float | None
    revision: str = IMPORTED
    state: str = "done"


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer to the prompt of a record, with what the record says of it."""

    text: str
    policy: str = ""
    """Who wrote it, or empty."""
    before: tuple[tuple[str, str], ...] = ()
    """Turns between the record's prompt and this answer, (role, content)."""
    draws: tuple[Draw, ...] = ()
    ratings: tuple[Rating, ...] = ()
    rewards: tuple[Reward, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """A verdict on two answers of a record."""

    a: int
    """Which answer was shown first, counted from 0."""
    b: int
    labeler: str
    labeler_kind: str
    template: str
    scale: str
    signed_margin: float | None
    """From 1, A is clearly better, to -1; None where there is no verdict."""
    state: str
    """`win`, `tie`, or why there is no verdict."""
    native_label: str | None = None
    """The verdict in the scale's own words; on scale `binary` A and B stand if not given."""
    is_order_known: bool = True
    """Otherwise the two are put in an order that depends on their texts only."""
    explanation: str | None = None
    draw_index: int = 0
    created_at: datetime = UNDATED


@dataclass(frozen=True, slots=True)
class Labeled:
    """A record that is a prompt with any number of answers, and what was said of them.

    It is one conversation: the prompt alone, so that an answer somebody found bad is never taken for a
    conversation to learn from, or the prompt with the one answer that `ending` names.
    """

    record_number: int
    """Counted from 1, rejects included."""
    line: int
    byte_offset: int
    external_id: str
    """The id the file gives it, or empty."""
    prompt: tuple[tuple[str, str], ...]
    """(role, content), with the store's roles."""
    answers: tuple[Answer, ...]
    verdicts: tuple[Verdict, ...] = ()
    ending: int | None = None
    """Which answer the conversation ends with, counted from 0."""
    language: str | None = None
    metadata: str | None = None
    """JSON text of whatever else the record holds."""


@dataclass(frozen=True, slots=True)
class Reject:
    """A record that was not taken."""

    record_number: int
    line: int
    byte_offset: int
    reason: str
    excerpt: str
    """How the record begins."""


@dataclass(frozen=True, slots=True)
class Remark:
    """A sentence about the file as a whole, for the person who reads it in."""

    text: str


@dataclass(frozen=True, slots=True)
class ReaderSettings:
    """What a user may ask of a reader."""

    pieces: Pieces = "keep"
    """Whether pieces of one long conversation (ids `<base>_<n>`) are put together again."""
    columns: Columns = ()
    """For the reader `columns`: which field of a record is what."""
    model_label: str | None = None
    """Who wrote answers whose author the file does not name."""
    labeler: str | None = None
    """Who labeled, whatever the reader would say."""
    labeler_kind: str | None = None
    """`person`, `judge`, `reward_model` …, where the file does not say."""
    beside: tuple[Path, ...] = ()
    """Files and folders that hold what the records name by id only."""
    stand_ins: bool = False
    """Whether a text that is nowhere is stood in for by its name, so that its labels can be counted."""


class Reader(Protocol):
    """Reads files of one format."""

    def __call__(
        self, path: Path, settings: ReaderSettings
    ) -> Iterator[Record | Judged | Labeled | Reject | Remark]:
        """Everything in the file at PATH; every record is a Record, part of one, a Judged, a Labeled or a Reject.

        Raises BadInput if the file is not of this format at all.
        """
        ...


@runtime_checkable
class Inspecting(Protocol):
    """A reader of files that are not text: it looks at them itself before anything of them is taken."""

    def inspect(self, path: Path) -> Inspection:
        """The file's hash and sizes.

        Raises BadInput if it cannot be a file of this format.
        """
        ...


READERS: ExtensionPoint[Reader] = ExtensionPoint(
    kind="reader",
    group="curate.readers",
    built_in={
        "alpaca": "curate.readers.alpaca:ALPACA",
        "alpaca-eval": "curate.readers.alpaca_eval:ALPACA_EVAL",
        "alternating": "curate.readers.alternating:ALTERNATING",
        "baize": "curate.readers.marked_text:BAIZE_READER",
        "chatgpt-export": "curate.readers.chatgpt_export:CHATGPT_EXPORT",
        "columns": "curate.readers.columns:COLUMNS",
        "completion": "curate.readers.question_answer:COMPLETION",
        "dialogstudio": "curate.readers.turn_pairs:DIALOGSTUDIO",
        "dolly": "curate.readers.alpaca:DOLLY",
        "flan": "curate.readers.question_answer:FLAN",
        "flan-cot": "curate.readers.flan_cot:FLAN_COT",
        "gpt4-scores": "curate.readers.gpt4_scores:GPT4_SCORES",
        "helpsteer": "curate.readers.helpsteer:HELPSTEER",
        "hh-rlhf": "curate.readers.hh_rlhf:HH_RLHF",
        "human-eval": "curate.readers.human_eval:HUMAN_EVAL",
        "kto": "curate.readers.kto:KTO",
        "llm-drift": "curate.readers.llm_drift:LLM_DRIFT",
        "lmsys": "curate.readers.chat_logs:LMSYS",
        "marked-text": "curate.readers.marked_text:MARKED",
        "messages": "curate.readers.chat_messages:MESSAGES",
        "moss": "curate.readers.moss:MOSS",
        "mt-bench": "curate.readers.mt_bench:MT_BENCH",
        "nectar": "curate.readers.nectar:NECTAR",
        "oasst": "curate.readers.oasst:OASST",
        "orca": "curate.readers.question_answer:ORCA",
        "pairs": "curate.readers.pairs:PAIRS",
        "pku-saferlhf": "curate.readers.pku_saferlhf:PKU_SAFERLHF",
        "prometheus": "curate.readers.prometheus:PROMETHEUS",
        "prompt-blocks": "curate.readers.text_prompts:PROMPT_BLOCKS",
        "prompt-lines": "curate.readers.text_prompts:PROMPT_LINES",
        "prompts": "curate.readers.prompts:PROMPTS",
        "qa-feedback": "curate.readers.qa_feedback:QA_FEEDBACK",
        "response-sets": "curate.readers.response_sets:RESPONSE_SETS",
        "rewardbench-bon": "curate.readers.rewardbench_bon:REWARDBENCH_BON",
        "rm-bench": "curate.readers.rm_bench:RM_BENCH",
        "self-instruct": "curate.readers.tasks:SELF_INSTRUCT",
        "sharegpt": "curate.readers.sharegpt:SHAREGPT",
        "shp": "curate.readers.shp:SHP",
        "summarize": "curate.readers.summarize:SUMMARIZE",
        "super-ni": "curate.readers.tasks:SUPER_NI",
        "turn-pairs": "curate.readers.turn_pairs:TURN_PAIRS",
        "ultrafeedback": "curate.readers.ultrafeedback:ULTRAFEEDBACK",
        "ultrainteract": "curate.readers.ultrainteract:ULTRAINTERACT",
        "unnatural": "curate.readers.tasks:UNNATURAL",
        "vicuna-eval": "curate.readers.vicuna_eval:VICUNA_EVAL",
        "wildbench": "curate.readers.wildbench:WILDBENCH",
        "wildchat": "curate.readers.chat_logs:WILDCHAT",
    },
)
