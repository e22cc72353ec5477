"""What a memory predicts for one text on a CPU, one symbol at a time.

The other modules compute many places at once with torch. For a single place, starting torch's operations takes ten
times as long as the work of the operations. So this module has the same formulas with Python's numbers and numpy.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from charloom.model.interpolation import Interpolation
from charloom.model.matching import BITS, INVERSE, LENGTHS, MIX, NO_KEY, SHIFTS, LongContexts
from charloom.model.trie import Trie

Floats = npt.NDArray[np.float32]

FULL = (1 << 64) - 1


class SingleCounts:
    """The counts of a memory, for one place."""

    def __init__(self, trie: Trie, interpolation: Interpolation) -> None:
        self._roots = trie.roots
        self._unknown_row = trie.unknown_row
        self._unknown_entry = trie.unknown_entry
        self._symbols, self._counts = trie.symbols.numpy(), trie.counts.numpy()
        # A memoryview returns Python's numbers, several times as fast as numpy.
        self._sorted, self._starts, self._children = (
            tensor.numpy().data for tensor in (trie.symbols, trie.starts, trie.children)
        )
        self._weights = interpolation.weights.numpy().data
        self._dense = interpolation.dense.numpy()
        self._dense_levels = interpolation.dense_level + 1

    def root_of(self, class_id: int) -> int:
        """The row of level 0 of a class. If the id is too high, this is the unknown row."""
        return class_id if class_id < self._roots else self._unknown_row

    def walk(self, before: Sequence[int], symbol: int, root: int) -> list[int]:
        """The rows (levels) of the contexts that end with the symbol. `Trie.walk` describes the arguments."""
        return [root, *(self._children[self._find(row, symbol)] for row in (root, *before[1:-1])[: len(before) - 1])]

    def predict(self, rows: Sequence[int]) -> tuple[Floats, int]:
        """The probabilities (symbols) after contexts, and the depth (see Prediction)."""
        base = max((row for row in rows[: self._dense_levels] if row != self._unknown_row), default=-1)
        remaining, depth = 1.0, 0
        found = np.zeros(self._dense.shape[1], dtype=np.float32)
        for row in reversed(rows[self._dense_levels :]):
            scale, rest = self._weights[row, 0], self._weights[row, 1]
            if scale > 0:
                entries = slice(self._starts[row], self._starts[row + 1])
                found[self._symbols[entries]] += remaining * scale * self._counts[entries]
                remaining *= rest
                depth += 1
        found += remaining * self._dense[base + 1]
        return found, depth

    def _find(self, row: int, symbol: int) -> int:
        end = self._starts[row + 1]
        entry = bisect_left(self._sorted, symbol, self._starts[row], end)
        return entry if entry < end and self._sorted[entry] == symbol else self._unknown_entry


class SingleContexts:
    """The long contexts of a memory, for one place."""

    def __init__(self, contexts: LongContexts, eos: int) -> None:
        self._keys, self._following = contexts.keys.numpy(), contexts.following.numpy()
        self._eos = eos

    def find(self, recent: Sequence[int]) -> tuple[int, int]:
        """The symbol and the length of the match (see Matches) of the place after these ids, at least HISTORY ids."""
        key = key_of(recent, self._eos)
        if key == NO_KEY:
            return 0, 0
        place = int(np.searchsorted(self._keys, key))
        best, length = 0, 0
        for candidate in (place, place + 1, place - 1):
            different = key ^ int(self._keys[min(max(candidate, 0), len(self._keys) - 1)])
            shared = sum(different >> shift == 0 for shift in SHIFTS)
            if shared > length:
                best, length = candidate, shared
        return (int(self._following[best]), length) if length else (0, 0)


def key_of(recent: Sequence[int], eos: int) -> int:
    """The key of the place after these ids. `keys_of` describes it."""
    hashes, total, power, begun = [], 0, MIX, 0
    for symbol in reversed(recent):
        total = (total + (symbol + 1) * power) & FULL
        power = power * INVERSE & FULL
        begun += 1
        if begun in LENGTHS:
            hashes.append(total)
        if symbol == eos or begun == LENGTHS[-1]:
            break
    if begun < LENGTHS[0]:
        return NO_KEY
    hashes += [total] * (len(LENGTHS) - len(hashes))
    key = 0
    for value, bits, shift in zip(hashes, BITS, SHIFTS, strict=True):
        signed = value - (value >> 63 << 64)
        mixed = (signed ^ (signed >> 32)) * MIX & FULL
        key |= mixed >> (64 - bits) << shift
    return key
