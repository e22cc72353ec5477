import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load, save
from torch import Tensor

from charloom.cells import CELLS
from charloom.errors import InputError
from charloom.files import file_digest
from charloom.model.counting import make_memory
from charloom.model.network import CharModel
from charloom.model.saved import load_model, save_model
from charloom.model.scoring import surprisals
from charloom.params import CorpusForm
from charloom.text.split import ClassCount
from charloom.text.vocab import Vocabulary
from tests.faults.hostile import sign_model
from tests.learning import small_model

VOCABULARY = Vocabulary.build(["to be or not to be"])


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    save_model(tmp_path, small_model(len(VOCABULARY)), VOCABULARY, "key")
    return tmp_path


def remove_keys(folder: Path, *keys: str) -> None:
    """Remove keys from model.json, or from "model" in it, to get the model.json of an older version."""
    path = folder / "model.json"
    about = json.loads(path.read_text(encoding="utf-8"))
    for key in keys:
        del (about if key in about else about["model"])[key]
    path.write_text(json.dumps(about), encoding="utf-8")


@pytest.mark.parametrize("cell", CELLS)
def test_a_model_is_loaded_as_it_was_saved(tmp_path: Path, cell: str) -> None:
    model = small_model(len(VOCABULARY), cell=cell, layers=2, dropout=0.25)
    digest = save_model(tmp_path, model, VOCABULARY, "key")
    loaded = load_model(tmp_path)
    assert (loaded.vocabulary, loaded.train_key, loaded.digest) == (VOCABULARY, "key", digest)
    assert digest == file_digest(tmp_path / "model.safetensors")
    assert loaded.model.params == model.params
    assert not loaded.model.training
    ids = torch.randint(len(VOCABULARY), (5, 2))
    assert torch.equal(loaded.model(ids)[0], model.eval()(ids)[0])


def test_a_conditioned_model_is_loaded_with_its_classes(tmp_path: Path) -> None:
    model = small_model(len(VOCABULARY), classes=2)
    class_counts = [ClassCount(name="World", articles=7), ClassCount(name="Sci/Tech", articles=0)]
    save_model(tmp_path, model, VOCABULARY, "key", class_counts)
    loaded = load_model(tmp_path)
    assert loaded.class_counts == class_counts
    ids, classes = torch.randint(len(VOCABULARY), (5, 2)), torch.tensor([1, 2])
    assert torch.equal(loaded.model(ids, classes=classes)[0], model.eval()(ids, classes=classes)[0])


def test_a_class_is_found_by_its_name(tmp_path: Path) -> None:
    class_counts = [ClassCount(name=name, articles=1) for name in ("World", "Sports")]
    save_model(tmp_path, small_model(len(VOCABULARY), classes=2), VOCABULARY, "key", class_counts)
    loaded = load_model(tmp_path)
    assert [loaded.class_named(name) for name in loaded.class_names()] == [0, 1]
    with pytest.raises(InputError, match="class 'Games': must be one of World, Sports"):
        loaded.class_named("Games")


def test_an_unconditioned_model_has_no_class_names(saved: Path) -> None:
    with pytest.raises(InputError, match=r"no classes; train one with model\.conditioning: class"):
        load_model(saved).class_named("World")


def test_a_model_saved_before_conditioning_existed_can_be_loaded(saved: Path) -> None:
    remove_keys(saved, "classes", "conditioning", "class_dropout", "class_embedding")
    loaded = load_model(saved)
    assert not loaded.model.conditioned
    assert loaded.class_counts == []


def test_a_model_saved_before_the_class_embedding_existed_can_be_loaded(tmp_path: Path) -> None:
    model = small_model(len(VOCABULARY), classes=2, class_embedding=0)
    save_model(tmp_path, model, VOCABULARY, "key", [ClassCount(name=name, articles=1) for name in "ab"])
    remove_keys(tmp_path, "class_embedding")
    ids, classes = torch.randint(len(VOCABULARY), (5, 2)), torch.tensor([1, 2])
    assert torch.equal(load_model(tmp_path).model(ids, classes=classes)[0], model.eval()(ids, classes=classes)[0])


def test_a_model_saved_before_each_layer_had_its_own_module_can_be_loaded(tmp_path: Path) -> None:
    model = small_model(len(VOCABULARY), cell="GRU", layers=2)
    save_model(tmp_path, model, VOCABULARY, "key")
    old = {"rnn.0.": "_l0", "rnn.1.": "_l1"}

    def old_name(name: str) -> str:
        return "rnn." + name[6:].replace("_l0", old[name[:6]]) if name[:6] in old else name

    forge(tmp_path, lambda tensors: {old_name(name): tensor for name, tensor in tensors.items()})
    assert "rnn.weight_ih_l1" in load((tmp_path / "model.safetensors").read_bytes())
    ids = torch.randint(len(VOCABULARY), (5, 2))
    assert torch.equal(load_model(tmp_path).model(ids)[0], model.eval()(ids)[0])


def test_the_class_temperature_is_saved(tmp_path: Path) -> None:
    class_counts = [ClassCount(name=name, articles=1) for name in "ab"]
    save_model(tmp_path, small_model(len(VOCABULARY), classes=2), VOCABULARY, "key", class_counts, 21.5)
    assert load_model(tmp_path).class_temperature == 21.5
    remove_keys(tmp_path, "class_temperature")
    assert load_model(tmp_path).class_temperature == 1


def test_the_form_of_the_corpus_is_saved(tmp_path: Path) -> None:
    stated: dict[str, Any] = {"text_columns": ["title", "body"], "class_column": "topic", "header": True}
    form = CorpusForm(**stated, article_end="line", errors="replace")
    save_model(tmp_path, small_model(len(VOCABULARY)), VOCABULARY, "key", corpus_form=form)
    assert load_model(tmp_path).corpus_form == form


def test_a_model_saved_before_the_form_of_the_corpus_was_saved_has_that_of_ag_news(saved: Path) -> None:
    remove_keys(saved, "corpus")
    form = load_model(saved).corpus_form
    assert (form.text_columns, form.class_column) == ([2, 3], 1)


def test_the_form_of_the_corpus_does_not_change_the_digest(tmp_path: Path) -> None:
    form = CorpusForm(text_columns=["text"], class_column=None, header="auto", article_end="line", errors="strict")
    model = small_model(len(VOCABULARY))
    digests = {
        save_model(tmp_path / "a", model, VOCABULARY, "key"),
        save_model(tmp_path / "b", model, VOCABULARY, "key", corpus_form=form),
    }
    assert len(digests) == 1


def model_with_memory(order: int = 4) -> CharModel:
    """A model with a memory that has counted an article."""
    model = small_model(len(VOCABULARY), memory=order)
    eos = torch.tensor([VOCABULARY.eos])
    codes = torch.cat([eos, torch.from_numpy(VOCABULARY.encode("not to be or to be").astype(np.int64)), eos])
    model.memory = make_memory(codes, len(VOCABULARY), VOCABULARY.eos, order)
    return model


def forge(folder: Path, change: Callable[[dict[str, Tensor]], dict[str, Tensor]]) -> None:
    """Change the tensors of a saved model, and write the correct digest to model.json."""
    weights = folder / "model.safetensors"
    weights.write_bytes(save(change(load(weights.read_bytes()))))
    sign_model(folder)


def test_a_model_with_a_memory_scores_the_same_after_it_was_saved(tmp_path: Path) -> None:
    model = model_with_memory()
    digest = save_model(tmp_path, model, VOCABULARY, "key")
    loaded = load_model(tmp_path).model
    assert loaded.memory is not None
    assert loaded.memory.order == 4
    texts = [np.array([VOCABULARY.eos, *VOCABULARY.encode("to be not"), VOCABULARY.eos])]
    (before,), (after,) = surprisals(model, texts), surprisals(loaded, texts)
    assert np.array_equal(before.nats, after.nats)
    assert save_model(tmp_path / "again", loaded, VOCABULARY, "key") == digest


def test_a_model_saved_before_the_memory_existed_can_be_loaded(saved: Path) -> None:
    remove_keys(saved, "memory", "memory_characters")
    loaded = load_model(saved).model
    assert loaded.memory is None
    ids = torch.randint(len(VOCABULARY), (5, 2))
    assert torch.equal(loaded(ids)[0], small_model(len(VOCABULARY)).eval()(ids)[0])


def test_a_model_whose_memory_is_larger_than_its_parameters_suggest_can_be_loaded(tmp_path: Path) -> None:
    """Whole articles are counted, at least one, so one long article can have far more than memory_characters."""
    model = small_model(len(VOCABULARY), memory=4, memory_characters=1)
    codes = torch.randint(VOCABULARY.eos, (400_000,), generator=torch.Generator().manual_seed(1))
    codes[0] = codes[-1] = VOCABULARY.eos
    model.memory = make_memory(codes, len(VOCABULARY), VOCABULARY.eos, 4)
    save_model(tmp_path, model, VOCABULARY, "key")
    assert load_model(tmp_path).model.memory is not None


def test_a_model_without_the_tensors_of_its_memory_is_refused(tmp_path: Path) -> None:
    save_model(tmp_path, model_with_memory(), VOCABULARY, "key")
    forge(tmp_path, lambda all_: {name: each for name, each in all_.items() if not name.startswith("memory.")})
    with pytest.raises(InputError, match=r"model\.safetensors: lacks an n-gram memory, but .* model\.memory: 4$"):
        load_model(tmp_path)


def test_a_memory_in_a_model_without_one_is_refused(saved: Path) -> None:
    memory = model_with_memory().memory
    assert memory is not None
    forge(saved, lambda all_: all_ | {f"memory.{name}": each for name, each in memory.stored.items()})
    with pytest.raises(InputError, match=r"model\.safetensors: has an n-gram memory, but .* model\.memory: 0$"):
        load_model(saved)


@pytest.mark.parametrize("name", ["shares", "match_shares", "text", "symbols.0", "counts.4", "sizes.2"])
def test_a_memory_that_lacks_a_tensor_is_refused_in_one_line(tmp_path: Path, name: str) -> None:
    save_model(tmp_path, model_with_memory(), VOCABULARY, "key")
    forge(tmp_path, lambda all_: {each: all_[each] for each in all_ if each != f"memory.{name}"})
    with pytest.raises(InputError, match=r"model\.safetensors: the n-gram memory is damaged: [\w ]+$"):
        load_model(tmp_path)


def test_a_memory_of_a_higher_order_than_stated_is_refused(tmp_path: Path) -> None:
    save_model(tmp_path, model_with_memory(), VOCABULARY, "key")
    about = tmp_path / "model.json"
    about.write_text(about.read_text().replace('"memory": 4', '"memory": 3'))
    with pytest.raises(InputError, match=r"the n-gram memory has order 4, but model\.memory is 3"):
        load_model(tmp_path)


def test_the_same_model_gives_the_same_bytes(tmp_path: Path) -> None:
    digests = {save_model(tmp_path / name, small_model(len(VOCABULARY)), VOCABULARY, "key") for name in "ab"}
    assert len(digests) == 1


@pytest.mark.parametrize("name", ["model.json", "model.safetensors"])
def test_the_error_names_a_missing_file(saved: Path, name: str) -> None:
    (saved / name).unlink()
    with pytest.raises(InputError, match=name):
        load_model(saved)


@pytest.mark.parametrize("size", [0, 7, 100, -1])
def test_truncated_weights_are_an_error(saved: Path, size: int) -> None:
    weights = saved / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:size])
    with pytest.raises(InputError, match=r"model\.safetensors"):
        load_model(saved)


def test_the_weights_of_another_model_are_an_error(saved: Path, tmp_path: Path) -> None:
    save_model(tmp_path / "other", small_model(len(VOCABULARY), seed=2), VOCABULARY, "key")
    (tmp_path / "other/model.safetensors").replace(saved / "model.safetensors")
    with pytest.raises(InputError, match="not the weights"):
        load_model(saved)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"version": 1', '"version": 2'),
        ('"cell": "LSTM"', '"cell": "os.system"'),
        ('"hidden_size": 12', '"hidden_size": 60000'),
        ('"hidden_size": 12', '"hidden_size": 13'),
        ('"layers": 1', '"layers": "many"'),
        ('"characters": [', '"letters": ['),
        ('"conditioning": "none"', '"conditioning": "class"'),
        ('"classes": []', '"classes": [{"name": "World", "articles": 1}]'),
        ('"classes": []', '"classes": [{"name": "World", "articles": -1}]'),
        ('"classes": []', '"classes": 4'),
        ('"model": {', '"model": 1, "x": {'),
        ('"class_temperature": 1.0', '"class_temperature": 0.0'),
        ('"class_temperature": 1.0', '"class_temperature": NaN'),
        ('"corpus": {', '"corpus": 1, "x": {'),
        ('"class_column": 1', '"class_column": "topic"'),
        ('"errors": "strict"', '"errors": "os.system"'),
    ],
)
def test_a_model_json_with_a_wrong_entry_is_an_error(saved: Path, old: str, new: str) -> None:
    about = saved / "model.json"
    text = about.read_text(encoding="utf-8")
    assert old in text
    about.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(InputError, match="model"):
        load_model(saved)


def test_the_error_says_that_conditioning_and_classes_contradict(saved: Path) -> None:
    about = saved / "model.json"
    about.write_text(about.read_text().replace('"classes": []', '"classes": [{"name": "World", "articles": 1}]'))
    with pytest.raises(InputError, match=r"model\.json: model\.conditioning and the list of classes contradict"):
        load_model(saved)


@pytest.mark.parametrize("key", ['""', '"two words"', "5", "null"])
def test_a_malformed_train_key_is_an_error(saved: Path, key: str) -> None:
    about = saved / "model.json"
    about.write_text(about.read_text().replace('"train_key": "key"', f'"train_key": {key}'))
    with pytest.raises(InputError, match=r"model\.json: train_key is missing or malformed"):
        load_model(saved)
