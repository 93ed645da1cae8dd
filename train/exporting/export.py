"""`train export`: from the store to a directory of files, all of it or nothing.

The directory is written under a staging name, made durable, recorded in the store and renamed. The
same version and the same settings give the same bytes.
"""

import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from store import __version__
from store.chat_format import ChatFormat, tokenizer_sha256
from store.chat_template import OWN, load_template
from store.db import Store
from store.errors import BadSettings, RequestError
from store.ids import digest_of, uuid_text
from store.runs import Run, run_of, utc_now
from train.exporter import EXPORTERS, FORMATS, ExportRow, Shard, Target
from train.exporting.best import look_at_best
from train.exporting.card import card
from train.exporting.conversations import look_at_conversations
from train.exporting.lineage import Lineage
from train.exporting.pairs import look_at_pairs
from train.exporting.rows import Tally
from train.exporting.seen import Seen
from train.exporting.shards import sha256_of, sync
from train.exporting.steps import walk_all
from train.recipe import Material, recipe_named
from train.recipes.crlft import CrlftSettings
from train.recipes.pairs import PairSettings
from train.recipes.pm import PmSettings
from train.recipes.rsft import RsftSettings
from train.recipes.sft import SftSettings

MANIFEST = "manifest.json"
MANIFEST_VERSION = 1

RecipeSettings = CrlftSettings | SftSettings | RsftSettings | PairSettings | PmSettings


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
    recipe: RecipeSettings = field(default_factory=CrlftSettings)
    recipe_name: str = "crlft"
    """One of RECIPES."""

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


def settled(settings: ExportSettings) -> ExportSettings:
    """The settings, once they are known to make sense.

    Raises UnknownName or BadSettings.
    """
    EXPORTERS.load(settings.layout)
    recipe = recipe_named(settings.recipe_name)
    if settings.layout in FORMATS and settings.layout not in recipe.layouts:
        raise BadSettings(
            f"the recipe {recipe.name} is not written in the layout {settings.layout};"
            f" choose one of {', '.join(recipe.layouts)}"
        )
    allowed = FORMATS.get(settings.layout, ("parquet", "jsonl"))
    if settings.file_format not in allowed:
        raise BadSettings(f"the layout {settings.layout} is written as {' or '.join(allowed)}")
    if settings.template != OWN:
        load_template(settings.template)
    if settings.layout == "tokenized" and settings.tokenizer is None:
        raise BadSettings("the layout tokenized needs a tokenizer; name one with --tokenizer")
    if settings.max_length < 1:
        raise BadSettings("--max-length is a number of tokens from 1 up")
    is_conversations = isinstance(settings.recipe, SftSettings)
    is_last_only = isinstance(settings.recipe, SftSettings) and settings.recipe.turns == "last"
    if is_last_only and settings.layout in ("messages", "sharegpt"):
        raise BadSettings(
            f"the layout {settings.layout} has every answer trained on; with --turns last choose prompt-completion"
        )
    if settings.layout == "prompt-completion" and is_conversations and not is_last_only:
        raise BadSettings("the layout prompt-completion has the last answer trained on; add --turns last")
    return settings


def export_store(
    store: Store, out: Path, settings: ExportSettings, *, overwrite: bool = False
) -> ExportReport:
    """Write what a recipe trains on to the directory OUT and record it in the store.

    Raises RequestError where OUT exists, unless overwrite is set and it is an earlier export.
    """
    settings = settled(settings)
    refuse_existing(out, overwrite=overwrite)
    chat = ChatFormat.load(settings.tokenizer, settings.template) if settings.tokenizer else None
    material = material_of(store, settings)
    recorder = Store(store.path, wait_s=store.wait_s)
    asked = {**settings.as_json(), "out": str(out), "at": store.at}
    with run_of(recorder, f"train export {settings.recipe_name}", asked) as run:
        with _staging(out) as staging:
            snapshot = store.at or f"v{material.at_version}"
            export = _Export(material, settings, chat, run=run, snapshot=snapshot)
            report = export.write(staging, out)
            _rename(staging / "export", out)
        run.finish({"rows": report.rows, "dropped": report.dropped, "sha256": report.sha256})
    return report


def material_of(store: Store, settings: ExportSettings) -> Material:
    """What the recipe makes its rows from."""
    if isinstance(settings.recipe, PairSettings | PmSettings):
        return look_at_pairs(store, settings.recipe_name, settings.recipe)
    if isinstance(settings.recipe, RsftSettings):
        return look_at_best(store, settings.recipe)
    return look_at_conversations(store, settings.recipe)


def refuse_existing(out: Path, *, overwrite: bool) -> None:
    """Raise RequestError where OUT is there, unless it is an export that may be replaced."""
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
class ExportRows:
    """The rows of an export, counted while they pass."""

    material: Material
    settings: ExportSettings
    chat: ChatFormat | None
    tally: Tally = field(default_factory=Tally)
    seen: Seen = field(default_factory=Seen)

    def measured(self, staged: Path) -> Iterator[ExportRow]:
        """The rows as they are written, counted on their way; their texts are staged in a file."""
        self.material.stage(staged, self.tally)
        steps = self.material.steps(self.control_tokens())
        kept = walk_all(self.material.rows(staged), steps, self.tally)
        return self.material.measured(kept, self.chat, self.settings.max_length, self.tally)

    def control_tokens(self) -> tuple[str, ...]:
        """What a row's text may not hold."""
        if self.chat is not None:
            return self.chat.control_tokens
        return () if self.settings.template == OWN else (load_template(self.settings.template).end_of_turn,)


@dataclass(kw_only=True)
class _Export(ExportRows):
    """One export on its way."""

    run: Run
    snapshot: str

    def write(self, staging: Path, out: Path) -> ExportReport:
        """Write everything under STAGING and record it as lying at OUT."""
        measured = self.measured(staging / "texts.arrow")
        target = Target(
            staging / "export",
            self.snapshot,
            self.settings.file_format,
            has_conditions=isinstance(self.settings.recipe, CrlftSettings),
            shows_two=isinstance(self.settings.recipe, PmSettings),
        )
        lineage = Lineage(staging / "lineage.arrow")
        with lineage:
            shards = EXPORTERS.load(self.settings.layout)(self._passing(measured, lineage), target)
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

    def _template_sha256(self) -> str | None:
        if self.chat is not None:
            return self.chat.template.sha256
        return None if self.settings.template == OWN else load_template(self.settings.template).sha256

    def _passing(self, rows: Iterator[ExportRow], lineage: Lineage) -> Iterator[ExportRow]:
        for one in rows:
            self.seen.add(one)
            lineage.add(one.row)
            yield one

    def _manifest(self, folder: Path, shards: list[Shard]) -> dict[str, Any]:
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
            "recipe": self.settings.recipe_name,
            "layout": self.settings.layout,
            "snapshot": self.snapshot,
            "at_version": self.material.at_version,
            "query": self.material.query,
            "settings": self.settings.as_json(),
            "tokenizer_sha256": tokenizer_sha256(self.chat.tokenizer) if self.chat else None,
            "template_sha256": self._template_sha256(),
            "software_version": __version__,
            "rows": sum(shard.rows for shard in shards),
            "dropped": self.tally.dropped(),
            "steps": self.tally.as_json(),
            **self.material.facts,
            **self.seen.as_json(),
            "sources": self._sources(),
            "files": files,
            "sha256": combined_sha256(files),
        }

    def _sources(self) -> list[dict[str, Any]]:
        """The sources of the rows; how many rows each gave is known where a row is a conversation."""
        seen = self.seen.sources
        return [
            {"name": source.name, "license": source.license, "rows": seen.get(source.name)}
            for source in self.material.sources
            if source.name in seen or not self.seen.classes
        ]

    def _record(self, manifest: dict[str, Any], out: Path, lineage: Lineage) -> str:
        """Write `export_rows` in pieces and `exports` last; an export recorded before adds nothing."""
        path = str(out.resolve())
        settings = json.dumps(manifest["settings"], sort_keys=True)
        identity = (
            self.settings.recipe_name,
            path,
            manifest["sha256"],
            str(manifest["at_version"]),
            settings,
        )
        export_id = uuid_text(digest_of("x1", *identity))
        if self._is_recorded(export_id):
            return export_id
        lineage.store_rows(self.run, export_id)
        with self.run.store.write(self.run.run_id) as writing:
            row = {
                "export_id": export_id,
                "recipe": self.settings.recipe_name,
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
