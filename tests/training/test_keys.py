"""What train_key and evaluate_key depend on, and what they do not depend on."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import NamedTuple

import pytest

from charloom.params import Params
from charloom.params_file import load_params
from charloom.training.keys import evaluate_key, split_digest, train_key
from tests.conftest import CHECKOUT
from tests.text.splits import encode_texts, window_params

PARAMS = load_params(CHECKOUT / "params.yaml")
SPLITS = ("train", "valid", "test")


class Keys(NamedTuple):
    train: str
    evaluate: str


def keys_of(folder: Path, params: Params = PARAMS, model_digest: str = "m") -> Keys:
    """The train_key and the evaluate_key for the files in a folder."""
    windows = folder / "windows"
    return Keys(train_key(params, windows, folder / "vocab.json"), evaluate_key(params, windows, model_digest))


def changed(section: str, **values: object) -> Params:
    """The parameters of params.yaml, with other values in one section."""
    return PARAMS.model_copy(update={section: getattr(PARAMS, section).model_copy(update=values)})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the files that the keys digest. The names are real, the contents are placeholders."""
    made = tmp_path / "made"
    for split in SPLITS:
        (made / "windows" / split).mkdir(parents=True)
        (made / "windows" / split / "windows.json").write_text(f"{split} windows.json")
    (made / "vocab.json").write_text("vocabulary")
    return made


def test_the_same_files_in_another_folder_have_the_same_keys(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "elsewhere")
    assert keys_of(tmp_path / "elsewhere") == keys_of(folder)


@pytest.mark.parametrize(
    ("section", "value", "differing"),
    [
        ("model", {"layers": 2}, {"train"}),
        ("train", {"seed": 2}, {"train"}),
        ("train", {"log_every": 7}, {"train"}),
        ("train", {"sample_prompt": "Oil"}, {"train"}),
        ("train", {"sample_length": 0}, {"train"}),
        ("evaluate", {"temperatures": [0.7]}, {"evaluate"}),
        ("evaluate", {"samples": 9}, {"evaluate"}),
        ("baselines", {"ngram_order": 3}, {"evaluate"}),
        ("tracking", {"experiment": "other"}, set()),
        ("data", {"mirror": "/elsewhere"}, set()),
        ("data", {"labelled_fraction": 0.5}, set()),  # only a conditioned model learns from labels
        ("train", {"processes": 4, "checkpoint_every": 5.0}, set()),
    ],
)
def test_a_key_depends_only_on_the_parameters_of_its_stage(
    folder: Path, section: str, value: dict[str, object], differing: set[str]
) -> None:
    before, after = keys_of(folder), keys_of(folder, changed(section, **value))
    assert {name for name in Keys._fields if getattr(before, name) != getattr(after, name)} == differing


def test_the_key_of_a_conditioned_training_depends_on_the_labels(folder: Path) -> None:
    conditioned = changed("model", conditioning="class")
    few = conditioned.model_copy(update={"data": conditioned.data.model_copy(update={"labelled_fraction": 0.5})})
    assert keys_of(folder, few).train != keys_of(folder, conditioned).train


@pytest.mark.parametrize("split", SPLITS)
def test_a_key_depends_on_the_splits_that_its_stage_reads(folder: Path, split: str) -> None:
    before = keys_of(folder)
    (folder / "windows" / split / "windows.json").write_text("other")
    after = keys_of(folder)
    assert (before.train == after.train) == (split == "test")
    assert (before.evaluate == after.evaluate) == (split != "test")


def test_only_the_training_depends_on_the_vocabulary_file(folder: Path) -> None:
    before = keys_of(folder)
    (folder / "vocab.json").write_text("other")
    assert keys_of(folder).train != before.train
    assert keys_of(folder).evaluate == before.evaluate


def test_only_the_evaluation_depends_on_the_model(folder: Path) -> None:
    before, after = keys_of(folder), keys_of(folder, model_digest="n")
    assert after.train == before.train
    assert after.evaluate != before.evaluate


@pytest.mark.parametrize("texts", [["abc", "de"], ["ab", "ced"], ["edabc"]])
def test_the_digest_of_a_split_depends_on_its_articles(tmp_path: Path, texts: list[str]) -> None:
    params = window_params(2, 2, "stream")
    encode_texts(tmp_path / "first", ["ab", "cde"], params)
    encode_texts(tmp_path / "same", ["ab", "cde"], params)
    encode_texts(tmp_path / "other", texts, params)
    assert split_digest(tmp_path / "first") == split_digest(tmp_path / "same")
    assert split_digest(tmp_path / "first") != split_digest(tmp_path / "other")
