"""A saved model whose memory counts the classes: it is loaded as it was saved, and damage is refused in one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from charloom.errors import InputError
from charloom.model.counting import count_classes, make_memory
from charloom.model.network import CharModel
from charloom.model.saved import load_model, save_model
from charloom.text.split import ClassCount
from charloom.text.vocab import Vocabulary
from tests.learning import small_model
from tests.model.test_saved import forge, remove_keys

VOCABULARY = Vocabulary.build(["to be or not to be"])
CLASS_COUNTS = [ClassCount(name="World", articles=2), ClassCount(name="Sports", articles=1)]


def conditioned_model(class_order: int = 3) -> CharModel:
    """A model with a memory of three articles: two of class 0, and one of class 1."""
    model = small_model(len(VOCABULARY), classes=2, memory=4, class_memory=class_order)
    symbols, eos = len(VOCABULARY), VOCABULARY.eos
    articles = [[*VOCABULARY.encode(text), eos] for text in ("to be or not to be", "to be", "not to be or to be")]
    codes = torch.from_numpy(np.concatenate(articles).astype(np.int64))
    of_class = torch.tensor([0] * (len(articles[0]) + len(articles[1])) + [1] * len(articles[2]))
    by_class = count_classes(codes, of_class, 2, symbols, eos, class_order) if class_order else None
    model.memory = make_memory(torch.cat([torch.tensor([eos]), codes]), symbols, eos, 4, by_class)
    return model


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    save_model(tmp_path, conditioned_model(), VOCABULARY, "key", CLASS_COUNTS)
    return tmp_path


def test_a_memory_that_counts_the_classes_is_loaded_as_it_was_saved(tmp_path: Path) -> None:
    model = conditioned_model()
    digest = save_model(tmp_path, model, VOCABULARY, "key", CLASS_COUNTS)
    loaded = load_model(tmp_path).model
    assert loaded.memory is not None
    assert loaded.memory.by_class is not None
    assert loaded.memory.by_class.order == 3
    ids, classes = torch.randint(len(VOCABULARY), (9, 3)), torch.tensor([0, 1, 2])
    found, expected = (each.eval()(ids, classes=classes)[0] for each in (loaded, model))
    assert torch.equal(found, expected)
    assert not torch.equal(found[:, 0], loaded(ids)[0][:, 0])
    assert save_model(tmp_path / "again", loaded, VOCABULARY, "key", CLASS_COUNTS) == digest


def test_a_model_saved_before_the_class_memory_existed_can_be_loaded(tmp_path: Path) -> None:
    model = conditioned_model(class_order=0)
    save_model(tmp_path, model, VOCABULARY, "key", CLASS_COUNTS)
    remove_keys(tmp_path, "class_memory")
    loaded = load_model(tmp_path).model
    assert loaded.memory is not None
    assert loaded.memory.by_class is None
    ids, classes = torch.randint(len(VOCABULARY), (5, 2)), torch.tensor([1, 2])
    assert torch.equal(loaded(ids, classes=classes)[0], model.eval()(ids, classes=classes)[0])


def test_a_class_memory_of_a_higher_order_than_stated_is_refused(saved: Path) -> None:
    about = saved / "model.json"
    about.write_text(about.read_text().replace('"class_memory": 3', '"class_memory": 2'))
    with pytest.raises(InputError, match=r"safetensors: the n-gram memory has order 3, but model\.class_memory is 2$"):
        load_model(saved)


def test_a_class_memory_of_a_lower_order_than_stated_can_be_loaded(saved: Path) -> None:
    """The articles of the classes can be too short for longer contexts."""
    about = saved / "model.json"
    about.write_text(about.read_text().replace('"class_memory": 3', '"class_memory": 16'))
    assert load_model(saved).model.memory is not None


@pytest.mark.parametrize("name", ["shares", "symbols.0", "counts.3", "sizes.2"])
def test_a_class_memory_that_lacks_a_tensor_is_refused_in_one_line(saved: Path, name: str) -> None:
    forge(saved, lambda all_: {each: all_[each] for each in all_ if each != f"memory.by_class.{name}"})
    with pytest.raises(InputError, match=r"model\.safetensors: the n-gram memory is damaged: [\w ]+$"):
        load_model(saved)


def test_a_model_without_the_tensors_of_its_class_memory_is_refused(saved: Path) -> None:
    forge(saved, lambda all_: {name: each for name, each in all_.items() if "by_class" not in name})
    with pytest.raises(InputError, match=r"model\.safetensors: the n-gram memory is damaged: [\w ]+$"):
        load_model(saved)


def test_a_class_memory_in_a_model_without_one_is_refused(tmp_path: Path) -> None:
    save_model(tmp_path, conditioned_model(class_order=0), VOCABULARY, "key", CLASS_COUNTS)
    memory = conditioned_model().memory
    assert memory is not None
    by_class = {f"memory.{name}": each for name, each in memory.stored.items() if name.startswith("by_class.")}
    forge(tmp_path, lambda all_: all_ | by_class)
    with pytest.raises(InputError, match=r"model\.safetensors: the n-gram memory is damaged: [\w ]+$"):
        load_model(tmp_path)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("shares", lambda tensor: tensor + 2),
        ("symbols.0", lambda tensor: tensor + 200),
        ("counts.1", lambda tensor: tensor * 0),
        ("sizes.0", lambda tensor: tensor[1:]),
        ("sizes.0", lambda tensor: tensor.repeat(2)),
        ("sizes.1", lambda tensor: tensor.long()),
    ],
)
def test_a_damaged_class_memory_is_refused_in_one_line(saved: Path, name: str, change: Any) -> None:
    name = f"memory.by_class.{name}"
    forge(saved, lambda all_: all_ | {name: change(all_[name])})
    with pytest.raises(InputError, match=r"model\.safetensors: the n-gram memory is damaged: [^\n]+$"):
        load_model(saved)
