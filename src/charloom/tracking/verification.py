"""Checking that the tags, parameters and metrics of a run agree with the run's own files and with dvc.lock.

Nothing is trained again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple

from charloom.errors import InputError
from charloom.files import file_digest, main_checkout
from charloom.params import TrackingParams, typed
from charloom.tracking.card import COMMIT
from charloom.tracking.dvclock import DvcLock
from charloom.tracking.overview import find_run
from charloom.tracking.publication import MODEL, stage_metrics
from charloom.tracking.relocation import check_files
from charloom.tracking.repository import git, in_repository, why_missing
from charloom.tracking.store import PARAM_CHARACTERS, param_text

if TYPE_CHECKING:
    from mlflow.entities import Run

STAGES = "train", "evaluate"
HERE = Path("dvc.lock")


class Check(NamedTuple):
    """The result of one comparison."""

    what: str  # what was compared
    problem: str  # the first difference; empty if there is none


@dataclass(frozen=True)
class Facts:
    """The content of a run."""

    params: Mapping[str, str]
    tags: Mapping[str, str]
    metrics: Mapping[str, float]
    datasets: Mapping[str, str]  # the digest of each split's CSV file
    folder: Path  # a copy of the run's artefacts (called "the run's own files")

    def files(self) -> dict[str, str]:
        """The MD5 of each artefact, by path."""
        paths = (path for path in sorted(self.folder.rglob("*")) if path.is_file())
        return {path.relative_to(self.folder).as_posix(): file_digest(path, "md5") for path in paths}


def verify_run(params: TrackingParams, wanted: str) -> tuple[str, list[Check]]:
    """Check the run whose name or beginning of an id is `wanted`. Returns the id of the run, and the checks.

    Raises InputError if there is no such run, or if the run has no evaluation or no files.
    """
    store, run = find_run(params, wanted)
    run_id = run.info.run_id
    if "evaluate_key" not in run.data.tags:
        raise InputError(
            f"{wanted}: this run has no evaluation yet; run `charloom publish` in the checkout that has its files"
        )
    check_files(store.client, run)
    with TemporaryDirectory() as folder:
        path = store.client.download_artifacts(run_id, "", folder)
        facts = Facts(run.data.params, run.data.tags, run.data.metrics, _datasets(run), Path(path))
        return run_id, list(_check(facts))


def _check(facts: Facts) -> Iterator[Check]:
    yield from _check_itself(facts)
    commit = facts.tags.get(COMMIT, "")
    name, lock = _recorded(facts, commit)
    if lock is None:
        here = "the one in this folder records another result" if HERE.exists() else "not found in this folder"
        yield Check("dvc.lock", f"{here}, and {_why_not_found(commit)}")
        return
    yield Check(f"{name}, parameters", _first(_differing_params(facts, lock)))
    yield Check(f"{name}, files", _first(_differing_files(facts, lock)))
    yield Check(f"{name}, data", _first(_differing_data(facts, lock)))
    yield from _check_files(lock)


def _check_itself(facts: Facts) -> Iterator[Check]:
    """Compare tags and metrics of the run with the run's own files."""
    model = facts.folder / MODEL
    yield _check_tag(facts, "model_digest", model.name, file_digest(model) if model.exists() else None)
    about = model.with_name("model.json")
    yield _check_tag(facts, "train_key", about.name, _read_object(about).get("train_key"))
    measured = stage_metrics(facts.folder)
    wrong = (name for name, value in measured.items() if facts.metrics.get(name) != value)
    problem = _first(
        f"{name} is {facts.metrics.get(name, 'missing')} in the run, {measured[name]} in the run's file"
        for name in wrong
    )
    no_numbers = "the run has no JSON file in details/ or metrics/"
    yield Check(f"{len(measured)} numbers of the stages", problem if measured else no_numbers)


def _check_tag(facts: Facts, tag: str, file: str, value: object) -> Check:
    """Compare a tag of the run with the value that the run's own file gives. None: the file gives no value."""
    stated = facts.tags.get(tag)
    if value is not None and value == stated:
        return Check(tag, "")
    found, tagged = (str(each or "missing")[:12] for each in (value, stated))
    return Check(tag, f"the value from {file} is {found}, the run's tag is {tagged}")


def _recorded(facts: Facts, commit: str) -> tuple[str, DvcLock | None]:
    """The dvc.lock that records the run, and in words where it is. None if no dvc.lock is found.

    A result is often committed after the run was made. Therefore later commits are searched too, and then the current
    folder. If no dvc.lock agrees with the run, the most similar one is returned, to list the differences. But if the
    repository lacks the run's commit, only None is true: the dvc.lock in the current folder is of another run.
    """
    locks = [(f"dvc.lock at {each[:8]}", lock) for each in _commits(commit) if (lock := _dvc_lock_at(each))]
    if HERE.exists():
        locks.append(("dvc.lock here", DvcLock.read(HERE)))
    differing = [len([*_differing_params(facts, lock), *_differing_files(facts, lock)]) for _, lock in locks]
    if 0 in differing:
        return locks[differing.index(0)]
    if not locks or (in_repository() and _is_commit(commit) and why_missing(commit)):
        return "", None
    name, lock = locks[differing.index(min(differing))]
    return (f"{name} (the most similar of {len(locks)})" if len(locks) > 1 else name), lock


def _commits(commit: str) -> Iterator[str]:
    """A commit, then its descendants that change dvc.lock, the oldest first. Commits of DVC's experiments count too.

    The commit is a tag of the run, which anybody may have written. git would read a tag such as `--output=…` as an
    option, so only hexadecimal commits are passed on.
    """
    if not _is_commit(commit):
        return
    yield commit
    options = "--all", "--reverse", "--ancestry-path", f"{commit}..", "--", "dvc.lock"
    yield from (git("rev-list", *options) or "").split()


def _is_commit(commit: str) -> bool:
    return bool(re.fullmatch("[0-9a-f]{7,64}", commit))


def _why_not_found(commit: str) -> str:
    """Why the run's commit gives no dvc.lock, and what to do."""
    if not commit:
        return "the run has no tag with its git commit"
    if not _is_commit(commit):
        return f"the run's tag with its git commit is invalid: {commit[:8]}"
    return why_missing(commit) or f"the run's commit {commit[:8]} has none"


def _dvc_lock_at(commit: str) -> DvcLock | None:
    """The dvc.lock in a commit. None if the commit has no dvc.lock or is not in this checkout."""
    text = git("show", f"{commit}:./dvc.lock")
    return None if text is None else DvcLock.parse(text, f"dvc.lock at {commit[:8]}")


def _differing_params(facts: Facts, lock: DvcLock) -> Iterator[str]:
    for name, recorded in lock.params(*STAGES).items():
        value = typed(name, recorded)
        # MLflow cut the long parameters of runs that an earlier version of charloom made.
        if facts.params.get(name) not in (param_text(value), str(value)[:PARAM_CHARACTERS]):
            yield f"{name} is {facts.params.get(name, 'missing')} in the run, {value} in dvc.lock"


def _differing_files(facts: Facts, lock: DvcLock) -> Iterator[str]:
    files, outs = facts.files(), lock.outs(*STAGES)
    if not outs:
        yield "dvc.lock records no training and no evaluation"
    for path, digest in outs.items():
        if files.get(path) != digest:
            yield f"{path} is {files.get(path, 'missing')[:12]} in the run, {digest[:12]} in dvc.lock"


def _differing_data(facts: Facts, lock: DvcLock) -> Iterator[str]:
    outs = lock.outs()
    for split, digest in facts.datasets.items():
        recorded = outs.get(f"data/raw/{split}.csv", "missing")
        if digest != recorded:
            yield f"{split}.csv is {digest[:12]} in the run, {recorded[:12]} in dvc.lock"


def _check_files(lock: DvcLock) -> Iterator[Check]:
    """Compare the files in DVC's cache with the digests in dvc.lock.

    If a file is not in the cache, the checkout may have it. A file with another digest in the checkout is no problem,
    because the checkout may have other results. It only counts as not found.
    """
    found, wrong = 0, []
    outs = {path: digest for path, digest in lock.outs().items() if not digest.endswith(".dir")}  # without folders
    for path, digest in outs.items():
        cached = main_checkout() / ".dvc/cache/files/md5" / digest[:2] / digest[2:]
        if cached.exists():
            found += 1
            if file_digest(cached, "md5") != digest:
                wrong.append(f"{path}: the file in DVC's cache is damaged ({cached})")
        elif Path(path).exists() and file_digest(Path(path), "md5") == digest:
            found += 1
    absent = f"; {len(outs) - found} are not in this checkout" if found < len(outs) else ""
    yield Check(f"content of {found} of {len(outs)} files{absent}", _first(iter(wrong)))


def _first(problems: Iterator[str]) -> str:
    """The first problem, and the number of further problems. Empty if there are no problems."""
    first, *others = [*problems] or [""]
    return first + (f" (and {len(others)} more)" if others else "")


def _datasets(run: Run) -> dict[str, str]:
    """The digest of each dataset of a run, by the name of the split."""
    inputs = run.inputs.dataset_inputs if run.inputs else []
    return {each.dataset.name.rpartition("/")[2].removesuffix(".csv"): each.dataset.digest for each in inputs}


def _read_object(path: Path) -> dict[str, Any]:
    """The JSON object in a file. Empty if the file is missing or is not a JSON object."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
