"""What a trainer will really see in an export, summed by class, and whether anything is wrong with it."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from store.chat_format import ChatFormat, Encoded, Rendered, tokenizer_sha256
from store.chat_template import template_for
from store.errors import BadInput
from train.checking.faults import Rules, Sight, row_faults
from train.checking.file_rows import Export, FilePair, FileRow, open_export
from train.checking.held_out import HeldOut
from train.checking.pair_faults import PairLengths, pair_faults
from train.checking.promise import promise_of
from train.checking.set_faults import MAX_REPEATED_SHARE, SetLook, class_faults
from train.exporting.shards import sha256_of
from train.running.run_settings import FEW_SEQUENCES
from train.supervise import Supervised, supervise

BATCH = 256
BATCH_TOKENS = 200_000  # OpenChat, section 4.1: supervised tokens a step
MAX_CUT_SHARE = 0.2
"""The share of rows cut at max_length above which an export is not good."""


@dataclass
class ClassTotal:
    """What the trainer sees of one class."""

    rows: int = 0
    tokens: int = 0
    trained_tokens: int = 0
    weight_sum: float = 0.0


@dataclass
class CheckReport:
    """What the trainer will see, and what is wrong with it."""

    rows: int = 0
    cut: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    first_rows: dict[str, int] = field(default_factory=dict)
    """Fault → the first row that has it."""
    classes: dict[str, ClassTotal] = field(default_factory=dict)
    shown: list[Sight] = field(default_factory=list)
    sequences_per_step: float | None = None
    """None where weights do not depend on them: for all recipes but C-RLFT."""
    has_tokens: bool = False
    look: SetLook = field(default_factory=SetLook)
    pairs: PairLengths = field(default_factory=PairLengths)
    layout: str | None = None
    recipe: str | None = None

    @property
    def is_ok(self) -> bool:
        """Whether there is no fault."""
        return not self.faults

    @property
    def has_conditions(self) -> bool:
        """Whether rows carry a condition, as C-RLFT's do."""
        return self.look.has_conditions

    @property
    def trained_tokens(self) -> int:
        """Tokens trained on, over all classes."""
        return sum(total.trained_tokens for total in self.classes.values())

    def warnings(self) -> list[str]:
        """What is no fault but should be known."""
        found: list[str] = []
        if self.sequences_per_step is not None and self.sequences_per_step < FEW_SEQUENCES:
            found.append(
                f"{self.sequences_per_step:.0f} sequences a step are few: below about {FEW_SEQUENCES} the weights of"
                " the classes partly cancel; use a larger batch"
            )
        if repeated := self.look.repeated():
            found.append(f"rows that repeat an earlier one: {repeated} of {self.rows}; see: curate dedup")
        if self.look.templated and "content already templated" not in self.faults:
            found.append(f"rows whose content begins as the template's turns do: {self.look.templated}")
        if self.rows and not self.has_tokens:
            found.append("without --tokenizer the rows were not looked at as tokens")
        return found

    def add(self, sight: Sight, rules: Rules) -> None:
        """Count a row."""
        self.rows += 1
        self.look.add((sight,), rules)
        self.blame(sight.row.number, row_faults(sight, rules))
        self._sum(sight)

    def add_pair(self, pair: FilePair, sides: tuple[Sight, Sight], rules: Rules) -> None:
        """Count a pair: its own faults and those of either side."""
        self.rows += 1
        self.look.add(sides, rules)
        self.pairs.add(pair)
        faults = pair_faults(pair).union(*(row_faults(sight, rules) for sight in sides))
        self.blame(pair.number, faults)
        for sight in sides:
            self._sum(sight)

    def blame(self, number: int, faults: set[str]) -> None:
        """Count the faults of a row."""
        for fault in faults:
            self.faults[fault] += 1
            self.first_rows.setdefault(fault, number)

    def _sum(self, sight: Sight) -> None:
        total = self.classes.setdefault(sight.row.source_class, ClassTotal())
        total.rows += 1
        if sight.tokens is not None:
            self.has_tokens = True
            self.cut += sight.tokens.is_cut
            total.tokens += len(sight.tokens.input_ids)
            total.trained_tokens += sight.tokens.n_trained
            total.weight_sum += sum(sight.tokens.loss_weights)


@dataclass(frozen=True, slots=True)
class CheckSettings:
    """How an export is looked at."""

    tokenizer: str | None = None
    """Its directory; None means the one the manifest names, if it is there."""
    template: str | None = None
    """None means the manifest's, else `openchat`."""
    max_length: int | None = None
    """None means the manifest's."""
    batch_tokens: int = BATCH_TOKENS
    """Supervised tokens of one optimizer step."""
    batch_size: int | None = None
    """Sequences of one optimizer step; takes the place of batch_tokens."""
    max_cut_share: float = MAX_CUT_SHARE
    max_repeated_share: float = MAX_REPEATED_SHARE
    held_out: tuple[str, ...] = ()
    """Exports, or files of rows, whose prompts nothing may be trained on."""
    model: str | None = None
    """The directory of a model, to be held against as it lies there."""
    show: int = 0
    """How many rows to keep for showing."""


def check_export(path: Path, settings: CheckSettings) -> CheckReport:
    """Everything the trainer will see of the export at PATH."""
    export = open_export(path)
    rules = rules_for(export, settings)
    manifest = export.manifest or {}
    report = CheckReport(layout=manifest.get("layout"), recipe=manifest.get("recipe"))
    held_out = read_held_out(settings.held_out, rules)
    rows = export.rows()
    while batch := list(islice(rows, BATCH)):
        _look(report, batch, rules, held_out, settings.show)
    _add_set_faults(report, export, rules, settings)
    if rules.needs_condition or (export.manifest is None and report.has_conditions):
        report.sequences_per_step = _sequences_per_step(report, settings)
    return report


def read_held_out(paths: tuple[str, ...], rules: Rules) -> HeldOut | None:
    """The prompts of the exports or files at PATHS, None without any."""
    if not paths:
        return None
    held_out = HeldOut()
    for path in paths:
        rows = open_export(Path(path)).rows()
        flat = (side for row in rows for side in (row.sides[:1] if isinstance(row, FilePair) else (row,)))
        for sight in sights(flat, rules):
            held_out.add(sight)
    return held_out


def _look(
    report: CheckReport,
    batch: list[FileRow | FilePair],
    rules: Rules,
    held_out: HeldOut | None,
    n_shown: int,
) -> None:
    """Count a batch of rows and pairs, tokenised together."""
    flat = [side for row in batch for side in (row.sides if isinstance(row, FilePair) else (row,))]
    seen = iter(sights_of(flat, rules))
    for row in batch:
        if isinstance(row, FilePair):
            better, worse = next(seen), next(seen)
            report.add_pair(row, (better, worse), rules)
            shown = [better, worse]
        else:
            shown = [next(seen)]
            report.add(shown[0], rules)
        if held_out is not None and held_out.holds(shown[0], rules):
            report.blame(row.number, {"prompt also held out"})
        if report.rows <= n_shown:
            report.shown += shown


def rules_for(export: Export, settings: CheckSettings) -> Rules:
    """The rules an export is held against: its own settings where the caller gave none."""
    own: dict[str, Any] = (export.manifest or {}).get("settings") or {}
    tokenizer = settings.tokenizer or settings.model or own.get("tokenizer")
    if (
        settings.tokenizer is None
        and settings.model is None
        and tokenizer is not None
        and not Path(tokenizer).is_dir()
    ):
        tokenizer = None
    template = settings.template or own.get("template") or "openchat"
    chat = ChatFormat.load(tokenizer, template) if tokenizer else None
    max_length = settings.max_length or own.get("max_length")
    return Rules(chat, max_length, promise_of(export.manifest))


def sights(rows: Iterator[FileRow], rules: Rules) -> Iterator[Sight]:
    """Rows as the trainer sees them, tokenised in batches where they hold text."""
    while batch := list(islice(rows, BATCH)):
        yield from sights_of(batch, rules)


def sights_of(batch: list[FileRow], rules: Rules) -> Iterator[Sight]:
    """The same for a few rows at once."""
    rendered = {place: text for place, row in enumerate(batch) if (text := _rendered(row, rules)) is not None}
    encoded = (
        dict(zip(rendered, rules.chat.encode(list(rendered.values())), strict=True)) if rules.chat else {}
    )
    for place, row in enumerate(batch):
        one = encoded.get(place)
        tokens = row.tokens or (_tokens(row, one, rules) if one else None)
        yield Sight(row, tokens, rendered.get(place), one)


def _rendered(row: FileRow, rules: Rules) -> Rendered | None:
    """The row's text, or None for a row that no template takes."""
    known = {"system", "user", "assistant"}
    if rules.chat is None or not row.turns or not {role for role, _ in row.turns} <= known:
        return None
    return rules.chat.render(row.turns, row.condition)


def _tokens(row: FileRow, encoded: Encoded, rules: Rules) -> Supervised:
    """Tokens with the row's weights; a weight that is missing counts as 1, and its own check reports it."""
    weights = list(row.turn_weights or ())
    weights += [1.0] * (len(row.turns or ()) - len(weights))
    answers = [
        weight for (role, _), weight in zip(row.turns or (), weights, strict=False) if role == "assistant"
    ]
    answers = (answers + [1.0] * len(encoded.spans))[: len(encoded.spans)]
    return supervise(encoded, answers, rules.max_length)


def _add_set_faults(report: CheckReport, export: Export, rules: Rules, settings: CheckSettings) -> None:
    if report.rows == 0:
        report.faults["no rows"] += 1
    elif report.cut / report.rows > settings.max_cut_share:
        report.faults["too many rows cut at max length"] += report.cut
    for fault in manifest_faults(export, rules, report.rows):
        report.faults[fault] += 1
    is_same = _reads_as_written(export, rules)
    for fault, count in (
        *report.look.faults(rules, settings.max_repeated_share),
        *class_faults(report.classes, rules, has_tokens=report.has_tokens and is_same),
    ):
        report.faults[fault] += count
    if settings.model is not None:
        for fault in model_faults(Path(settings.model), rules):
            report.faults[fault] += 1


def _reads_as_written(export: Export, rules: Rules) -> bool:
    """Whether rows are looked at with the tokenizer, template and length they were written with."""
    if export.manifest is None or rules.chat is None:
        return False
    is_long = rules.max_length == export.manifest.get("settings", {}).get("max_length")
    is_same_template = rules.chat.template.sha256 == export.manifest.get("template_sha256")
    return is_long and is_same_template and not list(_format_faults(export.manifest, rules.chat))


def model_faults(folder: Path, rules: Rules) -> Iterator[str]:
    """What would go wrong with the model in FOLDER as it lies there; `train run` mends both in its own process.

    Raises BadInput if it holds no model.
    """
    path = folder / "config.json"
    if not path.is_file():
        raise BadInput(f"{folder} holds no config.json; name the directory of a model")
    if rules.chat is None:
        return
    config = json.loads(path.read_text(encoding="utf-8"))
    if int(config.get("vocab_size", 0)) < len(rules.chat.tokenizer):
        yield "model without rows for the template's tokens"
    if rules.chat.tokenizer.pad_token_id in (None, rules.chat.end_of_turn_id):
        yield "padding is the end of turn"


def manifest_faults(export: Export, rules: Rules, rows: int) -> Iterator[str]:
    """Where the files, the tokenizer or the template are not those the manifest names."""
    manifest = export.manifest
    if manifest is None:
        return
    listed = {file["name"]: file["sha256"] for file in manifest.get("files", [])}
    found = {path.name: path for path in export.files}
    for name in sorted(listed.keys() | found.keys()):
        if name not in found:
            yield "file of the manifest missing"
        elif name not in listed:
            yield "file not in the manifest"
        elif sha256_of(found[name]) != listed[name]:
            yield "file changed since the manifest"
    if manifest.get("rows") != rows:
        yield "row count not that of the manifest"
    if rules.chat is not None:
        yield from _format_faults(manifest, rules.chat)


def _format_faults(manifest: dict[str, Any], chat: ChatFormat) -> Iterator[str]:
    if manifest.get("tokenizer_sha256") not in (None, tokenizer_sha256(chat.tokenizer)):
        yield "tokenizer not that of the manifest"
    name = manifest.get("settings", {}).get("template", chat.template.name)
    if manifest.get("template_sha256") not in (None, template_for(chat.tokenizer, name).sha256):
        yield "template changed since the manifest"


def _sequences_per_step(report: CheckReport, settings: CheckSettings) -> float | None:
    """Sequences of one optimizer step, on average."""
    if settings.batch_size is not None:
        return float(settings.batch_size)
    if not report.trained_tokens:
        return None
    return settings.batch_tokens * report.rows / report.trained_tokens
