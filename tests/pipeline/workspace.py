"""A folder with the pipeline in it, at a size that trains in a second, and what ran there."""

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
PIPELINE = (".dvc", ".dvcignore", "dvc.yaml", "params.yaml", "stages", "src", "corpora")
NOT_COPIED = {True: shutil.ignore_patterns("site"), False: shutil.ignore_patterns("site", "tmp", "cache")}
UNTRACKED: dict[str, object] = {"tracking.enabled": False}


def clean_environment(**more: str) -> dict[str, str]:
    """This process's environment without what steers DVC, MLflow or charloom, this Python first on the PATH."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("DVC_", "MLFLOW_", "CHARLOOM_", "PYTHON"))
    }
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    return {**kept, "PATH": path, "OMP_WAIT_POLICY": "PASSIVE", **more}


@dataclass(frozen=True)
class Ended:
    """A process that has ended: its exit code, and what it said on stdout and stderr together."""

    code: int
    output: str

    @property
    def stages(self) -> list[str]:
        """The stages that this `dvc repro` ran; one taken from the run cache was not."""
        return re.findall(r"Running stage '(\w+)'", self.output)

    def lines(self, beginning: str) -> list[str]:
        """The lines that begin so."""
        return [line for line in self.output.splitlines() if line.startswith(beginning)]


@dataclass(frozen=True)
class Workspace:
    """A folder with the pipeline in it."""

    folder: Path
    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """What its processes see; DVC's database of the files that it knows stays inside."""
        return clean_environment(DVC_SITE_CACHE_DIR=str(self.folder / ".dvc" / "site"), **self.variables)

    def make(self) -> None:
        """Make the tiny pipeline here, of the checkout's files."""
        settings = [f"{name}={value}" for name, value in TINY.items()]
        made = self.run(sys.executable, str(CHECKOUT / "scripts" / "workspace.py"), ".", *settings)
        assert made.code == 0, made.output

    def copy(self, folder: Path, *, results: bool = True, **variables: str) -> Workspace:
        """The pipeline in another folder, with or without what it wrote, and with these variables alone."""
        for source in self.folder.iterdir() if results else map(self.folder.joinpath, PIPELINE):
            if source.is_dir():
                shutil.copytree(source, folder / source.name, ignore=NOT_COPIED[results])
            else:
                folder.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, folder / source.name)
        return Workspace(folder, variables)

    def begin_git(self) -> None:
        """Make it a git repository, as DVC then takes it."""
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
        """Start a command here; what it says on stdout and stderr comes through one pipe."""
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
        """Start a stage's command as dvc.yaml has it; the process is the stage itself."""
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
        """Let `jobs` workers of DVC's queue run what waits in it; gives its last status, which says what hung."""
        started = self.run("dvc", "queue", "start", "--jobs", str(jobs))
        assert started.code == 0, started.output
        deadline = time.monotonic() + timeout_s
        while re.search(r"Running|Queued", status := self.run("dvc", "queue", "status").output):
            if time.monotonic() > deadline:
                break
            time.sleep(5)  # asking takes two seconds of a core
        self.run("dvc", "queue", "stop", "--kill")
        return status

    def run_script(self, stage: str) -> Ended:
        """A stage's command as dvc.yaml has it, without DVC; it must succeed."""
        done = self.run("sh", "-c", read_stages(self.folder)[stage]["cmd"])
        assert done.code == 0, done.output
        return done

    def recorded(self) -> dict[str, str]:
        """The MD5 of every out, as dvc.lock has it."""
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


def ready_to_train(folder: Path, settings: Mapping[str, object]) -> Workspace:
    """The tiny pipeline with these settings, everything before train done."""
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
    """The outs of a stage, its metrics among them, without their options."""
    listed = [*stage.get("outs", []), *stage.get("metrics", []), *stage.get("plots", [])]
    return [next(iter(out)) if isinstance(out, dict) else out for out in listed]
