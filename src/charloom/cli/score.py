"""`charloom score`: how well a model predicts the texts of a file."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial
from itertools import chain, tee
from typing import TYPE_CHECKING

import click
import numpy as np

from charloom.cli.columns import column_options
from charloom.cli.confusion import Labels
from charloom.cli.options import model_options, open_model
from charloom.cli.reading import FORMATS, TextFile, format_option, text_file, with_costs
from charloom.cli.score_rows import ScoredText, Sums, print_header, print_symbols, print_text, print_total
from charloom.corpus.lines import read_pieces
from charloom.errors import InputError
from charloom.text.texts import (
    encode,
    framed,
    normalized_pieces,
    warn_of_unknown,
    without_last_newline,
)

if TYPE_CHECKING:
    from charloom.model.saved import SavedModel


@click.command()
@model_options
@text_file
@format_option(*FORMATS)
@column_options(
    "Score each text as an article of the class in this column: a number or a name, as in --text-columns. The class is"
    " the name of a class of the model, or its number from 1, as in AG_NEWS. The model must have been trained with"
    " model.conditioning: class.  [default: no class is read]"
)
@click.option("--each", is_flag=True, help="Also print a row for each text.")
@click.option(
    "--surprisal",
    is_flag=True,
    help="Print a row for each character with its surprisal: −log2 of its probability, in bits. The totals are then"
    " printed to the standard error.",
)
@click.option(
    "--class",
    "class_name",
    help="Score the texts as articles of this class. The model must have been trained with model.conditioning: class.",
)
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print JSON objects instead of tables, one on a line. With --surprisal, an object contains a whole text, or a"
    " piece of the text with --format whole.",
)
def score(
    model: str,
    device: str,
    file: str,
    wanted_format: str | None,
    each: bool,
    surprisal: bool,
    class_name: str | None,
    as_json: bool,
    **columns: str | None,
) -> None:
    """Measure how well a model predicts text.

    The result is bits per character and perplexity. Lower is better for both. FILE is a text file in UTF-8 or a table,
    also compressed (.gz, .bz2, .xz). If FILE is -, the standard input is read.

    A text is scored from its beginning to its end. The model must also predict the symbol <eos>, which ends the text.
    The bits of <eos> count, but <eos> does not count as a character. Characters that are not in the vocabulary are
    scored as <unk>, and a warning names them. If the model's corpus was normalized (data.normalize), the text is
    normalized in the same way before it is scored.

    A file of any size is read piece by piece. At most about a million characters, or the longest line if it is longer,
    are in memory at once.
    """
    if each and surprisal:
        raise click.UsageError("--each and --surprisal print different tables; give only one of them.")
    if class_name is not None and columns["class_column"] is not None:
        raise click.UsageError("--class and --class-column both state the class of a text; give only one of them.")
    saved = open_model(model, device)
    class_id = saved.model.no_class if class_name is None else saved.class_named(class_name)
    source = TextFile.of(file, wanted_format, saved.corpus_form.model_copy(update={"class_column": None}), columns)
    labels = None if source.form.class_column is None else Labels(saved, file)
    sums = Sums(saved.vocabulary)
    if not as_json:
        print_header(each=each, surprisal=surprisal)
    for piece in score_file(saved, source, labels, class_id):
        if surprisal:
            print_symbols(piece, sums, as_json=as_json)
        sums.add(piece)
        if piece.ends and sums.text.characters:
            if each:
                print_text(sums, as_json=as_json)
            sums.end_text()
    if not sums.texts:
        raise InputError(f"{file}: this file has no text to score")
    if labels:
        labels.warn_of_unknown("they are scored without a class")
    warn_of_unknown(sums.unknown, file)
    print_total(sums, as_json=as_json, to=sys.stderr if surprisal else sys.stdout)


def score_file(saved: SavedModel, file: TextFile, labels: Labels | None, class_id: int) -> Iterator[ScoredText]:
    """Score the texts of a file. In the format `whole` the file is one text, which is scored in pieces.

    The class of each text is its label if there are `labels`, otherwise `class_id`.
    """
    if file.format == "whole":
        with file.open() as stream:
            yield from score_pieces(saved, without_last_newline(read_pieces(stream, file.name)), class_id)
        return
    read, again = tee(file.texts())
    found = (None if labels is None else labels.id_of(label) for label, _ in again)
    classes = (class_id if each is None else each for each in found)
    yield from score_texts(saved, (text for _, text in read), classes)


def score_texts(saved: SavedModel, texts: Iterator[str], classes: Iterator[int]) -> Iterator[ScoredText]:
    """Score each text separately. `classes` contains a class id for each text."""
    from charloom.model.scoring import surprisals

    for text, found in with_costs(saved, texts, partial(surprisals, classes=classes)):
        yield ScoredText(text, framed(saved.vocabulary, text)[1:], found, ends=True)


def score_pieces(saved: SavedModel, pieces: Iterator[str], class_id: int) -> Iterator[ScoredText]:
    """Score one text that comes in pieces."""
    from charloom.model.scoring import surprisals_of_pieces

    eos = np.array([saved.vocabulary.eos], saved.vocabulary.dtype)
    pieces, to_score = tee(normalized_pieces(saved.vocabulary, pieces))
    encoded = (encode(saved.vocabulary, piece) for piece in to_score)
    text = chain([eos], encoded, [eos])
    scored = surprisals_of_pieces(saved.model, text, class_id=class_id)
    next(scored)  # of the <eos> before the text, which the model does not predict
    for piece in pieces:
        yield ScoredText(piece, encode(saved.vocabulary, piece), next(scored), ends=False)
    yield ScoredText("", eos, next(scored), ends=True)
