"""Whether a run says what git and DVC hold: digests are compared, nothing is trained again."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple

from charloom.errors import InputError
from charloom.files import file_digest, main_checkout
from charloom.params import TrackingParams
from charloom.tracking.card import COMMIT, git
from charloom.tracking.dvclock import DvcLock
from charloom.tracking.overview import find_run
from charloom.tracking.publication import MODEL, stage_metrics

if TYPE_CHECKING:
    from mlflow.entities import Run

STAGES = "train", "evaluate"


class Check(NamedTuple):
    """One thing that was compared; `problem` is empty where it agrees."""

    what: str
    problem: str


@dataclass(frozen=True)
class Facts:
    """What a run states: its parameters, tags, numbers, datasets, and the files that MLflow keeps of it."""

    params: Mapping[str, str]
    tags: Mapping[str, str]
    metrics: Mapping[str, float]
    datasets: Mapping[str, str]  # digest by split
    folder: Path  # of its artefacts

    def files(self) -> dict[str, str]:
        """The MD5 of each artefact by its path."""
        paths = (path for path in sorted(self.folder.rglob("*")) if path.is_file())
        return {path.relative_to(self.folder).as_posix(): file_digest(path, "md5") for path in paths}


def verify_run(params: TrackingParams, wanted: str) -> tuple[str, list[Check]]:
    """The id of a run, and all that was checked of it.

    Raises InputError where there is no such run, or none that is complete.
    """
    store, run = find_run(params, wanted)
    run_id = run.info.run_id
    if "evaluate_key" not in run.data.tags:
        raise InputError(f"{wanted}: states no evaluation yet; `charloom publish` completes it where its files are")
    with TemporaryDirectory() as folder:
        path = store.client.download_artifacts(run_id, "", folder)
        facts = Facts(run.data.params, run.data.tags, run.data.metrics, _datasets(run), Path(path))
        return run_id, list(_check(facts))


def _check(facts: Facts) -> Iterator[Check]:
    yield from _check_itself(facts)
    commit = facts.tags.get(COMMIT, "")
    name, lock = _recorded(facts, commit)
    if lock is None:
        yield Check(f"dvc.lock at {commit[:8] or 'its commit'}", "there is none: the run was made outside git")
        return
    yield Check(f"{name}, parameters", _first(_differing_params(facts, lock)))
    yield Check(f"{name}, files", _first(_differing_files(facts, lock)))
    yield Check(f"{name}, data", _first(_differing_data(facts, lock)))
    yield from _check_files(lock)


def _check_itself(facts: Facts) -> Iterator[Check]:
    """That tags and numbers of the run are those of its own files."""
    model = facts.folder / MODEL
    digest = file_digest(model) if model.exists() else "missing"
    stated = facts.tags["model_digest"]
    yield Check(
        "model_digest", "" if digest == stated else f"its model.safetensors is {digest[:12]}, not {stated[:12]}"
    )
    key = _read(model.with_name("model.json")).get("train_key", "missing")
    stated = facts.tags["train_key"]
    yield Check("train_key", "" if key == stated else f"its model.json says {key[:12]}, not {stated[:12]}")
    measured = stage_metrics(facts.folder / "metrics")
    wrong = (name for name, value in measured.items() if facts.metrics.get(name) != value)
    problem = _first(f"{name} is {facts.metrics.get(name)}, {measured[name]} in its file" for name in wrong)
    yield Check(f"{len(measured)} numbers of the stages", problem if measured else "its metrics are missing")


def _recorded(facts: Facts, commit: str) -> tuple[str, DvcLock | None]:
    """The dvc.lock that records the run: of its commit or, the result being committed later, of one behind it.

    Where none agrees, the one of its commit, else the one that lies here.
    """
    locks = [(f"dvc.lock at {each[:8]}", lock) for each in _commits(commit) if (lock := _lock_at(each))]
    here = Path("dvc.lock")
    if here.exists():
        locks.append(("dvc.lock here", DvcLock.read(here)))
    for name, lock in locks:
        if not any(_differing_params(facts, lock)) and not any(_differing_files(facts, lock)):
            return name, lock
    return locks[0] if locks else ("", None)


def _commits(commit: str) -> Iterator[str]:
    """A commit and those that come of it and change dvc.lock, DVC's experiments among them, the oldest first."""
    if not commit:
        return
    yield commit
    options = "--all", "--reverse", "--ancestry-path", f"{commit}..", "--", "dvc.lock"
    yield from (git("rev-list", *options) or "").split()


def _lock_at(commit: str) -> DvcLock | None:
    text = git("show", f"{commit}:./dvc.lock")
    return None if text is None else DvcLock.parse(text, f"dvc.lock at {commit[:8]}")


def _differing_params(facts: Facts, lock: DvcLock) -> Iterator[str]:
    for name, value in lock.params(*STAGES).items():
        if facts.params.get(name) != str(value):
            yield f"{name} is {facts.params.get(name, 'missing')} in the run, {value} there"


def _differing_files(facts: Facts, lock: DvcLock) -> Iterator[str]:
    files, outs = facts.files(), lock.outs(*STAGES)
    if not outs:
        yield "it records no training and evaluation"
    for path, digest in outs.items():
        if files.get(path) != digest:
            yield f"{path} is {files.get(path, 'missing')[:12]} in the run, {digest[:12]} there"


def _differing_data(facts: Facts, lock: DvcLock) -> Iterator[str]:
    outs = lock.outs()
    for split, digest in facts.datasets.items():
        there = outs.get(f"data/raw/{split}.csv", "missing")
        if digest != there:
            yield f"{split}.csv is {digest[:12]} in the run, {there[:12]} there"


def _check_files(lock: DvcLock) -> Iterator[Check]:
    """That the files which lie here, or in DVC's cache, under the recorded names have the recorded content."""
    found, wrong = 0, []
    outs = {path: digest for path, digest in lock.outs().items() if not digest.endswith(".dir")}
    for path, digest in outs.items():
        cached = main_checkout() / ".dvc/cache/files/md5" / digest[:2] / digest[2:]
        if cached.exists():
            found += 1
            if file_digest(cached, "md5") != digest:
                wrong.append(f"{path}: its content in DVC's cache is damaged ({cached})")
        elif Path(path).exists() and file_digest(Path(path), "md5") == digest:
            found += 1
    absent = f"; {len(outs) - found} are not in this checkout" if found < len(outs) else ""
    yield Check(f"content of {found} of {len(outs)} files{absent}", _first(iter(wrong)))


def _first(problems: Iterator[str]) -> str:
    """The first problem and how many more there are, empty without one."""
    first, *others = [*problems] or [""]
    return first + (f" (and {len(others)} more)" if others else "")


def _datasets(run: Run) -> dict[str, str]:
    return {each.dataset.name.rpartition("/")[2].removesuffix(".csv"): each.dataset.digest for each in _inputs(run)}


def _inputs(run: Run) -> list[Any]:
    return list(run.inputs.dataset_inputs) if run.inputs else []


def _read(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
