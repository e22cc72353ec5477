"""The `charloom` command. Each subcommand is a module here, imported only when it is the one that was called."""

from __future__ import annotations

from importlib import import_module

import click

from charloom.errors import exit_with

COMMANDS: tuple[str, ...] = ()  # charloom.cli.NAME holds a click command NAME


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
    """Character-level language models: write with one, score text, look at the runs."""


def main() -> None:
    """The entry point: click's own complaints exit with 2, as InputError does."""
    exit_with(charloom)
