"""The `review` command."""

import getpass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click

from store.console import CONTEXT, at_option, common_options, main_of, note, store_option
from store.errors import BadSettings, MissingExtra, RequestError, TryLater

if TYPE_CHECKING:
    from store.db import Store
    from tui.query import Filter
    from tui.store_data import StoreReview

EPILOG = """\b
Examples:
  review
  review --filter "class:GPT4 rating<5"
  review --annotator kim --at before-cleaning
  review --plain < keys.txt
"""


@click.command(name="review", epilog=EPILOG, context_settings=CONTEXT)
@store_option
@at_option
@click.option("--annotator", metavar="NAME", help="Who decides and votes.  [default: your user name]")
@click.option("--filter", "filter_text", default="", metavar="FILTER", help="The filter to begin with.")
@click.option("--plain", is_flag=True, help="Judge pairs blind line by line, without a screen.")
@common_options
def review(store_path: Path, at: str | None, annotator: str | None, filter_text: str, plain: bool) -> int:
    """Look at conversations, keep or drop them, and judge answers blind.

    The store may be written to meanwhile: what is new appears by itself. Every decision and vote is on
    disk at the key press. Press ? on any screen for its keys.
    """
    from store.db import Store
    from tui.query import parse_filter

    wanted = parse_filter(filter_text)
    name = annotator or _user()
    if not store_path.exists():
        raise RequestError(
            f"no store at {store_path}; make one with: curate ingest FORMAT PATH --store {store_path}"
        )
    if not plain and find_spec("textual") is None:
        raise MissingExtra.of("textual", "tui")
    return _open(Store(store_path, at=at), name, wanted, is_plain=plain)


def _open(store: "Store", annotator: str, wanted: "Filter", *, is_plain: bool) -> int:
    from tui.store_data import StoreReview

    data = StoreReview(store, annotator)
    try:
        return _judge_plainly(data) if is_plain else _run_app(data, store.path.name, wanted)
    finally:
        _close(data)


def _close(data: "StoreReview") -> None:
    try:
        data.close()
    except TryLater as error:
        note(f"everything is saved; the next command to write takes it into the store ({error})")


def _run_app(data: "StoreReview", store_name: str, wanted: "Filter") -> int:
    from tui.app import ReviewApp
    from tui.store_browse import StoreBrowse

    browse = StoreBrowse(data)
    app = ReviewApp(data, browse, store_name=store_name, wanted=wanted)
    try:
        app.run()
    finally:
        browse.close()
    if app.failure is not None:
        raise app.failure
    return app.return_code or 0


def _judge_plainly(data: "StoreReview") -> int:
    import sys

    from tui.plain import judge_plainly

    judge_plainly(data, sys.stdin, click.echo)
    return 0


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError) as error:
        raise BadSettings("this system has no name for you; give one with --annotator NAME") from error


main = main_of(review)
