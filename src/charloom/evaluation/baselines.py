"""Measure how well simpler models predict the test split: n-grams of characters, and two compressors."""

from __future__ import annotations

import lzma
import math
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

FORMAT, VERSION = "charloom-baselines", 2

# xz looks back over at least 4 KiB and at most 64 MiB of text. Its encoder needs ten times as much memory.
XZ_WINDOW = (4 << 10, 64 << 20)
# PPMd reserves this many bytes of address space. Only the part that the text needs becomes real memory.
PPMD_MEMORY = 1 << 30


@dataclass(frozen=True)
class Baselines:
    """How well simpler models predict the test split."""

    bpc: dict[str, float]  # model's name → bits per character
    ngram: str  # the name of the longest n-gram
    breakdown: Breakdown  # the cost of the test split under the longest n-gram, divided into parts
    accuracy: dict[str, float] = field(default_factory=dict)  # classifier's name → accuracy; empty if unconditioned

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
        """Read what `save` wrote. Raises InputError if the file is missing or of another version."""
        value = read_json(path, kind=FORMAT, version=VERSION)
        return cls(value["bpc"], value["ngram"], Breakdown.from_json(value["breakdown"]), value["accuracy"])

    def metrics(self) -> dict[str, float]:
        """The few numbers by which a person compares runs, for metrics/baselines.json."""
        return {"ngram_bpc": self.bpc[self.ngram], "ppmd_bpc": self.bpc["PPMd"]}

    def details(self) -> dict[str, Any]:
        """Every number, for details/baselines.json."""
        return self.bpc | ({"accuracy": self.accuracy} if self.accuracy else {})


def measure_baselines(
    train: EncodedSplit, test: EncodedSplit, vocabulary: Vocabulary, class_names: Sequence[str], params: BaselinesParams
) -> Baselines:
    """Measure how well n-grams and compressors predict the test split after they have read the training split.

    A compressor continues to learn while it reads the test split, also from one article to the next. The n-grams and a
    CharModel do not.
    """
    bpc: dict[str, float] = {}
    name, nats = "", np.empty(0)
    ngrams = kneser_ney(train.codes, test.codes, symbols=len(vocabulary), eos=vocabulary.eos, order=params.ngram_order)
    for order, nats in enumerate(ngrams, start=1):
        name = "unigram" if order == 1 else f"{order}-gram"
        bpc[name] = float(nats.sum()) / math.log(2) / test.characters
    texts = [vocabulary.decode(split.codes[1:].tolist()).encode("utf-8", "surrogatepass") for split in (train, test)]
    bpc["xz"] = xz_bits(*texts) / test.characters
    bpc["PPMd"] = ppmd_bits(*texts, order=params.ppmd_order) / test.characters
    return Baselines(bpc, name, break_down(test, nats, class_names, vocabulary))


def xz_bits(train: bytes, test: bytes) -> int:
    """The bits by which xz's output grows if the test text follows the training text. xz uses its strongest preset."""
    return 8 * (_xz_size(train + test) - _xz_size(train))


def ppmd_bits(train: bytes, test: bytes, *, order: int) -> int:
    """The bits by which PPMd's output grows if the test text follows the training text.

    This is variant I of PPMd, with contexts of up to `order` bytes.
    """
    return 8 * (_ppmd_size(train + test, order) - _ppmd_size(train, order))


def _xz_size(text: bytes) -> int:
    window = min(max(len(text), XZ_WINDOW[0]), XZ_WINDOW[1])
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "dict_size": window}]
    return len(lzma.compress(text, format=lzma.FORMAT_RAW, filters=filters))


def _ppmd_size(text: bytes, order: int) -> int:
    encoder = pyppmd.Ppmd8Encoder(order, PPMD_MEMORY, pyppmd.PPMD8_RESTORE_METHOD_CUT_OFF)
    return len(encoder.encode(text)) + len(encoder.flush())
