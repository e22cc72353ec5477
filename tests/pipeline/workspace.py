"""A folder with a copy of the pipeline, whose parameters are so small that it trains in a second."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from charloom.files import file_digest
from charloom.project.workspace import make_workspace

CHECKOUT = Path(__file__).parents[2]
STAGES = ("download", "vocab", "windows", "baselines", "train", "evaluate")
TINY: dict[str, object] = {
    "data.source": "sample",
    "data.valid_fraction": 0.05,
    "windows.length": 32,
    "windows.stride": 32,
    "model.hidden_size": 16,
    "train.batch_size": 32,
    "train.epochs": 0.3,
    "train.validate_every": 20,
    "train.log_every": 5,
    "evaluate.samples": 2,
    "evaluate.sample_length": 40,
}
PIPELINE = (".dvc", ".dvcignore", ".gitattributes", ".gitignore", "dvc.yaml", "params.yaml", "stages", "src", "corpora")
NOT_COPIED = {True: shutil.ignore_patterns("site"), False: shutil.ignore_patterns("site", "tmp", "cache")}
UNTRACKED: dict[str, object] = {"tracking.enabled": False}
# git with a name and an address, which commits and annotated tags need.
GIT = ("git", "-c", "user.name=nobody", "-c", "user.email=nobody@example.org")


def clean_environment(**more: str) -> dict[str, str]:
    """The environment without variables of DVC, MLflow, charloom or Python. This Python is first on the PATH."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("DVC_", "MLFLOW_", "CHARLOOM_", "PYTHON"))
    }
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    return {**kept, "PATH": path, "OMP_WAIT_POLICY": "PASSIVE", **more}


@dataclass(frozen=True)
class Ended:
    """A process that has ended: its exit code, and its stdout and stderr together."""

    code: int
    output: str

    @property
    def stages(self) -> list[str]:
        """The stages that this `dvc repro` ran. A stage that DVC restored from its run cache did not run."""
        return re.findall(r"Running stage '(\w+)'", self.output)

    def lines(self, beginning: str) -> list[str]:
        """The lines with this beginning."""
        return [line for line in self.output.splitlines() if line.startswith(beginning)]


@dataclass(frozen=True)
class Workspace:
    """A folder with a copy of the pipeline, and the environment variables for its processes."""

    folder: Path
    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """The environment of the processes here. DVC's database of known files is inside the folder."""
        return clean_environment(DVC_SITE_CACHE_DIR=str(self.folder / ".dvc" / "site"), **self.variables)

    def make(self) -> None:
        """Make the tiny pipeline here, from the files of the checkout."""
        make_workspace(self.folder, TINY)

    def copy(self, folder: Path, *, results: bool = True, **variables: str) -> Workspace:
        """A copy in another folder, with or without the results. The copy has only the given environment variables."""
        for source in self.folder.iterdir() if results else map(self.folder.joinpath, PIPELINE):
            if source.is_dir():
                shutil.copytree(source, folder / source.name, ignore=NOT_COPIED[results])
            else:
                folder.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, folder / source.name)
        return Workspace(folder, variables)

    def begin_git(self) -> None:
        """Make the folder a git repository, and let DVC use git."""
        config = self.folder / ".dvc" / "config"
        config.write_text(config.read_text().replace("    no_scm = true\n", ""))
        made = self.run("git", "init", "--quiet")
        assert made.code == 0, made.output

    def set(self, settings: Mapping[str, object]) -> None:
        """Set parameters in params.yaml."""
        path = self.folder / "params.yaml"
        params = yaml.safe_load(path.read_text(encoding="utf-8"))
        for key, value in settings.items():
            section, name = key.split(".")
            assert name in params[section]
            params[section][name] = value
        path.write_text(yaml.safe_dump(params), encoding="utf-8")

    def start(self, *command: str) -> subprocess.Popen[str]:
        """Start a command here. Its stdout and stderr come through one pipe."""
        self.folder.mkdir(parents=True, exist_ok=True)
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def start_script(self, stage: str) -> subprocess.Popen[str]:
        """Start the command of a stage. The process is the stage itself, not a shell."""
        return self.start("sh", "-c", f"exec env {read_stages(self.folder)[stage]['cmd']}")

    def run(self, *command: str, timeout_s: float = 300) -> Ended:
        """Run a command here and wait for it."""
        with self.start(*command) as process:
            try:
                output = process.communicate(timeout=timeout_s)[0]
            except BaseException:
                process.kill()
                raise
        return Ended(process.returncode, output)

    def repro(self, *arguments: str) -> Ended:
        """`dvc repro`, which must succeed."""
        done = self.run("dvc", "repro", *arguments)
        assert done.code == 0, done.output
        return done

    def run_queue(self, jobs: int, timeout_s: float = 300) -> str:
        """Let `jobs` workers run DVC's queue. Returns the status of the queue at the end or after `timeout_s`."""
        started = self.run("dvc", "queue", "start", "--jobs", str(jobs))
        assert started.code == 0, started.output
        deadline = time.monotonic() + timeout_s
        while re.search(r"Running|Queued", status := self.run("dvc", "queue", "status").output):
            if time.monotonic() > deadline:
                break
            time.sleep(5)  # each `dvc queue status` takes two seconds of a core
        self.run("dvc", "queue", "stop", "--kill")
        return status

    def run_script(self, stage: str) -> Ended:
        """Run the command of a stage without DVC. It must succeed."""
        done = self.run("sh", "-c", read_stages(self.folder)[stage]["cmd"])
        assert done.code == 0, done.output
        return done

    def recorded(self) -> dict[str, str]:
        """The MD5 of every out, as dvc.lock states it."""
        lock = yaml.safe_load((self.folder / "dvc.lock").read_text())
        return {out["path"]: out["md5"] for stage in lock["stages"].values() for out in stage["outs"]}

    def digests(self, stage: str) -> dict[str, str]:
        """The SHA-256 of every file that a stage wrote."""
        found: dict[str, str] = {}
        for out in outs(read_stages(self.folder)[stage]):
            path = self.folder / out
            files = [file for file in sorted(path.rglob("*")) if file.is_file()] if path.is_dir() else [path]
            found |= {file.relative_to(self.folder).as_posix(): file_digest(file) for file in files}
        return found


def commit(workspace: Workspace) -> None:
    """Commit what a user would commit: the pipeline, its parameters and dvc.lock."""
    for command in (
        ("git", "add", ".dvc/config", "dvc.yaml", "dvc.lock", "params.yaml"),
        (*GIT, "commit", "--quiet", "--message", "results"),
    ):
        ended = workspace.run(*command)
        assert ended.code == 0, ended.output


def ready_to_train(folder: Path, settings: Mapping[str, object]) -> Workspace:
    """The tiny pipeline with these settings, after every stage before train."""
    workspace = Workspace(folder)
    workspace.make()
    workspace.set(settings)
    for stage in ("download", "vocab", "windows"):
        workspace.run_script(stage)
    return workspace


def read_stages(folder: Path) -> dict[str, dict[str, Any]]:
    """The stages of a dvc.yaml."""
    stages: dict[str, dict[str, Any]] = yaml.safe_load((folder / "dvc.yaml").read_text())["stages"]
    return stages


def outs(stage: Mapping[str, Any]) -> list[str]:
    """The outs of a stage, including its metrics, without their options."""
    listed = [*stage.get("outs", []), *stage.get("metrics", []), *stage.get("plots", [])]
    return [next(iter(out)) if isinstance(out, dict) else out for out in listed]
