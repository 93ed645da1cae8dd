"""What a filter is: it notices things in messages, and gives reasons to drop conversations.

A filter is a frozen dataclass whose fields are its options, with a docstring line under each. It looks at
messages many at a time, each message once however many conversations share it; then at the turns of whole
conversations, with what it noticed beside them.
"""

from typing import TYPE_CHECKING, ClassVar, Protocol, runtime_checkable

from store.extensions import ExtensionPoint

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa

    from store.db import Reading


@runtime_checkable
class Filter(Protocol):
    """A rule that can be judged conversation by conversation."""

    rule_version: ClassVar[int]
    """Grows when the rule decides otherwise under the same options."""

    def notice(self, texts: "pl.DataFrame") -> "pl.DataFrame | None":
        """What is remarkable in messages (`row`, `role`, `content`); None for a rule that needs no texts.

        Gives `row`, `label` (what it is, in a word or two), `score` (a number, or NULL), `found` (the
        piece of text, or NULL) and `start` (where it begins, in characters, or NULL); at most one row a
        message.
        """
        ...

    def drops(self, turns: "pl.DataFrame") -> "pl.DataFrame":
        """The conversations to drop, of the turns of whole conversations.

        TURNS has `conversation`, `position` (from 1), `role`, `n_chars`, `row` and the columns of `notice`
        (NULL where nothing was noticed); of a filter with texts only conversations in which something was
        noticed. Gives `conversation`, `label` (NULL for the filter's bare name) and `position`, `score`,
        `found`, `start` as evidence; each conversation once.
        """
        ...


@runtime_checkable
class StoreFilter(Protocol):
    """A rule that needs the whole store to judge one conversation."""

    rule_version: ClassVar[int]

    def drops_across(
        self, reading: "Reading", upto: int
    ) -> "list[tuple[str, str | None, dict[str, object]]]":
        """(conversation as UUID text, label, evidence) of the conversations written up to version UPTO."""
        ...


@runtime_checkable
class AnswerFilter(StoreFilter, Protocol):
    """A rule of the whole store that asks of texts only which answers are the same, and how long they are.

    Where other filters read all texts in the same run, it need not read them again.
    """

    def drops_among(
        self, reading: "Reading", upto: int, answers: "pa.Table"
    ) -> "list[tuple[str, str | None, dict[str, object]]]":
        """As `drops_across`, of ANSWERS: `row` of the message, `words` (a hash of its text) and `n_bytes`."""
        ...


FILTERS: ExtensionPoint[type[Filter] | type[StoreFilter]] = ExtensionPoint(
    kind="filter",
    group="curate.filters",
    built_in={
        "code-only": "curate.filters.code_only:CodeOnly",
        "control-tokens": "curate.filters.control_tokens:ControlTokens",
        "encoding": "curate.filters.encoding_damage:EncodingDamage",
        "language": "curate.filters.language:Language",
        "length": "curate.filters.length:Length",
        "pii": "curate.filters.pii:PersonalData",
        "refusal": "curate.filters.refusal:Refusal",
        "repetition": "curate.filters.repetition:Repetition",
        "same-answer": "curate.filters.same_answer:SameAnswer",
        "secrets": "curate.filters.secret_keys:Secrets",
        "truncated": "curate.filters.truncated:Truncated",
        "turns": "curate.filters.turns:Turns",
    },
)
