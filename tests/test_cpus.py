from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from charloom.cpus import auto_threads, cpu_limit, omp_threads
from charloom.text.workers import usable_cores
from tests.conftest import CHECKOUT

THREADS = """
import sys, torch
from pathlib import Path
from charloom.model.device import set_threads
set_threads("auto", groups=Path(sys.argv[1]))
print(torch.get_num_threads())
"""


def write(folder: Path, **files: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("_", ".", 1)).write_text(text)


@pytest.mark.parametrize(("text", "limit"), [("150000 100000\n", 1.5), ("max 100000\n", None), ("x\n", None)])
def test_the_limit_of_version_2(tmp_path: Path, text: str, limit: float | None) -> None:
    write(tmp_path, cpu_max=text)
    assert cpu_limit(tmp_path) == limit


@pytest.mark.parametrize(("quota", "limit"), [("300000", 3.0), ("-1", None)])
@pytest.mark.parametrize("controller", ["cpu", "cpu,cpuacct"])
def test_the_limit_of_version_1(tmp_path: Path, controller: str, quota: str, limit: float | None) -> None:
    write(tmp_path / controller, cpu_cfs_quota_us=quota, cpu_cfs_period_us="100000")
    assert cpu_limit(tmp_path) == limit


def test_the_smallest_limit_of_the_groups_around_a_process_applies(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.write_text("3:cpuset:/\n0::/outer/inner\n")
    groups = tmp_path / "groups"
    write(groups / "outer", cpu_max="200000 100000")
    write(groups / "outer" / "inner", cpu_max="400000 100000")
    assert cpu_limit(groups, own) == 2.0
    assert cpu_limit(tmp_path / "missing", tmp_path / "missing") is None


def test_threads_are_divided_and_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert auto_threads(8, 2, tmp_path) == 4
    assert auto_threads(2, 4, tmp_path) == 1
    write(tmp_path, cpu_max="350000 100000")
    assert auto_threads(8, 1, tmp_path) == 3
    monkeypatch.setenv("OMP_NUM_THREADS", "2,1")
    assert auto_threads(8, 1, tmp_path) == 2


def test_a_worker_of_torchrun_ignores_the_1_that_torchrun_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
    assert omp_threads() == 1
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "charloom")
    assert omp_threads() is None
    monkeypatch.setenv("OMP_NUM_THREADS", "none")
    assert omp_threads() is None


@pytest.mark.parametrize("limit", ["taskset", "OMP_NUM_THREADS", "container"])
def test_a_process_uses_as_many_threads_as_it_may(tmp_path: Path, limit: str) -> None:
    if usable_cores() < 2:
        pytest.skip("this machine has one core")
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    if limit == "OMP_NUM_THREADS":
        environment[limit] = "1"
    if limit == "container":
        write(tmp_path, cpu_max="100000 100000")
    core = min(os.sched_getaffinity(0))
    command = ["taskset", "--cpu-list", str(core)] if limit == "taskset" else []
    assert threads(tmp_path, environment, command) == 1
    environment.pop("OMP_NUM_THREADS", None)
    assert threads(tmp_path / "no-limit", environment, []) == usable_cores()


def threads(groups: Path, environment: dict[str, str], command: list[str]) -> int:
    done = subprocess.run(
        [*command, sys.executable, "-c", THREADS, str(groups)],
        env=environment | {"PYTHONPATH": str(CHECKOUT / "src")},
        capture_output=True,
        text=True,
        check=True,
    )
    return int(done.stdout)
