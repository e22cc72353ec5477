"""The model as MLflow serves it: this file is copied into each logged model and run there ("models from code").

It reads model.safetensors and model.json; nothing is pickled. `charloom` is the copy that lies beside it in the model.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas
from mlflow.exceptions import MlflowException
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel, PythonModelContext

from charloom.errors import InputError
from charloom.model.device import choose_device
from charloom.model.sampling import Sampling, sample
from charloom.model.saved import load_model


class Writer(PythonModel):
    """Writes what follows a prompt."""

    def load_context(self, context: PythonModelContext) -> None:
        """Read the weights once, when the model is loaded."""
        self.saved = load_model(Path(context.artifacts["model"]), choose_device("auto", "device"))

    def predict(
        self, context: PythonModelContext, model_input: pandas.DataFrame, params: dict[str, Any] | None = None
    ) -> pandas.DataFrame:
        """What follows each `prompt`, as `text`, under each `class` where there are some.

        `params` are those of charloom.model.sampling.Sampling.
        """
        prompts = model_input["prompt"].tolist()
        try:
            how = Sampling(**(params or {}))
            classes = self._classes(model_input["class"]) if "class" in model_input else None
        except InputError as error:
            raise MlflowException.invalid_parameter_value(str(error)) from None
        texts = sample(self.saved.model, self.saved.vocabulary, prompts, how, classes=classes)
        return pandas.DataFrame({"text": texts})

    def _classes(self, names: pandas.Series) -> list[int]:
        """The classes of these names; what is null is no class."""
        no_class = self.saved.model.no_class
        return [no_class if pandas.isna(name) else self.saved.class_named(name) for name in names]


set_model(Writer())
