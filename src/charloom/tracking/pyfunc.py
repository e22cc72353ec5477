"""The code that MLflow runs to serve a model. MLflow copies this file into each logged model ("models from code").

The model is read from model.safetensors and model.json. Nothing is pickled. In a logged model, `import charloom` finds
the copy of charloom's code that the logged model contains.
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
        """The text that follows each `prompt`, in a column `text`.

        If the input has a column `class`, each text is written as an article of that class. `params` are the fields of
        charloom.model.sampling.Sampling.
        """
        prompts = model_input["prompt"].tolist()
        try:
            how = Sampling(**(params or {}))
            class_ids = self._class_ids(model_input["class"]) if "class" in model_input else None
        except InputError as error:
            raise MlflowException.invalid_parameter_value(str(error)) from None
        texts = sample(self.saved.model, self.saved.vocabulary, prompts, how, classes=class_ids)
        return pandas.DataFrame({"text": texts})

    def _class_ids(self, class_names: pandas.Series) -> list[int]:
        """The class ids of these names. A null becomes `no_class`."""
        no_class = self.saved.model.no_class
        return [no_class if pandas.isna(name) else self.saved.class_named(name) for name in class_names]


set_model(Writer())
