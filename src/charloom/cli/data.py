"""`charloom data`: shows what a corpus contains, as tables and a picture, or how charloom can read a user's files."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from charloom.cli.tables import begin_table, shown
from charloom.corpus.guesses import as_yaml
from charloom.files import main_checkout
from charloom.report.summary import Summary, summarize
from charloom.secrets import without_secrets

ENDS = 10  # list so many of the most frequent characters, and so many of the rarest
CLASSES = 20  # list so many classes, the largest first
TEXTS = "code point", "example", "use"  # columns with texts, aligned left like the first column of each table
LENGTHS = {"shortest article": 0, "5th percentile": 0.05, "median": 0.5, "95th percentile": 0.95, "longest article": 1}

Row = tuple[str, ...]


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), default="data/raw")
@click.option(
    "--picture",
    type=click.Path(path_type=Path),
    default="reports/data.png",
    show_default=True,
    help="Write the picture (PNG) to this file.",
)
@click.option(
    "--source",
    help="Show what a file, folder, glob or URL seems to be, and the lines for params.yaml that read it. Only the"
    " beginning of the files is read. FOLDER is not read, and no picture is written.",
)
def data(folder: Path, picture: Path, source: str | None) -> None:
    """Show what a corpus contains, as tables and a picture.

    The tables show the number and lengths of the articles, how many articles occur more than once, the classes, the
    characters, and how much of the text a vocabulary covers.

    FOLDER contains the corpus as train.csv, test.csv and source.json. The default is data/raw. `dvc repro download`
    writes the corpus that params.yaml names to data/raw.
    """
    console = Console(highlight=False)
    if source is not None:
        show_source(console, source)
        return
    summary = summarize(folder)
    console.print(shown(f"corpus {summary.source}"))
    for header, rows in (
        (("", "train", "test"), splits(summary)),
        (("class", "train", "test"), classes(summary)),
        (("character", "times", "share of train", "code point"), characters(summary)),
        (("vocab.min_count", "characters", "share of train", "share of test"), coverage(summary)),
    ):
        console.print(table(header, rows))

    from charloom.report.corpus_picture import draw_corpus  # loads matplotlib, which takes a second; tables come first

    draw_corpus(picture, summary)
    console.print(shown(f"picture written to {picture}"))


def show_source(console: Console, source: str) -> None:
    """Print what the files seem to be, and the lines for params.yaml."""
    from charloom.corpus.inspection import inspect_source  # loads the readers of all formats

    found = inspect_source(source, main_checkout())
    for fact in found.facts:
        console.print(shown(without_secrets(fact)), soft_wrap=True)
    if found.columns:
        console.print(table(("column", "example", "use"), found.columns))
    console.print("These lines of params.yaml read the corpus:\n\ndata:")
    for name, value in found.params.items():
        console.print(shown(without_secrets(f"  {name}: {as_yaml(value)}")), soft_wrap=True)


def table(header: Row, rows: Iterable[Row]) -> Table:
    """A table whose texts are aligned left and whose numbers are aligned right. The first column has texts."""
    made = begin_table()
    for place, name in enumerate(header):
        made.add_column(name, justify="left" if place == 0 or name in TEXTS else "right", overflow="fold")
    for row in rows:
        made.add_row(*map(shown, row))
    return made


def splits(summary: Summary) -> Iterator[Row]:
    """Rows with the number, lengths and repetitions of the articles in both splits."""
    both = summary.train, summary.test
    yield "articles", *(f"{split.articles:,}" for split in both)
    yield "characters", *(f"{split.characters:,}" for split in both)
    for name, share in LENGTHS.items():
        yield name, *(f"{split.length_at(share):,}" for split in both)
    yield "equal to an earlier article", *(f"{split.repeated:,}" for split in both)
    yield "also in the other split", f"{summary.duplicates:,}", f"{summary.test_duplicates:,}"


def classes(summary: Summary) -> Iterator[Row]:
    """Rows with the number of articles in each of the largest classes."""
    counted = summary.train.classes, summary.test.classes
    largest = (counted[0] + counted[1]).most_common(CLASSES)
    for label, _ in largest:
        yield summary.classes[label - 1], *(f"{split[label]:,}" for split in counted)
    if left := len(summary.classes) - len(largest):
        rest = (split.total() - sum(split[label] for label, _ in largest) for split in counted)
        yield f"{left} more", *(f"{articles:,}" for articles in rest)


def characters(summary: Summary) -> Iterator[Row]:
    """Rows with the most frequent and the rarest characters of train."""
    left = len(summary.characters) - 2 * ENDS
    for place, (char, count) in enumerate(summary.characters):
        if left <= 0 or not ENDS <= place < ENDS + left:
            name = unicodedata.name(char, unicodedata.category(char))
            yield char, f"{count:,}", f"{count / summary.train.characters:.4%}", f"U+{ord(char):04X} {name}"
        elif place == ENDS:
            yield f"{left} more", "", "", ""


def coverage(summary: Summary) -> Iterator[Row]:
    """Rows for some values of vocab.min_count: the vocabulary's size, and the share of each split that it covers."""
    for each in summary.coverage():
        yield str(each.min_count), f"{each.characters:,}", f"{each.train:.4%}", f"{each.test:.4%}"
