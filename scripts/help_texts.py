"""The help of every command, for docs/commands.md; `cog` puts it there and checks that it is current."""

from collections.abc import Iterator

import click
import cog

from store.console import CONTEXT

WIDTH = 100


def commands() -> Iterator[tuple[str, click.Command]]:
    """Every command that does something: (words to type, command)."""
    from curate.cli import cli as curate
    from label.cli import cli as label
    from train.cli import cli as train
    from tui.cli import review

    for name, top in (("curate", curate), ("label", label), ("train", train), ("review", review)):
        yield from _below(name, top)


def _below(words: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    if not isinstance(command, click.Group):
        yield words, command
        return
    if command.invoke_without_command:
        yield words, command
    for name in command.list_commands(click.Context(command)):
        yield from _below(f"{words} {name}", command.commands[name])


def help_of(words: str, command: click.Command) -> str:
    """The help page as a terminal of WIDTH columns shows it."""
    settings = {**CONTEXT, **command.context_settings, "terminal_width": WIDTH, "max_content_width": WIDTH}
    with click.Context(command, info_name=words, **settings) as context:
        return command.get_help(context)


def write() -> None:
    """Print one folded section a command."""
    for words, command in commands():
        cog.outl(f"<details><summary><code>{words}</code>: {command.get_short_help_str(100)}</summary>\n")
        cog.outl("```text\n" + help_of(words, command) + "\n```\n\n</details>\n")
