"""A training with its evaluation, brought from the files to a run."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from charloom.card import Card
from charloom.history import Record
from charloom.params import TrackingParams
from charloom.tracking.models import log_model
from charloom.tracking.store import EVALUATION, Store, metric, warn_on_failure

if TYPE_CHECKING:
    from mlflow.entities import Metric

ARTEFACTS = ("params.yaml", "dvc.lock", "data/raw/source.json", "models/charloom/*", "plots/*", "reports/*")


def track_evaluation(params: TrackingParams, card: Card, history: Sequence[Record], workspace: Path) -> None:
    """Complete the newest run of the card's training and model, or make one and fill it from the files.

    Where a run states this very evaluation of them already, nothing is added.
    """
    if not params.enabled:
        return
    with warn_on_failure():
        store = Store.open(params)
        run_id = _run_to_complete(store, card)
        if run_id is None:
            return
        store.log_curve(run_id, history, after=store.last_step(run_id))
        store.log_scores(run_id, _stage_metrics(workspace / "metrics"))
        store.log_files(run_id, workspace, [path for name in ARTEFACTS for path in sorted(workspace.glob(name))])
        log_model(store, run_id, workspace / "models/charloom")
        store.client.set_terminated(run_id, "FINISHED")
        # the key last: a run that has one is complete
        evaluation = {name: value for name, value in card.params.items() if name.startswith(EVALUATION)}
        store.state(run_id, evaluation, {"evaluate_key": card.tags["evaluate_key"]})


def _run_to_complete(store: Store, card: Card) -> str | None:
    tags = card.tags
    for run in store.find(train_key=tags["train_key"], model_digest=tags["model_digest"]):  # the newest first
        if "evaluate_key" not in run.data.tags:
            return str(run.info.run_id)
        if run.data.tags["evaluate_key"] == tags["evaluate_key"]:
            return None
    return store.begin(card)


def _stage_metrics(folder: Path) -> list[Metric]:
    """What the stages measured, as `stage/name`; evaluate's are the test split's."""
    now = round(time.time() * 1000)
    return [
        metric(f"{'test' if path.stem == 'evaluate' else path.stem}/{name}", value, now, 0)
        for path in sorted(folder.glob("*.json"))
        for name, value in _flat(json.loads(path.read_text(encoding="utf-8")))
    ]


def _flat(values: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """Numbers by name; those of a mapping inside as `name/key`, the key in the characters that MLflow takes."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            for key, number in value.items():
                yield name + "/" + re.sub(r"[^\w -]", "_", key), number
        else:
            yield name, value
