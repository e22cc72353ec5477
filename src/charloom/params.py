"""The parameters as typed, validated objects. params_file.py reads them from params.yaml.

No parameter has a default here: each one must be in params.yaml, where DVC tracks it. A new parameter needs changes in
four files: its section here, its line in params.yaml, the `params` in dvc.yaml of each stage that uses it, and a wrong
value in tests/test_params.py. If no result depends on the parameter, add it to DECIDE_NOTHING too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from charloom.cells import CELLS
from charloom.files import flatten
from charloom.secrets import with_no_secrets

Fraction = Annotated[float, Field(ge=0, lt=1)]
Count = Annotated[int, Field(ge=1, le=2**31 - 1)]
Seed = Annotated[int, Field(ge=0, le=2**63 - 1)]
Column = Annotated[int, Field(ge=1, le=65536)] | Annotated[str, Field(min_length=1)]
Device = Literal["auto", "cpu", "cuda", "mps"]
Normalization = Literal["none", "NFC", "NFKC"]
if TYPE_CHECKING:
    CellName = str  # a type checker cannot know the keys of CELLS
else:
    CellName = Literal[tuple(CELLS)]
# The one list of the parameters on which no result depends, in the form of pydantic's `exclude`. True means the whole
# section.
DECIDE_NOTHING: dict[str, Any] = {"data": {"mirror", "timeout"}, "tracking": True}


class Section(BaseModel):
    """A section of params.yaml. Unknown keys, wrong types, NaN and infinities are errors."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


class CorpusForm(Section):
    """How the files of a corpus are read. model.json has it too, so that commands read more files in the same way."""

    text_columns: Annotated[list[Column], Field(min_length=1, max_length=20)]
    class_column: Column | None
    header: Literal["auto"] | bool
    article_end: Literal["blank_line", "line"] | Annotated[int, Field(ge=10, le=1_000_000)]
    errors: Literal["strict", "replace"]

    @model_validator(mode="after")
    def _columns_are_all_names_or_all_numbers(self) -> CorpusForm:
        if len({type(column) for column in (*self.text_columns, self.class_column) if column is not None}) > 1:
            raise ValueError("data.text_columns and data.class_column: must be either all names or all numbers from 1")
        if self.header is False and isinstance(self.text_columns[0], str):
            raise ValueError("data.header = false: columns with names need a header; number the columns, or set auto")
        return self


class DataParams(CorpusForm):
    source: Annotated[str, Field(min_length=1)]
    normalize: Normalization
    deduplicate: bool
    test_fraction: Annotated[float, Field(gt=0, lt=1)]
    mirror: Annotated[str, Field(min_length=1)] | None
    timeout: Annotated[float, Field(gt=0, le=3600)]
    valid_fraction: Annotated[float, Field(gt=0, lt=1)]
    seed: Seed
    labelled_fraction: Annotated[float, Field(gt=0, le=1)]


class VocabParams(Section):
    min_count: Count
    max_size: Annotated[int, Field(ge=2, le=1_114_112)] | None


class WindowsParams(Section):
    length: Annotated[int, Field(ge=1, le=65536)]
    stride: Count
    scope: Literal["article", "stream"]


class BaselinesParams(Section):
    max_characters: Annotated[int, Field(ge=0, le=2**31 - 1)]
    ngram_order: Annotated[int, Field(ge=1, le=32)]
    ppmd_order: Annotated[int, Field(ge=2, le=64)]


class ModelParams(Section):
    cell: CellName
    hidden_size: Annotated[int, Field(ge=1, le=65536)]
    layers: Annotated[int, Field(ge=1, le=64)]
    dropout: Fraction
    conditioning: Literal["none", "class"]
    class_dropout: Annotated[float, Field(gt=0, lt=1)]
    class_embedding: Annotated[int, Field(ge=0, le=4096)]
    memory: Annotated[int, Field(ge=0, le=16)]
    memory_characters: Count
    class_memory: Annotated[int, Field(ge=0, le=16)]

    @property
    def in_words(self) -> str:
        """A description of the model, such as `LSTM, 1 layer of 512 units`."""
        memory = f", n-gram memory of order {self.memory}" if self.memory else ""
        return f"{self.cell}, {self.layers} layer{'s' * (self.layers > 1)} of {self.hidden_size} units{memory}"

    @property
    def short_name(self) -> str:
        """A short name of the model, such as `LSTM-512x1`."""
        return f"{self.cell}-{self.hidden_size}x{self.layers}" + f"-memory{self.memory}" * bool(self.memory)


class TrainParams(Section):
    seed: Seed
    device: Device
    threads: Literal["auto"] | Annotated[int, Field(ge=1, le=1024)]
    processes: Annotated[int, Field(ge=1, le=1024)]
    precision: Literal["fp32", "tf32", "bf16"]
    batching: Literal["lanes", "shuffled"]
    batch_size: Annotated[int, Field(ge=1, le=1_000_000)]
    epochs: Annotated[float, Field(gt=0, le=100_000)]
    characters: Count | None
    learning_rate: Annotated[float, Field(gt=0, le=10)]
    schedule: Literal["cosine", "constant"]
    warmup: Fraction
    grad_clip: Annotated[float, Field(gt=0)]
    validate_every: Count
    valid_characters: Count
    log_every: Count
    sample_prompt: Annotated[str, Field(max_length=1000)]
    sample_length: Annotated[int, Field(ge=0, le=1000)]
    checkpoint_every: Annotated[float, Field(gt=0)]


class EvaluateParams(Section):
    seed: Seed
    device: Device
    max_characters: Count | None
    temperatures: Annotated[list[Annotated[float, Field(ge=0, le=100)]], Field(min_length=1, max_length=20)]
    samples: Annotated[int, Field(ge=1, le=10_000)]
    sample_length: Annotated[int, Field(ge=1, le=1_000_000)]
    articles: Annotated[int, Field(ge=0, le=100)]
    play_megabytes: Annotated[float, Field(ge=0, le=1000)]


class TrackingParams(Section):
    enabled: bool
    experiment: Annotated[str, Field(min_length=1, max_length=200)]
    timeout: Annotated[float, Field(gt=0, le=3600)]


class Params(Section):
    """All of params.yaml: a section for each stage or subject."""

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
            raise ValueError("train.batching = lanes needs windows.scope = stream, because a lane crosses articles")
        return self

    def flat(self) -> dict[str, Any]:
        """All parameters, as `section.name` → value, without secrets: for what is shown and kept."""
        return flatten(with_no_secrets(self.model_dump()))

    def deciding(self) -> dict[str, dict[str, Any]]:
        """The parameters on which results depend, as section → name → value."""
        return self.model_dump(exclude=DECIDE_NOTHING)


def corpus_form(params: Params) -> CorpusForm:
    """The parameters that say how the files of the corpus are read."""
    return CorpusForm(
        text_columns=params.data.text_columns,
        class_column=params.data.class_column,
        header=params.data.header,
        article_end=params.data.article_end,
        errors=params.data.errors,
    )


def typed(name: str, value: Any) -> Any:
    """The value of the parameter `section.name` in its type in Params: 1 becomes 1.0 for a parameter with decimals.

    `value` comes from a file of DVC's, perhaps of another version of charloom. If the parameter does not exist here, or
    its type does not allow the value, the value is returned as it is.
    """
    section, _, field = name.partition(".")
    model = Params.model_fields[section].annotation if section in Params.model_fields else None
    fields = getattr(model, "model_fields", {})
    try:
        return TypeAdapter(fields[field].annotation).validate_python(value, strict=True) if field in fields else value
    except ValidationError:
        return value
