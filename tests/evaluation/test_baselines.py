"""The baselines of the embedded sample, and the compressors on texts whose cost is known."""

from __future__ import annotations

import random
import string
from dataclasses import replace
from pathlib import Path

import pytest

from charloom.errors import InputError
from charloom.evaluation.baselines import Baselines, measure_baselines, ppmd_bits, xz_bits
from charloom.params import BaselinesParams
from tests.learning import encode_sample

NAMES = ["World", "Sports", "Business", "Sci/Tech"]


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Baselines:
    encoded = encode_sample(tmp_path_factory.mktemp("sample"))
    params = BaselinesParams(ngram_order=5, ppmd_order=6)
    return measure_baselines(encoded.train, encoded.test, encoded.vocabulary, NAMES, params)


def test_longer_n_grams_are_better_and_ppmd_is_better_than_xz(measured: Baselines) -> None:
    assert list(measured.bpc) == ["unigram", "2-gram", "3-gram", "4-gram", "5-gram", "xz", "PPMd"]
    assert 5 > measured.bpc["unigram"] > measured.bpc["2-gram"] > measured.bpc["3-gram"] > measured.bpc["5-gram"] > 1
    assert 5 > measured.bpc["xz"] > measured.bpc["PPMd"] > 1


def test_the_breakdown_divides_the_cost_of_the_longest_n_gram(measured: Baselines) -> None:
    assert measured.ngram == "5-gram"
    for parts in (measured.breakdown.by_class, measured.breakdown.by_position, measured.breakdown.by_kind):
        bits = sum(part.size * part.bits for part in parts)
        characters = sum(part.size for part in measured.breakdown.by_class)
        assert bits / characters == pytest.approx(measured.bpc["5-gram"])
    assert [part.name for part in measured.breakdown.by_class] == NAMES


def test_metrics_have_two_numbers_and_details_have_all(measured: Baselines) -> None:
    assert measured.metrics() == {"ngram_bpc": measured.bpc["5-gram"], "ppmd_bpc": measured.bpc["PPMd"]}
    assert measured.details() == measured.bpc
    accuracy = {"naive Bayes": 0.9}
    assert replace(measured, accuracy=accuracy).details() == measured.bpc | {"accuracy": accuracy}


def test_saved_baselines_are_read_back_and_another_version_is_an_error(measured: Baselines, tmp_path: Path) -> None:
    path = tmp_path / "baselines.json"
    measured.save(path)
    assert Baselines.load(path) == measured
    path.write_text(path.read_text().replace('"version": 2', '"version": 1'))
    with pytest.raises(InputError, match="found 'charloom-baselines' of version 1"):
        Baselines.load(path)


def test_a_compressor_needs_few_bits_for_repeated_text_and_all_bits_for_noise() -> None:
    noise = ["".join(random.Random(seed).choices(string.ascii_letters + "+/", k=20_000)).encode() for seed in (1, 2)]
    for measure in (xz_bits, lambda train, test: ppmd_bits(train, test, order=16)):
        assert measure(noise[0], noise[0]) < 0.03 * 8 * len(noise[0])
        assert measure(noise[0], noise[1]) == pytest.approx(6 * len(noise[1]), rel=0.05)
