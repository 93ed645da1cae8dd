"""The command that lists the formats that can be taken in."""

import click

from store.console import CONTEXT, echo, echo_json, json_option


@click.command(
    context_settings=CONTEXT,
    epilog="""\b
Examples:
  curate formats
  curate formats --json
""",
)
@json_option
def formats(*, as_json: bool) -> None:
    """List the formats `curate ingest` reads, each with an example row.

    All but human-eval and plain text are read from whatever holds records with these fields: JSON, JSON Lines,
    CSV, TSV, spreadsheets, Parquet, folders that `datasets` saved, zip archives of text files. docs/formats.md
    says which set is of which format.
    """
    from curate.ingesting.detect import FORMATS

    found = [(name, FORMATS.load(name)) for name in FORMATS.names()]
    if as_json:
        echo_json(
            {
                "formats": [
                    {"name": name, "summary": one.summary, "example": one.example} for name, one in found
                ]
            }
        )
        return
    for name, one in found:
        echo(f"{name}: {one.summary}")
        for line in one.example.split("\n"):
            echo(f"  {line}")
