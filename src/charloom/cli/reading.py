"""For the subcommands that read texts: the argument FILE, the option --format, and measuring the texts of a file."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from itertools import tee
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from charloom.corpus.articles import is_empty, read_articles
from charloom.corpus.lines import read_pieces
from charloom.errors import InputError, say
from charloom.text.texts import cut_lines, framed
from charloom.text.vocab import Codes

if TYPE_CHECKING:
    from charloom.model.network import CharModel
    from charloom.model.saved import SavedModel

BEGINNING = 44  # the row of a text in a table shows this many characters of the text
FORMAT_HELP = {
    "lines": "each line is a text, and blank lines are skipped.",
    "csv": "each row is a text, with the columns class, title, description (as in AG_NEWS) or class, text. The class is"
    " not used, and rows without text are skipped.",
    "whole": "the whole file is one text. A newline inside the text is scored as the end of an article (<eos>), unless"
    " the model's vocabulary contains the newline.",
}
Command = TypeVar("Command", bound=Callable[..., Any])
Measured = TypeVar("Measured")


def text_file(command: Command) -> Command:
    """Add the argument FILE. If FILE is -, the standard input is read."""
    return click.argument("file", metavar="FILE|-", type=click.Path(exists=True, dir_okay=False, allow_dash=True))(
        command
    )


def format_option(*formats: str) -> Callable[[Command], Command]:
    """An option --format that allows these formats."""
    explained = " ".join(f"{name}: {FORMAT_HELP[name]}" for name in formats)
    return click.option(
        "--format",
        "wanted_format",
        type=click.Choice(formats),
        help=f"How to read FILE. {explained}  [default: csv if the name ends in .csv, else lines]",
    )


def file_format(file: str, wanted: str | None) -> str:
    """The format of a file: the `wanted` format, or if it is None, the format that the name of the file implies."""
    return wanted or ("csv" if file.endswith(".csv") else "lines")


def read_texts(file: str, file_format: str) -> Iterator[str]:
    """The texts of a file: its lines, or the articles of a CSV file."""
    if file_format == "csv":
        if file == "-":
            raise InputError("--format csv cannot read the standard input; give the name of a file")
        yield from _texts_of_rows(file)
        return
    with click.open_file(file, "rb") as stream:
        yield from cut_lines(read_pieces(stream, file))


def _texts_of_rows(file: str) -> Iterator[str]:
    """The texts of a CSV file. Rows without text are skipped, and after the last row their number is printed."""
    skipped = 0
    for article in read_articles(Path(file)):
        if is_empty(article.text):
            skipped += 1
        else:
            yield article.text
    if skipped:
        say(f"{file}: {skipped} row(s) without text were skipped", sys.stderr)


def with_costs(
    saved: SavedModel,
    texts: Iterator[str],
    measure: Callable[[CharModel, Iterable[Codes]], Iterator[Measured]],
) -> Iterator[tuple[str, Measured]]:
    """Each text with the costs of its symbols, which `measure` computes.

    The text is first normalized in the same way as the corpus of the model.
    """
    texts, to_measure = tee(map(saved.vocabulary.normalized, texts))
    encoded = (framed(saved.vocabulary, text) for text in to_measure)
    return zip(texts, measure(saved.model, encoded), strict=True)
