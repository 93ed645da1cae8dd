"""`curate report`: numbers, plots and the page, written together."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curate.reporting.report_facts import gather
from curate.reporting.report_page import page
from curate.reporting.report_plots import draw_all, new_figure

if TYPE_CHECKING:
    from curate.reporting.prompt_map import MapSettings
    from store.db import Store


def write_report(
    store: "Store", out: Path, tokenizer: Path | None = None, mapped: "MapSettings | None" = None
) -> tuple[dict[str, Any], list[Path]]:
    """Write the page to OUT and its plots beside it; returns the numbers and where the plots are.

    Raises MissingExtra without matplotlib, and what the map raises.
    """
    new_figure()  # a missing library is said before the work, not after it
    facts = gather(store, tokenizer)
    found = None
    if mapped is not None:
        from curate.reporting.prompt_map import map_prompts

        found = map_prompts(store, mapped)
        facts["map"] = found.as_json()
    plots = draw_all(facts, found)
    out.parent.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, png in plots.items():
        path = out.with_name(f"{out.stem}-{name}.png")
        _write(path, png)
        paths.append(path)
    _write(out, page(facts, plots).encode("utf-8", "replace"))
    return facts, paths


def _write(path: Path, content: bytes) -> None:
    """The whole file or none of it."""
    staged = path.with_name(f".{path.name}.{os.getpid()}")
    staged.write_bytes(content)
    staged.replace(path)
