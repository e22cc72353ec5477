"""Tests that need a CUDA device. Without such a device they are skipped. `make gpu-check` runs them."""

import gc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from charloom.cells import CELLS
from charloom.errors import RunError
from charloom.model.device import compute_in_fp32, explain_out_of_memory, make_deterministic
from charloom.model.layers import LARGE
from charloom.model.matching import HISTORY
from charloom.model.sampling import Sampling, sample
from charloom.model.scoring import score_articles
from charloom.model.states import state_tensors
from charloom.training.checkpoint import Checkpoint, Checkpoints
from charloom.training.graph import WARM_UP, Recorded
from charloom.training.loop import Training, run_training
from charloom.training.parallel import Group
from charloom.training.sampler import Sampler
from charloom.training.state import restore, snapshot
from tests.learning import Encoded, encode_sample, remembering_model, small_model, train_params

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no CUDA device")
CUDA = torch.device("cuda", 0)

# Models that take different paths on a GPU
MODELS: dict[str, dict[str, Any]] = {
    "two-layers": {"layers": 2, "dropout": 0.2},
    "gru-memory": {"cell": "GRU", "memory": 4, "dropout": 0.1},
    "rnn-classes": {"cell": "RNN", "classes": 4},
    "classes-memory": {"classes": 4, "memory": 3, "class_memory": 2, "class_embedding": 0},
}
models = pytest.mark.parametrize("model", MODELS)
precisions = pytest.mark.parametrize("precision", ["fp32", "tf32", "bf16"])


@pytest.fixture(scope="module")
def encoded(tmp_path_factory: pytest.TempPathFactory) -> Encoded:
    return encode_sample(tmp_path_factory.mktemp("windows"))


@pytest.fixture(autouse=True)
def deterministic() -> Iterator[None]:
    make_deterministic(1)
    yield
    compute_in_fp32()


def gpu_training(encoded: Encoded, model: str = "two-layers", **changes: Any) -> Training:
    network = small_model(len(encoded.vocabulary), **{"hidden_size": 64, **MODELS[model]})
    return Training(network, encoded.train, encoded.valid, train_params(device="cuda", **changes), Group(device=CUDA))


def run(training: Training, folder: Path) -> dict[str, torch.Tensor]:
    run_training(training, Checkpoints(folder), [], lambda: False)
    return {name: tensor.cpu() for name, tensor in training.model.state_dict().items()}


@pytest.mark.parametrize("model", ["two-layers", "rnn-classes"])
@pytest.mark.parametrize("batching", ["lanes", "shuffled"])
def test_a_step_does_not_wait_for_the_gpu(encoded: Encoded, batching: str, model: str) -> None:
    """Neither the steps before the recording nor those after it."""
    training = gpu_training(encoded, model, batching=batching)
    assert training.batches.at(0, 0).device.type == "cuda"
    training.train_step()
    for _ in range(2):
        torch.cuda.synchronize()
        torch.cuda.set_sync_debug_mode("error")
        try:
            training.train_step()
            training.train_step()
        finally:
            torch.cuda.set_sync_debug_mode("default")
        training.train_step()  # the fourth step is the one that is recorded
    assert training.record(validate=True).valid_bpc


def test_a_recording_survives_old_graphs_and_other_threads(capsys: pytest.CaptureFixture[str]) -> None:
    sizes = count(1 << 22, 1 << 20)

    def compute(values: torch.Tensor) -> tuple[torch.Tensor, ...]:
        gc.collect()  # frees the graph of `old`, unless it was freed before the recording
        with ThreadPoolExecutor(1) as worker:  # a new size each time, so that CUDA has to allocate it
            worker.submit(lambda: torch.empty(next(sizes)).pin_memory()).result()
        return (values * 2,)

    values = torch.ones(3, device=CUDA)
    old = Recorded(lambda values: (values * 3,))
    for _ in range(WARM_UP + 2):
        old(values)
    gc.disable()
    try:
        old.itself = old  # type: ignore[attr-defined]  # a cycle, which only the garbage collector frees
        del old
        recorded = Recorded(compute)
        results = [recorded(values * n)[0].tolist() for n in range(WARM_UP + 3)]
    finally:
        gc.enable()
    assert results == [[2.0 * n] * 3 for n in range(WARM_UP + 3)]
    assert capsys.readouterr().err == ""  # otherwise it warns that it could not record


@models
@precisions
def test_a_recorded_step_gives_the_same_bytes(encoded: Encoded, tmp_path: Path, precision: str, model: str) -> None:
    recorded = run(gpu_training(encoded, model, precision=precision), tmp_path / "recorded")
    training = gpu_training(encoded, model, precision=precision)
    training._learn = training._compute_step
    step_by_step = run(training, tmp_path / "step by step")
    assert all(torch.equal(step_by_step[name], tensor) for name, tensor in recorded.items())


@models
@precisions
def test_samples_do_not_disturb_the_recorded_steps(
    encoded: Encoded, tmp_path: Path, precision: str, model: str
) -> None:
    without = run(gpu_training(encoded, model, precision=precision), tmp_path / "without")
    training = gpu_training(encoded, model, precision=precision, sample_length=20)
    run_training(training, Checkpoints(tmp_path), [Sampler(training, encoded.vocabulary)], lambda: False)
    assert len(training.samples) > 2
    assert all(torch.equal(without[name], tensor.cpu()) for name, tensor in training.model.state_dict().items())


@models
@precisions
def test_an_interrupted_training_ends_in_the_same_bytes(
    encoded: Encoded, tmp_path: Path, precision: str, model: str
) -> None:
    undisturbed = run(gpu_training(encoded, model, precision=precision), tmp_path)
    first = gpu_training(encoded, model, precision=precision)
    for _ in range(7):
        first.train_step()
    saved = snapshot(first).to_bytes()
    second = gpu_training(encoded, model, precision=precision)
    restore(second, Checkpoint.from_bytes(saved))
    resumed = run(second, tmp_path / "resumed")
    assert all(torch.equal(resumed[name], tensor) for name, tensor in undisturbed.items())


@models
def test_a_gpu_learns_as_a_cpu_does(encoded: Encoded, model: str) -> None:
    """Without dropout, whose random numbers differ between devices."""
    losses = []
    for device in (CUDA, torch.device("cpu")):
        network = small_model(len(encoded.vocabulary), **{"hidden_size": 64, **MODELS[model], "dropout": 0.0})
        training = Training(network, encoded.train, encoded.valid, train_params(), Group(device=device))
        for _ in range(20):
            training.train_step()
        training.fetch_losses()
        losses.append([loss for loss, _ in training.losses_since_record])
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


@pytest.mark.parametrize("cell", CELLS)
def test_a_large_vocabulary_gives_the_same_gradients_as_on_a_cpu(cell: str) -> None:
    ids = torch.randint(LARGE + 44, (9, 4))
    results = []
    for device in ("cpu", "cuda"):
        model = small_model(LARGE + 44, cell=cell, layers=2)
        for weights in model.parameters():
            torch.nn.init.normal_(weights, std=0.3)
        model.to(device)
        logits, _ = model(ids.to(device))
        logits.square().sum().backward()
        gradients = [weights.grad for weights in model.parameters() if weights.grad is not None]
        results.append([tensor.cpu() for tensor in (logits, *gradients)])
    for on_cpu, on_gpu in zip(*results, strict=True):
        assert float((on_gpu - on_cpu).abs().max()) <= 1e-4 * float(on_cpu.abs().max())


def test_a_bf16_step_keeps_its_state_in_bf16(encoded: Encoded) -> None:
    """torch's autocast alone would compute the layers in float16."""
    training = gpu_training(encoded, precision="bf16")
    for _ in range(6):
        training.train_step()
    assert {tensor.dtype for tensor in state_tensors(training.state)} == {torch.bfloat16}


@pytest.mark.parametrize("memory", [0, 4])
def test_a_gpu_gives_the_same_scores_as_a_cpu(encoded: Encoded, memory: int) -> None:
    model = remembering_model(encoded, memory=memory, hidden_size=64)
    on_cpu = score_articles(model, encoded.test).total.nats
    on_gpu = score_articles(model.to(CUDA), encoded.test).total.nats
    assert on_gpu == pytest.approx(on_cpu, rel=1e-7)


def test_the_memory_predicts_as_on_a_cpu(encoded: Encoded) -> None:
    memory = remembering_model(encoded, memory=5).memory
    assert memory is not None
    unseen, counted = (
        torch.from_numpy(split.codes[:4000].astype(np.int64)).view(4, 1000).T for split in (encoded.test, encoded.train)
    )
    articles = torch.zeros(1000 - HISTORY - 1, 4, dtype=torch.int64)
    on_gpu = memory.to(CUDA)
    torch.testing.assert_close(
        on_gpu.read(unseen.to(CUDA), None)[0].probabilities.cpu(), memory.read(unseen, None)[0].probabilities
    )
    torch.testing.assert_close(
        on_gpu.leave_one_out(counted.to(CUDA), articles.to(CUDA)).probabilities.cpu(),
        memory.leave_one_out(counted, articles).probabilities,
    )


@pytest.mark.parametrize("memory", [0, 4])
def test_a_sample_does_not_depend_on_the_other_samples(encoded: Encoded, memory: int) -> None:
    model = remembering_model(encoded, memory=memory, hidden_size=64).to(CUDA)
    how = Sampling(length=50, temperature=0.7)
    many = sample(model, encoded.vocabulary, ["The "] * 70, how)
    assert sample(model, encoded.vocabulary, ["The "], how) == many[:1]
    assert sample(model, encoded.vocabulary, ["The "] * 5, how, first=60) == many[60:65]


def test_out_of_memory_says_what_to_lower() -> None:
    with pytest.raises(RunError, match="out of memory; lower it"), explain_out_of_memory("lower it"):
        torch.empty(1 << 46, dtype=torch.uint8, device=CUDA)
