"""dvc.lock: the file in which DVC records the stages, their parameters and the digests of their files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, TypeAdapter, ValidationError

from charloom.errors import InputError
from charloom.files import file_digest, flatten
from charloom.params import Params
from charloom.secrets import with_no_secrets


class _File(BaseModel, extra="allow"):
    path: str
    md5: str


class _Stage(BaseModel, extra="allow"):
    outs: list[_File] = []
    deps: list[_File] = []
    params: dict[str, dict[str, Any]] = {}


_STAGES = TypeAdapter(dict[str, _Stage])  # the part of a dvc.lock that this module reads


@dataclass(frozen=True)
class DvcLock:
    """The stages that a dvc.lock records, without secrets such as a password in data.source."""

    stages: Mapping[str, Mapping[str, Any]]

    @classmethod
    def read(cls, path: Path) -> DvcLock:
        """Read a dvc.lock. Raises InputError if the file is missing or is not a dvc.lock."""
        try:
            return cls.parse(path.read_text(encoding="utf-8", errors="replace"), str(path))
        except FileNotFoundError:
            raise InputError(f"{path}: no such file; `dvc repro` writes it") from None

    @classmethod
    def parse(cls, text: str, where: str) -> DvcLock:
        """Parse the text of a dvc.lock. Raises InputError if the text is not a dvc.lock.

        The error begins with `where`, which says where the text comes from.
        """
        try:
            stages = with_no_secrets(yaml.safe_load(text)["stages"])
            _STAGES.validate_python(stages)
        except (yaml.YAMLError, TypeError, KeyError, ValidationError, RecursionError):
            raise InputError(
                f"{where}: not a valid dvc.lock; restore it from git, or delete it and run `dvc repro`"
            ) from None
        return cls(stages)

    def outs(self, *stages: str) -> dict[str, str]:
        """The MD5 of every output of these stages, by path. If no stage is given, the outputs of all stages."""
        return {out["path"]: out["md5"] for stage in self._named(stages) for out in stage.get("outs", ())}

    def deps(self, stage: str) -> dict[str, str]:
        """The MD5 of every file and folder that a stage depends on, by path."""
        return {dep["path"]: dep["md5"] for dep in self.stages.get(stage, {}).get("deps", ())}

    def params(self, *stages: str) -> dict[str, Any]:
        """The parameters of these stages as `section.name` → value. If no stage is given, those of all stages."""
        found: dict[str, Any] = {}
        for stage in self._named(stages):
            found |= flatten(stage.get("params", {}).get("params.yaml", {}))
        return found

    def without(self, stage: str) -> DvcLock:
        """The same dvc.lock without one stage."""
        return DvcLock({name: recorded for name, recorded in self.stages.items() if name != stage})

    def text(self) -> str:
        """The text of the file, as DVC writes it."""
        return yaml.safe_dump({"schema": "2.0", "stages": dict(self.stages)}, sort_keys=False)

    def _named(self, stages: tuple[str, ...]) -> list[Mapping[str, Any]]:
        return [self.stages[name] for name in stages or self.stages if name in self.stages]


def check_recorded(lock: DvcLock, params: Params, workspace: Path) -> None:
    """Raise InputError unless the model and its evaluation in a workspace are those that DVC recorded."""
    for stage in ("train", "evaluate"):
        if stage not in lock.stages:
            raise InputError(f"dvc.lock: the stage {stage} is not recorded yet; run `dvc repro` first")
    now = params.flat()
    for name, recorded in lock.params("train", "evaluate").items():
        if name in now and now[name] != recorded:
            raise InputError(
                f"params.yaml: {name} = {now[name]}, but the files here were made with {recorded}; run `dvc repro`"
                " first"
            )
    outs = lock.outs()
    for path, digest in lock.deps("evaluate").items():
        if outs.get(path, digest) != digest:
            raise InputError(f"{path}: this file was made again after the evaluation; run `dvc repro` first")
    for path, digest in lock.outs("train", "evaluate").items():
        if not (workspace / path).exists():
            raise InputError(f"{path}: no such file; run `dvc pull` or `dvc repro`")
        if file_digest(workspace / path, "md5") != digest:
            raise InputError(f"{path}: this is not the file that dvc.lock records; run `dvc repro` first")
