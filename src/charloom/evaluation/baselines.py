"""What simpler models make of the test split: n-grams of characters, and two compressors."""

from __future__ import annotations

import lzma
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyppmd

from charloom.evaluation.breakdown import Breakdown, break_down
from charloom.evaluation.ngrams import kneser_ney
from charloom.files import read_json, write_json
from charloom.params import BaselinesParams
from charloom.text.split import EncodedSplit
from charloom.text.vocab import Vocabulary

FORMAT, VERSION = "charloom-baselines", 1

XZ_WINDOW = 4096, 64 << 20  # bytes that xz looks back, at least and at most (its encoder takes ten times as much)
PPMD_MEMORY = 1 << 30  # bytes of address space; only what the text needs is touched


@dataclass(frozen=True)
class Baselines:
    """Bits per character of the test split by the name of what predicted it, and where the longest n-gram pays them."""

    bpc: dict[str, float]
    ngram: str  # the name of the longest n-gram
    breakdown: Breakdown
    accuracy: dict[str, float] = field(default_factory=dict)  # of classifiers, where the model is one

    def save(self, path: Path) -> None:
        """Write baselines.json."""
        value = {
            "bpc": self.bpc,
            "ngram": self.ngram,
            "breakdown": self.breakdown._asdict(),
            "accuracy": self.accuracy,
        }
        write_json(path, {"format": FORMAT, "version": VERSION, **value})

    @classmethod
    def load(cls, path: Path) -> Baselines:
        """Read what `save` wrote; raises InputError where it is missing or of another version."""
        value = read_json(path, kind=FORMAT, version=VERSION)
        return cls(value["bpc"], value["ngram"], Breakdown.from_json(value["breakdown"]), value["accuracy"])

    def metrics(self) -> dict[str, Any]:
        """The numbers of metrics/baselines.json."""
        return self.bpc | ({"accuracy": self.accuracy} if self.accuracy else {})


def measure_baselines(
    train: EncodedSplit, test: EncodedSplit, vocabulary: Vocabulary, names: Sequence[str], params: BaselinesParams
) -> Baselines:
    """Predict the test split from the training split, as a model that was trained on it does.

    The compressors go on learning from the test split while they read it, across its articles; n-grams, like a
    CharModel, do not.
    """
    bpc: dict[str, float] = {}
    name, bits = "", np.empty(0)
    ngrams = kneser_ney(train.codes, test.codes, symbols=len(vocabulary), eos=vocabulary.eos, order=params.ngram_order)
    for order, bits in enumerate(ngrams, start=1):
        name = "unigram" if order == 1 else f"{order}-gram"
        bpc[name] = float(bits.sum()) / test.characters
    texts = [vocabulary.decode(split.codes[1:].tolist()).encode("utf-8", "surrogatepass") for split in (train, test)]
    bpc["xz"] = xz_bits(*texts) / test.characters
    bpc["PPMd"] = ppmd_bits(*texts, order=params.ppmd_order) / test.characters
    return Baselines(bpc, name, break_down(test, bits, names, vocabulary))


def xz_bits(train: bytes, test: bytes) -> int:
    """What xz at its strongest adds to the compressed training text for the test text behind it."""
    return 8 * (_xz_size(train + test) - _xz_size(train))


def ppmd_bits(train: bytes, test: bytes, *, order: int) -> int:
    """What PPMd (variant I, contexts of up to `order` bytes) adds for the test text behind the training text."""
    return 8 * (_ppmd_size(train + test, order) - _ppmd_size(train, order))


def _xz_size(text: bytes) -> int:
    window = min(max(len(text), XZ_WINDOW[0]), XZ_WINDOW[1])
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "dict_size": window}]
    return len(lzma.compress(text, format=lzma.FORMAT_RAW, filters=filters))


def _ppmd_size(text: bytes, order: int) -> int:
    encoder = pyppmd.Ppmd8Encoder(order, PPMD_MEMORY, pyppmd.PPMD8_RESTORE_METHOD_CUT_OFF)
    return len(encoder.encode(text)) + len(encoder.flush())
