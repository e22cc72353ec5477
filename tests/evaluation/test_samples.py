"""Which samples are drawn, and how samples.json stores them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from charloom.corpus.sources import AG_NEWS_CLASSES
from charloom.errors import InputError
from charloom.evaluation.samples import SampleGroup, draw_samples, read_samples, write_samples
from charloom.model.sampling import Sampling, sample
from charloom.model.saved import load_model
from tests.learning import default_params, save_conditioned_model, save_small_model

PARAMS = default_params().evaluate.model_copy(update={"temperatures": [1.0, 0.7], "samples": 2, "sample_length": 30})


def test_an_unconditioned_model_writes_one_greedy_text_and_some_at_each_temperature(tmp_path: Path) -> None:
    saved = load_model(save_small_model(tmp_path / "model", tmp_path / "windows"))
    groups = draw_samples(saved, PARAMS)
    assert [(group.temperature, group.class_name, len(group.texts)) for group in groups] == [
        (0.0, None, 1),
        (0.7, None, 2),
        (1.0, None, 2),
    ]
    sampling = Sampling(PARAMS.sample_length, 0.7, seed=PARAMS.seed)
    assert groups[1].texts == sample(saved.model, saved.vocabulary, ["", ""], sampling)


def test_a_conditioned_model_writes_for_each_class_at_the_first_temperature(tmp_path: Path) -> None:
    saved = load_model(save_conditioned_model(tmp_path / "model", tmp_path / "windows"))
    by_class = draw_samples(saved, PARAMS)[3:]
    assert [group.class_name for group in by_class] == list(AG_NEWS_CLASSES)
    assert {group.temperature for group in by_class} == {1.0}
    assert len({tuple(group.texts) for group in by_class}) == len(AG_NEWS_CLASSES)


@pytest.mark.parametrize(
    ("temperature", "class_name", "heading"),
    [
        (0.0, None, "greedy"),
        (0.5, None, "temperature 0.5"),
        (1.0, None, "temperature 1"),
        (0.5, "Sport", "class Sport"),
    ],
)
def test_a_heading_names_the_class_or_the_temperature(temperature: float, class_name: str | None, heading: str) -> None:
    assert SampleGroup(temperature, class_name, []).heading == heading


def test_every_text_is_read_back_as_it_was_drawn(tmp_path: Path) -> None:
    groups = [SampleGroup(0.0, None, ["one\n\ntwo", "", "\x1b[2J é"]), SampleGroup(0.5, "=== x ===", ["three"])]
    write_samples(tmp_path / "samples.json", groups)
    assert read_samples(tmp_path / "samples.json") == groups


@pytest.mark.parametrize("groups", [None, 3, [3], [{"temperature": 1.0}], [{"temperature": "hot"}]])
def test_a_damaged_file_is_an_error_that_says_how_to_make_it_again(tmp_path: Path, groups: object) -> None:
    path = tmp_path / "samples.json"
    path.write_text(json.dumps({"format": "charloom-samples", "version": 1, "groups": groups}))
    with pytest.raises(InputError, match=r"samples\.json: .* damaged; make the file again with `dvc repro`"):
        read_samples(path)


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"samples\.json: no such file"):
        read_samples(tmp_path / "samples.json")
