"""Measure how well compressors predict a test text after they have read a training text."""

from __future__ import annotations

import lzma

import pyppmd

from charloom.text.split import EncodedSplit
from charloom.text.vocab import Vocabulary

# xz looks back over at least 4 KiB and at most 64 MiB of text. Its encoder needs ten times as much memory.
XZ_WINDOW = (4 << 10, 64 << 20)
# PPMd reserves this many bytes of address space. Only the part that the text needs becomes real memory.
PPMD_MEMORY = 1 << 30
CHUNK = 1 << 20  # symbols that are decoded at once


def measure_xz(train: EncodedSplit, test: EncodedSplit, vocabulary: Vocabulary) -> float:
    """The bits per character of the test split."""
    return _bits_per_character(xz_bits(_text(train, vocabulary), _text(test, vocabulary)), test, vocabulary)


def measure_ppmd(train: EncodedSplit, test: EncodedSplit, vocabulary: Vocabulary, order: int) -> float:
    """The bits per character of the test split. PPMd uses contexts of up to `order` bytes."""
    bits = ppmd_bits(_text(train, vocabulary), _text(test, vocabulary), order=order)
    return _bits_per_character(bits, test, vocabulary)


def xz_bits(train: bytes, test: bytes) -> int:
    """The bits by which xz's output grows if the test text follows the training text. xz uses its strongest preset."""
    return 8 * (_xz_size(train + test) - _xz_size(train))


def ppmd_bits(train: bytes, test: bytes, *, order: int) -> int:
    """The bits by which PPMd's output grows if the test text follows the training text.

    This is variant I of PPMd, with contexts of up to `order` bytes.
    """
    return 8 * (_ppmd_size(train + test, order) - _ppmd_size(train, order))


def _bits_per_character(bits: int, test: EncodedSplit, vocabulary: Vocabulary) -> float:
    """`bits` encode the `_text` of a split, which does not say which characters the `<unk>` replace."""
    return bits / test.characters + test.unknown_bpc(len(vocabulary))


def _text(split: EncodedSplit, vocabulary: Vocabulary) -> bytes:
    """The articles as UTF-8, with a newline after each. They are decoded in chunks, because that takes less memory."""
    chunks = (split.codes[begin : begin + CHUNK].tolist() for begin in range(1, len(split.codes), CHUNK))
    return b"".join(vocabulary.decode(chunk).encode("utf-8", "surrogatepass") for chunk in chunks)


def _xz_size(text: bytes) -> int:
    window = min(max(len(text), XZ_WINDOW[0]), XZ_WINDOW[1])
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "dict_size": window}]
    return len(lzma.compress(text, format=lzma.FORMAT_RAW, filters=filters))


def _ppmd_size(text: bytes, order: int) -> int:
    encoder = pyppmd.Ppmd8Encoder(order, PPMD_MEMORY, pyppmd.PPMD8_RESTORE_METHOD_CUT_OFF)
    return len(encoder.encode(text)) + len(encoder.flush())
