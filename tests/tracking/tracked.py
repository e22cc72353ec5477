"""A workspace whose training and evaluation are sent to MLflow, and functions that read its runs from MLflow."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from charloom.evaluation.samples import SampleGroup
from charloom.files import file_digest
from charloom.params import TrackingParams
from charloom.tracking.card import Card, Dataset, checkout
from charloom.tracking.publication import Evaluated, track_evaluation
from charloom.tracking.store import tracking_uri
from charloom.tracking.stream import track_training
from charloom.training.history import Record
from charloom.training.sampler import TrainingSample

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

PARAMS = TrackingParams(enabled=True, experiment="charloom", timeout=30.0)
KEYS = {"train_key": "t" * 64, "model_digest": "m" * 64, "evaluate_key": "e" * 64}
FILES = {
    "params.yaml": "model: {}\n",
    "data/raw/source.json": "{}\n",
    "models/charloom/model.json": "{}\n",
    "reports/samples.txt": "=== greedy ===\n\nword word word\n",
}
SAMPLES = [SampleGroup(0.0, None, ["word word word"]), SampleGroup(0.8, None, ["several words of a sample"])]
CLASSES = {"Sports": 2.0, "Sci/Tech": 2.5, "../<b>é": 3.0}
DETAILS: dict[str, dict[str, object]] = {
    "evaluate": {"bpc": 2.25, "perplexity": 4.5, "bpc_by_class": CLASSES},
    "vocab": {"symbols": 82},
}
METRICS: dict[str, dict[str, object]] = {"evaluate": {"test_bpc": 2.25}}
NUMBERS = {"details": DETAILS, "metrics": METRICS}  # the stages' JSON files of numbers, by folder
# What the training wrote at its beginning and at each validation. A run has all but the one of step 30 as artefacts.
WRITTEN = [TrainingSample(step, step * 1000, 3.5 if step else None, f"\x1b {step}") for step in range(0, 60, 10)]
ARTEFACTS = {
    *(f"samples/step-{step:08}.txt" for step in (0, 10, 20, 40, 50)),
    *FILES,
    *(f"{folder}/{stage}.json" for folder, stages in NUMBERS.items() for stage in stages),
    "plots/history.csv",
    "reports/samples.json",
    "reports/training_samples.json",
}
WORDS = {"word", "several", "words", "sample"}
MEASURED_LIVE = "system/", "throughput/"  # prefixes of metrics that are not in any file and differ in each training


def record(step: int) -> Record:
    """A record of the history. Every tenth step is validated."""
    valid = (2.5, 3.5) if step % 10 == 0 else (None, None)
    return Record(step, step / 100, step * 1000, 0.01, 1.0, 2.0 + 1 / step, 3.0 + 1 / step, *valid)


HISTORY = [record(step) for step in range(5, 55, 5)]
STEPS = [each.step for each in HISTORY]
HOST = platform.node()


@dataclass
class Tracked:
    """A workspace whose MLflow store is in `root`. `train` and `evaluate` send results as the stages do."""

    root: Path
    workspace: Path
    params: TrackingParams = PARAMS

    @property
    def client(self) -> MlflowClient:
        from mlflow import MlflowClient

        return MlflowClient(tracking_uri())

    def runs(self) -> list[Run]:
        """All runs, the oldest first."""
        experiment = self.client.get_experiment_by_name(self.params.experiment)
        assert experiment
        return list(self.client.search_runs([experiment.experiment_id], order_by=["attributes.start_time ASC"]))

    def curve(self, run: Run, name: str = "train/bpc") -> list[tuple[int, float]]:
        """The steps and values of a metric, in the order in which they were logged."""
        return [(point.step, point.value) for point in self.client.get_metric_history(run.info.run_id, name)]

    def artefacts(self, run: Run, folder: str | None = None) -> set[str]:
        """The paths of all artefacts of a run."""
        found = self.client.list_artifacts(run.info.run_id, folder)
        files = {item.path for item in found if not item.is_dir}
        return files.union(*(self.artefacts(run, item.path) for item in found if item.is_dir))

    def measured(self, run: Run) -> dict[str, float]:
        """The metrics of a run, except MEASURED_LIVE."""
        return {name: value for name, value in run.data.metrics.items() if not name.startswith(MEASURED_LIVE)}

    def content(self, run: Run) -> dict[str, object]:
        """The content of a run, except its id, its times, the folder in which it was made, and MEASURED_LIVE."""
        measured = self.measured(run)
        with TemporaryDirectory() as folder:
            path = Path(self.client.download_artifacts(run.info.run_id, "", folder))
            files = {name: file_digest(path / name) for name in self.artefacts(run)}
        return {
            "name": run.info.run_name,
            "status": run.info.status,
            "params": run.data.params,
            "tags": {name: value for name, value in run.data.tags.items() if name != "checkout"},
            "metrics": measured,
            "curves": {name: self.curve(run, name) for name in measured},
            "files": files,
            "inputs": [each.to_dictionary() for each in run.inputs.dataset_inputs] if run.inputs else [],
        }

    def train(self, new: Sequence[Record] = HISTORY, before: Sequence[Record] = (), *, ends: bool = True) -> None:
        """Track a training that resumes after the records `before` and makes the records `new`.

        If `ends` is false, the training is interrupted before it has made a model.
        """
        keys = {"train_key": KEYS["train_key"]}
        last = max((each.step for each in (*before, *new)), default=0)
        written = [sample for sample in WRITTEN if sample.step <= last]
        with track_training(self.params, card(keys, HOST), list(before), written) as listener:
            for each in new:
                listener(each)
            if ends:
                listener.finish(KEYS["model_digest"])

    def evaluate(self, evaluate_key: str = KEYS["evaluate_key"], seed: int = 1, **keys: str) -> None:
        """Track an evaluation of the model that `train` made."""
        stated = card({**KEYS, "evaluate_key": evaluate_key, **keys}, "evaluate's machine", seed)
        track_evaluation(self.params, Evaluated(stated, HISTORY, lambda: WORDS, self.workspace))


def with_params(tracked: Tracked, **changed: object) -> Tracked:
    """The same workspace with other parameters of the section `tracking`."""
    return replace(tracked, params=tracked.params.model_copy(update=changed))


def card(keys: dict[str, str], host: str, seed: int = 1) -> Card:
    """The card of a run on this host. `seed` is the parameter evaluate.seed."""
    params = {"model.cell": "LSTM", "train.seed": 1, "evaluate.seed": seed}
    tags = {"device": "cpu", "host": host, "checkout": checkout(), "torch": "2", "mlflow.source.git.commit": "c" * 40}
    datasets = [Dataset(f"sample/{split}.csv", split * 4, "sample", split) for split in ("train", "test")]
    return Card("LSTM-256x1 sample", "LSTM, 1 layer of 256 units", params, tags, keys, datasets)
