"""`curate blocks`: conversations that are longer than a trainer takes, cut into blocks it takes whole.

A block is a new conversation made of an old one (curate/rewriting.py), as long with its template as the trainer
will see it (store/chat_format.py). Which turns it holds, and what of it is repeated, stands in `derived_step`.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from curate.choosing.cutting import Block, NoRoom, Part, Turn, cut
from curate.choosing.selection import Scope
from curate.rewriting import Derived, by_message, pieces, read_piece, write_piece
from store.chat_format import ChatFormat, count_tokens, tokenizer_sha256
from store.errors import BadInput, BadSettings
from store.ids import to_text
from store.named_sql import named_sql
from store.runs import run_of

if TYPE_CHECKING:
    import pyarrow as pa

    from store.db import Store

RULE_VERSION = 1
"""Grows when the same conversation is cut otherwise."""
FEWEST_TOKENS = 128
PIECE_MESSAGES = 2_048
"""Read and written in one turn: tokenising them takes seconds, and a kill loses no more than that."""
EXAMPLES = 5
BATCH_TEXTS = 128
"""Conversations tokenised at a time."""

Progress = Callable[[float], None]


@dataclass(frozen=True, slots=True)
class BlockSettings:
    """What a user may ask of the cutting."""

    tokenizer: Path
    """A folder with the trainer's tokenizer."""
    template: str
    max_tokens: int
    """Of a block with its template."""
    scope: Scope = field(default_factory=Scope)
    is_dry_run: bool = False

    def __post_init__(self) -> None:
        if self.max_tokens < FEWEST_TOKENS:
            raise BadSettings(
                f"--max-tokens {self.max_tokens} leaves no room; {FEWEST_TOKENS} is the least, 2048 is usual"
            )


@dataclass(slots=True)
class BlockReport:
    """What came of it; `seen = unchanged + cut`."""

    seen: int = 0
    cut: int = 0
    too_long: Counter[str] = field(default_factory=Counter)
    """Why some that do not fit stay as they are → how many; they count as unchanged."""
    blocks: int = 0
    turns: int = 0
    """Of the conversations that were cut."""
    turns_in_pieces: int = 0
    """Turns that alone are longer than a block."""
    tokens_before: int = 0
    """Of the turns of the conversations that were cut, without template."""
    tokens_after: int = 0
    """Of the same turns in the blocks, without what is repeated."""
    repeated_tokens: int = 0
    """Of system turns and questions that stand in a block again."""
    longest: int = 0
    """Tokens of the longest block, with its template."""
    new_conversations: int = 0
    new_messages: int = 0
    examples: list[str] = field(default_factory=list)

    @property
    def unchanged(self) -> int:
        """How many stay as they are."""
        return self.seen - self.cut

    def as_json(self) -> dict[str, object]:
        """The report as plain values, for `--json` and the run."""
        return {**asdict(self), "too_long": dict(self.too_long), "unchanged": self.unchanged}


class ChatSizer:
    """Counts a conversation as a trainer does that puts CONDITION before its turns, or none, whichever is more."""

    def __init__(self, chat: ChatFormat, condition: str | None) -> None:
        self._chat = chat
        takes_one = condition is not None and chat.template.takes_condition
        self._conditions = (None, condition) if takes_one else (None,)
        self._known: dict[str, int] = {}  # the same texts are asked about again and again

    def size(self, turns: Sequence[Turn]) -> int:
        """The tokens of a conversation with its template."""
        return max(self.counts(self.texts(turns)))

    def texts(self, turns: Sequence[Turn]) -> list[str]:
        """The conversation as the template writes it, under each condition."""
        return [self._chat.text(turns, condition) for condition in self._conditions]

    def counts(self, texts: Sequence[str]) -> list[int]:
        """The tokens of texts by themselves."""
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        self._known.update(zip(new, count_tokens(self._chat.tokenizer, new), strict=True))
        return [self._known[text] for text in texts]

    def ends(self, text: str) -> list[int]:
        """Where the tokens of TEXT end, in characters."""
        found = self._chat.tokenizer(
            text, add_special_tokens=False, return_offsets_mapping=True, verbose=False
        )
        return sorted({end for _, end in found["offset_mapping"]})


@dataclass(frozen=True)
class Blocker:
    """A tokenizer, a template and a bound: what a conversation is cut by."""

    chat: ChatFormat
    max_tokens: int
    name: str
    """How the blocks' steps name it."""

    @classmethod
    def of(cls, settings: BlockSettings) -> "Blocker":
        """The one that SETTINGS ask for."""
        chat = ChatFormat.load(settings.tokenizer, settings.template)
        digest = tokenizer_sha256(chat.tokenizer)[:12]
        name = f"blocks/{RULE_VERSION} {settings.max_tokens} tokens, {chat.template.name}, tokenizer {digest}"
        return cls(chat, settings.max_tokens, name)

    def too_long(
        self,
        talks: Mapping[bytes, Sequence[Turn]],
        conditions: Mapping[bytes, str | None],
        report: BlockReport,
    ) -> list[bytes]:
        """Those of TALKS that are longer than a block."""
        owners: list[bytes] = []
        texts: list[str] = []
        for conversation, turns in talks.items():
            try:
                rendered = ChatSizer(self.chat, conditions[conversation]).texts(turns)
            except BadInput:
                report.too_long["the template takes no such turns"] += 1
                continue
            owners += [conversation] * len(rendered)
            texts += rendered
        counts = [
            count
            for first in range(0, len(texts), BATCH_TEXTS)
            for count in count_tokens(self.chat.tokenizer, texts[first : first + BATCH_TEXTS])
        ]
        return list(
            dict.fromkeys(
                owner for owner, count in zip(owners, counts, strict=True) if count > self.max_tokens
            )
        )

    def cut(
        self, conversation: bytes, turns: Sequence[Turn], condition: str | None, report: BlockReport
    ) -> list[Derived]:
        """The blocks of a conversation that is too long; none, with the reason counted, if it cannot be cut."""
        sizer = ChatSizer(self.chat, condition)
        try:
            blocks = cut(turns, sizer, self.max_tokens)
            sizes = [sizer.size(block.turns(turns)) for block in blocks]
        except NoRoom as error:
            report.too_long[str(error)] += 1
            return []
        except BadInput:
            report.too_long["the template takes no such turns"] += 1
            return []
        self._count(turns, blocks, sizer, report)
        report.longest = max(report.longest, *sizes)
        return [
            Derived(conversation, self.step(number, blocks, turns), block.turns(turns), 0, ())
            for number, block in enumerate(blocks)
        ]

    def step(self, number: int, blocks: Sequence[Block], turns: Sequence[Turn]) -> str:
        """What a block's `derived_step` says: its number and turns, counted from 1, and where it parts one."""
        block = blocks[number]
        first, last = block.own[0], block.own[-1]
        words = [f"{number + 1} of {len(blocks)}", f"turns {first.position + 1}-{last.position + 1}"]
        if first.start > 0:
            words.append(f"turn {first.position + 1} from character {first.start}")
        if last.end < len(turns[last.position][1]):
            words.append(f"turn {last.position + 1} to character {last.end}")
        if block.repeated:
            words.append(f"the first {len(block.repeated)} repeated")
        return f"{self.name}: {', '.join(words)}"

    def _count(
        self, turns: Sequence[Turn], blocks: Sequence[Block], sizer: ChatSizer, report: BlockReport
    ) -> None:
        def texts(parts: Sequence[Part]) -> list[str]:
            return [turns[part.position][1][part.start : part.end] for part in parts]

        own = [part for block in blocks for part in block.own]
        report.cut += 1
        report.blocks += len(blocks)
        report.turns += len(turns)
        report.turns_in_pieces += len({part.position for part in own if part.start > 0})
        report.tokens_before += sum(sizer.counts([content for _, content in turns]))
        report.tokens_after += sum(sizer.counts(texts(own)))
        repeated = [part for block in blocks for part in block.repeated]
        report.repeated_tokens += sum(sizer.counts(texts(repeated)))


def make_blocks(store: "Store", settings: BlockSettings, advance: Progress | None = None) -> BlockReport:
    """Cut every current conversation of the scope that is too long; a reading and a writing turn a piece.

    Raises UnknownName for a template, source, class or selection, BadInput where there is no tokenizer.
    """
    tell = advance or (lambda _amount: None)
    blocker = Blocker.of(settings)
    report = BlockReport()
    table = _to_cut(store, settings.scope)
    if settings.is_dry_run:
        for size, _ in _cut_pieces(store, blocker, table, report):
            tell(size)
        return report
    asked = {
        "rule": blocker.name,
        "tokenizer": str(settings.tokenizer),
        "template_sha256": blocker.chat.template.sha256,
        "scope": asdict(settings.scope),
    }
    with run_of(store, "curate blocks", asked) as run:
        for size, found in _cut_pieces(store, blocker, table, report):
            if found:
                with store.write(run.run_id) as writing:
                    messages, conversations = write_piece(writing, found, run.run_id)
                report.new_messages += messages
                report.new_conversations += conversations
            tell(size)
        run.finish(report.as_json())
    return report


def to_look_at(store: "Store", scope: Scope) -> int:
    """How many conversations there are to look at."""
    return int(_to_cut(store, scope).num_rows)


def _to_cut(store: "Store", scope: Scope) -> "pa.Table":
    with store.read() as reading:
        return reading.arrow(named_sql("curate", "to_cut"), scope.parameters(reading))


def _cut_pieces(
    store: "Store", blocker: Blocker, table: "pa.Table", report: BlockReport
) -> Iterator[tuple[int, list[Derived]]]:
    """For each piece, how many conversations it has and what its long ones became."""
    columns = (table.column(name).to_pylist() for name in ("id", "condition"))
    conditions: dict[bytes, str | None] = dict(zip(*columns, strict=True))
    for piece in pieces(table, PIECE_MESSAGES):
        with store.read() as reading:
            paths, texts = read_piece(reading, piece)
        contents = by_message(texts)
        talks = {conversation: [contents[one] for one in path] for conversation, path in paths.items()}
        report.seen += len(talks)
        found: list[Derived] = []
        for conversation in blocker.too_long(talks, conditions, report):
            made = blocker.cut(conversation, talks[conversation], conditions[conversation], report)
            if made and len(report.examples) < EXAMPLES:
                report.examples.append(to_text("c1", conversation))
            found += made
        yield len(piece), found
