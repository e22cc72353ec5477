from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from charloom.errors import InputError
from charloom.model.sampling import Sampling, sample
from charloom.model.saved import load_model, save_model
from charloom.training.checkpoint import Checkpoints, Interrupted
from charloom.training.history import Record
from charloom.training.loop import Training, run_training
from charloom.training.sampler import (
    TEMPERATURE,
    Sampler,
    TrainingSample,
    milestones,
    read_training_samples,
    strip,
    write_training_samples,
)
from charloom.training.state import resume
from tests.learning import VARIANTS, Encoded, encode_sample, never, run, small_training

SHORT: dict[str, Any] = {"sample_length": 20, "sample_prompt": "Oil "}


@pytest.fixture(scope="module")
def encoded(tmp_path_factory: pytest.TempPathFactory) -> Encoded:
    return encode_sample(tmp_path_factory.mktemp("windows"))


def run_with_samples(
    training: Training, encoded: Encoded, folder: Path, *, stop_after: int | None = None
) -> list[TrainingSample]:
    """Train to the end, or stop after the step `stop_after`, with a sampler. Returns the samples."""
    stopping = never if stop_after is None else lambda: training.step >= stop_after
    run_training(training, Checkpoints(folder), [Sampler(training, encoded.vocabulary)], stopping)
    return training.samples


def digest(training: Training, encoded: Encoded, folder: Path) -> str:
    return save_model(folder, training.model, encoded.vocabulary, "t" * 64, training.class_counts)


@pytest.mark.parametrize(("model", "changes"), VARIANTS)
def test_samples_change_no_byte_of_the_model_and_no_figure(
    encoded: Encoded, tmp_path: Path, model: dict[str, Any], changes: dict[str, Any]
) -> None:
    without, sampled = (small_training(encoded, model, **changes | SHORT) for _ in range(2))
    run(without, tmp_path / "without")
    random = torch.get_rng_state()
    assert run_with_samples(sampled, encoded, tmp_path / "sampled")
    assert torch.equal(torch.get_rng_state(), random)
    assert sampled.model.training
    assert sampled.history == without.history
    assert sampled.metrics() | sampled.details() == without.metrics() | without.details()
    assert digest(sampled, encoded, tmp_path / "a") == digest(without, encoded, tmp_path / "b")


@pytest.mark.parametrize("model", [{"dropout": 0.3}, {"memory": 4}, {"classes": 4, "memory": 3}], ids=str)
def test_a_sample_is_what_charloom_sample_writes_with_the_weights_of_its_step(
    encoded: Encoded, tmp_path: Path, model: dict[str, Any]
) -> None:
    training = small_training(encoded, model, **SHORT, seed=3)
    expected = []

    def save(record: Record) -> None:
        if record.valid_bpc is not None:
            digest(training, encoded, tmp_path / "model")
            saved = load_model(tmp_path / "model")
            how = Sampling(20, TEMPERATURE, seed=3)
            [text] = sample(saved.model, saved.vocabulary, ["Oil "], how)
            expected.append(TrainingSample(record.step, record.characters, record.valid_bpc, "Oil " + text))

    sampler = Sampler(training, encoded.vocabulary)
    run_training(training, Checkpoints(tmp_path / "checkpoints"), [sampler, save], never)
    assert training.samples[1:] == expected
    assert len({each.text for each in training.samples}) > 2, "the samples change with the weights"


def test_there_is_a_sample_before_the_first_step_and_at_each_validation(encoded: Encoded, tmp_path: Path) -> None:
    training = small_training(encoded, **SHORT)
    samples = run_with_samples(training, encoded, tmp_path)
    validated = [record for record in training.history if record.valid_bpc is not None]
    assert [each.step for each in samples] == [0, *(record.step for record in validated)]
    assert [each.characters for each in samples] == [0, *(record.characters for record in validated)]
    assert [each.valid_bpc for each in samples] == [None, *(record.valid_bpc for record in validated)]
    assert {len(each.text) for each in samples} == {len("Oil ") + 20}


def test_with_length_0_there_are_no_samples_and_no_warning(
    encoded: Encoded, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    training = small_training(encoded, sample_length=0, sample_prompt="日")
    assert run_with_samples(training, encoded, tmp_path) == []
    assert capsys.readouterr().err == ""


def test_a_warning_names_the_characters_of_the_prompt_that_are_unknown(
    encoded: Encoded, capsys: pytest.CaptureFixture[str]
) -> None:
    training = small_training(encoded, sample_length=5, sample_prompt="日 a")
    Sampler(training, encoded.vocabulary)
    assert training.samples[0].text.startswith("日 a")
    assert capsys.readouterr().err == (
        "warning: params.yaml: train.sample_prompt: some characters are not in the vocabulary and are read as <unk>:"
        " '日' (1)\n"
    )


@pytest.mark.parametrize(("model", "changes"), VARIANTS)
def test_an_interrupted_training_has_the_same_samples(
    encoded: Encoded, tmp_path: Path, model: dict[str, Any], changes: dict[str, Any]
) -> None:
    undisturbed = run_with_samples(small_training(encoded, model, **changes | SHORT), encoded, tmp_path / "undisturbed")
    folder = tmp_path / "interrupted"
    for stop_after in (1, 20, 33):
        training = small_training(encoded, model, **changes | SHORT)
        resume(training, Checkpoints(folder))
        with pytest.raises(Interrupted):
            run_with_samples(training, encoded, folder, stop_after=stop_after)
    last = small_training(encoded, model, **changes | SHORT)
    resume(last, Checkpoints(folder))
    assert run_with_samples(last, encoded, folder) == undisturbed
    again = small_training(encoded, model, **changes | SHORT)
    resume(again, Checkpoints(folder))  # the training is finished
    assert run_with_samples(again, encoded, folder) == undisturbed


def drawn(characters: list[int]) -> list[TrainingSample]:
    return [TrainingSample(number, read, None, "") for number, read in enumerate(sorted(characters))]


@given(st.lists(st.integers(1, 10**12), unique=True, max_size=50), st.integers(0, 50))
def test_more_samples_do_not_change_the_milestones_so_far(characters: list[int], end: int) -> None:
    samples = drawn([0, *characters])
    chosen = milestones(samples)
    assert chosen[0] == samples[0]
    assert all(after.characters >= 2 * before.characters for before, after in pairwise(chosen))
    before = milestones(samples[:end])
    assert chosen[: len(before)] == before


def test_a_strip_has_few_samples_and_always_the_first_and_the_last() -> None:
    assert strip([]) == []
    assert strip(drawn([0])) == drawn([0])
    assert [each.characters for each in strip(drawn([*range(0, 7)]))] == [0, 1, 2, 4, 6]
    assert [each.characters for each in strip(drawn([*range(0, 9)]))] == [0, 1, 2, 4, 8]
    assert len(strip(drawn([*range(1001)]))) == 12


def test_samples_are_read_exactly_as_they_were_written(tmp_path: Path) -> None:
    samples = [TrainingSample(0, 0, None, 'a "b"\r\n\0\x1b日'), TrainingSample(7, 5600, 2.5, "")]
    write_training_samples(tmp_path / "samples.json", samples)
    assert read_training_samples(tmp_path / "samples.json") == samples


def test_damaged_samples_are_an_error(tmp_path: Path) -> None:
    path = tmp_path / "samples.json"
    write_training_samples(path, [TrainingSample(7, 5600, 2.5, "a")])
    path.write_text(path.read_text().replace("5600", '"many"'))
    with pytest.raises(InputError, match=r"samples\.json: the samples are damaged; make the file again with"):
        read_training_samples(path)


def test_a_sample_says_how_far_the_training_was() -> None:
    assert TrainingSample(0, 0, None, "").heading == "0 characters read"
    assert TrainingSample(8, 6400, 2.34567, "").heading == "6,400 characters read, 2.346 bits per character"
