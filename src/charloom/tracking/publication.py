"""Copying a training and its evaluation from the files of a workspace to a run in MLflow."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from charloom.evaluation.samples import read_samples
from charloom.files import file_digest, flatten
from charloom.model.saved import SavedModel
from charloom.params import Params, TrackingParams
from charloom.secrets import without_secrets
from charloom.text.split import EncodedSplit
from charloom.tracking.card import Card, as_trained, evaluation_card
from charloom.tracking.description import describe, words_of
from charloom.tracking.dvclock import DvcLock
from charloom.tracking.models import log_model
from charloom.tracking.store import EVALUATION, Store, metric, on_failure, record_metrics, warn
from charloom.training.history import Record, read_history
from charloom.training.sampler import read_training_samples, strip

NAME_CHARACTERS = 250  # the longest name of a metric that MLflow accepts
MODEL = "models/charloom/model.safetensors"
# The files of a workspace that a run keeps as artefacts
ARTEFACTS = ("details/*", "metrics/*", "models/charloom/*", "plots/*", "reports/*")
# These artefacts can contain the address of the corpus. A run gets them without secrets.
WITH_ADDRESSES = ("params.yaml", "data/raw/source.json")
DESCRIPTION = "mlflow.note.content"  # the tag that MLflow's pages show above the numbers of a run


@dataclass(frozen=True)
class Evaluated:
    """A training and its evaluation, as the files of a workspace state them."""

    card: Card
    history: Sequence[Record]
    words: Callable[[], Set[str]]  # reads the words of the test split; not called if the run is complete
    workspace: Path

    @classmethod
    def of_workspace(cls, params: Params, saved: SavedModel, workspace: Path) -> Evaluated:
        """The evaluation of the model `saved`, whose files are in this workspace."""
        test, vocabulary = workspace / "data/windows/test", saved.vocabulary
        return cls(
            card=evaluation_card(params, saved, workspace / "data"),
            history=read_history(workspace / "plots/history.csv"),
            words=lambda: words_of(EncodedSplit.load(test, len(vocabulary)), vocabulary),
            workspace=workspace,
        )


class Published(NamedTuple):
    """The run of an evaluation."""

    run_id: str
    added: bool  # False if the run was complete before


def track_evaluation(params: TrackingParams, evaluated: Evaluated) -> None:
    """Publish an evaluation if tracking is enabled. If the tracker fails, the user gets one warning."""
    if params.enabled:
        with on_failure(warn):
            publish(params, evaluated)


def publish(params: TrackingParams, evaluated: Evaluated) -> Published:
    """Complete the newest run of this training and model that has no other evaluation. If there is none, make a run.

    If the run is complete already, nothing is added. Raises whatever MLflow raises.
    """
    card, workspace = evaluated.card, evaluated.workspace
    store = Store.open(params)
    run_id, complete = _find(store, card)
    if complete:
        return Published(run_id, added=False)
    if run_id:
        store.describe(run_id, card)
    else:
        run_id = store.begin(as_trained(card))
    sent = store.last_step(run_id)
    store.log_curve(run_id, (record_metrics(record) for record in evaluated.history if record.step > sent))
    measured = stage_metrics(workspace)
    _log_files(store, run_id, workspace)
    _log_metrics(store, run_id, log_model(store, run_id, workspace / "models/charloom"), card, measured)
    store.client.set_terminated(run_id, "FINISHED")
    description = _description(evaluated, measured)
    evaluation = {name: value for name, value in card.params.items() if name.startswith(EVALUATION)}
    # The keys are written last, so that a run with an evaluate_key is always complete.
    store.state(run_id, evaluation, {DESCRIPTION: description, **card.keys})
    return Published(run_id, added=True)


def _find(store: Store, card: Card) -> tuple[str, bool]:
    """The id of the run to use, and whether the run is complete. The id is empty if a new run must be made."""
    runs = store.find(train_key=card.keys["train_key"])  # the newest first
    for run in runs:
        if run.data.tags.get("model_digest") == card.keys["model_digest"]:
            evaluation = run.data.tags.get("evaluate_key")
            if evaluation in (None, card.keys["evaluate_key"]):
                return str(run.info.run_id), evaluation is not None
    # If the tracker failed before the end of the training, the run has no model_digest.
    unfinished = (run for run in runs if "model_digest" not in run.data.tags and store.is_ours(run))
    return next((str(run.info.run_id) for run in unfinished), ""), False


def _log_metrics(store: Store, run_id: str, model_id: str, card: Card, measured: Mapping[str, float]) -> None:
    """Log the measured numbers that the run lacks. Those of the test split are also numbers of the logged model."""
    linked = {each.key for each in store.client.get_logged_model(model_id).metrics or []}
    known = store.client.get_run(run_id).data.metrics
    of = {"model_id": model_id}
    for data in card.datasets:
        if data.context == "test":
            of |= {"dataset_name": data.name, "dataset_digest": data.digest}
    tested = {name: value for name, value in measured.items() if name.startswith("test/")}
    missing = [[metric(name, value, of=of)] for name, value in tested.items() if name not in linked]
    others = {name: value for name, value in measured.items() if name not in tested and known.get(name) != value}
    store.log_curve(run_id, [*missing, *([metric(name, value)] for name, value in others.items())])


def _log_files(store: Store, run_id: str, workspace: Path) -> None:
    """Log the files that the stages wrote, the samples of the training, and the part of dvc.lock that is up to date.

    An older workspace has no samples of its training.
    """
    store.log_files(run_id, workspace, (path for name in ARTEFACTS for path in sorted(workspace.glob(name))))
    for path in filter(Path.exists, map(workspace.joinpath, WITH_ADDRESSES)):
        stated = without_secrets(path.read_text(encoding="utf-8"))
        store.client.log_text(run_id, stated, path.relative_to(workspace).as_posix())
    samples = workspace / "reports/training_samples.json"
    for sample in strip(read_training_samples(samples)) if samples.exists() else []:
        store.log_sample(run_id, sample)
    if text := _dvc_lock_before_evaluate(workspace):
        store.client.log_text(run_id, text, "dvc.lock")


def _dvc_lock_before_evaluate(workspace: Path) -> str | None:
    """The text of dvc.lock without the stage evaluate. None if dvc.lock is missing or records another model.

    DVC records a stage after the stage has ended. While evaluate is running, dvc.lock may record an earlier evaluation.
    """
    path, model = workspace / "dvc.lock", workspace / MODEL
    if not path.exists() or not model.exists():
        return None
    lock = DvcLock.read(path).without("evaluate")
    return lock.text() if lock.outs("train").get(MODEL) == file_digest(model, "md5") else None


def _description(evaluated: Evaluated, measured: dict[str, float]) -> str:
    """The run in words. An older workspace has no reports/samples.json. Its description has no sample."""
    path = evaluated.workspace / "reports/samples.json"
    samples = read_samples(path) if path.exists() else []
    test = {name.removeprefix("test/"): value for name, value in measured.items()}
    return describe(evaluated.card.model, test, samples, evaluated.words())


def stage_metrics(folder: Path) -> dict[str, float]:
    """All numbers that the stages measured, as `stage/name`. Numbers of the stage evaluate are called `test/name`.

    Each stage writes its numbers to details/STAGE.json. An older workspace has no folder details/. Its stages wrote all
    numbers to metrics/STAGE.json, so these files are read instead.
    """
    details = folder / "details"
    numbers: dict[tuple[str, ...], float] = {}
    for path in sorted((details if details.is_dir() else folder / "metrics").glob("*.json")):
        stage = "test" if path.stem == "evaluate" else path.stem
        values = flatten(json.loads(path.read_text(encoding="utf-8")), "\0")
        # The separator is \0, because a key may be the name of a class, which may contain dots and slashes.
        numbers |= {(stage, *keys.split("\0")): float(value) for keys, value in values.items()}
    return dict(zip(metric_names(list(numbers)), numbers.values(), strict=True))


def metric_names(keys: Sequence[tuple[str, ...]]) -> list[str]:
    """A name in MLflow for each number. A key is the stage, the name of the number and, if nested, further keys.

    MLflow allows few characters. A further key, such as a class name, has an underscore for any other character. If two
    numbers would then have the same name, such as those of the classes C# and C+, the underscores are replaced by the
    hexadecimal codes of the characters: C.23. and C.2b.

    A name that is too long for MLflow is cut, and ends with the first digits of the SHA-256 of the whole name.
    """
    plain = [_metric_name(key, lambda _: "_") for key in keys]
    uses = Counter(plain)
    coded = (_metric_name(key, lambda found: f".{ord(found[0]):x}.") for key in keys)
    names = (code if uses[name] > 1 else name for name, code in zip(plain, coded, strict=True))
    return [name if len(name) <= NAME_CHARACTERS else _cut(name) for name in names]


def _metric_name(key: tuple[str, ...], replace: Callable[[re.Match[str]], str]) -> str:
    stage, name, *nested = key
    return "/".join([stage, name, *(re.sub(r"[^\w -]", replace, each) for each in nested)])


def _cut(name: str) -> str:
    end = f".{hashlib.sha256(name.encode()).hexdigest()[:16]}"
    return name[: NAME_CHARACTERS - len(end)] + end
