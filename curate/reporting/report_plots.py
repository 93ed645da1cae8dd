"""The plots of `curate report`, each one PNG drawn with matplotlib."""

import io
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from store.console import visible
from store.errors import MissingExtra

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from curate.reporting.prompt_map import PromptMap

MOST_BARS = 20
MOST_COLOURS = 10
COLOURS = [f"C{number}" for number in range(10)] + [
    *(
        "#1b4f72",
        "#7e5109",
        "#145a32",
        "#78281f",
        "#4a235a",
        "#3e2723",
        "#880e4f",
        "#37474f",
        "#827717",
        "#006064",
    )
]
"""Ten of matplotlib's, and for more topics ten dark ones: no two points that differ look the same."""
ASIAN_FONTS = (
    *(
        "Noto Sans CJK SC",
        "Noto Sans CJK JP",
        "Source Han Sans SC",
        "WenQuanYi Zen Hei",
        "WenQuanYi Micro Hei",
    ),
    *(
        "PingFang SC",
        "Hiragino Sans GB",
        "Hiragino Sans",
        "Heiti SC",
        "Arial Unicode MS",
        "Microsoft YaHei",
        "SimHei",
    ),
    *(
        "Noto Sans KR",
        "Apple SD Gothic Neo",
        "Malgun Gothic",
        "Noto Sans Arabic",
        "Noto Sans Devanagari",
        "Noto Sans Thai",
    ),
)
"""What may be installed for letters that matplotlib's own font has not; the first one that has a letter draws it."""


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
    import matplotlib as mpl

    with mpl.rc_context({"font.family": ["DejaVu Sans", *_fonts()]}), warnings.catch_warnings():
        # a letter that no font here has is drawn as a box; the page has the word
        warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from")
        return _draw_all(facts, mapped)


def _draw_all(facts: Mapping[str, Any], mapped: "PromptMap | None") -> dict[str, bytes]:
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


@cache
def _fonts() -> tuple[str, ...]:
    from matplotlib.font_manager import get_font_names

    installed = set(get_font_names())
    return tuple(name for name in ASIAN_FONTS if name in installed)


def _plain(text: object, width: int = 40) -> str:
    """A label of the data as matplotlib is to write it: no mathematics, nothing unseen."""
    shown = visible(str(text)).replace("\n", " ").replace("\t", " ").replace("$", r"\$")
    if len(shown) <= width:
        return shown
    return f"{shown[: width // 2]}…{shown[-(width - width // 2 - 1) :]}"


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
    figure.legend(loc="outside lower center", ncols=3, frameon=False)
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
    figure.legend(loc="outside lower center", ncols=2, frameon=False)
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
    figure, ax = new_figure(9, 9)
    labels = mapped.labels(by)
    sizes = Counter(labels)
    names = sorted(sizes, key=lambda name: (-sizes[name], name))
    shown = names if by == "topic" else names[:MOST_COLOURS]
    others = [place for place, label in enumerate(labels) if label not in shown]
    if others:
        label = f"{len(names) - len(shown)} others ({len(others):,})"
        points = mapped.points[others]
        ax.scatter(points[:, 0], points[:, 1], s=4, color="lightgrey", label=label, zorder=0)
    for number, (name, title) in enumerate(zip(shown, without_shared_folders(shown), strict=True)):
        points = mapped.points[[place for place, label in enumerate(labels) if label == name]]
        colour = COLOURS[number % len(COLOURS)]
        label = f"{_plain(title, 48)} ({sizes[name]:,})"
        ax.scatter(points[:, 0], points[:, 1], s=6, color=colour, label=label)
        if by == "topic":
            box = {"boxstyle": "round,pad=0.2", "facecolor": "white", "edgecolor": colour, "alpha": 0.85}
            middle = (float(np.median(points[:, 0])), float(np.median(points[:, 1])))
            ax.annotate(name.split(" ", 1)[0], middle, ha="center", va="center", fontsize=9, bbox=box)
    ax.set(title=f"First questions by {by}: {mapped.method}, {len(labels):,} of {mapped.n_prompts:,}")
    ax.set_xticks([])
    ax.set_yticks([])
    figure.legend(loc="outside lower center", ncols=2, markerscale=2.5, fontsize="small", frameon=False)
    return _png(figure)


def without_shared_folders(names: Sequence[str]) -> list[str]:
    """Names of files without the folders and the last names that all of them share, so that what differs is seen."""
    parts = [name.split("/") for name in names]
    start, end = _n_shared(parts), _n_shared([part[::-1] for part in parts])
    if len(names) < 2 or start + end >= min(map(len, parts)):
        return list(names)
    return ["…/" * (start > 0) + "/".join(part[start : len(part) - end]) for part in parts]


def _n_shared(parts: Sequence[Sequence[str]]) -> int:
    """How many of the first are the same in all."""
    return next(
        (i for i, column in enumerate(zip(*parts, strict=False)) if len(set(column)) > 1), len(parts[0])
    )
