"""For the subcommands that read texts: the argument FILE, the option --format, and measuring the texts of a file."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import tee
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple, TypeVar

import click

from charloom.cli.columns import OptionNaming, changed
from charloom.corpus.articles import AG_NEWS_FORM, SPLITS, is_empty, read_source
from charloom.corpus.formats import READERS
from charloom.corpus.lines import read_pieces
from charloom.corpus.opening import BUFFER_BYTES, COMPRESSED, File, Kind
from charloom.corpus.settings import TableColumns
from charloom.errors import InputError, say
from charloom.params import CorpusForm
from charloom.text.texts import cut_lines, framed
from charloom.text.vocab import Codes

if TYPE_CHECKING:
    from charloom.model.network import CharModel
    from charloom.model.saved import SavedModel

BEGINNING = 44  # the row of a text in a table shows this many characters of the text
TABLES = tuple(ending[1:] for ending in READERS if ending != ".txt")
FORMATS = {
    "lines": "each line is a text, and blank lines are skipped.",
    "txt": "a text ends where data.article_end says for the model's corpus, such as at a blank line.",
    **dict.fromkeys(TABLES, "each row is a text (see --text-columns), and rows without text are skipped."),
    "whole": "the whole file is one text. A newline inside the text is scored as the end of an article (<eos>), unless"
    " the model's vocabulary contains the newline.",
}
LabelledText = tuple[str | None, str]  # the label is None if the file has no classes
Command = TypeVar("Command", bound=Callable[..., Any])
Measured = TypeVar("Measured")


def text_file(command: Command) -> Command:
    """Add the argument FILE. If FILE is -, the standard input is read."""
    return click.argument("file", metavar="FILE|-", type=click.Path(exists=True, dir_okay=False, allow_dash=True))(
        command
    )


def format_option(*formats: str) -> Callable[[Command], Command]:
    """An option --format that allows these formats."""
    names = {text: ", ".join(each for each in formats if FORMATS[each] == text) for text in map(FORMATS.get, formats)}
    explained = " ".join(f"{name}: {text}" for text, name in names.items())
    return click.option(
        "--format",
        "wanted_format",
        type=click.Choice(formats),
        help=f"How to read FILE. {explained}"
        "  [default: as the ending of the name says (.csv, .jsonl.gz and so on), and lines for .txt and other endings]",
    )


class TextFile(NamedTuple):
    """A file with texts, and how it is read."""

    name: str  # - is the standard input
    format: str  # a key of FORMATS
    compression: str | None
    form: CorpusForm

    @classmethod
    def of(cls, name: str, wanted: str | None, form: CorpusForm, options: Mapping[str, str | None]) -> TextFile:
        """How to read a file. `wanted` is the value of --format. `form` is that of the corpus. `options` change it.

        Raises InputError if the options contradict each other or the file.
        """
        kind = Kind.of(name)
        chosen = wanted or ("lines" if kind is None or kind.format == ".txt" else kind.format[1:])
        given = [f"--{option.replace('_', '-')}" for option, value in options.items() if value is not None]
        if given and chosen not in TABLES:
            raise InputError(f"{name}: {given[0]} needs a table, but this file is read as {chosen}; add --format csv")
        if name == "-" and chosen in TABLES:
            raise InputError(f"--format {chosen} cannot read the standard input; give the name of a file")
        base = AG_NEWS_FORM if names_in_source(name) else form
        return cls(name, chosen, COMPRESSED.get(Path(name).suffix.lower()), changed(base, options))

    @contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """Open the file, and unpack it if its name says that it is compressed. A pipe is not unpacked."""
        if self.name == "-" or not Path(self.name).is_file():
            with click.open_file(self.name, "rb") as pipe:
                yield pipe
            return
        from fsspec.implementations.local import LocalFileSystem

        kind = Kind(f".{self.format}", self.compression)
        with File(LocalFileSystem(), self.name, kind, None).opened() as file:
            yield file

    def texts(self) -> Iterator[LabelledText]:
        """The texts with their labels. Texts of white space are left out, and their number in a table is printed.

        Raises InputError if the file cannot be read. The message names the options of the command.
        """
        skipped = 0
        with self.open() as file:
            for label, text in self._read(file):
                if is_empty(text):
                    skipped += 1
                else:
                    yield None if label is None else str(label), text
        if skipped:
            say(f"{self.name}: {skipped} row(s) without text were skipped", sys.stderr)

    def _read(self, file: IO[bytes]) -> Iterator[tuple[int | str | None, str]]:
        if self.format == "lines":
            return ((None, line) for line in cut_lines(read_pieces(file, self.name)))
        naming = OptionNaming(with_classes=self.form.class_column is not None)
        # In a corpus, data.article_end can cut the text of a row. Here each row of a table is a text.
        article_end = "line" if self.format in TABLES else self.form.article_end
        columns = TableColumns(**self.form.model_dump() | {"article_end": article_end}, naming=naming)
        if self.format == "csv" and self.form.text_columns == AG_NEWS_FORM.text_columns and _has_two_columns(file):
            columns = replace(columns, text_columns=[2])
        return READERS[f".{self.format}"](file, self.name, columns)


def _has_two_columns(file: IO[bytes]) -> bool:
    """Whether the first row of a CSV file has the form `class, text`. The file is not read any further."""
    beginning = io.StringIO(file.peek(BUFFER_BYTES).decode("utf-8", "replace"), newline="")  # type: ignore[attr-defined]
    with suppress(csv.Error):  # a row that is longer than the buffer, or no CSV
        return len(next(csv.reader(beginning, strict=True), [])) == 2
    return False


def names_in_source(file: str) -> list[str]:
    """The class names of the corpus, if stage download wrote this file: the label n in the file means the n-th name."""
    path = Path(file)
    with suppress(InputError, KeyError):  # there is no source.json, or another program wrote it
        return list(read_source(path.parent)["classes"]) if path.stem in SPLITS and path.suffix == ".csv" else []
    return []


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
