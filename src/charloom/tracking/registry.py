"""Models in MLflow: naming the best one with an alias, and fetching the files of one.

MLflow's registry has *registered models*. A registered model has numbered versions, and an *alias* is a name for one of
the versions. charloom registers all models of an experiment as versions of one registered model, which has the name of
the experiment.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from charloom.corpus.download import cache_folder, cache_lock
from charloom.errors import InputError
from charloom.files import file_digest
from charloom.params import TrackingParams
from charloom.tracking.overview import find_run, tested_on
from charloom.tracking.relocation import check_files
from charloom.tracking.store import Store, tracking_uri

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.entities.model_registry import ModelVersion
    from mlflow.tracking import MlflowClient

RUN, REGISTERED = "runs:/", "models:/"  # beginnings of addresses
FILES = ("model.safetensors", "model.json")
T = TypeVar("T")
NOT_FOUND = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")  # MLflow's codes for a model that does not exist


def promote(params: TrackingParams, wanted: str, alias: str, *, other_data: bool) -> str:
    """Give the model of a run an alias. Returns a sentence that says what the alias names, and what it named before.

    `wanted` is a run's name or the beginning of its id. Raises InputError if the run has no model, or if the alias
    names a model that was tested on other data. `other_data` allows this.
    """
    store, run = find_run(params, wanted)
    before = _if_known(lambda: store.client.get_model_version_by_alias(params.experiment, alias))
    if before:
        old = store.client.get_run(str(before.run_id))
        if tested_on(old) != tested_on(run) and not other_data:
            raise InputError(
                f"{alias} names {_described(old)}, which was tested on other data than {_described(run)}, so their"
                " numbers cannot be compared; to promote the run all the same, add --other-data"
            )
    version = _register(store, params.experiment, run)
    store.client.set_registered_model_alias(params.experiment, alias, version)
    now = f"{REGISTERED}{params.experiment}@{alias} is now version {version}: {_described(run)}"
    return now if before is None else f"{now}; before, it was version {before.version}: {_described(old)}"


def fetch_model(params: TrackingParams, model: str) -> Path:
    """The folder with the files of a model in MLflow. They are downloaded into the user's cache, if they are not there.

    `model` is an address, or a run's name or the beginning of its id. Raises InputError if there is no such model, or
    if its weights are not those of the run.
    """
    store, run = _run_of(params, model)
    digest = run.data.tags.get("model_digest")
    if digest is None:
        raise InputError(f"{model}: {_described(run)} has no model; `charloom publish` adds it if this folder has it")
    folder = cache_folder() / "models" / digest
    with cache_lock(folder.with_suffix(".lock"), f"the model {digest[:8]} in the cache"):
        if not folder.exists():
            _download(store, run, digest, folder)
    return folder


def _download(store: Store, run: Run, digest: str, folder: Path) -> None:
    check_files(store.client, run)
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        whole = Path(temporary) / "whole"
        whole.mkdir()
        for name in FILES:
            path = store.client.download_artifacts(run.info.run_id, f"models/charloom/{name}", temporary)
            shutil.move(path, whole / name)
        if file_digest(whole / FILES[0]) != digest:
            raise InputError(f"{_described(run)}: the weights in MLflow are not those that the run's tags state")
        whole.rename(folder)


def _run_of(params: TrackingParams, model: str) -> tuple[Store, Run]:
    if not model.startswith(REGISTERED):
        return find_run(params, model.removeprefix(RUN).removesuffix("/charloom"))
    store = Store.read(params)
    if store is None:
        raise InputError(f"{model}: no such model in {tracking_uri()}")
    client = store.client
    run = _if_known(lambda: client.get_run(str(_version(client, model.removeprefix(REGISTERED)).run_id)))
    if run is None:
        raise InputError(f"{model}: no such model in {tracking_uri()}; `charloom promote RUN` makes one from a run")
    return store, run


def _version(client: MlflowClient, address: str) -> ModelVersion:
    """The version at NAME@ALIAS or NAME/NUMBER."""
    name, separator, alias = address.partition("@")
    if separator:
        return client.get_model_version_by_alias(name, alias)
    name, _, number = address.rpartition("/")
    return client.get_model_version(name, number)


def _if_known(ask: Callable[[], T]) -> T | None:
    """What `ask` returns. None if MLflow answers that it does not know such a model."""
    from mlflow.exceptions import MlflowException

    try:
        return ask()
    except MlflowException as error:
        if error.error_code not in NOT_FOUND:
            raise
        return None


def _register(store: Store, name: str, run: Run) -> str:
    """The version of the registered model that has the model of this run. It is made if it does not exist."""
    outputs = run.outputs.model_outputs if run.outputs else []
    if not outputs:
        raise InputError(f"{_described(run)} has no logged model; `charloom publish` adds it if this folder has it")
    client = store.client
    if not client.search_registered_models(f"name = '{_quoted(name)}'"):
        client.create_registered_model(name, description="The models of charloom's experiment with this name")
    for version in client.search_model_versions(f"name = '{_quoted(name)}' and run_id = '{run.info.run_id}'"):
        return str(version.version)
    model_id = outputs[0].model_id
    # Not the address models:/ID, because MLflow would look for it in its global store.
    where = client.get_logged_model(model_id).artifact_location
    made = client.create_model_version(name, where, run.info.run_id, model_id=model_id)
    _show_version(store, model_id, {"name": name, "version": made.version})
    return str(made.version)


def _show_version(store: Store, model_id: str, version: dict[str, object]) -> None:
    """Make MLflow's list of models show the version. A server does this itself; a store without a server does not."""
    from mlflow.utils.mlflow_tags import MLFLOW_MODEL_VERSIONS

    shown = json.loads(store.client.get_logged_model(model_id).tags.get(MLFLOW_MODEL_VERSIONS, "[]"))
    if version not in shown:
        store.client.set_logged_model_tags(model_id, {MLFLOW_MODEL_VERSIONS: json.dumps([*shown, version])})


def _quoted(name: str) -> str:
    return name.replace("'", "''")


def _described(run: Run) -> str:
    """A run in a few words: its name, its id and its bits per character."""
    bpc = run.data.metrics.get("test/bpc")
    score = "" if bpc is None else f", {bpc:.4f} bits per character"
    return f"{run.info.run_name} ({run.info.run_id[:8]}{score})"
