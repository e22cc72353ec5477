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
from pydantic_core import ErrorDetails

from charloom.errors import InputError

MAX_MERGED = 1000  # keys that YAML's merges give one mapping
MAX_BYTES = 64 * 1024  # a parameter file is a page or two; more is a mistake or an attack

Fraction = Annotated[float, Field(ge=0, lt=1)]
Count = Annotated[int, Field(ge=1, le=2**31 - 1)]
Seed = Annotated[int, Field(ge=0, le=2**63 - 1)]
Column = Annotated[int, Field(ge=1, le=65536)] | Annotated[str, Field(min_length=1)]
Device = Literal["auto", "cpu", "cuda", "mps"]
Normalization = Literal["none", "NFC", "NFKC"]
DECIDE_NOTHING: dict[str, Any] = {"data": {"mirror", "timeout"}, "tracking": True}  # as `exclude` takes it


class Section(BaseModel):
    """One section of params.yaml: unknown keys, wrong types, NaN and infinities are errors."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


class DataParams(Section):
    source: Annotated[str, Field(min_length=1)]
    text_columns: Annotated[list[Column], Field(min_length=1, max_length=20)]
    class_column: Column | None
    article_end: Literal["blank_line", "line"]
    errors: Literal["strict", "replace"]
    normalize: Normalization
    deduplicate: bool
    test_fraction: Annotated[float, Field(gt=0, lt=1)]
    mirror: Annotated[str, Field(min_length=1)] | None
    timeout: Annotated[float, Field(gt=0, le=3600)]
    valid_fraction: Annotated[float, Field(gt=0, lt=1)]
    seed: Seed
    labelled_fraction: Annotated[float, Field(gt=0, le=1)]

    @model_validator(mode="after")
    def _columns_are_of_one_sort(self) -> DataParams:
        if len({type(column) for column in (*self.text_columns, self.class_column) if column is not None}) > 1:
            raise ValueError("data.text_columns and data.class_column: must be all names, or all numbers from 1")
        return self


class VocabParams(Section):
    min_count: Count
    max_size: Annotated[int, Field(ge=2, le=1_114_112)] | None


class WindowsParams(Section):
    length: Annotated[int, Field(ge=1, le=65536)]
    stride: Count
    scope: Literal["article", "stream"]


class BaselinesParams(Section):
    ngram_order: Annotated[int, Field(ge=1, le=32)]
    ppmd_order: Annotated[int, Field(ge=2, le=64)]


class ModelParams(Section):
    cell: Literal["RNN", "LSTM", "GRU"]
    hidden_size: Annotated[int, Field(ge=1, le=65536)]
    layers: Annotated[int, Field(ge=1, le=64)]
    dropout: Fraction
    conditioning: Literal["none", "class"]
    class_dropout: Annotated[float, Field(gt=0, lt=1)]
    class_embedding: Annotated[int, Field(ge=0, le=4096)]


class TrainParams(Section):
    seed: Seed
    device: Device
    threads: Literal["auto"] | Annotated[int, Field(ge=1, le=1024)]
    processes: Annotated[int, Field(ge=1, le=1024)]
    precision: Literal["fp32", "tf32", "bf16"]
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
    articles: Annotated[int, Field(ge=0, le=100)]


class TrackingParams(Section):
    enabled: bool
    experiment: Annotated[str, Field(min_length=1, max_length=200)]
    timeout: Annotated[float, Field(gt=0, le=3600)]


class Params(Section):
    """The whole of params.yaml, a section a stage or a theme."""

    data: DataParams
    vocab: VocabParams
    windows: WindowsParams
    baselines: BaselinesParams
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

    def deciding(self) -> dict[str, dict[str, Any]]:
        """The parameters that decide a result, as section → name → value."""
        return self.model_dump(exclude=DECIDE_NOTHING)


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
    """YAML of which DVC reads the same: 1.2's numbers and booleans, plain types only; and a key stands once.

    PyYAML alone takes 1e-3 for text, 010 for 8, 1:30 for 90 and `on` for true.
    """

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        seen: set[str] = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value in seen:
                raise yaml.composer.ComposerError(None, None, f"key {key.value!r} stands twice", key.start_mark)
            seen.add(key.value)
        return node

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        super().flatten_mapping(node)
        if len(node.value) > MAX_MERGED:  # a dozen lines of merges of merges would fill the memory
            raise yaml.constructor.ConstructorError(None, None, "too many merged keys", node.start_mark)


_Loader.yaml_constructors = {
    tag: construct
    for tag, construct in yaml.SafeLoader.yaml_constructors.items()
    if tag is None or tag.rpartition(":")[2] in ("null", "bool", "int", "float", "str", "seq", "map")
}
_Loader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?(0|[1-9][\d_]*|0x[\da-fA-F]+|0b[01]+)", list("-+0123456789")),
    ("float", r"[-+]?(\d[\d_]*\.\d*|\.\d+)([eE][-+]?\d+)?|[-+]?\d+[eE][-+]?\d+", list("-+.0123456789")),
    ("float", r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", list("-+.")),
    ("merge", r"<<", ["<"]),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"^(?:{_pattern})$"), _first)


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
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: byte {error.start} (0x{content[error.start]:02x}) is not UTF-8") from None
    except RecursionError:
        raise InputError(f"{path}: not valid YAML: nested too deeply") from None
    except yaml.MarkedYAMLError as error:
        where = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
        raise InputError(f"{path}{where}: not valid YAML: {error.problem}") from None
    except yaml.reader.ReaderError as error:
        raise InputError(f"{path}: not valid YAML: character {error.position} is #x{error.character:04x}") from None
    except (yaml.YAMLError, ValueError, OverflowError, KeyError) as error:  # what is no value of its !!tag
        raise InputError(f"{path}: not valid YAML: {error}") from None


# pydantic's messages are Python's; these say the same of YAML.
_MUST_BE = {
    "int_type": "a whole number",
    "float_type": "a number",
    "string_type": "text",
    "string_unicode": "text in Unicode",
    "bool_type": "true or false",
    "list_type": "a list, as in [0.5, 1.0]",
    "string_too_short": "text of {min_length} character(s) or more",
    "string_too_long": "text of {max_length} characters or fewer",
    "too_short": "a list of {min_length} or more",
    "too_long": "a list of {max_length} or fewer",
}


def _first_problem(error: ValidationError) -> str:
    """The first wrong key in one line: its name, its value, what is allowed."""
    # unknown keys first: a misspelled key is missing too, and the hint tells both
    problems = sorted(error.errors(), key=lambda problem: problem["type"] not in ("extra_forbidden", "invalid_key"))
    first = problems[0]
    key = _key(first)
    of_key = [problem for problem in problems if _key(problem) == key]  # one for each branch of a union
    others = len({_key(problem) for problem in problems}) - 1
    return _said(first, key, of_key) + (f" (and {others} more to mend)" if others else "")


def _said(first: ErrorDetails, key: str, of_key: list[ErrorDetails]) -> str:
    shown = _shown(first["input"])
    match first["type"]:
        case "missing":
            return f"{key} is missing"
        case "extra_forbidden":
            return f"{key} = {shown}: unknown key; {_hint(first)}"
        case "invalid_key":
            return f"{key}: unknown key; {_hint(first)}"
        case "value_error":
            return str(first["ctx"]["error"])
        case "model_type" if not key:
            return f"must hold sections of `name: value` lines, found {shown}"
        case "model_type":
            return f"{key} = {shown}: must be a section of `name: value` lines"
    allowed = " or ".join(map(_must_be, of_key))
    return f"{key or 'the file'} = {shown}: must be {allowed}"


def _must_be(problem: ErrorDetails) -> str:
    if problem["type"] in _MUST_BE:
        return _MUST_BE[problem["type"]].format_map(problem.get("ctx", {}))
    return problem["msg"].removeprefix("Input should be ")


def _key(problem: ErrorDetails) -> str:
    """`section.name`, and [index] in a list; what pydantic adds for the branches of a union is left out."""
    location = problem["loc"]
    if problem["type"] == "invalid_key":  # it gives True as 1
        location = (*location[:-1], problem["input"])
    name = ".".join(part if isinstance(part, str) and part.isidentifier() else _shown(part) for part in location[:2])
    return name + "".join(f"[{part}]" for part in location[2:3] if isinstance(part, int))


def _shown(value: object) -> str:
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    short = reprlib.Repr()
    short.maxstring = short.maxother = 60
    short.maxlevel = 2
    return short.repr(value)


def _hint(problem: ErrorDetails) -> str:
    section, name = problem["loc"][0], problem["loc"][-1]
    model = Params.model_fields[str(section)].annotation if len(problem["loc"]) > 1 else Params
    known = list(getattr(model, "model_fields", {}))
    close = difflib.get_close_matches(str(name), known, n=1)
    return f"did you mean {close[0]}?" if close else f"allowed are {', '.join(known)}"
