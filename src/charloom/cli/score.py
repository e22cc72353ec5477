"""`charloom score`: how well a model predicts text."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator
from functools import partial
from itertools import chain, repeat, tee
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TextIO

import click
import numpy as np

from charloom.cli.options import model_options, open_model, warn_of_unknown
from charloom.cli.reading import BEGINNING, layout_of, read_texts, text_file, with_costs
from charloom.errors import InputError
from charloom.terminal import harmless
from charloom.text.texts import encode, framed, normalized_pieces, read_pieces, without_last_newline
from charloom.text.vocab import EOS, Codes, Vocabulary

if TYPE_CHECKING:
    from charloom.model.saved import SavedModel
    from charloom.model.scoring import Cost, Surprisal

EACH = f"{'bpc':>8} {'perplexity':>11} {'characters':>11}  text"
SURPRISAL = "text\tposition\tsymbol\tbits"


class ScoredText(NamedTuple):
    """A text or a part of one, its symbols and what they cost."""

    text: str
    symbols: Codes  # its characters, and the `<eos>` behind it where it ends
    surprisal: Surprisal
    ends: bool


@click.command()
@model_options
@text_file
@click.option(
    "--format",
    "layout",
    type=click.Choice(["lines", "whole", "csv"]),
    help="lines: a text a line, blank lines passed over. whole: the file is one text, in which a newline is <eos> (or a"
    " character, where the vocabulary has it). csv: articles in AG_NEWS' layout.  [default: lines; csv for FILE.csv]",
)
@click.option("--each", is_flag=True, help="A row a text too.")
@click.option("--surprisal", is_flag=True, help="A row a character instead, and the sums on the standard error.")
@click.option("--class", "class_name", help="Score under this class: for a model with model.conditioning: class.")
@click.option("--json", "as_json", is_flag=True, help="Rows as JSON objects, one a line.")
def score(
    folder: Path,
    device: str,
    file: str,
    layout: str | None,
    each: bool,
    surprisal: bool,
    class_name: str | None,
    as_json: bool,
) -> None:
    """Bits per character and perplexity of the text in FILE (UTF-8; - is the standard input) under a model.

    A text is scored from its beginning to its <eos>, which costs bits too and counts as no character. Where the model's
    corpus was normalized (data.normalize) the text is too, and its characters are counted after that. Those that the
    vocabulary lacks are scored as <unk> and named. A file of any size is read bit by bit: memory holds a million
    characters, or the longest line.
    """
    if each and surprisal:
        raise click.UsageError("--each and --surprisal are two tables: ask for one of them.")
    saved = open_model(folder, device)
    class_id = saved.model.no_class if class_name is None else saved.class_named(class_name)
    sums = Sums(saved.vocabulary)
    if (each or surprisal) and not as_json:
        print(EACH if each else SURPRISAL)
    for part in read_parts(saved, file, layout_of(file, layout), class_id):
        if surprisal:
            print_symbols(part, sums, as_json=as_json)
        sums.add(part)
        if part.ends and sums.text.characters:
            if each:
                print_text(sums, as_json=as_json)
            sums.end_text()
    if not sums.texts:
        raise InputError(f"{file}: no text to score")
    warn_of_unknown(sums.unknown, file)
    print_total(sums, as_json=as_json, to=sys.stderr if surprisal else sys.stdout)


def read_parts(saved: SavedModel, file: str, layout: str, class_id: int) -> Iterator[ScoredText]:
    """The texts of a file, scored under a class or none; in layout whole, the parts of the one text."""
    if layout != "whole":
        yield from score_texts(saved, read_texts(file, layout), class_id)
        return
    with click.open_file(file, "rb") as stream:
        yield from score_parts(saved, without_last_newline(read_pieces(stream, file)), class_id)


def score_texts(saved: SavedModel, texts: Iterator[str], class_id: int) -> Iterator[ScoredText]:
    """Texts, each scored by itself."""
    from charloom.model.scoring import surprisals

    for text, found in with_costs(saved, texts, partial(surprisals, classes=repeat(class_id))):
        yield ScoredText(text, framed(saved.vocabulary, text)[1:], found, ends=True)


def score_parts(saved: SavedModel, pieces: Iterator[str], class_id: int) -> Iterator[ScoredText]:
    """One text that comes in pieces."""
    from charloom.model.scoring import surprisals_of_pieces

    eos = np.array([saved.vocabulary.eos], saved.vocabulary.dtype)
    pieces, to_score = tee(normalized_pieces(saved.vocabulary, pieces))
    encoded = (encode(saved.vocabulary, piece) for piece in to_score)
    text, device = chain([eos], encoded, [eos]), saved.model.head.weight.device
    scored = surprisals_of_pieces(saved.model, text, device, class_id=class_id)
    next(scored)  # of the <eos> that the text begins behind
    for piece in pieces:
        yield ScoredText(piece, encode(saved.vocabulary, piece), next(scored), ends=False)
    yield ScoredText("", eos, next(scored), ends=True)


class Sums:
    """The costs of the text that is being read, and of all."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        from charloom.model.scoring import Cost

        self.vocabulary = vocabulary
        self._cost = Cost
        self.text = self.total = Cost()
        self.texts = 0  # that have ended
        self.beginning = ""
        self.unknown: Counter[str] = Counter()

    def add(self, part: ScoredText) -> None:
        """Count a part in."""
        characters = int((part.symbols != self.vocabulary.eos).sum())
        self.text += self._cost(float(part.surprisal.bits.sum()), len(part.symbols), characters)
        self.beginning = self.beginning or part.text[:BEGINNING]
        self.unknown.update(part.text[place] for place in np.flatnonzero(part.symbols == self.vocabulary.unk))

    def end_text(self) -> None:
        """Begin the next text."""
        self.total += self.text
        self.text = self._cost()
        self.texts += 1
        self.beginning = ""


def print_symbols(part: ScoredText, sums: Sums, *, as_json: bool) -> None:
    """A row a symbol, or an object a part."""
    number, begin = sums.texts + 1, sums.text.symbols + 1
    names = [*part.text, *[EOS] * part.ends]
    bits = part.surprisal.bits.round(6).tolist()
    if as_json:
        print_json({"text": number, "position": begin, "symbols": names, "bits": bits})
        return
    for position, (name, cost) in enumerate(zip(names, bits, strict=True), start=begin):
        shown = name if name == EOS else harmless(json.dumps(name, ensure_ascii=False))
        print(number, position, shown, f"{cost:.4f}", sep="\t")


def print_text(sums: Sums, *, as_json: bool) -> None:
    """A row of a text that has ended."""
    if as_json:
        print_json({"text": sums.texts + 1, **numbers(sums.text), "beginning": sums.beginning})
    else:
        cost = sums.text
        beginning = harmless(" ".join(sums.beginning.split()))
        print(f"{cost.bits_per_character:8.4f} {cost.perplexity:11.4f} {cost.characters:11}  {beginning}")


def print_total(sums: Sums, *, as_json: bool, to: TextIO) -> None:
    """The sums over all texts."""
    unknown = sums.unknown.total()
    if as_json:
        print_json({"texts": sums.texts, **numbers(sums.total), "unknown_characters": unknown}, to)
        return
    print(f"bits per character  {sums.total.bits_per_character:.4f}", file=to)
    print(f"perplexity          {sums.total.perplexity:.4f}", file=to)
    print(f"characters          {sums.total.characters}" + f" ({unknown} unknown)" * bool(unknown), file=to)
    print(f"texts               {sums.texts}", file=to)


def numbers(cost: Cost) -> dict[str, float]:
    """A cost as JSON states it."""
    return {
        "bpc": round(cost.bits_per_character, 6),
        "perplexity": round(cost.perplexity, 6),
        "bits": round(cost.bits, 6),
        "characters": cost.characters,
    }


def print_json(values: dict[str, Any], to: TextIO | None = None) -> None:
    """One object on one line."""
    print(json.dumps(values, ensure_ascii=False), file=to)
