"""`charloom data`: what a corpus holds, on the terminal and as a picture."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path

import click
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from charloom.report.summary import Summary, summarize
from charloom.terminal import harmless

ENDS = 10  # the commonest and the rarest characters
CLASSES = 20  # the largest in train

Row = tuple[str, ...]


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), default="data/raw")
@click.option("--picture", type=click.Path(path_type=Path), default="reports/data.png", show_default=True)
def data(folder: Path, picture: Path) -> None:
    """Articles, lengths, classes, characters and duplicates of the corpus in FOLDER (data/raw).

    That is the corpus of params.yaml as the pipeline reads it, once `dvc repro download` has brought it.
    """
    summary = summarize(folder)
    console = Console(highlight=False)
    console.print(shown(f"corpus {summary.source}"))
    for header, rows in (
        (("", "train", "test"), splits(summary)),
        (("class", "train", "test"), classes(summary)),
        (("character", "times", "of train", "code point"), characters(summary)),
        (("vocab.min_count", "characters", "of train", "of test"), coverage(summary)),
    ):
        console.print(table(header, rows))

    from charloom.report.corpus_picture import draw_corpus  # matplotlib: a second that a mistake need not wait

    draw_corpus(picture, summary)
    console.print(shown(f"drawn in {picture}"))


def table(header: Row, rows: Iterable[Row]) -> Table:
    """Names to the left, numbers to the right."""
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for place, name in enumerate(header):
        made.add_column(name, justify="left" if place == 0 or name == "code point" else "right", overflow="fold")
    for row in rows:
        made.add_row(*map(shown, row))
    return made


def splits(summary: Summary) -> Iterator[Row]:
    """Counts and lengths of both splits."""
    both = summary.train, summary.test
    yield "articles", *(f"{split.articles:,}" for split in both)
    yield "characters", *(f"{split.characters:,}" for split in both)
    lengths = {"shortest article": 0.0, "5 % are no longer": 0.05, "half": 0.5, "95 %": 0.95, "longest": 1.0}
    for name, share in lengths.items():
        yield name, *(f"{split.length_at(share):,}" for split in both)
    yield "repeat an earlier one", *(f"{split.repeated:,}" for split in both)
    yield "stand in test too", f"{summary.duplicates:,}", ""


def classes(summary: Summary) -> Iterator[Row]:
    """Articles of the largest classes."""
    counted = summary.train.classes, summary.test.classes
    largest = (counted[0] + counted[1]).most_common(CLASSES)
    for label, _ in largest:
        yield summary.classes[label - 1], *(f"{split[label]:,}" for split in counted)
    if left := len(summary.classes) - len(largest):
        rest = (split.total() - sum(split[label] for label, _ in largest) for split in counted)
        yield f"{left} more", *(f"{articles:,}" for articles in rest)


def characters(summary: Summary) -> Iterator[Row]:
    """The commonest and the rarest characters of train."""
    left = len(summary.characters) - 2 * ENDS
    for place, (char, count) in enumerate(summary.characters):
        if left <= 0 or not ENDS <= place < ENDS + left:
            name = unicodedata.name(char, unicodedata.category(char))
            yield char, f"{count:,}", f"{count / summary.train.characters:.4%}", f"U+{ord(char):04X} {name}"
        elif place == ENDS:
            yield f"{left} more", "", "", ""


def coverage(summary: Summary) -> Iterator[Row]:
    """What a vocabulary would hold and know."""
    for each in summary.coverage():
        yield str(each.min_count), f"{each.characters:,}", f"{each.train:.4%}", f"{each.test:.4%}"


def shown(text: str) -> Text:
    """Text as it is, on one line: no markup, no control characters."""
    return Text(harmless(text).replace("\n", r"\n").replace("\t", r"\t"))
