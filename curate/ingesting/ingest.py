"""`curate ingest`: files, read as their formats say, go into the store one after another."""

import gc
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from curate.ingesting.dry_count import DryCount
from curate.ingesting.ingest_report import FileReport, IngestReport, Item, report_on
from curate.ingesting.inputs import size_of
from curate.ingesting.intake import FileIntake, Intake, Progress, finished
from curate.ingesting.sources import IngestSettings, Source, sources_of
from curate.reader import READERS, Record, Remark
from store.runs import run_of

if TYPE_CHECKING:
    from store.db import Store

COLLECT_EVERY = 200_000
"""Allocations between two runs of the garbage collector while records stream in; 700 is usual."""


def ingest_files(
    store: "Store",
    reader_name: str,
    paths: Sequence[Path],
    settings: IngestSettings,
    advance: Progress | None = None,
) -> IngestReport:
    """Add the records of the files at PATHS; takes a write turn a piece. The reader `auto` finds each format.

    Raises UnknownName for the reader, BadInput if any file is not of the format: then nothing was done.
    """
    inputs = sources_of(reader_name, paths, settings)
    tell = advance or (lambda _amount: None)
    if settings.is_dry_run:
        return IngestReport([_dry_run(store, source, tell) for source in inputs.sources], inputs.refused)
    asked = {"reader": reader_name, "paths": [str(path) for path in paths], **_plain(settings)}
    with run_of(store, "curate ingest", asked) as run, _few_collections():
        intake = Intake(store, run.run_id)
        report = IngestReport([_take_file(intake, source, tell) for source in inputs.sources], inputs.refused)
        run.finish(report.total())
    return report


@contextmanager
def _few_collections() -> Iterator[None]:
    """Let the cyclic garbage collector run seldom: records come by the million, and none forms a cycle.

    Its usual thresholds cost a fifth of an ingest.
    """
    before = gc.get_threshold()
    gc.set_threshold(COLLECT_EVERY, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


def text_bytes(paths: Sequence[Path]) -> int:
    """How much there is to read, roughly: compressed files count as they lie there."""
    return sum(map(size_of, paths))


def _plain(settings: IngestSettings) -> dict[str, object]:
    return {**json.loads(settings.identity()), "name": settings.name, "license": settings.license}


def _take_file(intake: Intake, source: Source, tell: Progress) -> FileReport:
    tally = finished(intake, source)
    if tally is not None:
        tell(source.inspection.text_bytes)
        return report_on(source, tally, Counter(), [], was_taken=True)
    file = FileIntake(intake, source)
    remarks: list[str] = []
    file.take(_limited(source, remarks), tell)
    return report_on(source, file.tally, file.reasons, remarks, was_taken=False)


def _limited(source: Source, remarks: list[str]) -> Iterator[Item]:
    """The records of a source, up to its limit; what the reader has to say goes to REMARKS."""
    n_read = 0
    limit, label = source.settings.limit, source.settings.model_label
    if source.why:
        remarks.append(f"read as {source.reader}: {source.why}")
    remarks += [source.remark] if source.remark else []
    remarks += [f"{twin} holds the same and is taken once" for twin in source.twins]
    for item in READERS.load(source.reader)(source.path, source.settings.for_reader()):
        if isinstance(item, Remark):
            remarks.append(item.text)
            continue
        if limit is not None and n_read >= limit:
            return
        n_read += len(item.record_numbers) if isinstance(item, Record) else 1
        yield replace(item, model=label) if label and isinstance(item, Record) and not item.model else item


def _dry_run(store: "Store", source: Source, tell: Progress) -> FileReport:
    """Count what an ingest would do, writing nothing."""
    counter = DryCount(store, source)
    remarks: list[str] = []
    counter.take(_limited(source, remarks))
    tell(source.inspection.text_bytes)
    return report_on(source, counter.tally, counter.reasons, remarks, was_taken=False)
