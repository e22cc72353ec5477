"""The model in MLflow's format, so that MLflow can load and serve the model.

MLflow's format contains the weights, a copy of charloom's code, a signature and an example of a request.
"""

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
    """
    from mlflow.entities import LoggedModelOutput, LoggedModelStatus
    from mlflow.models import Model

    client = store.client
    run = client.get_run(run_id)
    if run.outputs and run.outputs.model_outputs:
        return str(run.outputs.model_outputs[0].model_id)
    logged = client.create_logged_model(store.experiment_id, NAME, run_id, params=run.data.params)
    with tempfile.TemporaryDirectory() as temporary:
        about = Model(
            artifact_path=logged.artifact_location, run_id=run_id, model_uuid=logged.model_id, model_id=logged.model_id
        )
        save(Path(temporary) / "model", folder, about)
        client.log_model_artifacts(logged.model_id, str(Path(temporary) / "model"))
    client.finalize_logged_model(logged.model_id, LoggedModelStatus.READY)
    # The run gets the model last, so that a run never has an incomplete model.
    client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, step=0)])
    return str(logged.model_id)


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
