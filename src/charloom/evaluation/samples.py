"""Draw the samples of an evaluation from the model, and store them as data in samples.json."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from charloom.errors import InputError
from charloom.files import read_json, write_json
from charloom.model.sampling import Sampling, sample
from charloom.model.saved import SavedModel
from charloom.params import EvaluateParams

FORMAT, VERSION = "charloom-samples", 1


@dataclass(frozen=True)
class SampleGroup:
    """Texts that were drawn at one temperature and, if the model is conditioned, possibly for one class."""

    temperature: float  # 0 means greedy: the likeliest symbol is always taken
    class_name: str | None  # None means that the model was given no class
    texts: Sequence[str]  # as drawn: an `<eos>` is a newline, and control characters are not escaped

    @property
    def heading(self) -> str:
        """The title of the group. Pass it through `harmless` before a person sees it: a class name can be any text."""
        if self.class_name is not None:
            return f"class {self.class_name}"
        return f"temperature {self.temperature:g}" if self.temperature else "greedy"


GROUPS = TypeAdapter(list[SampleGroup])


def draw_samples(saved: SavedModel, params: EvaluateParams) -> list[SampleGroup]:
    """Draw the samples that params.yaml asks for: one group for each temperature, then one group for each class.

    The first group has one greedy text. Only a conditioned model has groups by class. They all use the first
    temperature of params.yaml and the same random numbers, so that the class is their only difference.
    """
    groups = []
    for temperature in sorted({0.0, *params.temperatures}):
        groups.append(_draw_group(saved, params, temperature, None, params.samples if temperature else 1))
    for class_id in range(len(saved.class_counts)):
        groups.append(_draw_group(saved, params, params.temperatures[0], class_id, params.samples))
    return groups


def write_samples(path: Path, groups: Sequence[SampleGroup]) -> None:
    """Write samples.json."""
    write_json(path, {"format": FORMAT, "version": VERSION, "groups": [asdict(group) for group in groups]})


def read_samples(path: Path) -> list[SampleGroup]:
    """Read what `write_samples` wrote. Raises InputError if the file is missing, damaged or of another version."""
    value = read_json(path, kind=FORMAT, version=VERSION)
    try:
        return GROUPS.validate_python(value.get("groups"))
    except ValidationError:
        raise InputError(f"{path}: the groups of samples are damaged; make the file again with `dvc repro`") from None


def _draw_group(
    saved: SavedModel, params: EvaluateParams, temperature: float, class_id: int | None, count: int
) -> SampleGroup:
    sampling = Sampling(params.sample_length, temperature, seed=params.seed)
    class_ids = None if class_id is None else [class_id] * count
    texts = sample(saved.model, saved.vocabulary, [""] * count, sampling, classes=class_ids)
    return SampleGroup(temperature, None if class_id is None else saved.class_counts[class_id].name, texts)
