"""The `charloom` command. Each subcommand is a module of this package, and is imported only when it is called."""

from __future__ import annotations

import io
import sys
from importlib import import_module
from typing import NoReturn

import click

from charloom.errors import exit_with
from charloom.secrets import without_secrets
from charloom.terminal import harmless

# The module charloom.cli.NAME has a click command called NAME.
COMMANDS = (
    "new",
    "doctor",
    "plan",
    "data",
    "sample",
    "score",
    "classify",
    "publish",
    "runs",
    "promote",
    "verify",
    "clean",
)


class _LazyGroup(click.Group):
    """A group of subcommands that imports the module of a subcommand on first use (see click's documentation)."""

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
    """Use a character-level language model, and the results of its training.

    The command new makes a project. In a project, `dvc repro` trains the model on a corpus of texts. Before that, the
    command doctor checks this machine, and the command plan estimates the time. The command data shows the corpus. The
    commands sample, score and classify use the model. The commands publish, runs, promote and verify send results to
    MLflow, list them, name the best one and check them. The command clean removes old checkpoints.

    Run the commands, except new, in the folder that contains params.yaml. `charloom COMMAND -h` explains a command.
    """


def main() -> NoReturn:
    """The entry point. Exit codes of the process: 0 done, 1 failed, 2 wrong input, 130 interrupted."""
    exit_with(_run)


def _run() -> None:
    try:
        code = charloom.main(standalone_mode=False)
    except click.ClickException as error:
        shown = io.StringIO()
        error.show(shown)  # the message repeats the wrong argument, which can be an address with a password
        sys.stderr.write(harmless(without_secrets(shown.getvalue())))
        sys.exit(error.exit_code)
    except click.Abort:  # click turns KeyboardInterrupt into Abort
        raise KeyboardInterrupt from None
    sys.exit(code)
