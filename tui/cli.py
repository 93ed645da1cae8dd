"""The `review` command."""

import getpass
import sys
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from store.console import CONTEXT, at_option, common_options, main_of, note, store_option
from store.errors import BadInput, BadSettings, MissingExtra, RequestError, TryLater

if TYPE_CHECKING:
    from store.db import Store
    from tui.answers.store_review import StoreReview
    from tui.judging.queue import QueueKind, QueueSettings
    from tui.query import Filter

MEMORY = "64MB"
"""What reading the store may use at once; more goes to disk."""
THREADS = 2
GROWTH_BYTES = 48_000_000

EPILOG = """\b
Examples:
  review
  review --filter "class:GPT4 rating<5"
  review --annotator kim --at before-cleaning
  review --protocol xwin4 --queue disagreement
  review --double 0.1 --calibration known --guidelines guidelines.md
  review --plain < keys.txt
  review --web --port 9000
"""


@click.command(name="review", epilog=EPILOG, context_settings=CONTEXT)
@store_option
@at_option
@click.option("--annotator", metavar="NAME", help="Who decides and votes.  [default: your user name]")
@click.option("--filter", "filter_text", default="", metavar="FILTER", help="The filter to begin with.")
@click.option("--plain", is_flag=True, help="Judge pairs blind line by line, without a screen.")
@click.option(
    "--protocol",
    type=click.Choice(["camels5", "xwin4"]),
    default="camels5",
    show_default=True,
    help="What blind judging asks: five steps with a tie, or Xwin's four strengths without.",
)
@click.option(
    "--queue",
    type=click.Choice(["random", "disagreement", "uncertain"]),
    default="random",
    show_default=True,
    help="Which pairs are judged: drawn; where orders, labelers or reward models disagree; small gaps first.",
)
@click.option(
    "--pairs",
    metavar="FILTER",
    help="Judge the pairs that this filter keeps, such as 'selection:best gap<1'.",
)
@click.option(
    "--double",
    type=click.FloatRange(0, 1),
    metavar="SHARE",
    help="Everybody judges this share of the prompts; each other prompt is judged once.  [default: all by all]",
)
@click.option(
    "--calibration", metavar="SELECTION", help="Mix in, unmarked, pairs whose better answer is known."
)
@click.option(
    "--guidelines",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Guidelines for annotators; their hash is stored with each vote.",
)
@click.option("--web", is_flag=True, help="Serve the screens to a browser on this machine, until Ctrl+C.")
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Where --web listens; refused if others can reach it.",
)
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    default=8765,
    show_default=True,
    help="The port of --web.",
)
@common_options
@click.pass_context
def review(
    context: click.Context,
    /,
    store_path: Path,
    *,
    at: str | None,
    annotator: str | None,
    filter_text: str,
    plain: bool,
    web: bool,
    host: str,
    port: int,
    **judging: Any,
) -> int:
    """Look at conversations, keep or drop them, and judge answers blind.

    The store may be written to meanwhile: what is new appears by itself. Every decision and vote is on
    disk at the key press. Press ? on any screen for its keys.
    """
    from store.db import Store
    from tui.query import parse_filter

    wanted = parse_filter(filter_text)
    settings = _judging(**judging)
    name = annotator or _user()
    if not store_path.exists():
        raise RequestError(
            f"no store at {store_path}; make one with: curate ingest FORMAT PATH --store {store_path}"
        )
    if not plain and find_spec("textual") is None:
        raise MissingExtra.of("textual", "tui")
    if web:
        return _serve(context, name, host, port)
    return _open(Store(store_path, at=at), name, settings, wanted, is_plain=plain)


def _serve(context: click.Context, annotator: str, host: str, port: int) -> int:
    """Serve the same command, without a screen of its own, to pages.

    Raises BadSettings for --plain, a host that others could reach or a port that is taken.
    """
    if context.params["plain"]:
        raise BadSettings("--web shows the screens and --plain does without them; give one of the two")
    if find_spec("textual_serve") is None:
        raise MissingExtra.of("textual-serve", "web")
    from tui.web.server import serve

    given = {**context.params, "annotator": annotator}
    words = [
        sys.executable,
        "-P",
        "-c",
        "from tui.cli import main; main()",
        *_options(context.command, given),
    ]
    serve(words, host=host, port=port, title=f"review {given['store_path'].name}")
    return 0


def _options(command: click.Command, given: Mapping[str, object]) -> Iterator[str]:
    """What was GIVEN to a command as words, without what only the server needs."""
    for parameter in command.params:
        value = given.get(parameter.name or "")
        if parameter.name in ("web", "host", "port", "plain") or value in (None, "", False):
            continue
        yield parameter.opts[0]
        if value is not True:
            yield str(value)


def _judging(
    *,
    protocol: str,
    queue: "QueueKind",
    pairs: str | None,
    double: float | None,
    calibration: str | None,
    guidelines: Path | None,
) -> "QueueSettings":
    """What blind judging asks, of which pairs.

    Raises BadSettings or UnknownName for a filter that makes no sense, BadInput for a file that is no text.
    """
    from tui.browse_data import PAIRS
    from tui.judging.protocols import PROTOCOLS
    from tui.judging.queue import QueueSettings
    from tui.query import parse_filter

    asked = PROTOCOLS[protocol]
    if guidelines is not None:
        try:
            asked = asked.with_guidelines(guidelines.read_text(encoding="utf-8"))
        except UnicodeDecodeError as error:
            raise BadInput(f"{guidelines} is not UTF-8 text: {error}") from error
    wanted = parse_filter(pairs, PAIRS) if pairs is not None else None
    return QueueSettings(asked, queue, wanted, double, calibration)


def _open(
    store: "Store", annotator: str, judging: "QueueSettings", wanted: "Filter", *, is_plain: bool
) -> int:
    from tui.answers.store_review import StoreReview

    data = StoreReview(store, annotator, judging)
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
    from store.engines import Thrift, be_thrifty
    from tui.answers.browse import StoreBrowse
    from tui.app import ReviewApp

    be_thrifty(Thrift(MEMORY, THREADS, GROWTH_BYTES))
    browse = StoreBrowse(data)
    app = ReviewApp(data, browse, store_name=store_name, wanted=wanted)
    try:
        app.run()
    finally:
        browse.close()
        be_thrifty(None)
    if app.failure is not None:
        raise app.failure
    return app.return_code or 0


def _judge_plainly(data: "StoreReview") -> int:
    from tui.plain import judge_plainly

    judge_plainly(data, sys.stdin, click.echo)
    return 0


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError) as error:
        raise BadSettings("this system has no name for you; give one with --annotator NAME") from error


main = main_of(review)
