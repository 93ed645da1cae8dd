"""`train export crlft`: from the store to a directory of files, all of it or nothing.

The directory is written under a staging name, made durable, recorded in the store and renamed. The
same version and the same settings give the same bytes.
"""

import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from store import __version__
from store.chat_format import ChatFormat, tokenizer_sha256
from store.chat_template import OWN, ChatTemplate, load_template
from store.db import Store
from store.errors import BadSettings, RequestError
from store.ids import digest_of, uuid_text
from store.named_sql import named_sql
from store.runs import Run, run_of, utc_now
from train.card import card
from train.exporter import EXPORTERS, FORMATS, ExportRow, Shard, Target
from train.lineage import Lineage
from train.recipes.crlft import CrlftSettings, steps_of, walk_all
from train.rows import Tally, TrainingRow
from train.select import Selection, choose, conditions_and_weights, look, stage_turns, staged_rows
from train.shards import sha256_of, sync
from train.supervise import supervise

MANIFEST = "manifest.json"
MANIFEST_VERSION = 1
BATCH = 256
"""Conversations tokenised at a time."""


@dataclass(frozen=True, slots=True)
class ExportSettings:
    """What decides the bytes of an export."""

    layout: str
    """One of EXPORTERS."""
    file_format: str
    """`parquet` or `jsonl`."""
    tokenizer: str | None
    """The directory of the tokenizer; without one nothing is counted in tokens."""
    template: str = "openchat"
    max_length: int = 4096  # OpenChat, section 4.1
    """Tokens a trainer keeps of a row; what exceeds them is cut off its end."""
    recipe: CrlftSettings = field(default_factory=CrlftSettings)

    def as_json(self) -> dict[str, Any]:
        """The settings as the manifest and the store keep them."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What an export came to."""

    rows: int
    dropped: dict[str, int]
    changed: dict[str, int]
    files: list[str]
    manifest: Path
    sha256: str
    export_id: str
    """UUID text."""


@dataclass
class ClassSum:
    """What the rows of one class add up to."""

    condition: str
    weight: float
    rows: int = 0
    tokens: int = 0
    trained_tokens: int = 0
    weight_sum: float = 0.0


@dataclass
class Seen:
    """What passed through to the exporter, summed while it passes."""

    classes: dict[str, ClassSum] = field(default_factory=dict)
    sources: dict[str, int] = field(default_factory=dict)

    def add(self, one: ExportRow) -> None:
        """Count a row."""
        row = one.row
        total = self.classes.setdefault(row.source_class, ClassSum(row.condition, row.weight))
        total.rows += 1
        self.sources[row.source] = self.sources.get(row.source, 0) + 1
        if one.tokens is not None:
            total.tokens += len(one.tokens.input_ids)
            total.trained_tokens += one.tokens.n_trained
            total.weight_sum += sum(one.tokens.loss_weights)


def settled(settings: ExportSettings) -> ExportSettings:
    """The settings, once they are known to make sense.

    Raises UnknownName or BadSettings.
    """
    EXPORTERS.load(settings.layout)
    if settings.template != OWN:
        load_template(settings.template)
    elif settings.tokenizer is None:
        raise BadSettings("the template own is the tokenizer's; name one with --tokenizer")
    allowed = FORMATS.get(settings.layout, ("parquet", "jsonl"))
    if settings.file_format not in allowed:
        raise BadSettings(f"the layout {settings.layout} is written as {' or '.join(allowed)}")
    if settings.layout == "tokenized" and settings.tokenizer is None:
        raise BadSettings("the layout tokenized needs a tokenizer; name one with --tokenizer")
    if settings.max_length < 1:
        raise BadSettings("--max-length is a number of tokens from 1 up")
    return settings


def export_crlft(
    store: Store, out: Path, settings: ExportSettings, *, overwrite: bool = False
) -> ExportReport:
    """Write what C-RLFT trains on to the directory OUT and record it in the store.

    Raises RequestError where OUT exists, unless overwrite is set and it is an earlier export.
    """
    settings = settled(settings)
    _refuse_existing(out, overwrite=overwrite)
    chat = ChatFormat.load(settings.tokenizer, settings.template) if settings.tokenizer else None
    selection = look(store)
    recorder = Store(store.path, wait_s=store.wait_s)
    with run_of(
        recorder, "train export crlft", {**settings.as_json(), "out": str(out), "at": store.at}
    ) as run:
        with _staging(out) as staging:
            export = _Export(run, selection, settings, chat, store.at or f"v{selection.at_version}")
            report = export.write(staging, out)
            _rename(staging / "export", out)
        run.finish({"rows": report.rows, "dropped": report.dropped, "sha256": report.sha256})
    return report


def _refuse_existing(out: Path, *, overwrite: bool) -> None:
    if not out.exists():
        return
    if not overwrite:
        raise RequestError(f"{out} exists already; choose another --out, or replace it with --overwrite")
    if not (out / MANIFEST).is_file():
        raise RequestError(f"{out} is not an export (it has no {MANIFEST}), so --overwrite leaves it alone")


@contextmanager
def _staging(out: Path) -> Iterator[Path]:
    """A directory beside OUT that is gone afterwards."""
    folder = out.resolve().parent / f".{out.name}.staging"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "export").mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _rename(finished: Path, out: Path) -> None:
    for path in finished.iterdir():
        sync(path)
    sync(finished)
    if out.exists():
        out.rename(finished.parent / "replaced")
    finished.rename(out)
    sync(out.resolve().parent)


@dataclass
class _Export:
    """One export on its way."""

    run: Run
    selection: Selection
    settings: ExportSettings
    chat: ChatFormat | None
    snapshot: str
    tally: Tally = field(default_factory=Tally)
    seen: Seen = field(default_factory=Seen)

    def write(self, staging: Path, out: Path) -> ExportReport:
        """Write everything under STAGING and record it as lying at OUT."""
        recipe = self.settings.recipe
        chosen = choose(self.selection, recipe, self.tally)
        stage_turns(self.selection, chosen, staging / "turns.arrow")
        rows = staged_rows(staging / "turns.arrow", conditions_and_weights(chosen, recipe))
        kept = walk_all(rows, steps_of(recipe, self._control_tokens()), self.tally)
        target = Target(staging / "export", self.snapshot, self.settings.file_format)
        lineage = Lineage(staging / "lineage.arrow")
        with lineage:
            shards = EXPORTERS.load(self.settings.layout)(
                self._passing(self._measured(kept), lineage), target
            )
        manifest = self._manifest(target.folder, shards)
        _write_json(target.folder / MANIFEST, manifest)
        (target.folder / "README.md").write_text(card(manifest), encoding="utf-8")
        export_id = self._record(manifest, out, lineage)
        return ExportReport(
            manifest["rows"],
            self.tally.dropped(),
            self.tally.changed(),
            [shard.name for shard in shards],
            out / MANIFEST,
            manifest["sha256"],
            export_id,
        )

    def _control_tokens(self) -> tuple[str, ...]:
        if self.chat is not None:
            return self.chat.control_tokens
        return (self._template().end_of_turn,)

    def _template(self) -> ChatTemplate:
        return self.chat.template if self.chat else load_template(self.settings.template)

    def _measured(self, rows: Iterator[TrainingRow]) -> Iterator[ExportRow]:
        """Rows with their tokens; those left without a trained token by the cut are dropped."""
        if self.chat is None:
            yield from (ExportRow(row, None) for row in rows)
            return
        count = self.tally.of("length")
        while batch := list(islice(rows, BATCH)):
            encoded = self.chat.encode([self.chat.render(row.turns, row.condition) for row in batch])
            for row, one in zip(batch, encoded, strict=True):
                tokens = supervise(one, row.answer_weights, self.settings.max_length)
                count.before += 1
                if tokens.n_trained == 0:
                    count.dropped["no trained token within max length"] += 1
                    continue
                count.changed += tokens.is_cut
                yield ExportRow(row, tokens)

    def _passing(self, rows: Iterator[ExportRow], lineage: Lineage) -> Iterator[ExportRow]:
        for one in rows:
            self.seen.add(one)
            lineage.add(one.row)
            yield one

    def _manifest(self, folder: Path, shards: list[Shard]) -> dict[str, Any]:
        licenses = {source.name: source.license for source in self.selection.sources}
        files = [
            {
                "name": shard.name,
                "rows": shard.rows,
                "bytes": (folder / shard.name).stat().st_size,
                "sha256": sha256_of(folder / shard.name),
            }
            for shard in shards
        ]
        return {
            "manifest_version": MANIFEST_VERSION,
            "recipe": "crlft",
            "layout": self.settings.layout,
            "snapshot": self.snapshot,
            "at_version": self.selection.at_version,
            "query": named_sql("train", "crlft_turns"),
            "settings": self.settings.as_json(),
            "tokenizer_sha256": tokenizer_sha256(self.chat.tokenizer) if self.chat else None,
            "template_sha256": self._template().sha256,
            "software_version": __version__,
            "rows": sum(shard.rows for shard in shards),
            "dropped": self.tally.dropped(),
            "steps": self.tally.as_json(),
            "classes": {name: asdict(total) for name, total in sorted(self.seen.classes.items())},
            "sources": [
                {"name": name, "license": licenses.get(name), "rows": rows}
                for name, rows in sorted(self.seen.sources.items())
            ],
            "files": files,
            "sha256": combined_sha256(files),
        }

    def _record(self, manifest: dict[str, Any], out: Path, lineage: Lineage) -> str:
        """Write `export_rows` in pieces and `exports` last; an export recorded before adds nothing."""
        path = str(out.resolve())
        settings = json.dumps(manifest["settings"], sort_keys=True)
        identity = ("crlft", path, manifest["sha256"], str(manifest["at_version"]), settings)
        export_id = uuid_text(digest_of("x1", *identity))
        if self._is_recorded(export_id):
            return export_id
        lineage.store_rows(self.run, export_id)
        with self.run.store.write(self.run.run_id) as writing:
            row = {
                "export_id": export_id,
                "recipe": "crlft",
                "layout": self.settings.layout,
                "settings": settings,
                "at_version": manifest["at_version"],
                "snapshot": self.snapshot,
                "path": path,
                "sha256": manifest["sha256"],
                "row_count": manifest["rows"],
                "steps": json.dumps(manifest["steps"]),
                "created_at": utc_now().isoformat(),
                "run_id": self.run.run_id,
            }
            writing.append("exports", [row])
        return export_id

    def _is_recorded(self, export_id: str) -> bool:
        with self.run.store.read() as reading:
            return bool(reading.rows("SELECT 1 FROM exports WHERE export_id = ?", [export_id]))


def combined_sha256(files: list[dict[str, Any]]) -> str:
    """The hash of an export: of its files' names and hashes, one a line."""
    lines = "".join(f"{file['name']} {file['sha256']}\n" for file in files)
    return hashlib.sha256(lines.encode()).hexdigest()


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
