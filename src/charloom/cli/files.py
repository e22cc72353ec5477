"""What the subcommands that read texts share: the file, how it is read, and its texts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import click

from charloom.corpus import read_articles
from charloom.errors import InputError
from charloom.texts import cut_lines, read_pieces

BEGINNING = 44  # characters of a text that a row shows
Command = TypeVar("Command", bound=Callable[..., Any])


def text_file(command: Command) -> Command:
    """The argument FILE|-."""
    return click.argument("file", metavar="FILE|-", type=click.Path(exists=True, dir_okay=False, allow_dash=True))(
        command
    )


def layout_of(file: str, wanted: str | None) -> str:
    """How a file is read: as asked for, else by its name."""
    return wanted or ("csv" if file.endswith(".csv") else "lines")


def read_texts(file: str, layout: str) -> Iterator[str]:
    """The texts of a file: its lines, or the articles of a CSV file."""
    if layout == "csv":
        if file == "-":
            raise InputError("--format csv reads a file, not the standard input")
        yield from (article.text for article in read_articles(Path(file)))
        return
    with click.open_file(file, "rb") as stream:
        yield from cut_lines(read_pieces(stream, file))
