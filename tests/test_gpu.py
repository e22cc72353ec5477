"""Tests that need a CUDA device. Without such a device they are skipped."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from charloom.errors import RunError
from charloom.model.device import explain_out_of_memory, make_deterministic, set_precision
from charloom.model.scoring import score_articles
from charloom.training.checkpoint import Checkpoint, Checkpoints
from charloom.training.loop import Training, run_training
from charloom.training.parallel import Group
from charloom.training.state import restore, snapshot
from tests.learning import Encoded, encode_sample, small_model, train_params

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no CUDA device")
CUDA = torch.device("cuda", 0)


@pytest.fixture(scope="module")
def encoded(tmp_path_factory: pytest.TempPathFactory) -> Encoded:
    return encode_sample(tmp_path_factory.mktemp("windows"))


@pytest.fixture(autouse=True)
def deterministic() -> Iterator[None]:
    make_deterministic(1)
    yield
    set_precision("fp32", CUDA)


def gpu_training(encoded: Encoded, **changes: Any) -> Training:
    model = small_model(len(encoded.vocabulary), hidden_size=64, layers=2, dropout=0.2)
    return Training(model, encoded.train, encoded.valid, train_params(device="cuda", **changes), Group(device=CUDA))


def run(training: Training, folder: Path) -> dict[str, torch.Tensor]:
    run_training(training, Checkpoints(folder), [], lambda: False)
    return {name: tensor.cpu() for name, tensor in training.model.state_dict().items()}


@pytest.mark.parametrize("batching", ["lanes", "shuffled"])
def test_batches_are_on_the_gpu_and_a_step_does_not_synchronise(encoded: Encoded, batching: str) -> None:
    training = gpu_training(encoded, batching=batching)
    assert training.batches.at(0, 0).device.type == "cuda"
    training.train_step()
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        for _ in range(5):
            training.train_step()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert training.record(validate=True).valid_bpc


@pytest.mark.parametrize("precision", ["fp32", "tf32", "bf16"])
def test_the_same_seed_gives_the_same_bytes(encoded: Encoded, tmp_path: Path, precision: str) -> None:
    weights = [run(gpu_training(encoded, precision=precision), tmp_path / str(index)) for index in range(2)]
    for name, tensor in weights[0].items():
        assert torch.equal(tensor, weights[1][name])


def test_an_interrupted_training_ends_in_the_same_bytes(encoded: Encoded, tmp_path: Path) -> None:
    undisturbed = run(gpu_training(encoded), tmp_path)
    first = gpu_training(encoded)
    for _ in range(7):
        first.train_step()
    saved = snapshot(first).to_bytes()
    second = gpu_training(encoded)
    restore(second, Checkpoint.from_bytes(saved))
    resumed = run(second, tmp_path / "resumed")
    assert all(torch.equal(resumed[name], tensor) for name, tensor in undisturbed.items())


def test_a_gpu_gives_the_same_scores_as_a_cpu(encoded: Encoded) -> None:
    model = small_model(len(encoded.vocabulary), hidden_size=64)
    on_cpu = score_articles(model, encoded.test).total.nats
    on_gpu = score_articles(model.to(CUDA), encoded.test).total.nats
    assert on_gpu == pytest.approx(on_cpu, rel=1e-5)


def test_tf32_is_off_with_fp32() -> None:
    set_precision("fp32", CUDA)
    assert not torch.backends.cuda.matmul.allow_tf32
    assert not torch.backends.cudnn.allow_tf32


def test_out_of_memory_says_what_to_lower() -> None:
    with pytest.raises(RunError, match=r"lower train\.batch_size"), explain_out_of_memory():
        torch.empty(1 << 46, dtype=torch.uint8, device=CUDA)
