"""The model as MLflow has it: in every complete run, whole, and served over HTTP by MLflow's own server."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas
import pytest

from charloom.model.sampling import Sampling, sample
from charloom.model.saved import load_model
from charloom.tracking.models import log_model, save
from charloom.tracking.store import Store
from tests.learning import save_conditioned_model, save_small_model
from tests.tracking.tracked import PARAMS, Tracked

if TYPE_CHECKING:
    from mlflow.entities import Run

START_S = 120.0  # that a server may take on a busy machine


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_small_model(tmp_path_factory.mktemp("model"), tmp_path_factory.mktemp("windows"))


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory, tables: Path, model_folder: Path) -> Iterator[tuple[Store, str]]:
    """A store with a run that has its model, and the run's id."""
    root = tmp_path_factory.mktemp("root")
    shutil.copyfile(tables, root / "mlflow.db")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{root / 'mlflow.db'}")
        store = Store.open(PARAMS)
        run_id = store.client.create_run(store.experiment_id).info.run_id
        log_model(store, run_id, model_folder)
        yield store, run_id


@pytest.fixture
def files(logged: tuple[Store, str]) -> Path:
    """The folder of the logged model's files."""
    store, run_id = logged
    (model_id,) = models_of(store.client.get_run(run_id))
    return Path(store.client.get_logged_model(model_id).artifact_location.removeprefix("file://"))


@pytest.fixture(scope="module")
def port(logged: tuple[Store, str]) -> Iterator[int]:
    """Where `mlflow models serve` serves the run's model."""
    _, run_id = logged
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = ["mlflow", "models", "serve", "--model-uri", f"runs:/{run_id}/charloom", "--env-manager", "local"]
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    process = subprocess.Popen([*command, "--host", "127.0.0.1", "--port", str(port)], env=os.environ | {"PATH": path})
    try:
        until = time.monotonic() + START_S
        while not answers(port):
            assert process.poll() is None, "the server ended"
            assert time.monotonic() < until, "the server did not start"
            time.sleep(0.2)
        yield port
    finally:
        process.terminate()
        process.wait(30)


def models_of(run: Run) -> list[str]:
    """The ids of a run's models."""
    return [output.model_id for output in run.outputs.model_outputs] if run.outputs else []


def answers(port: int) -> bool:
    try:
        return request(port, "GET", "/ping")[0] == 200
    except OSError:
        return False


def request(port: int, method: str, path: str, body: object = None) -> tuple[int, str]:
    """The status and the text of an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request(method, path, json.dumps(body), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def invoke(port: int, prompts: list[str], **params: Any) -> tuple[int, dict[str, Any]]:
    status, answer = request(port, "POST", "/invocations", {"inputs": {"prompt": prompts}, "params": params})
    return status, json.loads(answer)


def test_a_request_gets_what_follows_its_prompts(port: int, model_folder: Path) -> None:
    prompts = ["Stocks ", "", "日\n"]
    how: dict[str, Any] = {"length": 40, "temperature": 0.7, "top_k": 20, "top_p": 0.9, "seed": 3}
    saved = load_model(model_folder)
    texts = sample(saved.model, saved.vocabulary, prompts, Sampling(**how))
    assert invoke(port, prompts, **how) == (200, {"predictions": [{"text": text} for text in texts]})


def test_a_request_without_parameters_gets_the_defaults(port: int) -> None:
    status, answer = invoke(port, ["Stocks "])
    assert status == 200
    assert [len(each["text"]) for each in answer["predictions"]] == [Sampling().length]


def test_a_parameter_out_of_range_is_a_bad_request_that_says_so(port: int) -> None:
    status, answer = invoke(port, ["Stocks "], temperature=-1.0)
    assert status == 400
    assert "temperature = -1.0: must be from 0 (greedy) to 100" in answer["message"]


def test_a_logged_model_is_whole_and_holds_no_pickle(files: Path, model_folder: Path) -> None:
    for name in ("model.json", "model.safetensors"):
        assert (files / "artifacts" / model_folder.name / name).read_bytes() == (model_folder / name).read_bytes()
    assert (files / "code/charloom/model/sampling.py").exists()
    assert not [path for path in files.rglob("*") if path.suffix in (".pkl", ".pickle", ".pt", ".pth", ".bin", ".pyc")]
    requirements = (files / "requirements.txt").read_text().split()
    assert {line.partition("==")[0] for line in requirements} >= {"mlflow", "torch", "safetensors"}
    assert not [line for line in requirements if "+" in line]  # a build's name is on no index


def test_the_signature_says_prompts_in_texts_out_and_samplings_parameters(files: Path) -> None:
    from mlflow.models import Model

    about = Model.load(str(files))
    assert about.signature.inputs.input_names() == ["prompt", "class"]
    assert about.signature.inputs.required_input_names() == ["prompt"]
    assert about.signature.outputs.input_names() == ["text"]
    stated = {spec.name: spec.default for spec in about.signature.params.params}
    assert stated == {field.name: field.default for field in fields(Sampling)}
    example, params = about.load_input_example(str(files)), about.load_input_example_params(str(files))
    assert isinstance(example, pandas.DataFrame)
    assert list(example) == ["prompt"]
    assert set(params) <= set(stated)


def test_a_conditioned_model_is_asked_for_a_class_by_name(tmp_path: Path) -> None:
    from mlflow import MlflowException, pyfunc
    from mlflow.models import Model

    folder = save_conditioned_model(tmp_path / "conditioned", tmp_path / "windows")
    save(tmp_path / "logged", folder, Model())
    logged, saved = pyfunc.load_model(str(tmp_path / "logged")), load_model(folder)
    prompts, names = ["Oil ", "Oil ", "Oil "], ["World", "Sports", None]
    expected = sample(saved.model, saved.vocabulary, prompts, Sampling(length=30), classes=[0, 1, 4])
    asked = pandas.DataFrame({"prompt": prompts, "class": names})
    assert logged.predict(asked, params={"length": 30})["text"].tolist() == expected
    with pytest.raises(MlflowException, match="class 'Weather': must be one of World, Sports, Business, Sci/Tech"):
        logged.predict(pandas.DataFrame({"prompt": ["Oil "], "class": ["Weather"]}))


def test_a_model_is_logged_once(logged: tuple[Store, str], model_folder: Path) -> None:
    store, run_id = logged
    before = models_of(store.client.get_run(run_id))
    log_model(store, run_id, model_folder)
    assert models_of(store.client.get_run(run_id)) == before
    assert len(before) == 1


def test_a_model_that_is_moved_brings_its_code(files: Path, model_folder: Path, tmp_path: Path) -> None:
    """Loaded where no charloom is installed, it runs its own copy."""
    code = (
        "import sys, mlflow, pandas\n"
        "sys.meta_path = [f for f in sys.meta_path if 'editable' not in repr(f)]\n"
        "sys.path = [p for p in sys.path if not p.endswith('src')]\n"
        "model = mlflow.pyfunc.load_model(sys.argv[1])\n"
        "print(model.predict(pandas.DataFrame({'prompt': ['a']}), params={'length': 5})['text'][0])\n"
        "print(sys.modules['charloom'].__file__)\n"
    )
    moved = shutil.copytree(files, tmp_path / "moved")
    done = subprocess.run(
        [sys.executable, "-c", code, str(moved)], capture_output=True, text=True, cwd=tmp_path, check=True
    )
    saved = load_model(model_folder)
    text, place = done.stdout.rsplit("\n", 2)[:2]
    assert text == sample(saved.model, saved.vocabulary, ["a"], Sampling(length=5))[0]
    assert Path(place).is_relative_to(moved)


def test_every_complete_run_has_its_model(tracked: Tracked) -> None:
    tracked.train()
    tracked.evaluate()
    (run,) = tracked.runs()
    (model_id,) = models_of(run)
    assert tracked.client.get_logged_model(model_id).status == "READY"
