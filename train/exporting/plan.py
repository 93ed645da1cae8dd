"""What `train export` would write, without writing it: every row is read, walked and counted."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from store.chat_format import ChatFormat
from store.db import Store
from train.exporting.export import ExportRows, ExportSettings, material_of, refuse_existing, settled


@dataclass(frozen=True, slots=True)
class ExportPlan:
    """What an export would come to."""

    rows: int
    dropped: dict[str, int]
    changed: dict[str, int]
    tokens: int | None
    """Of conversations and responses; None without a tokenizer, and for pairs."""
    trained_tokens: int | None
    seen: dict[str, Any]
    """What the rows add up to, as the manifest would say it."""
    out: Path
    layout: str
    file_format: str
    at_version: int
    replaces: bool
    """Whether there is an export at OUT already."""

    def as_json(self) -> dict[str, object]:
        """What a script reads."""
        names = ("rows", "dropped", "changed", "tokens", "trained_tokens", "layout", "at_version", "replaces")
        facts = {name: getattr(self, name) for name in names}
        return {"dry_run": True, **facts, **self.seen, "format": self.file_format, "out": str(self.out)}


def plan_export(store: Store, out: Path, settings: ExportSettings, *, overwrite: bool = False) -> ExportPlan:
    """Count what an export would write; texts are staged in a folder of the system's that is gone afterwards.

    Raises what `export_store` would.
    """
    settings = settled(settings)
    refuse_existing(out, overwrite=overwrite)
    chat = ChatFormat.load(settings.tokenizer, settings.template) if settings.tokenizer else None
    rows = ExportRows(material_of(store, settings), settings, chat)
    count = 0
    with tempfile.TemporaryDirectory(prefix="preferably-") as folder:
        for one in rows.measured(Path(folder) / "texts.arrow"):
            rows.seen.add(one)
            count += 1
    classes = list(rows.seen.classes.values()) if chat is not None else []
    return ExportPlan(
        rows=count,
        dropped=rows.tally.dropped(),
        changed=rows.tally.changed(),
        tokens=sum(one.tokens for one in classes) if classes else None,
        trained_tokens=sum(one.trained_tokens for one in classes) if classes else None,
        seen=rows.seen.as_json(),
        out=out,
        layout=settings.layout,
        file_format=settings.file_format,
        at_version=rows.material.at_version,
        replaces=out.exists(),
    )
