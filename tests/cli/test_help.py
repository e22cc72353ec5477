"""The help texts of `charloom` and its subcommands are complete, short enough and in plain English."""

from __future__ import annotations

import re

import click
import pytest
from click.testing import CliRunner

from charloom.cli import COMMANDS, charloom
from tests.conftest import Run

PRINT_LOADED = """
import sys
from charloom.cli import charloom
charloom.main(sys.argv[1:], standalone_mode=False)
print(sorted({"torch", "mlflow", "matplotlib"} & set(sys.modules)))
"""
# Words and phrases that a help text must not contain, because they are old-fashioned or ambiguous
BANNED = (
    "told",
    "mend",
    "beside",
    "by then",
    "goes on",
    "go on from",
    "of its own",
    "stands in",
    "stand in",
    "is none",
    "are none",
    "is no",
    "under a class",
    "under this class",
    "bit by bit",
)
WIDTH = 80  # the characters in a line of the terminal


def help_of(*arguments: str) -> str:
    """The help as an 80-column terminal shows it."""
    result = CliRunner(env={"COLUMNS": str(WIDTH)}).invoke(charloom, [*arguments, "-h"])
    assert result.exit_code == 0
    return result.output


def command(name: str) -> click.Command:
    found = charloom.get_command(click.Context(charloom), name)
    assert found
    return found


def options(name: str) -> list[click.Option]:
    return [param for param in command(name).params if isinstance(param, click.Option)]


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_lists_every_option_with_a_text(name: str) -> None:
    text = " ".join(help_of(name).split())
    for option in options(name):
        assert option.help, option.name
        assert option.help.endswith((".", "]")), option.name
        assert all(spelling in text for spelling in option.opts)
        assert " ".join(option.help.split())[:40] in text


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_explains_every_argument(name: str) -> None:
    body = help_of(name).partition("\n")[2]
    for argument in command(name).params:
        if isinstance(argument, click.Argument):
            assert argument.make_metavar(click.Context(command(name))).strip("[]").removesuffix("|-") in body


def test_the_list_of_commands_does_not_cut_the_first_sentence_of_a_help_text() -> None:
    listed = help_of()
    for name in COMMANDS:
        first_sentence = (command(name).help or "").partition("\n")[0]
        assert re.search(rf"^  {name} +{re.escape(first_sentence)}$", listed, re.MULTILINE)


@pytest.mark.parametrize("arguments", [(), *((name,) for name in COMMANDS)])
def test_the_help_fits_the_terminal_and_has_no_banned_phrase(arguments: tuple[str, ...]) -> None:
    text = help_of(*arguments)
    assert max(map(len, text.splitlines())) <= WIDTH
    words = " ".join(text.split()).lower()
    assert [phrase for phrase in BANNED if re.search(rf"\b{phrase}\b", words)] == []


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_loads_neither_torch_nor_mlflow(run_python: Run, name: str) -> None:
    ended = run_python(PRINT_LOADED, name, "--help")
    assert ended.stdout.startswith("Usage: ")
    assert ended.stdout.endswith("\n[]\n")
