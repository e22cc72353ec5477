"""A training with its evaluation, brought from the files to a run."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from charloom.files import file_digest
from charloom.params import TrackingParams
from charloom.tracking.card import Card, as_trained
from charloom.tracking.description import describe
from charloom.tracking.dvclock import DvcLock
from charloom.tracking.models import log_model
from charloom.tracking.store import EVALUATION, Store, metric, on_failure, record_metrics, warn
from charloom.training.history import Record

MODEL = "models/charloom/model.safetensors"
ARTEFACTS = ("params.yaml", "data/raw/source.json", "metrics/*", "models/charloom/*", "plots/*", "reports/*")
DESCRIPTION = "mlflow.note.content"


@dataclass(frozen=True)
class Evaluated:
    """What a workspace holds of a training and its evaluation."""

    card: Card
    history: Sequence[Record]
    words: Callable[[], Set[str]]  # of the test split: read where a run lacks its description alone
    workspace: Path


class Published(NamedTuple):
    """The run that states it, and whether it had to be made or completed."""

    run_id: str
    added: bool


def track_evaluation(params: TrackingParams, evaluated: Evaluated) -> None:
    """Publish an evaluation where tracking is on; a tracker that fails costs one warning."""
    if params.enabled:
        with on_failure(warn):
            publish(params, evaluated)


def publish(params: TrackingParams, evaluated: Evaluated) -> Published:
    """Complete the newest run of the card's training and model, or make one and fill it from the files.

    Where a run states this very evaluation of them already, nothing is added. Raises whatever MLflow raises.
    """
    card, workspace = evaluated.card, evaluated.workspace
    store = Store.open(params)
    run_id, complete = _find(store, card)
    if complete:
        return Published(run_id, added=False)
    run_id = run_id or store.begin(as_trained(card))
    sent = store.last_step(run_id)
    store.log_curve(run_id, (record_metrics(record) for record in evaluated.history if record.step > sent))
    scores = stage_metrics(workspace / "metrics")
    known = store.client.get_run(run_id).data.metrics
    lacking = [[metric(name, value)] for name, value in scores.items() if known.get(name) != value]
    store.log_curve(run_id, lacking)
    _log_files(store, run_id, workspace)
    log_model(store, run_id, workspace / "models/charloom")
    store.client.set_terminated(run_id, "FINISHED")
    test = {name.removeprefix("test/"): value for name, value in scores.items()}
    text = describe(card.params, test, workspace / "reports/samples.txt", evaluated.words())
    # the key last: a run that has one is complete
    evaluation = {name: value for name, value in card.params.items() if name.startswith(EVALUATION)}
    store.state(run_id, evaluation, {DESCRIPTION: text, **card.keys})
    return Published(run_id, added=True)


def _find(store: Store, card: Card) -> tuple[str, bool]:
    """The run to complete, empty where there is none, and whether it is complete already."""
    runs = store.find(train_key=card.keys["train_key"])  # the newest first
    for run in runs:
        if run.data.tags.get("model_digest") == card.keys["model_digest"]:
            evaluation = run.data.tags.get("evaluate_key")
            if evaluation in (None, card.keys["evaluate_key"]):
                return str(run.info.run_id), evaluation is not None
    # the tracker was gone before a training's end
    unended = (run for run in runs if "model_digest" not in run.data.tags and store.is_ours(run))
    return next((str(run.info.run_id) for run in unended), ""), False


def _log_files(store: Store, run_id: str, workspace: Path) -> None:
    """Log what the stages wrote, and what DVC recorded of it."""
    store.log_files(run_id, workspace, (path for name in ARTEFACTS for path in sorted(workspace.glob(name))))
    if lock := _lock_so_far(workspace):
        store.client.log_text(run_id, lock, "dvc.lock")


def _lock_so_far(workspace: Path) -> str | None:
    """dvc.lock without evaluate, which DVC records only when it is over; None where it is of another model."""
    path, model = workspace / "dvc.lock", workspace / MODEL
    if not path.exists() or not model.exists():
        return None
    lock = DvcLock.read(path).before("evaluate")
    return lock.text() if lock.outs("train").get(MODEL) == file_digest(model, "md5") else None


def stage_metrics(folder: Path) -> dict[str, float]:
    """What the stages measured, as `stage/name`; evaluate's are the test split's."""
    return {
        f"{'test' if path.stem == 'evaluate' else path.stem}/{name}": float(value)
        for path in sorted(folder.glob("*.json"))
        for name, value in _flat(json.loads(path.read_text(encoding="utf-8")))
    }


def _flat(values: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """Numbers by name; those of a mapping inside as `name/key`, the key in the characters that MLflow takes."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from ((f"{name}/" + re.sub(r"[^\w -]", "_", key), number) for key, number in _flat(value))
        else:
            yield name, value
