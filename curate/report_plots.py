"""The plots of `curate report`, each one PNG drawn with matplotlib."""

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from store.console import visible
from store.errors import MissingExtra

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from curate.prompt_map import PromptMap

MOST_BARS = 20
MOST_COLOURS = 10


def new_figure(width: float = 8, height: float = 4) -> "tuple[Figure, Axes]":
    """An empty plot.

    Raises MissingExtra without matplotlib.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtra.of("matplotlib", "plots") from error
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.add_subplot()


def draw_all(facts: Mapping[str, Any], mapped: "PromptMap | None") -> dict[str, bytes]:
    """Name → PNG, of everything there is something to draw of."""
    plots: dict[str, bytes] = {}
    if facts["turns"]:
        plots["turns"] = _by_class(facts["turns"], "turns", "the user's turns", "Turns by class")
        title = f"Length by class, in {facts['unit']}"
        plots["lengths"] = _by_class(facts["lengths"], "at_least", f"{facts['unit']}, from", title)
    for number, one in enumerate(facts["ratings"]):
        plots[f"ratings-{number + 1}"] = _ratings(one)
    if facts["languages"]:
        rows = [(one["language"], one["conversations"]) for one in facts["languages"]]
        plots["languages"] = _bars(rows, "conversations", "Languages")
    drops: dict[str, int] = {}
    for one in facts["decisions"]:
        if one["verdict"] == "drop":
            who = one["decided_by"] if one["decider_kind"] else "people"
            drops[who] = drops.get(who, 0) + one["conversations"]
    if drops:
        plots["drops"] = _bars(sorted(drops.items(), key=lambda row: -row[1]), "conversations", "Dropped by")
    if mapped is not None:
        for name in ("source", "class", "topic"):
            plots[f"map-{name}"] = _map(mapped, name)
    return plots


def _png(figure: "Figure") -> bytes:
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=110, metadata={"Software": None})
    return out.getvalue()


def _plain(text: object, width: int = 40) -> str:
    """A label of the data as matplotlib is to write it: no mathematics, nothing unseen."""
    shown = visible(str(text)).replace("\n", " ").replace("\t", " ").replace("$", r"\$")
    return shown if len(shown) <= width else shown[: width - 1] + "…"


def _by_class(rows: Sequence[Mapping[str, Any]], column: str, label: str, title: str) -> bytes:
    """Shares of each class's conversations, side by side."""
    figure, ax = new_figure()
    places = sorted({row[column] for row in rows})
    classes = sorted({row["class"] for row in rows})
    width = 0.8 / len(classes)
    for number, name in enumerate(classes):
        held = {row[column]: row["conversations"] for row in rows if row["class"] == name}
        total = sum(held.values())
        ax.bar(
            [place + (number - (len(classes) - 1) / 2) * width for place in range(len(places))],
            [held.get(place, 0) / total for place in places],
            width,
            label=f"{_plain(name)} ({total:,})",
        )
    ax.set_xticks(range(len(places)), [f"{place:,}" for place in places], rotation=60)
    ax.set(xlabel=label, ylabel="share of the class", title=title)
    ax.legend()
    return _png(figure)


def _ratings(one: Mapping[str, Any]) -> bytes:
    figure, ax = new_figure()
    classes = one["classes"]
    width = 0.4 / len(classes)
    for number, held in enumerate(classes):
        total = held["conversations"]
        ax.bar(
            [bar["rating"] + (number - (len(classes) - 1) / 2) * width for bar in held["histogram"]],
            [bar["conversations"] / total for bar in held["histogram"]],
            width,
            label=f"{_plain(held['name'])}: mean {held['mean']:.2f} ({total:,})",
        )
    who = " ".join(filter(None, (one["labeler"], one["template"], one["aspect"])))
    ax.set(xlabel=f"rating, {_plain(one['scale'])}", ylabel="share of the class", title=_plain(who, 80))
    ax.legend()
    return _png(figure)


def _bars(rows: Sequence[tuple[str, int]], label: str, title: str) -> bytes:
    shown = list(rows[:MOST_BARS])
    if len(rows) > MOST_BARS:
        shown.append((f"{len(rows) - MOST_BARS} others", sum(count for _, count in rows[MOST_BARS:])))
    figure, ax = new_figure(8, 1 + 0.3 * len(shown))
    bars = ax.barh(range(len(shown)), [count for _, count in shown])
    ax.bar_label(bars, [f"{count:,}" for _, count in shown], padding=3)
    ax.set_yticks(range(len(shown)), [_plain(name) for name, _ in shown])
    ax.invert_yaxis()
    ax.set(xlabel=label, title=title)
    return _png(figure)


def _map(mapped: "PromptMap", by: str) -> bytes:
    figure, ax = new_figure(9, 7)
    labels = mapped.labels(by)
    sizes: dict[str, int] = {}
    for label in labels:
        sizes[label] = sizes.get(label, 0) + 1
    names = sorted(sizes, key=lambda name: (-sizes[name], name))
    most = len(names) if by == "topic" else MOST_COLOURS
    for number, name in enumerate(names[:most]):
        at = [place for place, label in enumerate(labels) if label == name]
        points = mapped.points[at]
        marker = "ox^sD"[number // MOST_COLOURS % 5]
        ax.scatter(
            *(points[:, 0], points[:, 1]), s=6, marker=marker, label=f"{_plain(name, 60)} ({sizes[name]:,})"
        )
    others = [place for place, label in enumerate(labels) if label not in names[:most]]
    if others:
        points = mapped.points[others]
        label = f"{len(names) - most} others ({len(others):,})"
        ax.scatter(*(points[:, 0], points[:, 1]), s=4, color="lightgrey", label=label, zorder=0)
    ax.set(title=f"First questions by {by}: {mapped.method}, {len(labels):,} of {mapped.n_prompts:,}")
    ax.set_xticks([])
    ax.set_yticks([])
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1), markerscale=2, fontsize="small")
    return _png(figure)
