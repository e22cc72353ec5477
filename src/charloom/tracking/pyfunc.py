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

# The limits of one request. On two cores, the largest request takes the model of params.yaml about two minutes.
MAX_PROMPTS = 512
MAX_PROMPT = 10_000  # characters of a prompt, after its normalization
MAX_LENGTH = 10_000  # of the parameter `length`
MAX_CHARACTERS = 200_000  # the number of prompts × (the characters of the longest prompt + `length`)
# In a request over HTTP with `inputs` or `instances`, MLflow turns a null in a column of texts into this text.
NULL = "None"


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
        charloom.model.sampling.Sampling. A null has the default of its field. A null in `class` means no class. A null
        in `prompt` is an error.

        A request may have at most 512 prompts of at most 10,000 characters, and `length` may be at most 10,000. The
        number of prompts × (the characters of the longest prompt + `length`) may be at most 200,000.
        """
        given = {name: value for name, value in (params or {}).items() if value is not None}
        prompts = model_input["prompt"].tolist()
        try:
            how = Sampling(**given)
            check_size(prompts, how.length)
            prompts = [self.saved.vocabulary.normalized(prompt) for prompt in prompts]
            check_size(prompts, how.length)  # again, because normalization can make a text 18 times as long
            class_ids = self._class_ids(model_input["class"]) if "class" in model_input else None
        except InputError as error:
            raise MlflowException.invalid_parameter_value(str(error)) from None
        texts = sample(self.saved.model, self.saved.vocabulary, prompts, how, classes=class_ids)
        return pandas.DataFrame({"text": texts})

    def _class_ids(self, class_names: pandas.Series) -> list[int]:
        """The class ids of these names. A null becomes `no_class`."""
        nulls = {NULL} - {each.name for each in self.saved.class_counts}
        return [
            self.saved.model.no_class if pandas.isna(name) or name in nulls else self.saved.class_named(name)
            for name in class_names
        ]


def check_size(prompts: list[Any], length: int) -> None:
    """Raise InputError if a prompt is not a text, or if a request is too large."""
    if not all(isinstance(prompt, str) for prompt in prompts):
        raise InputError("a prompt is not a text; an empty prompt is ''")
    if NULL in prompts:
        raise InputError(f"a prompt is null, or the text {NULL}, which MLflow writes for null; an empty prompt is ''")
    if len(prompts) > MAX_PROMPTS:
        raise InputError(f"{len(prompts)} prompts; a request may have at most {MAX_PROMPTS}, so send several requests")
    longest = max(map(len, prompts), default=0)
    if longest > MAX_PROMPT:
        raise InputError(f"a prompt of {longest} characters; shorten it to at most {MAX_PROMPT}")
    if length > MAX_LENGTH:
        raise InputError(f"length = {length}; lower it to at most {MAX_LENGTH}")
    total = len(prompts) * (longest + length)  # prompts are read together, so each waits for the longest one
    if total > MAX_CHARACTERS:
        raise InputError(
            f"{len(prompts)} prompts × (longest prompt of {longest} characters + length {length}) = {total}; lower"
            f" `length` or send fewer prompts, so that there are at most {MAX_CHARACTERS}"
        )


set_model(Writer())
