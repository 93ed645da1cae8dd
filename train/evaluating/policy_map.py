"""`train evaluate map`: how policies represent conversations, by class (OpenChat, Figure 4)."""

import io
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from curate.projection import Floats, Projection, project
from label.local.model_folder import load_weights
from label.trust.bias_plots import plain_text
from store.chat_format import ChatFormat
from store.chat_template import OWN
from store.db import Store
from store.errors import BadInput, BadSettings, MissingExtra, RequestError, UnknownName
from store.ids import to_text
from store.named_sql import named_sql
from store.rows import UNKNOWN_CLASS
from store.runs import run_of
from store.selections import selection_named
from train.evaluating.map_plot import COLOURS, draw_points
from train.evaluating.pooled import pooled_means
from train.evaluating.separation import Separation, separation_of
from train.exporting.conversations import check_part

if TYPE_CHECKING:
    from store.console import Advance

Bar = Callable[[str, float], AbstractContextManager["Advance"]]


@dataclass(frozen=True, slots=True)
class MappedModel:
    """A policy, and how it is shown conversations."""

    name: str
    folder: str
    has_condition: bool
    """Whether each conversation is shown under the condition of its class, or all under the template's usual one."""


@dataclass(frozen=True, slots=True)
class MapSettings:
    """What is mapped and how."""

    models: tuple[MappedModel, ...]
    sources: tuple[str, ...] = ()
    """Only conversations of these; empty means all."""
    selection: str | None = None
    part: str | None = None
    classes: tuple[str, ...] = ()
    """Only these; empty means all but the unknown."""
    per_class: int = 500
    template: str = OWN
    max_length: int = 2048
    """Tokens of a conversation that are read."""
    batch_tokens: int = 8192
    dtype: str = "float32"
    projection: Projection = "umap"
    seed: int = 0
    """Of the draw of conversations."""


@dataclass(frozen=True)
class ModelMap:
    """Where one policy puts the conversations."""

    model: MappedModel
    conversation_ids: list[str]
    classes: list[str]
    points: Floats
    """Shape (n, 2)."""
    method: str
    separation: Separation | None
    cut: int
    left_out: dict[str, int]

    def as_json(self) -> dict[str, object]:
        """The figures, without the points."""
        return {
            **asdict(self.model),
            "conversations": len(self.classes),
            "classes": dict(sorted(Counter(self.classes).items())),
            "cut": self.cut,
            "left_out": self.left_out,
            "method": self.method,
            "separation": None if self.separation is None else asdict(self.separation),
        }


@dataclass(frozen=True, slots=True)
class Told:
    """A conversation of the store."""

    conversation_id: str
    source_class: str
    condition: str | None
    turns: tuple[tuple[str, str], ...]


def map_policies(store: Store, settings: MapSettings, bar: Bar) -> tuple[list[ModelMap], str]:
    """The map of every model, and the run that keeps their figures.

    Raises UnknownName for what does not exist, RequestError where there is too little to map.
    """
    names = [one.name for one in settings.models]
    if len(set(names)) < len(names):
        raise BadSettings(f"two models are called alike: {', '.join(names)}; name them NAME=FOLDER")
    told = read_conversations(store, settings)
    with run_of(store, "train evaluate map", asdict(settings)) as run:
        maps = []
        with bar("conversations", len(told) * len(settings.models)) as advance:
            for model in settings.models:
                advance(0, words=model.name)
                maps.append(map_model(model, told, settings, advance))
        run.finish({"maps": [one.as_json() for one in maps]})
        return maps, run.run_id


def read_conversations(store: Store, settings: MapSettings) -> list[Told]:
    """The conversations to map, so many of each class, in the order of their ids."""
    if settings.part is not None and settings.selection is None:
        raise BadSettings(f"--part {settings.part} is a part of a selection; name it with --selection")
    with store.read() as reading:
        selection_id = None
        if settings.selection is not None:
            selection_id = selection_named(reading, settings.selection, "conversations").selection_id
            check_part(reading, selection_id, "selection_conversations", settings.part)
        _refuse_unknown(reading, settings)
        asked = {
            "classes": list(settings.classes) or None,
            "sources": list(settings.sources) or None,
            "selection": selection_id,
            "part": settings.part,
            "unknown": UNKNOWN_CLASS,
            "seed": settings.seed,
            "per_class": settings.per_class,
        }
        rows = reading.dicts(named_sql("train", "map_conversations"), asked)
    if len(rows) < 3:
        raise RequestError(
            f"a map needs three conversations or more, and there are {len(rows)} of a known class"
        )
    return [
        Told(
            row["conversation_id"],
            row["class"],
            row["condition"],
            tuple(zip(row["roles"], row["contents"], strict=True)),
        )
        for row in rows
    ]


def _refuse_unknown(reading: Any, settings: MapSettings) -> None:
    for kind, given, query in (
        ("source", settings.sources, "SELECT name FROM current_sources"),
        ("class", settings.classes, "SELECT DISTINCT class FROM current_conversations"),
    ):
        known = {row[0] for row in reading.rows(query)} if given else set()
        for name in given:
            if name not in known:
                raise UnknownName.of(kind, name, known)


def map_model(
    model: MappedModel, told: Sequence[Told], settings: MapSettings, advance: "Advance"
) -> ModelMap:
    """Where one model puts the conversations; those its template does not take are left out and counted."""
    chat = ChatFormat.load(model.folder, settings.template)
    weights, _ = load_weights("AutoModel", Path(model.folder), settings.dtype)
    bound = min(settings.max_length, getattr(weights.config, "max_position_embeddings", settings.max_length))
    kept, rendered, left_out = [], [], Counter[str]()
    for one in told:
        try:
            rendered.append(chat.render(one.turns, one.condition if model.has_condition else None))
        except BadInput:
            left_out["turns the template does not take"] += 1
            advance(1)
            continue
        kept.append(one)
    rows = [one.input_ids for one in chat.encode(rendered)]
    if len(rows) < 3:
        raise RequestError(
            f"the template of {model.name} takes {len(rows)} of the conversations; a map needs three"
        )
    n_cut = sum(len(row) > bound for row in rows)
    pad_id = chat.tokenizer.pad_token_id or 0
    vectors = pooled_means(weights, [row[:bound] for row in rows], pad_id, settings.batch_tokens, advance)
    classes = [one.source_class for one in kept]
    points, method = project(vectors, settings.projection)
    return ModelMap(
        model,
        [to_text("c1", one.conversation_id) for one in kept],
        classes,
        points,
        method,
        separation_of(vectors, classes),
        n_cut,
        dict(left_out),
    )


def draw_maps(maps: Sequence[ModelMap]) -> bytes:
    """A PNG with a panel for each model.

    Raises MissingExtra without matplotlib.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtra.of("matplotlib", "plots") from error
    figure = Figure(figsize=(6.5 * len(maps), 6), layout="constrained")
    FigureCanvasAgg(figure)
    for place, one in enumerate(maps):
        ax = figure.add_subplot(1, len(maps), place + 1)
        draw_points(ax, one.points, one.classes, COLOURS)
        found = one.separation
        words = (
            "one class"
            if found is None
            else f"nearest neighbours right {found.knn_accuracy:.0%}, silhouette {found.silhouette:.2f}"
        )
        ax.set(title=f"{plain_text(one.model.name)}\n{words}", xlabel=one.method)
        ax.legend(markerscale=2, fontsize="small")
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=120, metadata={"Software": None})
    return out.getvalue()


def write_points(maps: Sequence[ModelMap], path: Path) -> int:
    """Write `model`, `conversation_id`, `class`, `x` and `y` of every point as Parquet; returns how many."""
    import pyarrow as pa
    from pyarrow import parquet

    columns = {
        "model": [one.model.name for one in maps for _ in one.classes],
        "conversation_id": [name for one in maps for name in one.conversation_ids],
        "class": [name for one in maps for name in one.classes],
        "x": np.concatenate([one.points[:, 0] for one in maps]),
        "y": np.concatenate([one.points[:, 1] for one in maps]),
    }
    staging = path.with_name(f".{path.name}.tmp")
    parquet.write_table(pa.table(columns), staging)
    staging.replace(path)
    return sum(len(one.classes) for one in maps)
