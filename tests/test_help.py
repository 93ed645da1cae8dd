"""Every help page ends with examples, and every command line and option that a page shows is one that commands take."""

import re
import shlex
from itertools import takewhile
from pathlib import Path

import click
import pytest

from curate.cli import cli as curate
from label.cli import cli as label
from train.cli import cli as train
from train.sweeps.options import PREFIXES
from tui.cli import review

TOP: dict[str, click.Command] = {"curate": curate, "label": label, "train": train, "review": review}


def pages(words: str, command: click.Command) -> list[tuple[str, click.Command]]:
    """The command and everything below it, each with the words to type."""
    found = [(words, command)]
    if isinstance(command, click.Group):
        for name, sub in command.commands.items():
            found += pages(f"{words} {name}", sub)
    return found


PAGES = [page for words, command in TOP.items() for page in pages(words, command)]


def help_of(words: str, command: click.Command) -> str:
    settings = {**command.context_settings, "terminal_width": 200, "max_content_width": 200}
    with click.Context(command, info_name=words, **settings) as context:
        return command.get_help(context)


def examples(page: str) -> list[str]:
    """The lines under `Examples:`, up to the next empty one."""
    lines = page.partition("Examples:\n")[2].splitlines()
    return [line.strip() for line in lines[: lines.index("") if "" in lines else None]]


def parse(line: str) -> None:
    """Read a command line down to its last subcommand without running it."""
    name, *arguments = takewhile(lambda word: word not in ("<", ">", "|"), shlex.split(line))
    command = TOP[name]
    while isinstance(command, click.Group):
        context = command.make_context(name, arguments)
        rest = [*context._protected_args, *context.args]
        if not rest:
            return
        name, command, arguments = command.resolve_command(context, rest)
        assert command is not None
    try:
        command.make_context(name, arguments)
    except click.BadParameter as error:
        if "does not exist" not in error.format_message():
            raise


@pytest.mark.parametrize(("words", "command"), PAGES, ids=[words for words, _ in PAGES])
def test_the_page_ends_with_examples_that_can_be_typed(words: str, command: click.Command) -> None:
    shown = examples(help_of(words, command))
    assert shown, f"{words} --help gives no example"
    for line in shown:
        assert line.startswith(words.split(maxsplit=1)[0]), line
        parse(line)


README = Path(__file__).parents[1] / "README.md"


def readme_lines() -> list[str]:
    """The command lines of the README, comments left off."""
    lines = [line.removeprefix("$ ") for line in README.read_text().splitlines() if line.startswith("$ ")]
    words = [part for line in lines for part in line.partition("#  ")[0].partition("# ")[0].split("&&")]
    return [line.strip() for line in words if line.split()[0] in TOP]


@pytest.mark.parametrize("line", readme_lines())
def test_the_readme_shows_lines_that_can_be_typed(line: str) -> None:
    parse(line)


DOCS = sorted(
    page for page in (README.parent / "docs").glob("*.md") if page.name not in ("commands.md", "LOG.md")
)

OPTIONS_OF_OTHERS = {"--config", "--help", "--no-enable-chunked-prefill", "--runner"}
"""Options of vLLM and accelerate, and the one that click adds."""


def shown_lines(page: Path) -> list[str]:
    """The command lines in the page's blocks, comments left off, what goes on in the next line put together."""
    blocks = re.findall(r"^```\w*\n(.*?)^```", page.read_text(), re.M | re.S)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    typed = [re.split(r"\s+#\s", line.strip().removeprefix("$ "))[0].replace(" …", "") for line in lines]
    return [line for line in typed if line.split() and line.split()[0] in TOP]


@pytest.mark.parametrize("page", DOCS, ids=[page.stem for page in DOCS])
def test_a_page_shows_lines_that_can_be_typed(page: Path) -> None:
    for line in shown_lines(page):
        parse(line)


@pytest.mark.parametrize("page", DOCS, ids=[page.stem for page in DOCS])
def test_a_page_names_options_that_exist(page: Path) -> None:
    known = {name for _, command in PAGES for option in command.params for name in option.opts}
    known |= {name.replace("--", f"--{prefix}", 1) for name in known for prefix in PREFIXES.values()}
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", page.read_text()))
    assert named - known - OPTIONS_OF_OTHERS == set()
