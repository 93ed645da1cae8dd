"""The edge every command shares: options, output, progress, and the one place that prints errors.

Results go to stdout; words and progress go to stderr. Nothing here imports duckdb, so that `--help`
answers at once.
"""

import codecs
import json
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, Protocol, TypeVar

import click

from store import __version__
from store.errors import PreferablyError

if TYPE_CHECKING:
    from types import FrameType

    from rich.progress import Progress

SCHEMA_VERSION = 1
"""Grows when a key of a `--json` object changes its meaning or goes away."""

INTERRUPTED = 130

TIED_TO = "PREFERABLY_TIED_TO"
"""The variable with the number of a pipe that closes when the command that started this one is gone."""

CONTEXT: dict[str, object] = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
"""Pass as `context_settings` to every group and single command."""

Command = TypeVar("Command", bound=Callable[..., object])
AnyCommand = Callable[..., Any]
"""What a decorator makes that gathers several options into one parameter."""


class Output:
    """How much this process says on stderr; set once from the command line."""

    is_quiet = False
    is_debugging = False


def with_options(options: Sequence[Callable[[AnyCommand], AnyCommand]], command: AnyCommand) -> AnyCommand:
    """COMMAND with OPTIONS, which its help shows in their order."""
    return reduce(lambda wrapped, option: option(wrapped), reversed(options), command)


def store_option(command: Command) -> Command:
    """Add `--store PATH`, given to the command as `store_path`."""
    return click.option(
        "--store",
        "store_path",
        type=click.Path(path_type=Path, dir_okay=False),
        envvar="PREFERABLY_STORE",
        default=Path("preferably.duckdb"),
        show_default=True,
        show_envvar=True,
        help="The store file.",
    )(command)


def at_option(command: Command) -> Command:
    """Add `--at SNAPSHOT`, given to the command as `at`."""
    return click.option(
        "--at", metavar="SNAPSHOT", help="Look at a snapshot, or at version vN, instead of now."
    )(command)


def wait_option(command: Command) -> Command:
    """Add `--wait SECONDS`, given to the command as `wait_s`."""
    return click.option(
        "--wait",
        "wait_s",
        type=click.FloatRange(min=0),
        metavar="SECONDS",
        default=60.0,
        show_default=True,
        help="How long to wait for a busy store.",
    )(command)


def json_option(command: Command) -> Command:
    """Add `--json`, given to the command as `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")(command)


def common_options(command: Command) -> Command:
    """Add `-q`, `--debug` and `--version` to a group or a single command; they reach no parameter."""
    quiet = click.option(
        "-q",
        "--quiet",
        is_flag=True,
        expose_value=False,
        callback=_set_quiet,
        help="Say nothing on stderr but errors.",
    )
    debug = click.option(
        "--debug",
        is_flag=True,
        expose_value=False,
        callback=_set_debug,
        help="Show a traceback with an error.",
    )
    version = click.version_option(__version__, prog_name="preferably")
    return quiet(debug(version(command)))


def _set_quiet(_context: click.Context, _parameter: click.Parameter, value: object) -> None:
    Output.is_quiet = Output.is_quiet or bool(value)


def _set_debug(_context: click.Context, _parameter: click.Parameter, value: object) -> None:
    Output.is_debugging = Output.is_debugging or bool(value)


def main_of(command: click.Command) -> Callable[[], NoReturn]:
    """The console script of a command: runs it, prints any error on one line, exits 0, 1, 2, 3 or 130."""

    def main() -> NoReturn:
        signal.signal(signal.SIGTERM, _interrupt)
        _end_with_parent()
        sys.exit(run_command(command, sys.argv[1:]))

    return main


def _end_with_parent() -> None:
    """Where a command of ours started this one, be interrupted when that one is gone, however it went."""
    pipe = os.environ.pop(TIED_TO, None)
    if pipe is None:
        return

    def wait() -> None:
        os.read(int(pipe), 1)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, name="parent", daemon=True).start()


def run_command(command: click.Command, arguments: Sequence[str]) -> int:
    """Run a command with ARGUMENTS and return its exit code."""
    try:
        outcome = command.main(args=list(arguments), standalone_mode=False)
    except (click.exceptions.Abort, KeyboardInterrupt):
        return _say("interrupted; the same command again continues", INTERRUPTED)
    except click.ClickException as error:
        return _say_misused(error)
    except PreferablyError as error:
        return _say(f"error: {error}", error.exit_code)
    return outcome if isinstance(outcome, int) else 0


def _interrupt(_number: int, _frame: "FrameType | None") -> None:
    raise KeyboardInterrupt


def _say(text: str, code: int) -> int:
    if Output.is_debugging:
        traceback.print_exc()
    click.echo(visible(text), err=True)
    return code


def _say_misused(error: click.ClickException) -> int:
    hint = ""
    if isinstance(error, click.UsageError) and error.ctx is not None:
        hint = f"; see: {error.ctx.command_path} --help"
    message = error.format_message().rstrip(".")
    return _say(f"error: {message[:1].lower()}{message[1:]}{hint}", error.exit_code)


def echo(text: str = "") -> None:
    """Print a line of result on stdout, with control characters made visible."""
    click.echo(visible(text))


def echo_json(result: Mapping[str, object]) -> None:
    """Print a command's result as one JSON object on stdout."""
    click.echo(json.dumps({"schema_version": SCHEMA_VERSION, **result}, ensure_ascii=True, default=str))


def note(text: str) -> None:
    """Say something on stderr; `-q` silences it."""
    if not Output.is_quiet:
        click.echo(visible(text), err=True)


def decimals(value: float | None, places: int) -> str | None:
    """VALUE with so many places, for a table; None stays None, which a table shows as a dash."""
    return None if value is None else f"{value:.{places}f}"


def table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A plain-text table: the first column left, numbers right, floats with one decimal."""
    cells = [[_cell(value) for value in row] for row in rows]
    widths = [max([len(name), *(len(row[i]) for row in cells)]) for i, name in enumerate(columns)]
    is_number = [
        all(isinstance(row[i], int | float) or row[i] is None for row in rows) for i in range(len(columns))
    ]
    lines = [list(columns), ["-" * width for width in widths], *cells]
    return "\n".join(
        "  ".join(_aligned(*part) for part in zip(line, widths, is_number, strict=True)).rstrip()
        for line in lines
    )


def _cell(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.1f}"
    return visible(str(value)).replace("\n", "⏎")


def _aligned(text: str, width: int, is_number: bool) -> str:  # noqa: FBT001 - a cell's three facts, zipped
    return text.rjust(width) if is_number else text.ljust(width)


_BIDI = {*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x061C, 0xFEFF, 0x2028, 0x2029}
_UNSEEN = {0x00AD, 0x200B, *range(0x2060, 0x2065)}
_VISIBLE = {
    code: f"⟨U+{code:04X}⟩"
    for code in (*range(0x20), *range(0x7F, 0xA0), *sorted(_BIDI | _UNSEEN), *range(0xE0000, 0xE0080))
    if chr(code) not in "\n\t"
}


def visible(text: str) -> str:
    """TEXT with control, escape and direction characters written out, so that none reaches a terminal.

    Newlines and tabs stay; lone surrogates are written out too.
    """
    shown = text.translate(_VISIBLE)
    if shown.isascii():
        return shown
    return shown.encode("utf-8", "replace_surrogates").decode() if _has_surrogate(shown) else shown


def _has_surrogate(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _write_out_surrogates(error: UnicodeError) -> tuple[bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    shown = "".join(f"⟨U+{ord(char):04X}⟩" for char in error.object[error.start : error.end])
    return shown.encode(), error.end  # as bytes: the encoder refuses text beyond ASCII here


codecs.register_error("replace_surrogates", _write_out_surrogates)


class Advance(Protocol):
    """Tells a progress bar that work was done."""

    def __call__(self, amount: float = 1, /, *, words: str = "") -> None:
        """AMOUNT more of the total; WORDS stand behind the bar (a cost, a name)."""


@contextmanager
def progress(description: str, total: float | None = None) -> Iterator[Advance]:
    """A progress bar on stderr with rate and time left; nothing off a terminal or under `-q`."""
    if Output.is_quiet or not sys.stderr.isatty():
        yield _no_advance
        return
    bar = _bar()
    with bar:
        task = bar.add_task(description, total=total, words="")

        def advance(amount: float = 1, /, *, words: str = "") -> None:
            bar.update(task, advance=amount, words=words)

        yield advance


def _no_advance(_amount: float = 1, /, *, words: str = "") -> None:
    del words


def _bar() -> "Progress":
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[words]}", markup=False),
        console=Console(stderr=True),
    )
