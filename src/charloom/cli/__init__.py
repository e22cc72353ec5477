"""The `charloom` command. Each subcommand is a module of this package, and is imported only when it is called."""

from __future__ import annotations

import io
import sys
from importlib import import_module
from typing import NoReturn

import click

from charloom.errors import exit_with

# The module charloom.cli.NAME has a click command called NAME.
COMMANDS = ("data", "sample", "score", "classify", "publish", "runs", "verify")


class _LazyGroup(click.Group):
    """A group that imports a subcommand when it is needed, as click's documentation describes."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = getattr(import_module(f"charloom.cli.{cmd_name}"), cmd_name)
        return command


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="charloom")
def charloom() -> None:
    """Use the models that the pipeline trains, and the results that it keeps.

    `dvc repro` trains a character-level language model on a corpus of texts. These commands show the corpus, write and
    score text with the model, and list the results in MLflow. `charloom COMMAND -h` explains one of them.
    """


def main() -> NoReturn:
    """The entry point. The process exits with 0 (done), 1 (failed), 2 (bad input) or 130 (interrupted)."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # if the terminal cannot show a character, show its escape
    exit_with(_run)


def _run() -> None:
    try:
        code = charloom.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.Abort:  # click turns Ctrl-C into this
        raise KeyboardInterrupt from None
    sys.exit(code)
