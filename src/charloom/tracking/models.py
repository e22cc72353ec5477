"""The model as MLflow knows models: with a signature and an example, to be loaded or served by MLflow's own means."""

from __future__ import annotations

import logging
import shutil
import tempfile
from dataclasses import fields
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from charloom.model.sampling import Sampling
from charloom.tracking.store import Store

if TYPE_CHECKING:
    from mlflow.models import Model, ModelSignature

NAME = "charloom"
PACKAGE = Path(__file__).parents[1]
NOT_SERVED = shutil.ignore_patterns("__pycache__", "sample", "cli", "tracking")
REQUIREMENTS = ("torch", "numpy", "safetensors", "pydantic", "pyyaml", "portalocker")  # what the model's code imports
KINDS = {"int": "long", "float": "double", "bool": "boolean"}  # MLflow's names


def log_model(store: Store, run_id: str, folder: Path) -> None:
    """Log the model in a folder as a run's, unless the run has it: `mlflow models serve -m runs:/RUN_ID/charloom`."""
    from mlflow.entities import LoggedModelOutput, LoggedModelStatus
    from mlflow.models import Model

    client = store.client
    run = client.get_run(run_id)
    if run.outputs and run.outputs.model_outputs:
        return
    logged = client.create_logged_model(store.experiment_id, NAME, run_id, params=run.data.params)
    with tempfile.TemporaryDirectory() as temporary:
        about = Model(
            artifact_path=logged.artifact_location, run_id=run_id, model_uuid=logged.model_id, model_id=logged.model_id
        )
        save(Path(temporary) / "model", folder, about)
        client.log_model_artifacts(logged.model_id, str(Path(temporary) / "model"))
    client.finalize_logged_model(logged.model_id, LoggedModelStatus.READY)
    client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, step=0)])  # last: a run that has it has it whole


def save(target: Path, folder: Path, about: Model) -> None:
    """Write the model in `folder` to `target` as MLflow's files, with the code that it needs."""
    import pandas
    from mlflow import pyfunc

    logging.getLogger("mlflow").setLevel(logging.WARNING)  # it tells of each step
    with tempfile.TemporaryDirectory() as temporary:
        code = shutil.copytree(PACKAGE, Path(temporary) / "charloom", ignore=NOT_SERVED)
        pyfunc.save_model(
            target,
            mlflow_model=about,
            python_model=str(Path(__file__).with_name("pyfunc.py")),
            artifacts={"model": str(folder)},
            code_paths=[str(code)],
            signature=signature(),
            input_example=(pandas.DataFrame({"prompt": ["Stocks "]}), {"temperature": 0.8, "length": 200}),
            pip_requirements=[f"{name}=={version(name).partition('+')[0]}" for name in REQUIREMENTS],
        )


def signature() -> ModelSignature:
    """A column of prompts in, and the class of each where one is wanted; texts out. The parameters are Sampling's."""
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema

    params = [ParamSpec(field.name, KINDS[str(field.type).split()[0]], field.default) for field in fields(Sampling)]
    asked = Schema([ColSpec("string", "prompt"), ColSpec("string", "class", required=False)])
    return ModelSignature(asked, Schema([ColSpec("string", "text")]), ParamSchema(params))
