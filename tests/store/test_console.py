"""What every command shares: exit codes, one-line errors, and text no terminal obeys."""

import json
import subprocess
import sys

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from store import console
from store.errors import BadSettings, CheckFailed, MissingExtra, StoreBusy, UnknownName


def command_that(action: object) -> click.Command:
    @click.command()
    @console.common_options
    def command() -> None:
        if isinstance(action, BaseException):
            raise action
        console.echo("fine")

    return command


@pytest.mark.parametrize(
    ("action", "code", "said"),
    [
        (None, 0, ""),
        (CheckFailed("two faults"), 1, "error: two faults\n"),
        (BadSettings("no"), 2, "error: no\n"),
        (UnknownName.of("reader", "sharegtp", ["sharegpt"]), 2, "did you mean 'sharegpt'?"),
        (MissingExtra.of("trl", "train"), 2, "pip install 'preferably[train]'"),
        (StoreBusy("held"), 3, "error: held\n"),
        (KeyboardInterrupt(), 130, "continues"),
        (click.UsageError("No such option: --x."), 2, "error: no such option: --x"),
    ],
)
def test_exit_codes_tell_what_happened(
    action: object, code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert console.run_command(command_that(action), []) == code
    captured = capsys.readouterr()
    assert said in captured.err
    assert captured.err.strip().count("\n") == 0


def test_a_bug_stays_a_traceback() -> None:
    with pytest.raises(ZeroDivisionError):
        console.run_command(command_that(ZeroDivisionError()), [])


def test_an_error_message_cannot_write_to_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    console.run_command(command_that(BadSettings("\x1b]0;owned\x07 \u202egnp.exe")), [])
    assert capsys.readouterr().err == "error: ⟨U+001B⟩]0;owned⟨U+0007⟩ ⟨U+202E⟩gnp.exe\n"


@given(st.text(st.characters()))
def test_nothing_a_terminal_obeys_comes_through(text: str) -> None:
    shown = console.visible(text)
    shown.encode()
    assert not any(char < " " and char not in "\n\t" for char in shown)
    assert not any(0x7F <= ord(char) < 0xA0 or ord(char) in console._BIDI for char in shown)


def test_plain_text_is_left_alone() -> None:
    assert console.visible("a\tb\nÄ 漢 👍🏽") == "a\tb\nÄ 漢 👍🏽"


def test_json_is_one_object_with_a_schema_version(capsys: pytest.CaptureFixture[str]) -> None:
    console.echo_json({"kept": 3})
    assert json.loads(capsys.readouterr().out) == {"schema_version": 1, "kept": 3}


def test_a_table_aligns_numbers_right_and_shows_what_is_missing() -> None:
    assert console.table(("name", "n"), [("a", 1), ("bcd", None), ("e", 22.25)]).splitlines() == [
        "name     n",
        "----  ----",
        "a        1",
        "bcd      –",
        "e     22.2",
    ]


def test_a_reader_that_goes_away_gets_no_complaint() -> None:
    code = (
        "import click\nfrom store import console\n"
        "@click.command()\ndef c() -> None:\n    for i in range(100000): console.echo(str(i))\n"
        "console.main_of(c)()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == ""
    process.stderr.close()
    process.wait()
