"""A workspace whose stages are tracked, and what MLflow then shows of it."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from charloom.files import file_digest
from charloom.params import TrackingParams
from charloom.tracking.card import Card, Dataset
from charloom.tracking.publication import Evaluated, track_evaluation
from charloom.tracking.store import tracking_uri
from charloom.tracking.stream import track_training
from charloom.training.history import Record

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

PARAMS = TrackingParams(enabled=True, experiment="charloom", timeout=30.0)
KEYS = {"train_key": "t" * 64, "model_digest": "m" * 64, "evaluate_key": "e" * 64}
FILES = {
    "params.yaml": "model: {}\n",
    "data/raw/source.json": "{}\n",
    "models/charloom/model.json": "{}\n",
    "reports/samples.txt": "=== greedy ===\n\nword word word\n\nseveral words of a sample\n",
}
CLASSES = {"Sports": 2.0, "Sci/Tech": 2.5, "../<b>é": 3.0}
METRICS: dict[str, dict[str, object]] = {
    "evaluate": {"bpc": 2.25, "perplexity": 4.5, "bpc_by_class": CLASSES},
    "vocab": {"symbols": 82},
}
ARTEFACTS = {*FILES, *(f"metrics/{stage}.json" for stage in METRICS), "plots/history.csv"}
WORDS = {"word", "several", "words", "sample"}
OF_THE_MOMENT = "system/", "throughput/"  # metrics that no file holds


def record(step: int) -> Record:
    """A record of the history, validated at every tenth step."""
    valid = (2.5, 3.5) if step % 10 == 0 else (None, None)
    return Record(step, step / 100, step * 1000, 0.01, 1.0, 2.0 + 1 / step, 3.0 + 1 / step, *valid)


HISTORY = [record(step) for step in range(5, 55, 5)]
STEPS = [each.step for each in HISTORY]
HOST = platform.node()


@dataclass
class Tracked:
    """A workspace whose main checkout holds the default store, and the stages' part in tracking."""

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
        """The points of a metric, as they were logged."""
        return [(point.step, point.value) for point in self.client.get_metric_history(run.info.run_id, name)]

    def artefacts(self, run: Run, folder: str | None = None) -> set[str]:
        """The paths of a run's artefacts."""
        found = self.client.list_artifacts(run.info.run_id, folder)
        files = {item.path for item in found if not item.is_dir}
        return files.union(*(self.artefacts(run, item.path) for item in found if item.is_dir))

    def measured(self, run: Run) -> dict[str, float]:
        """A run's numbers but those of the moment."""
        return {name: value for name, value in run.data.metrics.items() if not name.startswith(OF_THE_MOMENT)}

    def content(self, run: Run) -> dict[str, object]:
        """All that a run states but its id, its times and the numbers of the moment."""
        measured = self.measured(run)
        with TemporaryDirectory() as folder:
            path = Path(self.client.download_artifacts(run.info.run_id, "", folder))
            files = {name: file_digest(path / name) for name in self.artefacts(run)}
        return {
            "name": run.info.run_name,
            "status": run.info.status,
            "params": run.data.params,
            "tags": run.data.tags,
            "metrics": measured,
            "curves": {name: self.curve(run, name) for name in measured},
            "files": files,
            "inputs": [each.to_dictionary() for each in run.inputs.dataset_inputs] if run.inputs else [],
        }

    def train(self, new: Sequence[Record] = HISTORY, before: Sequence[Record] = (), *, ends: bool = True) -> None:
        """A training that records `new` after what its checkpoint holds, `before`; it may be stopped at its end."""
        keys = {"train_key": KEYS["train_key"]}
        with track_training(self.params, card(keys, HOST), list(before)) as tracker:
            for each in new:
                tracker(each)
            if ends:
                tracker.finish(KEYS["model_digest"])

    def evaluate(self, evaluate_key: str = KEYS["evaluate_key"], seed: int = 1, **keys: str) -> None:
        """An evaluation of that training's model."""
        stated = card({**KEYS, "evaluate_key": evaluate_key, **keys}, "evaluate's machine", seed)
        track_evaluation(self.params, Evaluated(stated, HISTORY, lambda: WORDS, self.workspace))


def with_params(tracked: Tracked, **changed: object) -> Tracked:
    """The same with other parameters of its tracking."""
    return replace(tracked, params=tracked.params.model_copy(update=changed))


def card(keys: dict[str, str], host: str, seed: int = 1) -> Card:
    """A run's card, with these parameters of its evaluation."""
    params = {"model.cell": "LSTM", "train.seed": 1, "evaluate.seed": seed}
    tags = {"device": "cpu", "host": host, "torch": "2", "mlflow.source.git.commit": "c" * 40}
    datasets = [Dataset(f"sample/{split}.csv", split * 4, "sample", split) for split in ("train", "test")]
    return Card("LSTM-256x1 sample", params, tags, keys, datasets)
