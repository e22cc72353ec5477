"""Training in several real processes, mostly by running the stage script as a user runs it."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import torch

from charloom.errors import InputError
from charloom.training.history import read_history
from charloom.training.parallel import Group, check_gpus
from charloom.training.sampler import read_training_samples
from tests.pipeline.workspace import CHECKOUT, UNTRACKED, Workspace, clean_environment, ready_to_train

# One training step in a group. Each process writes how many threads the group had, and how many outlived the group.
STEP = """
from pathlib import Path

import psutil
import torch

from charloom.training.parallel import join_group


def threads():
    return psutil.Process().num_threads()


before = threads()
with join_group(torch.device("cpu")) as group:
    model = group.wrap(torch.nn.Linear(2, 1))
    model(torch.ones(3, 2)).sum().backward()
    during = threads()
Path(f"threads.{group.rank}").write_text(f"{during - before} {threads() - before}")
"""


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return ready_to_train(tmp_path_factory.mktemp("prepared"), UNTRACKED)


def wait_for_checkpoint(workspace: Workspace) -> None:
    deadline = time.monotonic() + 60
    while not list(workspace.folder.glob(".charloom/checkpoints/*/last.safetensors")):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_batch_must_be_divided_evenly_among_the_processes() -> None:
    shares = [Group(rank=rank, size=3).share(12) for rank in range(3)]
    assert [column for share in shares for column in range(12)[share]] == list(range(12))
    with pytest.raises(InputError, match=r"train\.batch_size = 8: must be a multiple of 3, the number of processes"):
        Group(size=3).share(8)


def test_in_a_group_of_one_any_and_broadcast_return_their_argument() -> None:
    group = Group()
    assert group.leads
    assert group.any([True, False]) == [True, False]
    assert group.broadcast(b"x") == b"x"
    assert group.broadcast(None) is None


def test_a_group_ends_with_all_its_threads_even_if_the_wrapped_model_lives_on(tmp_path: Path) -> None:
    (tmp_path / "step.py").write_text(STEP)
    start = "from charloom.training.parallel import launch; launch('step.py', 2)"
    environment = clean_environment(PYTHONPATH=str(CHECKOUT / "src"))
    subprocess.run([sys.executable, "-c", start], cwd=tmp_path, env=environment, check=True, timeout=60)
    for rank in range(2):
        during, after = map(int, (tmp_path / f"threads.{rank}").read_text().split())
        assert during > 0
        assert after == 0


@pytest.mark.parametrize("model", [{"model.memory": 0}, {"model.conditioning": "class", "model.memory": 4}], ids=str)
def test_two_processes_learn_the_same_as_one(prepared: Workspace, tmp_path: Path, model: dict[str, object]) -> None:
    """The validations read a sample, and the whole split at the end."""
    histories, metrics = [], []
    for processes in (1, 2):
        workspace = prepared.copy(tmp_path / str(processes))
        workspace.set({"train.processes": processes, "train.valid_characters": 3000} | model)
        workspace.run_script("train")
        histories.append(read_history(workspace.folder / "plots/history.csv"))
        metrics.append(json.loads((workspace.folder / "metrics/train.json").read_text()))
    assert metrics[1] == pytest.approx(metrics[0], abs=1e-4)
    assert len(histories[0]) == len(histories[1]) > 5
    for alone, shared in zip(*histories, strict=True):
        assert shared.step == alone.step
        assert shared.loss_nats == pytest.approx(alone.loss_nats, abs=1e-4)
        assert shared.valid_bpc == (None if alone.valid_bpc is None else pytest.approx(alone.valid_bpc, abs=1e-4))


def test_samples_change_no_byte_of_a_training_in_two_processes(prepared: Workspace, tmp_path: Path) -> None:
    """Only process 0 draws them."""
    digests, samples = [], []
    for length in (0, 40):
        workspace = prepared.copy(tmp_path / str(length))
        changes = {"train.processes": 2, "train.sample_length": length, "model.memory": 4, "model.dropout": 0.2}
        workspace.set(changes)
        workspace.run_script("train")
        digests.append(workspace.digests("train"))
        samples.append(read_training_samples(workspace.folder / "reports/training_samples.json"))
    differing = {path for path, digest in digests[0].items() if digests[1][path] != digest}
    # model.json contains the train_key, which depends on the parameters of the samples
    assert differing == {"reports/training_samples.json", "models/charloom/model.json"}
    assert samples[0] == []
    assert len(samples[1]) > 2
    assert {len(each.text) for each in samples[1]} == {40}


def test_after_a_killed_worker_the_next_run_continues_from_the_checkpoint(prepared: Workspace, tmp_path: Path) -> None:
    undisturbed, killed = (prepared.copy(tmp_path / name) for name in ("undisturbed", "killed"))
    settings = {"train.processes": 2, "train.epochs": 2.0, "train.checkpoint_every": 0.1}
    for workspace in (undisturbed, killed):
        workspace.set(settings)
    undisturbed.run_script("train")
    with killed.start_script("train") as process:
        wait_for_checkpoint(killed)
        psutil.Process(process.pid).children()[-1].kill()
        output = process.communicate(timeout=60)[0]
    assert process.returncode == 1
    assert "ended with SIGKILL; the next `dvc repro` continues from the last checkpoint" in output
    assert "Traceback" not in output
    assert not (killed.folder / "models").exists()
    killed.run_script("train")
    assert killed.digests("train") == undisturbed.digests("train")


def test_sigterm_reaches_every_process_and_saves_a_checkpoint(prepared: Workspace, tmp_path: Path) -> None:
    workspace = prepared.copy(tmp_path)
    workspace.set({"train.processes": 2, "train.epochs": 50.0, "train.checkpoint_every": 0.1})
    with workspace.start_script("train") as process:
        wait_for_checkpoint(workspace)
        process.send_signal(signal.SIGTERM)
        output = process.communicate(timeout=60)[0]
    assert process.returncode == 1
    assert "the next `dvc repro` continues from the last checkpoint" in output
    assert "Traceback" not in output


@pytest.mark.skipif(torch.cuda.device_count() >= 2, reason="this machine has two GPUs")
def test_more_processes_than_gpus_is_an_error() -> None:
    gpus = torch.cuda.device_count()
    expected = rf"train\.processes = 2: each process needs a GPU of its own, and this machine has {gpus}; set"
    with pytest.raises(InputError, match=expected):
        check_gpus(2)
