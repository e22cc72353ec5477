"""The compressors on texts whose cost is known."""

from __future__ import annotations

import random
import string
from pathlib import Path

import pytest

from charloom.evaluation import compressors
from charloom.evaluation.compressors import measure_xz, ppmd_bits, xz_bits
from tests.text.splits import LETTERS, encode_texts, window_params


def test_a_compressor_needs_few_bits_for_repeated_text_and_all_bits_for_noise() -> None:
    noise = ["".join(random.Random(seed).choices(string.ascii_letters + "+/", k=20_000)).encode() for seed in (1, 2)]
    for measure in (xz_bits, lambda train, test: ppmd_bits(train, test, order=16)):
        assert measure(noise[0], noise[0]) < 0.03 * 8 * len(noise[0])
        assert measure(noise[0], noise[1]) == pytest.approx(6 * len(noise[1]), rel=0.05)


@pytest.mark.parametrize("chunk", [1, 7, 1000])
def test_the_text_is_all_articles_with_a_newline_after_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    monkeypatch.setattr(compressors, "CHUNK", chunk)
    train, test = (
        encode_texts(tmp_path / name, texts, window_params(4, 4, "stream"))
        for name, texts in {"train": ["hello world", "again"], "test": ["hello", "you"]}.items()
    )
    assert measure_xz(train, test, LETTERS) == xz_bits(b"hello world\nagain\n", b"hello\nyou\n") / 8
