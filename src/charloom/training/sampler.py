"""What a model writes while it learns: a short sample at the beginning of a training and at each validation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import TypeAdapter, ValidationError

from charloom.errors import InputError
from charloom.files import read_json, write_json
from charloom.model.sampling import Sampling, sample
from charloom.text.texts import unknown, warn_of_unknown
from charloom.text.vocab import Vocabulary
from charloom.training.history import Record

if TYPE_CHECKING:
    from charloom.training.loop import Training

FORMAT, VERSION = "charloom-training-samples", 1
TEMPERATURE = 0.8


@dataclass(frozen=True)
class TrainingSample:
    """A text that the model wrote at one step of its training."""

    step: int
    characters: int  # symbols read until then, as in Record
    valid_bpc: float | None  # of the validation at this step; None before the first step
    text: str  # the prompt and the drawn symbols. An `<eos>` is a newline, and control characters are not escaped

    @property
    def heading(self) -> str:
        """How far the training was, such as `6,400 characters read, 2.345 bits per character`."""
        read = f"{self.characters:,} characters read"
        return read if self.valid_bpc is None else f"{read}, {self.valid_bpc:.3f} bits per character"


SAMPLES = TypeAdapter(list[TrainingSample])


class Sampler:
    """A listener of a training. At each validation it adds a sample to `training.samples`.

    All samples have the same prompt and the same random numbers. The random numbers are the sampler's own, so the
    training has the same bytes with and without a sampler.
    """

    def __init__(self, training: Training, vocabulary: Vocabulary) -> None:
        """If the training has not begun, this draws the first sample. With `train.sample_length: 0` none is drawn.

        Prints a warning if the prompt has characters that the vocabulary lacks. They are read as `<unk>`.
        """
        self._training = training
        self._vocabulary = vocabulary
        self._prompt = vocabulary.normalized(training.params.sample_prompt)
        if training.params.sample_length:
            warn_of_unknown(unknown(vocabulary, self._prompt), "params.yaml: train.sample_prompt")
        if training.step == 0:
            self._draw(0, 0, None)

    def __call__(self, record: Record) -> None:
        """Draw a sample if this record has a validation."""
        if record.valid_bpc is not None:
            self._draw(record.step, record.characters, record.valid_bpc)

    def _draw(self, step: int, characters: int, valid_bpc: float | None) -> None:
        params = self._training.params
        if params.sample_length:
            how = Sampling(params.sample_length, TEMPERATURE, seed=params.seed)
            [text] = sample(self._training.model, self._vocabulary, [self._prompt], how)
            self._training.samples.append(TrainingSample(step, characters, valid_bpc, self._prompt + text))


def milestones(samples: Sequence[TrainingSample]) -> list[TrainingSample]:
    """The first sample, and each later one before which the model has read twice as much as before the one chosen last.

    So the number of characters grows evenly on a logarithmic scale, and of 1,000 samples about ten are chosen. Samples
    that are added later do not change the choice.
    """
    chosen: list[TrainingSample] = []
    for each in samples:
        if not chosen or each.characters >= 2 * chosen[-1].characters:
            chosen.append(each)
    return chosen


def strip(samples: Sequence[TrainingSample]) -> list[TrainingSample]:
    """The few samples of a finished training that people see: its milestones and its last sample."""
    chosen = milestones(samples)
    return chosen if chosen[-1:] == list(samples[-1:]) else [*chosen, samples[-1]]


def write_training_samples(path: Path, samples: Sequence[TrainingSample]) -> None:
    """Write training_samples.json."""
    write_json(path, {"format": FORMAT, "version": VERSION, "samples": [asdict(each) for each in samples]})


def read_training_samples(path: Path) -> list[TrainingSample]:
    """Read what `write_training_samples` wrote. Raises InputError if the file is missing or damaged."""
    value = read_json(path, kind=FORMAT, version=VERSION)
    try:
        return SAMPLES.validate_python(value.get("samples"))
    except ValidationError:
        raise InputError(f"{path}: the samples are damaged; make the file again with `dvc repro train`") from None
