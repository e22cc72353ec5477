"""What `charloom score` prints: rows for symbols and texts, and the totals."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple, TextIO

import numpy as np

from charloom.cli.reading import BEGINNING
from charloom.terminal import harmless
from charloom.text.vocab import EOS, Codes, Vocabulary

if TYPE_CHECKING:
    from charloom.model.scoring import Cost, Surprisal

EACH_HEADER = f"{'bpc':>8} {'perplexity':>11} {'characters':>11}  text"
SURPRISAL_HEADER = "text\tposition\tsymbol\tbits"


class ScoredText(NamedTuple):
    """A text, or a piece of a text, and the surprisal of each symbol."""

    text: str
    symbols: Codes  # the characters of the text, and `<eos>` if the text ends here
    surprisal: Surprisal
    ends: bool  # whether the text ends here; False for a piece that is not the last


class Sums:
    """The cost of the current text so far, and of all texts before it."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        from charloom.model.scoring import Cost  # loads torch; --help must not wait for it

        self.vocabulary = vocabulary
        self._cost = Cost  # the class, for the methods below
        self.text = self.total = Cost()
        self.texts = 0  # the number of texts that have ended
        self.beginning = ""  # the first characters of the current text
        self.unknown: Counter[str] = Counter()

    def add(self, piece: ScoredText) -> None:
        """Add a piece to the current text."""
        characters = int((piece.symbols != self.vocabulary.eos).sum())
        self.text += self._cost(float(piece.surprisal.nats.sum()), len(piece.symbols), characters)
        self.beginning = self.beginning or piece.text[:BEGINNING]
        self.unknown.update(piece.text[place] for place in np.flatnonzero(piece.symbols == self.vocabulary.unk))

    def end_text(self) -> None:
        """Add the current text to the total, and begin the next text."""
        self.total += self.text
        self.text = self._cost()
        self.texts += 1
        self.beginning = ""


def print_header(*, each: bool, surprisal: bool) -> None:
    """Print the heading of the table. Without --each and --surprisal there is no table."""
    if each or surprisal:
        print(EACH_HEADER if each else SURPRISAL_HEADER)


def print_symbols(piece: ScoredText, sums: Sums, *, as_json: bool) -> None:
    """Print a row for each symbol of a text or piece. With `as_json`, print one object with all symbols."""
    number, begin = sums.texts + 1, sums.text.symbols + 1
    names = [*piece.text, *[EOS] * piece.ends]
    bits = piece.surprisal.bits.round(6).tolist()
    if as_json:
        print_json({"text": number, "position": begin, "symbols": names, "bits": bits})
        return
    for position, (name, cost) in enumerate(zip(names, bits, strict=True), start=begin):
        shown = name if name == EOS else harmless(json.dumps(name, ensure_ascii=False))
        print(number, position, shown, f"{cost:.4f}", sep="\t")


def print_text(sums: Sums, *, as_json: bool) -> None:
    """Print a row for the current text."""
    if as_json:
        print_json({"text": sums.texts + 1, **numbers(sums.text), "beginning": sums.beginning})
    else:
        cost = sums.text
        beginning = harmless(" ".join(sums.beginning.split()))
        print(f"{cost.bits_per_character:8.4f} {cost.perplexity:11.4f} {cost.characters:11}  {beginning}")


def print_total(sums: Sums, *, as_json: bool, to: TextIO) -> None:
    """Print the totals over all texts."""
    unknown = sums.unknown.total()
    if as_json:
        print_json({"texts": sums.texts, **numbers(sums.total), "unknown_characters": unknown}, to)
        return
    print(f"bits per character  {sums.total.bits_per_character:.4f}", file=to)
    print(f"perplexity          {sums.total.perplexity:.4f}", file=to)
    print(f"characters          {sums.total.characters}" + f" ({unknown} unknown)" * bool(unknown), file=to)
    print(f"texts               {sums.texts}", file=to)


def numbers(cost: Cost) -> dict[str, float]:
    """A cost as fields of a JSON object."""
    return {
        "bpc": round(cost.bits_per_character, 6),
        "perplexity": round(cost.perplexity, 6),
        "bits": round(cost.bits, 6),
        "characters": cost.characters,
    }


def print_json(values: dict[str, Any], to: TextIO | None = None) -> None:
    """Print a JSON object on one line."""
    print(json.dumps(values, ensure_ascii=False), file=to)
