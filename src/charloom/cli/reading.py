"""What the subcommands share that read texts: the argument FILE, the format of the file, and the cost of its texts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import tee
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from charloom.corpus.articles import read_articles
from charloom.errors import InputError
from charloom.text.texts import cut_lines, framed, read_pieces
from charloom.text.vocab import Codes

if TYPE_CHECKING:
    import torch

    from charloom.model.network import CharModel
    from charloom.model.saved import SavedModel

BEGINNING = 44  # characters of a text that its row in a table shows
FORMAT_HELP = {
    "lines": "each line is a text, and blank lines are skipped.",
    "csv": "each row is an article of the form class, title, description (as in AG_NEWS) or class, text.",
    "whole": "the whole file is one text. A newline in it means <eos>, unless the model's vocabulary contains the"
    " newline.",
}
Command = TypeVar("Command", bound=Callable[..., Any])
Found = TypeVar("Found")


def text_file(command: Command) -> Command:
    """Add the argument FILE, in which - means the standard input."""
    return click.argument("file", metavar="FILE|-", type=click.Path(exists=True, dir_okay=False, allow_dash=True))(
        command
    )


def format_option(*formats: str) -> Callable[[Command], Command]:
    """The option --format with these formats."""
    explained = " ".join(f"{name}: {FORMAT_HELP[name]}" for name in formats)
    return click.option(
        "--format",
        "wanted_format",
        type=click.Choice(formats),
        help=f"How to read FILE. {explained}  [default: csv if the name ends in .csv, else lines]",
    )


def file_format(file: str, wanted: str | None) -> str:
    """The format in which a file is read: the wanted one, or else the one that the name of the file implies."""
    return wanted or ("csv" if file.endswith(".csv") else "lines")


def read_texts(file: str, file_format: str) -> Iterator[str]:
    """The texts of a file: its lines, or the articles of a CSV file."""
    if file_format == "csv":
        if file == "-":
            raise InputError("--format csv cannot read the standard input; give the name of a file")
        yield from (article.text for article in read_articles(Path(file)))
        return
    with click.open_file(file, "rb") as stream:
        yield from cut_lines(read_pieces(stream, file))


def with_costs(
    saved: SavedModel,
    texts: Iterator[str],
    measure: Callable[[CharModel, Iterable[Codes], torch.device], Iterator[Found]],
) -> Iterator[tuple[str, Found]]:
    """Each text, normalized as the model's corpus was, and its cost as `measure` computes it."""
    texts, to_measure = tee(map(saved.vocabulary.normalized, texts))
    encoded = (framed(saved.vocabulary, text) for text in to_measure)
    return zip(texts, measure(saved.model, encoded, saved.model.head.weight.device), strict=True)
