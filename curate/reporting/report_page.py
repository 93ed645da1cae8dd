"""The page of `curate report`: one HTML file that loads nothing, in which no text of the data is markup."""

import base64
import html
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from store import __version__
from store.console import visible

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
"""What a browser may load for the page: the images that are in it."""

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
table { border-collapse: collapse; margin: 1rem 0; font-size: 14px; display: block; overflow-x: auto; }
th, td { text-align: left; padding: .25rem .7rem; border-bottom: 1px solid #ddd; vertical-align: top; }
td.n { text-align: right; font-variant-numeric: tabular-nums; }
img { max-width: 100%; background: #fff; border-radius: 4px; }
td { overflow-wrap: anywhere; min-width: 4rem; }
td.n, th { overflow-wrap: normal; }
@media screen { table.long { max-height: 36rem; overflow-y: auto; } }
pre { white-space: pre-wrap; overflow-wrap: anywhere; background: #f6f6f6; padding: .6rem; margin: .3rem 0; }
.none, .small { color: #666; }
@media (prefers-color-scheme: dark) {
  :root { color-scheme: dark; }
  body { background: #15181c; color: #dde1e6; }
  th, td { border-bottom-color: #3a4048; }
  pre { background: #20252b; }
  .none, .small { color: #9aa3ad; }
}
"""

MOST_ROWS = 30
"""A table with more has a scroll bar on the screen."""

NOTHING = '<p class="none">none</p>'

Row = Mapping[str, Any]


def page(facts: Row, plots: Mapping[str, bytes]) -> str:
    """The whole page; PLOTS are put into it."""
    counts = facts["conversations"]
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>Conversations at version {facts['at_version']}</title><style>{STYLE}</style></head><body>",
        f"<h1>Conversations at version {facts['at_version']}</h1>",
        f"<p>{counts['all']:,} conversations: {counts['current']:,} current, {counts['dropped']:,} dropped,"
        f" {counts['superseded']:,} superseded by what was made of them. Everything is counted on the whole store"
        f"{_but_the_map(facts)}.</p>",
        _section("Sources and licenses", _sources(facts)),
        _section("What is in it (Camels, Table 1)", _groups(facts, "by_source", "source")),
        _section("By class", _groups(facts, "by_class", "class")),
        _section("Turns and lengths by class", _images(plots, "turns", "lengths")),
        _section("Ratings by class (OpenChat, Figure 3)", _ratings(facts, plots)),
        _section("Languages", _images(plots, "languages") + _counts(facts["languages"], "language")),
        _section("Map of first questions (RLHF Workflow, Figure 5)", _map(facts, plots)),
        _section("Cleaned and cut", _counts(facts["steps"], "step")),
        _section("Duplicates", _decisions(facts["duplicates"])),
        _section("Contamination", _decisions(facts["contamination"])),
        _section(
            "What was dropped or kept, and by whom", _images(plots, "drops") + _decisions(facts["decisions"])
        ),
        _section("Examples of what was dropped", _examples(facts["examples"])),
        _section("Rejected records", _rejects(facts["rejects"])),
        f'<p class="small">Written by preferably {html.escape(__version__)}.</p></body></html>',
    ]
    return "\n".join(parts) + "\n"


def text(value: object) -> str:
    """A value of the data as the page shows it: escaped, control characters visible."""
    return html.escape(visible(str(value)), quote=True)


def _section(title: str, body: str) -> str:
    return f"<h2>{html.escape(title)}</h2>\n{body or NOTHING}"


def _but_the_map(facts: Row) -> str:
    if "map" not in facts:
        return ""
    return f" but the map, a sample of {facts['map']['prompts']:,} of {facts['map']['of_prompts']:,} first questions"


def _cell(value: object) -> str:
    if value is None or value == "":
        return "<td>–</td>"
    if isinstance(value, float):
        return f'<td class="n">{value:,.1f}</td>'
    if isinstance(value, int):
        return f'<td class="n">{value:,}</td>'
    return f"<td>{text(value)}</td>"


def _table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    if not rows:
        return ""
    head = "".join(f"<th>{html.escape(name)}</th>" for name in columns)
    lines = ["<tr>" + "".join(_cell(value) for value in row) + "</tr>" for row in rows]
    kind = ' class="long"' if len(rows) > MOST_ROWS else ""
    return f"<table{kind}><tr>{head}</tr>\n" + "\n".join(lines) + "</table>"


def _counts(rows: Sequence[Row], name: str) -> str:
    return _table((name, "conversations"), [(row[name], row["conversations"]) for row in rows])


def _images(plots: Mapping[str, bytes], *names: str) -> str:
    return "\n".join(
        f'<p><img alt="{html.escape(name)}" src="data:image/png;base64,{base64.b64encode(plots[name]).decode()}"></p>'
        for name in names
        if name in plots
    )


def _sources(facts: Row) -> str:
    columns = ("source", "format", "license", "read", "kept", "rejected", "file", "sha256")
    names = (
        "name",
        "reader",
        "license",
        "records_read",
        "records_kept",
        "records_rejected",
        "path",
        "sha256",
    )
    return _table(columns, [[row[name] for name in names] for row in facts["sources"]])


def _groups(facts: Row, which: str, name: str) -> str:
    unit = facts["unit"]
    columns = (
        *(name, "conversations", "rounds", f"prompt ({unit})", f"completion ({unit})", "turns"),
        *(f"conversation ({unit})", "sourced from"),
    )
    names = (
        "name",
        "conversations",
        "rounds",
        "mean_prompt",
        "mean_completion",
        "turns",
        "mean_conversation",
    )
    rows = [[*(row[one] for one in names), _models(row["models"])] for row in facts[which]]
    return _table(columns, rows)


def _models(models: Sequence[tuple[str, int]]) -> str:
    shown = ", ".join(f"{label or 'not said'} ({count:,})" for label, count in models[:4])
    return f"{shown}, {len(models) - 4} more" if len(models) > 4 else shown


def _ratings(facts: Row, plots: Mapping[str, bytes]) -> str:
    parts = []
    for number, one in enumerate(facts["ratings"]):
        parts.append(_images(plots, f"ratings-{number + 1}"))
        columns = ("judge", "template", "aspect", "class", "conversations", "mean rating")
        about = (one["labeler"], one["template"], one["aspect"])
        parts.append(
            _table(
                columns,
                [(*about, held["name"], held["conversations"], held["mean"]) for held in one["classes"]],
            )
        )
    return "\n".join(parts)


def _map(facts: Row, plots: Mapping[str, bytes]) -> str:
    if "map" not in facts:
        return '<p class="none">none: it needs a text encoder (--encoder)</p>'
    topics = [(one["name"], one["prompts"]) for one in facts["map"]["topics"]]
    return _images(plots, "map-source", "map-class", "map-topic") + _table(("topic", "questions"), topics)


def _decisions(rows: Sequence[Row]) -> str:
    return _table(
        ("verdict", "by", "reason", "conversations"),
        [(row["verdict"], row["decided_by"], row["reason"], row["conversations"]) for row in rows],
    )


def _examples(rows: Sequence[Row]) -> str:
    return _grouped(rows, "decided_by", _example)


def _grouped(rows: Sequence[Row], key: str, show: Callable[[Row], str]) -> str:
    parts: list[str] = []
    for place, row in enumerate(rows):
        if place == 0 or rows[place - 1][key] != row[key]:
            parts.append(f"<h3>{text(row[key])}</h3>")
        parts.append(show(row))
    return "\n".join(parts)


def _example(row: Row) -> str:
    said = "".join(f"<pre>[{text(turn['role'])}] {text(turn['text'])}</pre>" for turn in row["said"])
    evidence = f" <code>{text(row['evidence'])}</code>" if row["evidence"] else ""
    return f'<p class="small">{text(row["conversation"])}: {text(row["reason"])}{evidence}</p>{said}'


def _rejects(rows: Sequence[Row]) -> str:
    return _table(
        ("source", "reason", "records", "example"),
        [(row["source"], row["reason"], row["records"], row["example"]) for row in rows],
    )
