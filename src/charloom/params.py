"""params.yaml as typed, validated objects; the only reader of it.

There are no defaults here: every parameter stands in params.yaml, where DVC tracks it.
"""

from __future__ import annotations

import difflib
import re
import reprlib
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from charloom.errors import InputError

MAX_BYTES = 64 * 1024  # a parameter file is a page or two; more is a mistake or an attack

Fraction = Annotated[float, Field(ge=0, lt=1)]
Count = Annotated[int, Field(ge=1, le=2**31 - 1)]
Seed = Annotated[int, Field(ge=0, le=2**63 - 1)]
Device = Literal["auto", "cpu", "cuda", "mps"]


class Section(BaseModel):
    """One section of params.yaml: unknown keys, wrong types, NaN and infinities are errors."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


class DataParams(Section):
    source: Annotated[str, Field(min_length=1)]
    mirror: Annotated[str, Field(min_length=1)] | None
    timeout: Annotated[float, Field(gt=0, le=3600)]
    valid_fraction: Annotated[float, Field(gt=0, lt=1)]
    seed: Seed


class VocabParams(Section):
    min_count: Count


class WindowsParams(Section):
    length: Annotated[int, Field(ge=1, le=65536)]
    stride: Count
    scope: Literal["article", "stream"]


class ModelParams(Section):
    cell: Literal["RNN", "LSTM", "GRU"]
    hidden_size: Annotated[int, Field(ge=1, le=65536)]
    layers: Annotated[int, Field(ge=1, le=64)]
    dropout: Fraction


class TrainParams(Section):
    seed: Seed
    device: Device
    threads: Literal["auto"] | Annotated[int, Field(ge=1, le=1024)]
    batching: Literal["lanes", "shuffled"]
    batch_size: Annotated[int, Field(ge=1, le=1_000_000)]
    epochs: Annotated[float, Field(gt=0, le=100_000)]
    learning_rate: Annotated[float, Field(gt=0, le=10)]
    schedule: Literal["cosine", "constant"]
    warmup: Fraction
    grad_clip: Annotated[float, Field(gt=0)]
    validate_every: Count
    log_every: Count
    checkpoint_every: Annotated[float, Field(gt=0)]


class EvaluateParams(Section):
    seed: Seed
    device: Device
    temperatures: Annotated[list[Annotated[float, Field(ge=0, le=100)]], Field(min_length=1, max_length=20)]
    samples: Annotated[int, Field(ge=1, le=10_000)]
    sample_length: Annotated[int, Field(ge=1, le=1_000_000)]


class TrackingParams(Section):
    enabled: bool
    experiment: Annotated[str, Field(min_length=1, max_length=200)]
    timeout: Annotated[float, Field(gt=0, le=3600)]


class Params(Section):
    """The whole of params.yaml, a section a stage or a theme."""

    data: DataParams
    vocab: VocabParams
    windows: WindowsParams
    model: ModelParams
    train: TrainParams
    evaluate: EvaluateParams
    tracking: TrackingParams

    @model_validator(mode="after")
    def _lanes_need_a_stream(self) -> Params:
        if self.train.batching == "lanes" and self.windows.scope == "article":
            raise ValueError("train.batching = lanes reads across articles: allowed only with windows.scope = stream")
        return self

    def flat(self) -> dict[str, Any]:
        """The parameters as `section.name` → value."""
        return {
            f"{section}.{name}": value
            for section, values in self.model_dump().items()
            for name, value in values.items()
        }


def load_params(path: Path | str = "params.yaml") -> Params:
    """Read and validate a parameter file.

    Raises InputError, in one line that names the key, its value and what is allowed.
    """
    value = _read_yaml(Path(path))
    try:
        return Params.model_validate(value)
    except ValidationError as error:
        raise InputError(f"{path}: {_first_problem(error)}") from None


class _Loader(yaml.SafeLoader):
    """YAML as DVC reads it: 1e-3 is a number (PyYAML alone calls it text), and a key stands once."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if str(key.value) in seen:
                raise yaml.constructor.ConstructorError(None, None, f"key {key.value!r} stands twice", key.start_mark)
            seen.add(str(key.value))
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
)


def _read_yaml(path: Path) -> object:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    if len(content) > MAX_BYTES:
        raise InputError(f"{path}: larger than {MAX_BYTES} bytes, which is no parameter file")
    try:
        return yaml.load(content.decode("utf-8"), _Loader)  # noqa: S506 - a SafeLoader: it runs nothing
    except yaml.MarkedYAMLError as error:
        where = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
        raise InputError(f"{path}{where}: not valid YAML: {error.problem}") from None
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as error:
        raise InputError(f"{path}: not valid YAML: {error}") from None


def _first_problem(error: ValidationError) -> str:
    """The first wrong key in one line: its name, its value, what is allowed."""
    problems = error.errors()
    first = problems[0]
    key = _key(first)
    of_key = [problem for problem in problems if _key(problem) == key]  # one for each branch of a union
    others = len({_key(problem) for problem in problems}) - 1
    more = f" (and {others} more to mend)" if others else ""
    match first["type"]:
        case "missing":
            return f"{key} is missing{more}"
        case "extra_forbidden":
            return f"{key} = {_shown(first['input'])}: unknown key; {_hint(key)}{more}"
        case "value_error":
            return f"{first['ctx']['error']}{more}"
        case "model_type":
            return f"{key or 'the file'} = {_shown(first['input'])}: must be a section of `name: value` lines{more}"
    allowed = " or ".join(problem["msg"].removeprefix("Input should be ") for problem in of_key)
    return f"{key} = {_shown(first['input'])}: must be {allowed}{more}"


def _key(problem: Any) -> str:
    # pydantic adds the branch of a union to the location: ('train', 'threads', 'literal["auto"]')
    section_and_name = problem["loc"][:2]
    return ".".join(str(part) for part in section_and_name)


def _shown(value: object) -> str:
    short = reprlib.Repr()
    short.maxstring = short.maxother = 60
    return short.repr(value)


def _hint(key: str) -> str:
    section, _, name = key.rpartition(".")
    model = Params.model_fields[section].annotation if section else Params
    known = list(getattr(model, "model_fields", {}))
    close = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {close[0]}?" if close else f"allowed are {', '.join(known)}"
