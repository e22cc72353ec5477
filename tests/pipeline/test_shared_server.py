"""A shared `mlflow server` with its runs in PostgreSQL and its artefacts in S3, which is killed while runs are sent."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from charloom.files import file_digest, value_digest
from charloom.training.history import read_history
from tests.conftest import Run as RunPython
from tests.conftest import Start, line_of
from tests.pipeline.conftest import Charloom
from tests.pipeline.workspace import Workspace
from tests.services import BUCKET, S3, need, postgres, s3
from tests.tracking.server import Server

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

WORKERS = 4
RUNS = 20
# A process that sends the results of several folders as the stages do, which give up if the server fails. Then the
# process waits for a line on stdin, and publishes the results of all folders as `charloom publish` does.
SENDING = """
import os, sys, torch
from dataclasses import replace
from pathlib import Path
from charloom.model.saved import load_model
from charloom.params_file import load_params
from charloom.tracking.publication import Evaluated, publish, track_evaluation
from charloom.tracking.stream import track_training
from charloom.training.sampler import read_training_samples

def evaluated(folder):
    os.chdir(folder)
    os.environ["DVC_EXP_NAME"] = Path(folder).name  # the name of the run
    return Evaluated.of_workspace(load_params(), load_model(Path("models/charloom")), Path())

for folder in sys.argv[1:]:
    each, params = evaluated(folder), load_params().tracking
    training = replace(each.card, keys={"train_key": each.card.keys["train_key"]}).trained_on(torch.device("cpu"))
    samples = read_training_samples(Path("reports/training_samples.json"))
    with track_training(params, training, [], samples) as listener:
        for record in each.history:
            listener(record)
        listener.finish(each.card.keys["model_digest"])
    track_evaluation(params, each)
    print("sent")
print("end")
sys.stdin.readline()
for folder in sys.argv[1:]:
    publish(load_params().tracking, evaluated(folder))
"""
# Loads the logged model of a run from the server, and lets the model write.
LOADING = """
import sys, mlflow, pandas
model = mlflow.pyfunc.load_model(f"runs:/{sys.argv[1]}/charloom")
print(len(model.predict(pandas.DataFrame({"prompt": ["Stocks "]}), params={"length": 20})["text"][0]))
"""


class Shared:
    """The server, and the S3 server in which it keeps the artefacts."""

    def __init__(self, folder: Path, database: str, storage: S3) -> None:
        self.storage = storage
        self.secrets = [str(urlsplit(database).password), storage.secret]
        destination = {"MLFLOW_ARTIFACTS_DESTINATION": f"s3://{BUCKET}", **storage.environment}
        self.server = Server(folder, workers=2, MLFLOW_BACKEND_STORE_URI=database, **destination)

    @property
    def client(self) -> MlflowClient:
        from mlflow import MlflowClient

        return MlflowClient(self.server.uri)

    def runs(self) -> list[Run]:
        experiment = self.client.get_experiment_by_name("charloom")
        assert experiment
        return list(self.client.search_runs([experiment.experiment_id]))

    def check_secrets(self, *outputs: str) -> None:
        """The server's log and these outputs contain neither the password of the database nor the secret of S3."""
        for output in (*outputs, (self.server.folder / "log").read_text()):
            assert not [secret for secret in self.secrets if secret in output]


@pytest.fixture
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    need("initdb", "postgres", "psycopg", "boto3", "moto")
    with postgres() as database, s3() as storage:
        shared = Shared(tmp_path_factory.mktemp("shared"), database, storage)
        shared.server.start()
        yield shared
        shared.server.kill()


def retrained(finished: Workspace, folder: Path, server: str) -> Workspace:
    """A copy of the finished pipeline, changed as if another training had made the same weights."""
    copy = replace(finished.copy(folder), variables={"MLFLOW_TRACKING_URI": server})
    copy.set({"tracking.timeout": 60.0})
    about, lock = copy.folder / "models/charloom/model.json", copy.folder / "dvc.lock"
    text, before = about.read_text(), file_digest(about, "md5")
    about.write_text(text.replace(json.loads(text)["train_key"], value_digest(folder.name)))
    lock.write_text(lock.read_text().replace(before, file_digest(about, "md5")))
    return copy


def send(server: Server, folders: list[Path], start: Start) -> list[str]:
    """Send the results of these folders from several processes. The server is killed and started again meanwhile.

    Returns the outputs of the processes.
    """
    processes = [start(SENDING, *folders[worker::WORKERS]) for worker in range(WORKERS)]
    outputs = [until(processes[0], "sent")]
    server.kill()  # all processes are sending
    outputs += [until(process, "end") for process in processes]
    server.start()
    for process in processes:
        outputs += process.communicate("\n", timeout=300)
        assert process.returncode == 0, outputs[-1]
    return outputs


def until(process: subprocess.Popen[str], line: str) -> str:
    """The output of a process until this line."""
    output = ""
    while not output.endswith(f"{line}\n"):
        read = line_of(process.stdout)
        assert read, process.communicate()
        output += read
    return output


def test_runs_from_several_processes_are_complete_once_after_a_crash_of_the_server(
    finished: Workspace,
    shared: Shared,
    start_python: Start,
    run_python: RunPython,
    charloom: Charloom,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", shared.server.uri)
    workspaces = {f"run-{n:03}": retrained(finished, tmp_path / f"run-{n:03}", shared.server.uri) for n in range(RUNS)}
    outputs = send(shared.server, [each.folder for each in workspaces.values()], start_python)
    assert any("warning: MLflow" in output for output in outputs)
    assert not any("Traceback" in output for output in outputs)

    runs = {str(run.info.run_name): run for run in shared.runs()}
    assert len(shared.runs()) == RUNS
    assert runs.keys() == workspaces.keys()
    history = [record.step for record in read_history(finished.folder / "plots/history.csv")]
    stored = shared.storage.content()
    for name, run in runs.items():
        assert run.inputs
        assert run.outputs
        assert run.info.status == "FINISHED"
        points = shared.client.get_metric_history(run.info.run_id, "train/bpc")
        assert [point.step for point in points] == history
        weights = f"{run.info.experiment_id}/{run.info.run_id}/artifacts/models/charloom/model.safetensors"
        assert stored[weights] == (workspaces[name].folder / "models/charloom/model.safetensors").read_bytes()
        assert len(run.inputs.dataset_inputs) == 2
        (model,) = run.outputs.model_outputs
        assert any(model.model_id in path for path in stored)

    listed = charloom(workspaces["run-000"], "runs", "--each").output
    assert sorted(re.findall(r"run-\d+", listed)) == sorted(workspaces)
    for name in [*workspaces][::5]:  # one run of each process
        verified = charloom(workspaces[name], "verify", name)
        assert len(verified.lines("agrees:")) == 7
        outputs.append(verified.output)
    loaded = run_python(LOADING, runs["run-000"].info.run_id)
    assert loaded.stdout == "20\n", loaded.stderr
    shared.check_secrets(listed, loaded.stderr, *outputs)
