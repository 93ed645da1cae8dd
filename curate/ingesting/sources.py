"""The files of an ingest, each looked at from beginning to end before anything of any is taken."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from curate.ingesting.detect import AUTO
from curate.ingesting.inputs import Input, inputs_of, refusal_of
from curate.reader import READERS, Columns, Inspecting, Inspection, Pieces, ReaderSettings
from curate.readers.labels import LabelReader
from curate.readers.text_files import file_hash, inspect_text
from curate.readers.told_elsewhere import data_files
from store.errors import BadInput, BadSettings
from store.ids import digest_of

COLUMNS_READER = "columns"
"""The reader that is told which column is what."""
PIECES_READER = "sharegpt"
"""The reader whose files may hold pieces of conversations."""


@dataclass(frozen=True, slots=True)
class IngestSettings:
    """What a user may ask of an ingest."""

    pieces: Pieces = "keep"
    """Whether pieces of one long conversation are put together again."""
    limit: int | None = None
    """Read no more than this many records of each file."""
    source_class: str | None = None
    """The class of every conversation, whatever its model label says."""
    name: str | None = None
    """What the source is called; its file name if not given."""
    license: str | None = None
    """The license the source comes under."""
    is_dry_run: bool = False
    """Only count."""
    model_label: str | None = None
    """The model label of every conversation that names none."""
    columns: Columns = ()
    """What the fields of a record mean, where they are not named as the reader expects."""
    labeler: str | None = None
    """Who gave the labels, where the files do not say."""
    labeler_kind: str | None = None
    """What kind of labeler that is."""
    beside: tuple[Path, ...] = ()
    """Files and folders that hold what the records name by id only."""
    stand_ins: bool = False
    """Whether texts that are nowhere are stood in for by their names."""
    skip_refused: bool = False
    """Leave out files that are refused, rather than take nothing."""

    def identity(self) -> str:
        """The part that decides which rows come out, as JSON; it belongs to the source's id."""
        deciding: dict[str, object] = {
            "limit": self.limit,
            "pieces": self.pieces,
            "source_class": self.source_class,
        }
        if self.model_label is not None:
            deciding["model_label"] = self.model_label
        if self.columns:
            deciding["columns"] = dict(self.columns)
        told = {
            "labeler": self.labeler,
            "labeler_kind": self.labeler_kind,
            "stand_ins": self.stand_ins or None,
        }
        deciding |= {name: value for name, value in told.items() if value is not None}
        if self.beside:
            deciding["with"] = [file_hash(path) for path in data_files(self.beside)]
        return json.dumps(deciding, sort_keys=True)

    def label_options(self) -> list[str]:
        """The options given that only formats with labels have a use for."""
        options = {
            "--labeler": self.labeler,
            "--labeler-kind": self.labeler_kind,
            "--with": self.beside,
            "--stand-ins": self.stand_ins,
        }
        return [option for option, value in options.items() if value]

    def for_reader(self) -> ReaderSettings:
        """The part that the reader is told."""
        return ReaderSettings(
            self.pieces,
            self.columns,
            self.model_label,
            self.labeler,
            self.labeler_kind,
            self.beside,
            self.stand_ins,
        )


@dataclass(frozen=True, slots=True)
class Source:
    """One file, about to be read."""

    source_id: bytes
    name: str
    reader: str
    why: str
    """How its format was found; empty where it was named."""
    path: Path
    inspection: Inspection
    settings: IngestSettings
    twins: tuple[str, ...] = ()
    """Other files that hold the same, and are not read again."""
    remark: str = ""
    """What a person should know of the file."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """What an ingest reads, and what it leaves alone."""

    sources: list[Source]
    refused: list[str]
    """Why each file that was left out was."""


def sources_of(reader: str, paths: Sequence[Path], settings: IngestSettings) -> Inputs:
    """Every file at PATHS, those of the same content once.

    Raises UnknownName for the reader, BadSettings for settings it has no use for, BadInput if a file is
    refused and is not to be left out, or if none remains.
    """
    inputs = inputs_of(_checked_reader(reader, settings), paths)
    found: dict[bytes, Source] = {}
    refused: list[BadInput] = []
    for one in inputs:
        try:
            source = _source(one, settings)
        except BadInput as error:
            refused.append(error)
            continue
        first = found.setdefault(source.source_id, source)
        if first.path != source.path:
            found[source.source_id] = replace(first, twins=(*first.twins, str(source.path)))
    if refused and not (settings.skip_refused and found):
        raise refusal_of(refused)
    return Inputs(list(found.values()), [str(error) for error in refused])


def _source(one: Input, settings: IngestSettings) -> Source:
    detected = one.format()
    reader = READERS.load(detected.reader)
    inspection = reader.inspect(one.path) if isinstance(reader, Inspecting) else inspect_text(one.path)
    next(reader(one.path, settings.for_reader()), None)  # raises BadInput if it does not begin as it should
    source_id = digest_of("s1", inspection.sha256, detected.reader, settings.identity())
    name = settings.name or one.name
    return Source(
        *(source_id, name, detected.reader, detected.why, one.path, inspection, settings), remark=one.remark
    )


def _checked_reader(name: str, settings: IngestSettings) -> str:
    """The name of the reader; named columns and joined pieces are a matter of one reader each."""
    if settings.columns and name not in (COLUMNS_READER, AUTO):
        raise BadSettings(
            f"the format {name!r} knows its columns; leave --columns out, or use: curate ingest columns"
        )
    if settings.pieces == "join" and name not in (PIECES_READER, AUTO) and name in READERS.built_in:
        raise BadSettings(f"the format {name!r} has no pieces to join; leave --pieces out")
    if name == AUTO:
        return COLUMNS_READER if settings.columns else AUTO
    reader = READERS.load(name)
    given = settings.label_options()
    if given and name in READERS.built_in and not isinstance(reader, LabelReader):
        raise BadSettings(f"the format {name!r} has no use for {given[0]}; leave it out")
    return name
