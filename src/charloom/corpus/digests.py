"""Digests of texts. They decide to which split a text belongs, and they find the texts that two splits share.

Equal texts have equal digests. So a split that is decided by a digest never separates the copies of a text.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections import Counter
from hashlib import blake2b

import numpy as np


def text_digest(text: str, key: bytes = b"") -> int:
    """A hash of 64 bits, which depends only on the text and the key. A collision of two texts is very unlikely."""
    return int.from_bytes(blake2b(text.encode(), digest_size=8, key=key).digest(), "big")


def falls_to_test(text: str, fraction: float, seed: int) -> bool:
    """Whether a text belongs to the test split. Only the text, the fraction and the seed decide."""
    return text_digest(text, seed.to_bytes(8, "big")) < fraction * 2**64


class Overlap:
    """Counts the texts that are in both splits. Memory holds nine bytes for each test text."""

    def __init__(self) -> None:
        self.duplicates = 0  # training texts that are also in the test split
        self.test_duplicates = 0  # test texts that are also in the training split
        self._test = array("Q")  # the digests of the test texts; sorted before the first training text
        self._found = bytearray()  # for the first of equal digests: 1 if a training text has this digest

    def note(self, split: str, text: str) -> bool:
        """Take note of a text. Call this with all test texts before the first training text.

        Returns whether the text is a training text that is also in the test split.
        """
        digest = text_digest(text)
        if split == "test":
            self._test.append(digest)
            return False
        if len(self._found) < len(self._test):
            self._sort()
        first = bisect_left(self._test, digest)
        if first == len(self._test) or self._test[first] != digest:
            return False
        self.duplicates += 1
        if not self._found[first]:
            self._found[first] = 1
            self.test_duplicates += bisect_right(self._test, digest, lo=first) - first
        return True

    @property
    def counts(self) -> Counter[str]:
        """Both numbers, as details/download.json names them."""
        return Counter(duplicates=self.duplicates, test_duplicates=self.test_duplicates)

    def _sort(self) -> None:
        np.frombuffer(self._test, dtype=np.uint64).sort()  # in place; `sorted` would need five times the memory
        self._found = bytearray(len(self._test))
