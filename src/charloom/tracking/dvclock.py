"""dvc.lock: what DVC recorded of the stages, their parameters and their files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from charloom.errors import InputError
from charloom.files import file_digest
from charloom.params import Params


@dataclass(frozen=True)
class DvcLock:
    """The stages that a dvc.lock records."""

    stages: Mapping[str, Mapping[str, Any]]

    @classmethod
    def read(cls, path: Path) -> DvcLock:
        """Read a dvc.lock; raises InputError where there is none."""
        try:
            return cls.parse(path.read_text(encoding="utf-8"), str(path))
        except FileNotFoundError:
            raise InputError(f"{path}: no such file; `dvc repro` writes it") from None

    @classmethod
    def parse(cls, text: str, where: str) -> DvcLock:
        """The content of a dvc.lock; raises InputError, with `where` it is from, if it is none."""
        try:
            stages = yaml.safe_load(text)["stages"]
        except (yaml.YAMLError, TypeError, KeyError):
            stages = None
        if not isinstance(stages, Mapping):
            raise InputError(f"{where}: not a dvc.lock")
        return cls(stages)

    def outs(self, *stages: str) -> dict[str, str]:
        """The MD5 of every out of these stages, of all where none is named, by its path."""
        recorded = [self.stages[name] for name in stages or self.stages if name in self.stages]
        return {out["path"]: out["md5"] for stage in recorded for out in stage.get("outs", ())}

    def deps(self, stage: str) -> dict[str, str]:
        """The MD5 of what a stage read, by its path."""
        return {dep["path"]: dep["md5"] for dep in self.stages.get(stage, {}).get("deps", ())}

    def params(self, *stages: str) -> dict[str, Any]:
        """The parameters of these stages, of all where none is named, as `section.name` → value."""
        recorded = [self.stages[name] for name in stages or self.stages if name in self.stages]
        return dict(pair for stage in recorded for pair in _flat(stage.get("params", {}).get("params.yaml", {})))

    def before(self, stage: str) -> DvcLock:
        """The same without a stage."""
        return DvcLock({name: recorded for name, recorded in self.stages.items() if name != stage})

    def text(self) -> str:
        """As DVC writes it."""
        return yaml.safe_dump({"schema": "2.0", "stages": dict(self.stages)}, sort_keys=False)


def check_recorded(lock: DvcLock, params: Params, workspace: Path) -> None:
    """Raise InputError unless the model and its evaluation in a workspace are what DVC recorded."""
    missing = {"train", "evaluate"} - set(lock.stages)
    if missing:
        raise InputError(f"dvc.lock: holds no {sorted(missing)[0]} yet; run `dvc repro` first")
    now = params.flat()
    for name, then in lock.params("train", "evaluate").items():
        if name in now and now[name] != then:
            raise InputError(
                f"params.yaml: {name} = {now[name]}, but what is here was made with {then}; run `dvc repro` first"
            )
    made = lock.outs()
    for path, digest in lock.deps("evaluate").items():
        if made.get(path, digest) != digest:
            raise InputError(f"{path}: was made again after the evaluation; run `dvc repro` first")
    for path, digest in lock.outs("train", "evaluate").items():
        if not (workspace / path).exists():
            raise InputError(f"{path}: no such file; `dvc pull` or `dvc repro` brings it")
        if file_digest(workspace / path, "md5") != digest:
            raise InputError(f"{path}: not what dvc.lock records; run `dvc repro` first")


def _flat(params: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """DVC records whole sections as mappings, single parameters by their dotted names."""
    for name, value in params.items():
        if isinstance(value, Mapping):
            yield from ((f"{name}.{key}", each) for key, each in value.items())
        else:
            yield name, value
