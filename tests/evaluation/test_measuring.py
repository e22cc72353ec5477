"""The simpler models on the embedded sample, in one process and in several."""

from __future__ import annotations

import os
import signal
from typing import Any

import psutil
import pytest

from charloom.errors import InputError
from charloom.evaluation.baselines import Amount, Baselines
from charloom.evaluation.classifiers import CLASSIFIERS, measure_classifier
from charloom.evaluation.compressors import measure_ppmd, measure_xz
from charloom.evaluation.measuring import measure_baselines
from charloom.evaluation.ngrams import measure_ngrams
from charloom.evaluation.subsample import subsample
from charloom.params import BaselinesParams
from tests.conftest import Start, line_of
from tests.learning import Encoded, encode_sample

NAMES = ["World", "Sports", "Business", "Sci/Tech"]

# Random text, on which the n-grams compute for about a minute. A stage ends with exit_with, as here.
SLOW = """
import sys
import numpy as np
from charloom.errors import exit_with
from charloom.evaluation.measuring import measure_baselines
from charloom.params import BaselinesParams
from charloom.text.split import EncodedSplit
from charloom.text.vocab import Vocabulary

def main():
    vocabulary = Vocabulary.build(["abcdefghij klmnopqrstuvwxyz"])
    codes = np.random.default_rng(1).integers(0, 27, 3_000_001).astype(np.uint8)
    codes[::1000] = vocabulary.eos
    offsets = np.arange(1, len(codes) + 1, 1000, dtype=np.uint64)
    facts = {"length": 4, "stride": 4, "scope": "stream", "unknown": 0, "class_names": ["a", "b"]}
    split = EncodedSplit(codes=codes, offsets=offsets, classes=np.arange(3000, dtype=np.uint16) % 2, **facts)
    params = BaselinesParams(max_characters=10_000_000, ngram_order=32, ppmd_order=16)
    print("ready", flush=True)
    measure_baselines(split, split, vocabulary, ["a", "b"], params, 1, processes=2)

exit_with(main)
"""


@pytest.fixture(scope="module")
def encoded(tmp_path_factory: pytest.TempPathFactory) -> Encoded:
    return encode_sample(tmp_path_factory.mktemp("sample"))


def measure(encoded: Encoded, max_characters: int = 1_000_000, **settings: Any) -> Baselines:
    params = BaselinesParams(max_characters=max_characters, ngram_order=5, ppmd_order=6)
    return measure_baselines(encoded.train, encoded.test, encoded.vocabulary, NAMES, params, 1, **settings)


@pytest.fixture(scope="module")
def measured(encoded: Encoded) -> Baselines:
    return measure(encoded)


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


def test_the_amounts_are_those_of_the_splits(encoded: Encoded, measured: Baselines) -> None:
    assert measured.train == Amount(encoded.train.characters, encoded.train.characters)
    assert measured.test == Amount(encoded.test.characters, encoded.test.characters)
    assert measured.labelled == Amount(0, 0)


def test_all_simpler_models_read_the_same_sample(encoded: Encoded) -> None:
    limit = 9_000
    train, test = (subsample(split, encoded.vocabulary, limit, seed=1) for split in (encoded.train, encoded.test))
    found = measure(encoded, limit, classifiers=True)
    texts = train, test, encoded.vocabulary
    ngrams = measure_ngrams(*texts, NAMES, 5)
    assert found.bpc == {**ngrams.bpc, "xz": measure_xz(*texts), "PPMd": measure_ppmd(*texts, 6)}
    assert found.breakdown == ngrams.breakdown
    assert found.accuracy == {name: measure_classifier(name, *texts) for name in CLASSIFIERS}
    assert found.train == Amount(train.characters, encoded.train.characters)
    assert found.test == Amount(test.characters, encoded.test.characters)
    assert found.labelled == Amount(train.articles, encoded.train.articles)
    assert max(train.characters, test.characters) <= limit


def test_the_seed_decides_the_sample(encoded: Encoded) -> None:
    params = BaselinesParams(max_characters=9_000, ngram_order=2, ppmd_order=2)
    first, again, other = (
        measure_baselines(encoded.train, encoded.test, encoded.vocabulary, NAMES, params, seed) for seed in (1, 1, 2)
    )
    assert first == again != other


@pytest.mark.parametrize("processes", [1, 3, 16])
def test_the_result_does_not_depend_on_the_number_of_processes(encoded: Encoded, processes: int) -> None:
    expected = measure(encoded, 20_000, classifiers=True, processes=2)
    assert measure(encoded, 20_000, classifiers=True, processes=processes) == expected


def test_nothing_is_measured_if_the_limit_is_0(encoded: Encoded, capfd: pytest.CaptureFixture[str]) -> None:
    found = measure(encoded, 0, classifiers=True)
    assert found == Baselines.none(encoded.train.characters, encoded.test.characters, encoded.train.articles)
    assert capfd.readouterr().out == ""


def test_a_sample_with_one_class_is_an_error_before_anything_is_measured(
    encoded: Encoded, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(InputError, match=r"all of one class.*baselines\.max_characters"):
        measure(encoded, 10, classifiers=True)
    assert capfd.readouterr().out == ""


def workers_of(process: psutil.Process) -> list[psutil.Process]:
    """The two workers, once both have started."""
    while len(workers := process.children()) < 2:
        assert process.is_running()
    return workers


def test_ctrl_c_ends_all_processes_with_one_line(start_python: Start) -> None:
    process = start_python(SLOW)
    assert line_of(process.stdout) == "ready\n"
    workers = workers_of(psutil.Process(process.pid))
    for each in (process.pid, *(worker.pid for worker in workers)):  # a terminal sends it to the whole group
        os.kill(each, signal.SIGINT)
    assert process.communicate(timeout=20) == ("", "error: interrupted\n")
    assert process.returncode == 130
    assert psutil.wait_procs(workers, timeout=20)[1] == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_the_workers_end_if_the_stage_is_killed(start_python: Start, number: signal.Signals) -> None:
    process = start_python(SLOW)
    assert line_of(process.stdout) == "ready\n"
    workers = workers_of(psutil.Process(process.pid))
    process.send_signal(number)
    assert process.communicate(timeout=20) == ("", "")
    assert psutil.wait_procs(workers, timeout=20)[1] == []


def test_a_killed_worker_ends_the_stage_with_one_line(start_python: Start) -> None:
    process = start_python(SLOW)
    assert line_of(process.stdout) == "ready\n"
    workers = workers_of(psutil.Process(process.pid))
    workers[0].kill()
    output, error = process.communicate(timeout=20)
    assert (process.returncode, output) == (1, "")
    assert error.startswith("error: ")
    assert error.endswith("; lower baselines.max_characters\n")
    assert error.count("\n") == 1
    assert psutil.wait_procs(workers, timeout=20)[1] == []
