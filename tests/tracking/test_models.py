"""The model of a run in MLflow: its files, the copy of charloom's code, and requests to `mlflow models serve`."""

from __future__ import annotations

import ast
import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

import pandas
import pytest
from mlflow.entities import LoggedModelStatus

from charloom.model.sampling import Sampling, sample
from charloom.model.saved import load_model, save_model
from charloom.tracking.models import REQUIREMENTS, log_model, save
from charloom.tracking.store import Store
from code_deps import SRC, imported, nodes_that_run
from tests.learning import encode_sample, remembering_model, save_conditioned_model, save_small_model
from tests.tracking.tracked import PARAMS, Tracked

if TYPE_CHECKING:
    from mlflow.entities import Run

START_S = 120.0  # the most seconds that a server may take to start on a busy machine

# Loads a logged model where the installed charloom cannot be imported. Prints a text that the model writes, and the
# files from which charloom's modules were imported.
SERVE = """
import json, sys
sys.meta_path = [finder for finder in sys.meta_path if "editable" not in repr(finder)]
sys.path = [path for path in sys.path if not path.endswith("src")]
import mlflow, pandas
model = mlflow.pyfunc.load_model(sys.argv[1])
text = model.predict(pandas.DataFrame({"prompt": ["a"]}), params={"length": 5})["text"][0]
modules = [module.__file__ for name, module in sys.modules.items() if name.split(".")[0] == "charloom"]
print(json.dumps({"text": text, "modules": modules}))
"""


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with an n-gram memory, so serving needs the code of the memory too."""
    return save_small_model(tmp_path_factory.mktemp("model"), tmp_path_factory.mktemp("windows"), memory=4)


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory, tables: Path, model_folder: Path) -> Iterator[tuple[Store, str]]:
    """A store with a run whose model is logged, and the id of the run."""
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
    """The folder in which MLflow keeps the files of the logged model."""
    store, run_id = logged
    (model_id,) = models_of(store.client.get_run(run_id))
    return Path(store.client.get_logged_model(model_id).artifact_location.removeprefix("file://"))


@pytest.fixture(scope="module")
def port(logged: tuple[Store, str]) -> Iterator[int]:
    """The port on which `mlflow models serve` serves the model of the run."""
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


def imported_names(path: Path) -> Iterator[str]:
    """The dotted names of the modules that a file imports, also inside functions."""
    for node in nodes_that_run(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def models_of(run: Run) -> list[str]:
    """The ids of the models of a run."""
    return [output.model_id for output in run.outputs.model_outputs] if run.outputs else []


def answers(port: int) -> bool:
    try:
        return request(port, "GET", "/ping")[0] == 200
    except OSError:
        return False


def request(port: int, method: str, path: str, body: object = None) -> tuple[int, str]:
    """Send a request. Returns the status and the text of the answer."""
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


def test_a_request_gets_the_texts_that_follow_its_prompts(port: int, model_folder: Path) -> None:
    prompts = ["Stocks ", "", "日\n"]
    how: dict[str, Any] = {"length": 40, "temperature": 0.7, "top_k": 20, "top_p": 0.9, "seed": 3}
    saved = load_model(model_folder)
    texts = sample(saved.model, saved.vocabulary, prompts, Sampling(**how))
    assert invoke(port, prompts, **how) == (200, {"predictions": [{"text": text} for text in texts]})


def test_a_request_without_parameters_uses_the_defaults(port: int) -> None:
    status, answer = invoke(port, ["Stocks "])
    assert status == 200
    assert [len(each["text"]) for each in answer["predictions"]] == [Sampling().length]


def test_a_parameter_out_of_range_is_a_bad_request_that_names_it(port: int) -> None:
    status, answer = invoke(port, ["Stocks "], temperature=-1.0)
    assert status == 400
    assert "temperature = -1.0: must be from 0 (greedy) to 100" in answer["message"]


@pytest.mark.parametrize(
    ("prompts", "length", "message"),
    [
        (["a"] * 513, 1, "513 prompts; a request may have at most 512"),
        (["a" * 10_001], 1, "a prompt of 10001 characters; shorten it to at most 10000"),
        (["a"] * 300, 1000, "300 prompts × (longest prompt of 1 characters + length 1000) = 300300"),
        (["a" * 10_000, *["a"] * 99], 1, "= 1000100; lower `length` or send fewer prompts"),
        (["a"], 10_001, "length = 10001; lower it to at most 10000"),
    ],
)
def test_a_request_that_is_too_large_is_refused_with_its_limit(
    port: int, prompts: list[str], length: int, message: str
) -> None:
    status, answer = invoke(port, prompts, length=length)
    assert status == 400
    assert message in answer["message"]
    assert "stack_trace" not in answer


def test_a_parameter_that_is_null_has_its_default(port: int) -> None:
    status, answer = invoke(port, ["Stocks "], length=None)
    assert status == 200
    assert [len(each["text"]) for each in answer["predictions"]] == [Sampling().length]


@pytest.mark.parametrize(
    "body",
    [
        {"inputs": {"prompt": ["Stocks ", None]}},
        {"inputs": [{"prompt": None}]},
        {"instances": [{"prompt": None}, {"prompt": "Stocks "}]},
        {"dataframe_records": [{"prompt": "Stocks "}, {"prompt": None}]},
        {"dataframe_split": {"columns": ["prompt"], "data": [[None]]}},
    ],
)
def test_a_prompt_that_is_null_is_a_bad_request(port: int, body: dict[str, Any]) -> None:
    status, answer = request(port, "POST", "/invocations", body)
    assert status == 400
    assert "an empty prompt is ''" in json.loads(answer)["message"]


def test_a_class_that_is_null_over_http_means_no_class(tmp_path: Path) -> None:
    from mlflow import pyfunc
    from mlflow.models import Model
    from mlflow.pyfunc.scoring_server import infer_and_parse_data

    folder = save_conditioned_model(tmp_path / "conditioned", tmp_path / "windows")
    save(tmp_path / "logged", folder, Model())
    logged, saved = pyfunc.load_model(str(tmp_path / "logged")), load_model(folder)
    asked = {"inputs": {"prompt": ["Oil ", "Oil "], "class": ["Sports", None]}}
    received = infer_and_parse_data(asked, logged.metadata.get_input_schema())  # as the server does it
    expected = sample(saved.model, saved.vocabulary, ["Oil ", "Oil "], Sampling(length=30), classes=[1, 4])
    assert logged.predict(received, params={"length": 30})["text"].tolist() == expected


def test_a_prompt_is_limited_after_its_normalization(tmp_path: Path) -> None:
    from mlflow import MlflowException, pyfunc
    from mlflow.models import Model

    encoded = encode_sample(tmp_path / "windows")
    vocabulary = replace(encoded.vocabulary, normalize="NFKC")
    save_model(tmp_path / "charloom", remembering_model(encoded), vocabulary, "t" * 64)
    save(tmp_path / "logged", tmp_path / "charloom", Model())
    logged = pyfunc.load_model(str(tmp_path / "logged"))
    with pytest.raises(MlflowException, match="a prompt of 18000 characters; shorten it to at most 10000"):
        logged.predict(pandas.DataFrame({"prompt": ["\N{ARABIC LIGATURE SALLALLAHOU ALAYHE WASALLAM}" * 1000]}))


def test_a_logged_model_is_complete_and_has_no_pickle(files: Path, model_folder: Path) -> None:
    for name in ("model.json", "model.safetensors"):
        assert (files / "artifacts" / model_folder.name / name).read_bytes() == (model_folder / name).read_bytes()
    assert (files / "code/charloom/model/sampling.py").exists()
    assert not [path for path in files.rglob("*") if path.suffix in (".pkl", ".pickle", ".pt", ".pth", ".bin", ".pyc")]
    requirements = (files / "requirements.txt").read_text().split()
    assert {line.partition("==")[0] for line in requirements} >= {"mlflow", "torch", "safetensors"}
    assert not [line for line in requirements if "+" in line]  # a suffix such as +cpu is not on the package index


def test_the_signature_has_prompts_texts_and_the_fields_of_sampling(files: Path) -> None:
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


def test_a_request_to_a_conditioned_model_names_classes(tmp_path: Path) -> None:
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


def test_a_logged_model_has_only_the_code_that_serving_needs(files: Path) -> None:
    """The code for download, training, evaluation, report, tracking and cli is missing. No import is missing."""
    copied = {path.relative_to(files / "code") for path in (files / "code").rglob("*") if path.is_file()}
    rooms = {path.parts[1] for path in copied if len(path.parts) > 2}
    assert rooms == {"corpus", "text", "model"}
    corpus = {"__init__", "articles", "digests", "encodings", "lines"}
    assert {path.stem for path in copied if path.parts[1] == "corpus"} == corpus
    imports = set().union(*(imported(SRC / path) for path in copied))
    assert {path.relative_to(SRC) for path in imports} <= copied


def test_a_moved_model_runs_its_own_code_in_a_fresh_process(files: Path, model_folder: Path, tmp_path: Path) -> None:
    """The process cannot import the installed charloom. The copied code imports only the packages in REQUIREMENTS."""
    moved = shutil.copytree(files, tmp_path / "moved")
    done = subprocess.run(
        [sys.executable, "-c", SERVE, str(moved)], capture_output=True, text=True, cwd=tmp_path, check=True
    )
    answer = json.loads(done.stdout)
    saved = load_model(model_folder)
    assert answer["text"] == sample(saved.model, saved.vocabulary, ["a"], Sampling(length=5))[0]
    loaded = list(map(Path, answer["modules"]))
    assert loaded
    assert all(path.is_relative_to(moved) for path in loaded)
    assert moved / "code/charloom/model/memory.py" in loaded
    names = {name.partition(".")[0] for path in loaded for name in imported_names(path)}
    assert names - sys.stdlib_module_names - {"charloom"} == set(REQUIREMENTS)


def test_every_complete_run_has_a_model(tracked: Tracked) -> None:
    tracked.train()
    tracked.evaluate()
    (run,) = tracked.runs()
    (model_id,) = models_of(run)
    assert tracked.client.get_logged_model(model_id).status == "READY"


def logged_models(tracked: Tracked) -> dict[str, str]:
    """The status of each logged model that is not deleted, by its id."""
    [experiment] = {run.info.experiment_id for run in tracked.runs()}
    return {model.model_id: str(model.status) for model in tracked.client.search_logged_models([experiment])}


def test_a_model_that_cannot_be_logged_leaves_nothing(tracked: Tracked) -> None:
    tracked.train()
    (run,) = tracked.runs()
    with pytest.raises(FileNotFoundError):
        log_model(Store.open(PARAMS), run.info.run_id, tracked.workspace / "missing")
    assert logged_models(tracked) == {}


@pytest.mark.parametrize("status", [LoggedModelStatus.PENDING, LoggedModelStatus.READY])
def test_the_logged_model_of_a_killed_process_is_deleted(tracked: Tracked, status: LoggedModelStatus) -> None:
    """The process may have been killed before all files were in MLflow, or before the run got the model."""
    tracked.train()
    (run,) = tracked.runs()
    left = tracked.client.create_logged_model(run.info.experiment_id, "charloom", run.info.run_id)
    tracked.client.finalize_logged_model(left.model_id, status)
    tracked.evaluate()
    (run,) = tracked.runs()
    assert logged_models(tracked) == dict.fromkeys(models_of(run), "READY")
    assert left.model_id not in models_of(run)


def test_an_evaluation_publishes_a_model_whose_files_are_links(tracked: Tracked, tmp_path: Path) -> None:
    """DVC makes such links with cache.type symlink. They lead out of the workspace."""
    folder = tracked.workspace / "models/charloom"
    for file in folder.iterdir():
        file.rename(tmp_path / file.name)
        file.symlink_to(tmp_path / file.name)
    tracked.train()
    tracked.evaluate()
    (run,) = tracked.runs()
    assert run.info.status == "FINISHED"
    (model_id,) = models_of(run)
    location = Path(url2pathname(urlsplit(tracked.client.get_logged_model(model_id).artifact_location).path))
    assert not [path for path in location.rglob("*") if path.is_symlink()]
    assert (location / "artifacts/charloom/model.json").read_text() == "{}\n"
