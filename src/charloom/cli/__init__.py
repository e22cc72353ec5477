"""The `charloom` command. Each subcommand is a module here, imported only when it is the one that was called."""

from __future__ import annotations

import io
import sys
from importlib import import_module
from typing import NoReturn

import click

from charloom.errors import exit_with

# charloom.cli.NAME holds a click command NAME
COMMANDS = ("data", "sample", "score", "classify", "publish", "runs", "verify")


class _Lazy(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = getattr(import_module(f"charloom.cli.{cmd_name}"), cmd_name)
        return command


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="charloom")
def charloom() -> None:
    """Character-level language models: look at the corpus, write with a model, score text, look at the runs."""


def main() -> NoReturn:
    """The entry point: 0 done, 1 failed, 2 bad input, 130 interrupted, for click's own complaints too."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal that cannot show a character ends nothing
    exit_with(_run)


def _run() -> None:
    try:
        code = charloom.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.Abort:  # what click makes of Ctrl-C
        raise KeyboardInterrupt from None
    sys.exit(code)
