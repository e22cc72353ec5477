"""What the subcommands that read texts share: the file, how it is read, its texts, and what they cost."""

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

BEGINNING = 44  # characters of a text that a row shows
Command = TypeVar("Command", bound=Callable[..., Any])
Found = TypeVar("Found")


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


def with_costs(
    saved: SavedModel,
    texts: Iterator[str],
    read: Callable[[CharModel, Iterable[Codes], torch.device], Iterator[Found]],
) -> Iterator[tuple[str, Found]]:
    """Each text, normalized, beside what it costs the model, as `read` finds it."""
    texts, to_read = tee(map(saved.vocabulary.normalized, texts))
    encoded = (framed(saved.vocabulary, text) for text in to_read)
    return zip(texts, read(saved.model, encoded, saved.model.head.weight.device), strict=True)
