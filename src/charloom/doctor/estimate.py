"""Estimates how long the stages take, by running the code of each stage for some seconds. Nothing is written."""

from __future__ import annotations

import io
import math
import time
from bisect import bisect_right
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path

from charloom.corpus.articles import read_source
from charloom.errors import InputError
from charloom.evaluation.classification import fit_class_temperature
from charloom.evaluation.evaluation import evaluate_model
from charloom.evaluation.measuring import measure_baselines
from charloom.model.device import choose_device, describe_device, make_deterministic, set_threads
from charloom.model.saved import SavedModel
from charloom.params import Params, TrainParams
from charloom.text.split import EncodedSplit
from charloom.training.history import MAX_VALIDATIONS, interval
from charloom.training.loop import Training
from charloom.training.optimizer import count_steps
from charloom.training.parallel import Group
from charloom.training.sampler import Sampler
from charloom.training.setup import Prepared, prepare

WINDOWS, VOCABULARY, RAW = Path("data/windows"), Path("data/vocab.json"), Path("data/raw")
WARM_UP = 10  # steps before the clock starts; on a GPU, the first four are slow, because they are recorded
SAMPLES = 20_000, 120_000  # characters of the two measurements from which the time for more characters follows


@dataclass(frozen=True)
class TrainTime:
    """What the parts of a training take, in seconds."""

    device: str
    setup_s: float  # reading the windows, counting the memory, and the first sample
    step_s: float
    validation_s: float  # a validation during the training, with its sample
    final_s: float  # the validation on the whole split, and the temperature of the classifier
    characters: int  # symbols that a step reads
    steps_per_epoch: int
    validate_every: int

    def seconds(self, steps: int) -> float:
        """The time of a training of so many steps."""
        return self.setup_s + steps * self.step_s + self.validations(steps) * self.validation_s + self.final_s

    def validations(self, steps: int) -> int:
        """The number of validations in a training of so many steps."""
        return math.ceil(steps / interval(self.validate_every, steps, MAX_VALIDATIONS))

    def steps(self, params: TrainParams) -> int:
        """The number of steps that the parameters ask for."""
        return count_steps(params, self.steps_per_epoch, self.characters)

    def steps_in(self, seconds: float) -> int:
        """The most steps that fit into so many seconds. 0 if not one fits."""
        # `seconds` grows with the steps
        return bisect_right(range(1, int(seconds / self.step_s) + 1), seconds, key=self.seconds)


@dataclass(frozen=True)
class Estimate:
    """What the stages after windows take with some parameters."""

    train: TrainTime
    evaluate_s: float
    baselines_s: float | None  # None if data/baselines.json exists

    @property
    def others_s(self) -> float:
        """The time of the stages other than train."""
        return self.evaluate_s + (self.baselines_s or 0.0)

    def run_s(self, params: Params) -> float:
        """The time of a whole run with these parameters."""
        return self.train.seconds(self.train.steps(params.train)) + self.others_s


def estimate(params: Params, measured_s: float) -> Estimate:
    """Measure the stages baselines, train and evaluate with these parameters, for some seconds each.

    `measured_s` says for how many seconds it trains. Raises InputError if data/windows is missing or was made with
    other parameters.
    """
    began = time.perf_counter()
    check_windows(params)
    device = choose_device(params.train.device, "train.device")
    set_threads(params.train.threads)
    make_deterministic(params.train.seed)
    prepared = prepare(params, WINDOWS, VOCABULARY, Group(device=device))
    Sampler(prepared.training, prepared.vocabulary)
    setup_s = time.perf_counter() - began
    train = measure_training(prepared, params, setup_s, measured_s)
    return Estimate(
        train=train,
        evaluate_s=measure_evaluation(prepared, params),
        baselines_s=None if Path("data/baselines.json").exists() else measure_simpler_models(prepared, params),
    )


def check_windows(params: Params) -> None:
    """Raise InputError unless data/windows exists and has the length, stride and scope of the parameters."""
    if not (WINDOWS / "train" / "windows.json").exists():
        raise InputError(f"{WINDOWS}: there are no windows yet; make them with `dvc repro windows`")
    split = EncodedSplit.load(WINDOWS / "train")
    wanted = params.windows
    if (split.length, split.stride, split.scope) != (wanted.length, wanted.stride, wanted.scope):
        raise InputError(f"{WINDOWS}: made with other parameters of windows; make them again with `dvc repro windows`")


def measure_training(prepared: Prepared, params: Params, setup_s: float, measured_s: float) -> TrainTime:
    """Train some steps, and validate once."""
    training, vocabulary, valid = prepared
    step_s = measure_steps(training, measured_s)
    sampler = Sampler(training, vocabulary)
    validation_s = timed(lambda: sampler(training.record(validate=True)))
    whole = 0.0 if training.validation.is_whole else valid.characters / params.train.valid_characters
    final_s = whole * validation_s
    if counts := training.class_counts:
        limit, seed = params.train.valid_characters, params.train.seed
        final_s += extrapolated(
            lambda size: fit_class_temperature(training.model, counts, valid, size, seed), min(limit, valid.characters)
        )
    return TrainTime(
        device=describe_device(training.device),
        setup_s=setup_s,
        step_s=step_s,
        validation_s=validation_s,
        final_s=final_s,
        characters=training.batches.batch_size * training.batches.length,
        steps_per_epoch=training.batches.steps_per_epoch,
        validate_every=params.train.validate_every,
    )


def measure_steps(training: Training, measured_s: float) -> float:
    """The seconds of a training step, measured for `measured_s` seconds."""
    for _ in range(WARM_UP):
        training.train_step()
    training.fetch_losses()  # waits for the GPU
    began, first = time.perf_counter(), training.step
    while time.perf_counter() - began < measured_s:
        training.train_step()
        if training.step % training.log_every == 0:
            training.fetch_losses()
    training.fetch_losses()
    return (time.perf_counter() - began) / (training.step - first)


def measure_evaluation(prepared: Prepared, params: Params) -> float:
    """The seconds of the stage evaluate, without its pictures and without MLflow."""
    training, vocabulary, _ = prepared
    test = EncodedSplit.load(WINDOWS / "test", len(vocabulary))
    saved = SavedModel(training.model.eval(), vocabulary, "", "", training.class_counts)
    names = read_source(RAW)["classes"]

    def evaluate(characters: int) -> None:
        evaluate_model(saved, test, params.evaluate.model_copy(update={"max_characters": characters}), names)

    return extrapolated(evaluate, min(test.characters, params.evaluate.max_characters or test.characters))


def measure_simpler_models(prepared: Prepared, params: Params) -> float:
    """The seconds of the stage baselines."""
    train, test = (EncodedSplit.load(WINDOWS / split, len(prepared.vocabulary)) for split in ("train", "test"))
    names = read_source(RAW)["classes"]
    conditioned = params.model.conditioning == "class"
    if conditioned:
        train = train.labelled(params.data.labelled_fraction, params.data.seed)

    def measure(characters: int) -> None:
        limited = params.baselines.model_copy(update={"max_characters": characters})
        with redirect_stdout(io.StringIO()):  # it prints a line for each model
            measure_baselines(
                train, test, prepared.vocabulary, names, limited, params.data.seed, classifiers=conditioned
            )

    return extrapolated(measure, min(params.baselines.max_characters, train.characters))


def extrapolated(work: Callable[[int], object], size: int) -> float:
    """The seconds of `work(size)`. If `size` is large, they follow from two smaller sizes, on a straight line.

    The first call of all is not measured, because it is slower: it imports modules and allocates memory.
    """
    small, large = SAMPLES
    if size <= large:
        return timed(lambda: work(size))
    work(small)
    first, second = timed(lambda: work(small)), timed(lambda: work(large))
    slope = max(0.0, second - first) / (large - small)
    return second + slope * (size - large)


def timed(work: Callable[[], object]) -> float:
    """The seconds that `work` takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
