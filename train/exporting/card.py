"""The README of an export: what a data set hub shows, and what a person should know."""

import json
import re
from typing import Any

from train.recipe import recipe_named


def card(manifest: dict[str, Any]) -> str:
    """The card of an export, YAML front matter first; a JSON text is a YAML text too."""
    return f"---\n{_front_matter(manifest)}---\n\n{_body(manifest)}"


def _front_matter(manifest: dict[str, Any]) -> str:
    licenses = sorted({str(source["license"] or "unknown") for source in manifest["sources"]})
    pattern = re.sub(r"\d+", "*", manifest["files"][0]["name"])
    lines = {
        "license": licenses[0] if len(licenses) == 1 and licenses[0] != "unknown" else "other",
        "licenses": licenses,
        "sources": manifest["sources"],
        "task_categories": ["text-generation"],
        "tags": ["preferably", manifest["recipe"], manifest["layout"]],
        "rows": manifest["rows"],
        "dropped": manifest["dropped"],
        "configs": [{"config_name": "default", "data_files": pattern}],
    }
    return "".join(f"{name}: {json.dumps(value, ensure_ascii=True)}\n" for name, value in lines.items())


def _body(manifest: dict[str, Any]) -> str:
    settings = manifest["settings"]
    paragraphs = [
        f"# {recipe_named(manifest['recipe']).title}: training data, layout `{manifest['layout']}`",
        f"{manifest['rows']} rows from the store at {manifest['snapshot']}"
        f" (version {manifest['at_version']}), template `{settings['template']}`,"
        f" at most {settings['max_length']} tokens a row. `manifest.json` says how they came about.",
        *_ratings(manifest),
        _rows(manifest),
        _table("Sources", ["source", "license", "rows"], _sources(manifest)),
        _table("Steps", ["step", "before", "after", "changed", "dropped because"], _steps(manifest)),
    ]
    return "\n\n".join(paragraphs) + "\n"


def _ratings(manifest: dict[str, Any]) -> list[str]:
    """How ratings became weights or classes, where they did."""
    if "ratings" not in manifest:
        return []
    told = manifest["ratings"]
    measured = ", the bounds of the ratings that are there" if told["is_measured"] else ""
    unrated = "left out" if told["unrated"] is None else f"taken as rated {told['unrated']:g}"
    said = (
        f"Weights by the latest ratings of `{told['labeler']}` on the scale `{told['scale']}`"
        f" ({told['lowest']:g} to {told['highest']:g}{measured}): {told['weight']}. What has no rating is {unrated}."
    )
    columns = ["class", "condition", "from", "below", "reward", "weight"]
    lines: list[list[object]] = [
        [
            one["name"],
            one["condition"],
            *(_figure(one[name]) for name in ("at_least", "below", "reward", "weight")),
        ]
        for one in told["classes"]
    ]
    return [said, *([_table("Classes by rating", columns, lines)] if lines else [])]


def _table(title: str, columns: list[str], rows: list[list[object]]) -> str:
    lines: list[list[object]] = [[*columns], ["---"] * len(columns), *rows]
    return f"## {title}\n\n" + "\n".join("| " + " | ".join(map(_cell, line)) + " |" for line in lines)


def _cell(value: object) -> str:
    text = "" if value is None else str(value)
    return text.replace("|", "\\|").replace("\n", " ")


def _rows(manifest: dict[str, Any]) -> str:
    if "pairs" in manifest:
        return _table(
            "Pairs", ["what", "value"], [[name, value] for name, value in manifest["pairs"].items()]
        )
    return _table("Classes", ["class", "condition", "weight", "rows", "trained tokens"], _classes(manifest))


def _classes(manifest: dict[str, Any]) -> list[list[object]]:
    return [
        [name, total["condition"], _weight(total), total["rows"], total["trained_tokens"]]
        for name, total in manifest["classes"].items()
    ]


def _weight(total: dict[str, Any]) -> object:
    if "weights" not in total:
        return _figure(total["weight"])
    return " to ".join(map(_figure, total["weights"]))


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def _sources(manifest: dict[str, Any]) -> list[list[object]]:
    return [
        [source["name"], source["license"] or "unknown", source["rows"]] for source in manifest["sources"]
    ]


def _steps(manifest: dict[str, Any]) -> list[list[object]]:
    return [
        [
            step["step"],
            step["before"],
            step["after"],
            step["changed"],
            ", ".join(f"{reason} ({count})" for reason, count in step["dropped"].items()),
        ]
        for step in manifest["steps"]
    ]
