"""The command `train evaluate map`: how policies represent conversations, by class."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from store.console import (
    CONTEXT,
    echo,
    echo_json,
    json_option,
    note,
    progress,
    store_option,
    table,
    wait_option,
)
from store.errors import BadSettings

if TYPE_CHECKING:
    from train.evaluating.policy_map import MappedModel, ModelMap

FILE = click.Path(path_type=Path, dir_okay=False)


@click.command(
    "map",
    context_settings=CONTEXT,
    epilog="""\b
Examples:
  train evaluate map --model runs/crlft/model --png map.png
  train evaluate map --model C-RLFT=runs/crlft/model --unconditioned SFT=runs/sft/model --png figure4.png
  train evaluate map --model runs/crlft/model --selection held-out --per-class 1000 --points map.parquet --json
  train evaluate map --model runs/crlft/model --projection pca --png map.png
""",
)
@click.option(
    "--model",
    "conditioned",
    multiple=True,
    metavar="[NAME=]FOLDER",
    help="A policy that sees each conversation under its class's condition; repeatable.",
)
@click.option(
    "--unconditioned",
    multiple=True,
    metavar="[NAME=]FOLDER",
    help="A policy that sees all under its template's usual one, as plain SFT does; repeatable.",
)
@click.option("--source", "sources", multiple=True, metavar="NAME", help="Only this source; repeatable.")
@click.option("--selection", metavar="NAME", help="Only the conversations of this selection.")
@click.option("--part", metavar="PART", help="Only this part of the selection.")
@click.option("--only-class", "classes", multiple=True, metavar="NAME", help="Only this class; repeatable.")
@click.option(
    "--per-class",
    type=click.IntRange(min=2),
    default=500,
    show_default=True,
    metavar="N",
    help="Most conversations of a class.",
)
@click.option(
    "--template", default="own", show_default=True, help="The chat template, `own` for the model's."
)
@click.option(
    "--max-length",
    type=click.IntRange(min=1),
    default=2048,
    show_default=True,
    metavar="TOKENS",
    help="Of a conversation that are read.",
)
@click.option(
    "--batch-tokens",
    type=click.IntRange(min=1),
    default=8192,
    show_default=True,
    metavar="N",
    help="Tokens at once.",
)
@click.option("--dtype", default="float32", show_default=True, help="Of the parameters.")
@click.option(
    "--projection",
    type=click.Choice(["umap", "pca"]),
    default="umap",
    show_default=True,
    help="How the map is made; pca needs no umap-learn.",
)
@click.option("--png", type=FILE, metavar="FILE", help="Write the map to this file, a panel for each policy.")
@click.option("--points", type=FILE, metavar="FILE", help="Write the coordinates to this file, as Parquet.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the draw of conversations.")
@wait_option
@json_option
@store_option
def map_command(
    *,
    conditioned: tuple[str, ...],
    unconditioned: tuple[str, ...],
    png: Path | None,
    points: Path | None,
    wait_s: float,
    as_json: bool,
    store_path: Path,
    **options: Any,
) -> None:
    """Map conversations by the mean of a policy's last layer over their tokens, coloured by class.

    After OpenChat's Figure 4: C-RLFT keeps the classes apart, plain SFT mixes them. How far apart they are is
    measured in the policy's own space, not on the map: the share of conversations whose ten nearest others by
    cosine are mostly of their class, as the mean over classes, and the silhouette. Each class is drawn alike, as
    far as there are conversations. The figures are kept with the run, in the store.
    """
    from store.db import Store
    from train.evaluating.policy_map import MapSettings, draw_maps, map_policies, write_points

    models = (*(_model(text, True) for text in conditioned), *(_model(text, False) for text in unconditioned))
    if not models:
        raise BadSettings("name whose map is wanted: --model or --unconditioned FOLDER")
    settings = MapSettings(models, **options)
    maps, run_id = map_policies(Store(store_path, wait_s=wait_s), settings, progress)
    if png is not None:
        png.write_bytes(draw_maps(maps))
    if points is not None:
        write_points(maps, points)
    if as_json:
        echo_json({"run_id": run_id, "maps": [one.as_json() for one in maps]})
        return
    echo(
        table(
            ("policy", "conversations", "cut", "nearest right", "chance", "silhouette", "map"), _lines(maps)
        )
    )
    for one in maps:
        for reason, count in one.left_out.items():
            note(f"{one.model.name}: {count} left out: {reason}")
    note(f"kept with run {run_id}")


def _model(text: str, has_condition: bool) -> "MappedModel":
    from train.evaluating.policy_map import MappedModel

    name, equals, folder = text.partition("=")
    folder = folder if equals else text
    if not Path(folder).is_dir():
        raise BadSettings(f"there is no directory {folder}; name the folder of a model")
    return MappedModel(name if equals else Path(folder).name, folder, has_condition)


def _lines(maps: "list[ModelMap]") -> list[tuple[object, ...]]:
    return [
        (
            one.model.name,
            len(one.classes),
            one.cut,
            *(
                (None, None, None)
                if one.separation is None
                else (
                    f"{one.separation.knn_accuracy:.3f}",
                    f"{one.separation.chance:.3f}",
                    f"{one.separation.silhouette:.3f}",
                )
            ),
            one.method,
        )
        for one in maps
    ]
