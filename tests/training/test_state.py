from pathlib import Path
from typing import Any

import pytest
import torch

from charloom.cells import CELLS
from charloom.errors import InputError
from charloom.model.states import state_tensors
from charloom.training.checkpoint import Checkpoint, Checkpoints, Interrupted
from charloom.training.loop import Training
from charloom.training.state import restore, resume, snapshot
from tests.learning import VARIANTS, Encoded, encode_sample, run, same_weights, small_training


@pytest.fixture(scope="module")
def encoded(tmp_path_factory: pytest.TempPathFactory) -> Encoded:
    return encode_sample(tmp_path_factory.mktemp("windows"))


def after_steps(training: Training, steps: int) -> Training:
    for _ in range(steps):
        training.train_step()
    return training


@pytest.mark.parametrize(("model", "changes"), VARIANTS)
def test_an_interrupted_training_ends_with_the_same_result(
    encoded: Encoded, tmp_path: Path, model: dict[str, Any], changes: dict[str, Any]
) -> None:
    undisturbed = small_training(encoded, model, **changes)
    run(undisturbed, tmp_path / "undisturbed")
    folder = tmp_path / "interrupted"
    for stop_after in (1, 3, 21, 33):
        training = small_training(encoded, model, **changes)
        resume(training, Checkpoints(folder))
        with pytest.raises(Interrupted, match=f"step {stop_after} of"):
            run(training, folder, stop_after=stop_after)
    last = small_training(encoded, model, **changes)
    resume(last, Checkpoints(folder))
    assert last.step == 33
    run(last, folder)
    assert last.history == undisturbed.history
    assert last.best_bpc == undisturbed.best_bpc
    assert same_weights(last, undisturbed)


def test_a_finished_training_is_not_repeated(encoded: Encoded, tmp_path: Path) -> None:
    training = small_training(encoded)
    run(training, tmp_path)
    again = small_training(encoded)
    resume(again, Checkpoints(tmp_path))
    assert run(again, tmp_path) == []
    assert again.history == training.history
    assert same_weights(again, training)


def test_without_a_checkpoint_the_training_begins_at_step_0(encoded: Encoded, tmp_path: Path) -> None:
    training = small_training(encoded)
    resume(training, Checkpoints(tmp_path))
    assert training.step == 0


@pytest.mark.parametrize("cell", CELLS)
def test_a_restored_training_continues_from_the_same_state(encoded: Encoded, cell: str) -> None:
    training = after_steps(small_training(encoded, {"cell": cell, "layers": 2}), 7)
    saved = snapshot(training).to_bytes()
    restored = small_training(encoded, {"cell": cell, "layers": 2})
    restore(restored, Checkpoint.from_bytes(saved))
    assert restored.step == 7
    torch.testing.assert_close(state_tensors(restored.state), state_tensors(training.state), rtol=0, atol=0)
    assert snapshot(restored).to_bytes() == saved


@pytest.mark.parametrize("other", [{"hidden_size": 13}, {"layers": 2}, {"cell": "GRU"}, {"classes": 4}], ids=str)
def test_the_checkpoint_of_another_model_is_an_error(encoded: Encoded, tmp_path: Path, other: dict[str, Any]) -> None:
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(snapshot(after_steps(small_training(encoded), 2)))
    with pytest.raises(InputError, match=rf"{tmp_path}: the checkpoint does not fit this training .*delete the folder"):
        resume(small_training(encoded, other), checkpoints)


def test_a_checkpoint_after_the_last_step_is_an_error(encoded: Encoded, tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    training = after_steps(small_training(encoded), 2)
    checkpoints.save(snapshot(training))
    shorter = small_training(encoded)
    shorter.steps = 1
    with pytest.raises(InputError, match=r"does not fit this training \(its step 2 is not from 1 to 1\)"):
        resume(shorter, checkpoints)


def test_a_checkpoint_with_another_step_than_its_optimizer_is_an_error(encoded: Encoded) -> None:
    saved = snapshot(after_steps(small_training(encoded), 2))
    saved.position["step"] = 1
    with pytest.raises(ValueError, match="its step 1 and its optimizer's count of steps contradict each other"):
        restore(small_training(encoded), saved)


def test_continuing_with_another_release_of_torch_is_a_warning(
    encoded: Encoded, capsys: pytest.CaptureFixture[str]
) -> None:
    saved = snapshot(after_steps(small_training(encoded), 2))
    restore(small_training(encoded), saved)
    assert not capsys.readouterr().err
    saved.position["made_with"] = "torch 1.13.0 on NVIDIA T4"
    restore(small_training(encoded), saved)
    expected = f"continues a checkpoint of torch 1.13.0 on NVIDIA T4 with torch {torch.__version__} on cpu, so"
    assert expected in capsys.readouterr().err


def test_a_checkpoint_does_not_change_with_the_training(encoded: Encoded) -> None:
    """It is written in a thread, while the training goes on."""
    training = after_steps(small_training(encoded), 2)
    saved = snapshot(training)
    before = saved.to_bytes()
    after_steps(training, 3)
    assert saved.to_bytes() == before
