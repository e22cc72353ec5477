"""The model in MLflow's format, so that MLflow can load and serve the model.

MLflow's format contains the weights, a copy of charloom's code, a signature and an example of a request.
"""

from __future__ import annotations

import logging
import shutil
import tempfile
from contextlib import suppress
from dataclasses import fields
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from charloom.model.sampling import Sampling
from charloom.tracking.store import Store

if TYPE_CHECKING:
    from mlflow.entities import LoggedModel
    from mlflow.models import Model, ModelSignature

NAME = "charloom"
PACKAGE = Path(__file__).parents[1]
# The code that is copied into each logged model: charloom's own modules (errors.py and the like), the packages text and
# model, and the modules of the package corpus that text and model import
_CORPUS = ("__init__", "articles", "digests", "encodings", "lines")
SERVED = ("*.py", *(f"corpus/{name}.py" for name in _CORPUS), "text/*.py", "model/*.py")
# the packages that a served model imports
REQUIREMENTS = ("torch", "numpy", "safetensors", "pydantic", "portalocker", "scipy")
MLFLOW_TYPES = {"int": "long", "float": "double", "bool": "boolean"}  # Python's types → MLflow's names for them


def log_model(store: Store, run_id: str, folder: Path) -> str:
    """Log the model in a folder as the model of a run, unless the run has a model already. Returns the model's id.

    `mlflow models serve -m runs:/RUN_ID/charloom` serves the logged model.

    Only when all its files are in MLflow, a logged model becomes the model of the run. If logging fails, the logged
    model is deleted. If an earlier process was killed while it logged, its logged model is deleted first.
    """
    from mlflow.entities import LoggedModelOutput, LoggedModelStatus

    client = store.client
    run = client.get_run(run_id)
    if run.outputs and run.outputs.model_outputs:
        return str(run.outputs.model_outputs[0].model_id)
    _delete_logged(store, run_id)
    try:
        logged = client.create_logged_model(store.experiment_id, NAME, run_id, params=run.data.params)
        _log_files(store, logged, folder)
        client.finalize_logged_model(logged.model_id, LoggedModelStatus.READY)
        client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, step=0)])
    except BaseException:  # Ctrl-C too
        with suppress(Exception):  # if the store cannot be reached now, the next call deletes the model
            _delete_logged(store, run_id)
        raise
    return str(logged.model_id)


def _log_files(store: Store, logged: LoggedModel, folder: Path) -> None:
    """Send the model in a folder to MLflow, as the files of a logged model."""
    from mlflow.models import Model

    about = Model(
        artifact_path=logged.artifact_location,
        run_id=logged.source_run_id,
        model_uuid=logged.model_id,
        model_id=logged.model_id,
    )
    with tempfile.TemporaryDirectory() as temporary:
        save(Path(temporary) / "model", folder, about)
        store.client.log_model_artifacts(logged.model_id, str(Path(temporary) / "model"))


def _delete_logged(store: Store, run_id: str) -> None:
    """Delete what earlier tries have logged for a run that has no model yet."""
    ours = f"source_run_id = '{run_id}' AND name = '{NAME}'"
    for model in store.client.search_logged_models([store.experiment_id], ours):
        store.client.delete_logged_model(model.model_id)


def save(target: Path, folder: Path, about: Model) -> None:
    """Write the model in `folder` to the folder `target` in MLflow's format.

    `about` is MLflow's description of the model. It says which run the model belongs to.
    """
    import pandas
    from mlflow import pyfunc

    logging.getLogger("mlflow").setLevel(logging.WARNING)  # by default MLflow prints a line for each step of saving
    with tempfile.TemporaryDirectory() as temporary:
        code = copy_served_code(Path(temporary) / "charloom")
        # With DVC's cache.type symlink, the files of the model are links, which MLflow refuses. copytree follows them.
        files = shutil.copytree(folder, Path(temporary) / "files" / folder.name)
        pyfunc.save_model(
            target,
            mlflow_model=about,
            python_model=str(Path(__file__).with_name("pyfunc.py")),
            artifacts={"model": str(files)},
            code_paths=[str(code)],
            signature=signature(),
            input_example=(pandas.DataFrame({"prompt": ["Stocks "]}), {"temperature": 0.8, "length": 200}),
            pip_requirements=[f"{name}=={version(name).partition('+')[0]}" for name in REQUIREMENTS],
        )


def copy_served_code(target: Path) -> Path:
    """Copy the part of charloom that a served model needs to the folder `target`. Returns `target`."""
    for pattern in SERVED:
        for source in PACKAGE.glob(pattern):
            copy = target / source.relative_to(PACKAGE)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, copy)
    return target


def signature() -> ModelSignature:
    """The form of a request and of its answer.

    A request has a column of prompts, and may have a column of class names. The parameters of a request are the fields
    of Sampling. pyfunc.py limits them (MAX_PROMPTS and the constants after it). The answer has a column of texts.
    """
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema

    params = [
        ParamSpec(field.name, MLFLOW_TYPES[str(field.type).split()[0]], field.default) for field in fields(Sampling)
    ]
    inputs = Schema([ColSpec("string", "prompt"), ColSpec("string", "class", required=False)])
    return ModelSignature(inputs, Schema([ColSpec("string", "text")]), ParamSchema(params))
