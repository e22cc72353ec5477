import json
from pathlib import Path

import pytest
import torch

from charloom.errors import InputError
from charloom.files import file_digest
from charloom.model.saved import load_model, save_model
from charloom.text.split import ClassCount
from charloom.text.vocab import Vocabulary
from charloom.training.checkpoint import Checkpoint, Checkpoints
from tests.learning import small_model

VOCABULARY = Vocabulary.build(["to be or not to be"])


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    save_model(tmp_path, small_model(len(VOCABULARY)), VOCABULARY, "key")
    return tmp_path


def checkpoint(step: int) -> Checkpoint:
    return Checkpoint({"model.a": torch.full((3,), float(step)), "model.b": torch.ones(1)}, {"step": step})


def test_a_model_comes_back_as_it_was(tmp_path: Path) -> None:
    model = small_model(len(VOCABULARY), cell="GRU", layers=2, dropout=0.25)
    digest = save_model(tmp_path, model, VOCABULARY, "key")
    loaded = load_model(tmp_path)
    assert (loaded.vocabulary, loaded.train_key, loaded.digest) == (VOCABULARY, "key", digest)
    assert digest == file_digest(tmp_path / "model.safetensors")
    assert loaded.model.params == model.params
    assert not loaded.model.training
    ids = torch.randint(len(VOCABULARY), (5, 2))
    assert torch.equal(loaded.model(ids)[0], model.eval()(ids)[0])


def test_a_conditioned_model_comes_back_with_its_classes(tmp_path: Path) -> None:
    model = small_model(len(VOCABULARY), classes=2)
    class_counts = [ClassCount(name="World", articles=7), ClassCount(name="Sci/Tech", articles=0)]
    save_model(tmp_path, model, VOCABULARY, "key", class_counts)
    loaded = load_model(tmp_path)
    assert loaded.class_counts == class_counts
    ids, classes = torch.randint(len(VOCABULARY), (5, 2)), torch.tensor([1, 2])
    assert torch.equal(loaded.model(ids, classes=classes)[0], model.eval()(ids, classes=classes)[0])


def test_a_model_from_before_there_were_classes_is_read(saved: Path) -> None:
    about = json.loads((saved / "model.json").read_text(encoding="utf-8"))
    del about["classes"], about["model"]["conditioning"], about["model"]["class_dropout"]
    del about["model"]["class_embedding"]
    (saved / "model.json").write_text(json.dumps(about), encoding="utf-8")
    loaded = load_model(saved)
    assert not loaded.model.conditioned
    assert loaded.class_counts == []


def test_a_model_from_before_classes_had_characters_of_their_own_is_read(tmp_path: Path) -> None:
    model = small_model(len(VOCABULARY), classes=2, class_embedding=0)
    save_model(tmp_path, model, VOCABULARY, "key", [ClassCount(name=name, articles=1) for name in "ab"])
    about = json.loads((tmp_path / "model.json").read_text(encoding="utf-8"))
    del about["model"]["class_embedding"]
    (tmp_path / "model.json").write_text(json.dumps(about), encoding="utf-8")
    ids, classes = torch.randint(len(VOCABULARY), (5, 2)), torch.tensor([1, 2])
    assert torch.equal(load_model(tmp_path).model(ids, classes=classes)[0], model.eval()(ids, classes=classes)[0])


def test_the_same_model_gives_the_same_bytes(tmp_path: Path) -> None:
    digests = {save_model(tmp_path / name, small_model(len(VOCABULARY)), VOCABULARY, "key") for name in "ab"}
    assert len(digests) == 1


@pytest.mark.parametrize("name", ["model.json", "model.safetensors"])
def test_a_missing_file_is_named(saved: Path, name: str) -> None:
    (saved / name).unlink()
    with pytest.raises(InputError, match=name):
        load_model(saved)


@pytest.mark.parametrize("size", [0, 7, 100, -1])
def test_truncated_weights_are_refused(saved: Path, size: int) -> None:
    weights = saved / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:size])
    with pytest.raises(InputError, match=r"model\.safetensors"):
        load_model(saved)


def test_weights_of_another_model_are_refused(saved: Path, tmp_path: Path) -> None:
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
    ],
)
def test_a_description_that_does_not_fit_is_refused(saved: Path, old: str, new: str) -> None:
    about = saved / "model.json"
    text = about.read_text(encoding="utf-8")
    assert old in text
    about.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(InputError, match="model"):
        load_model(saved)


def test_the_last_checkpoint_is_read(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    assert checkpoints.read() is None
    for step in (1, 2, 3):
        checkpoints.save(checkpoint(step))
    data = checkpoints.read()
    assert data is not None
    read = Checkpoint.from_bytes(data)
    assert read.state == {"step": 3}
    assert read.group("model")["a"].tolist() == [3.0] * 3


def test_a_damaged_checkpoint_gives_way_to_the_one_before(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(checkpoint(1))
    checkpoints.save(checkpoint(2))
    last = tmp_path / "last.safetensors"
    last.write_bytes(last.read_bytes()[:-5])
    data = checkpoints.read()
    assert data is not None
    assert Checkpoint.from_bytes(data).state == {"step": 1}
    assert "passing over" in capsys.readouterr().out


def test_a_flipped_bit_is_no_checkpoint() -> None:
    data = bytearray(checkpoint(1).to_bytes())
    data[-1] ^= 1  # of a weight, which any bits would be
    with pytest.raises(ValueError, match="damaged"):
        Checkpoint.from_bytes(bytes(data))


def test_a_checkpoint_of_another_version_is_not_one(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as other:
        other.setattr("charloom.model.saved.CHECKPOINT_VERSION", 9)
        data = checkpoint(1).to_bytes()
    with pytest.raises(ValueError, match="version"):
        Checkpoint.from_bytes(data)


def test_a_recorded_result_is_trained_again_and_a_lost_one_is_not(tmp_path: Path) -> None:
    result, lock = tmp_path / "model.safetensors", tmp_path / "dvc.lock"
    result.write_bytes(b"weights")
    checkpoints = Checkpoints(tmp_path / "key")
    checkpoints.save(checkpoint(1))
    checkpoints.forget_if_recorded(lock)
    checkpoints.note_finished(result)
    checkpoints.forget_if_recorded(lock)
    lock.write_text("md5: 0123")
    checkpoints.forget_if_recorded(lock)
    assert checkpoints.read() is not None
    lock.write_text(f"md5: {file_digest(result, 'md5')}")
    checkpoints.forget_if_recorded(lock)
    assert checkpoints.read() is None
