from __future__ import annotations

from pathlib import Path

import pytest

from charloom.doctor.facts import Mark, warning
from charloom.doctor.machine import check_cores, check_python, driver_version
from tests.learning import train_params

PROPRIETARY = """NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.129.03  Thu Oct 19 18:56:32 UTC 2023
GCC version:  gcc version 11.4.0 (Ubuntu 11.4.0-1ubuntu1~22.04)
"""
OPEN = """NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  550.54.15  Release Build  (builder@host)
GCC version:  gcc version 12.2.0 (Debian 12.2.0-14)
"""


@pytest.mark.parametrize(("text", "version"), [(PROPRIETARY, "535.129.03"), (OPEN, "550.54.15"), ("?", None)])
def test_the_version_of_the_driver(tmp_path: Path, text: str, version: str | None) -> None:
    path = tmp_path / "version"
    assert driver_version(path) is None
    path.write_text(text)
    assert driver_version(path) == version


def test_an_old_python_is_a_fault() -> None:
    assert check_python().mark is Mark.OK
    old = check_python((3, 10, 12))
    assert old.mark is Mark.FAULT
    assert "PYTHON=python3.11" in old.line


def test_the_containers_limit_is_stated_and_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    (tmp_path / "cpu.max").write_text("150000 100000\n")
    fact = check_cores(train_params(threads="auto"), tmp_path)
    assert fact.mark is Mark.OK
    assert "the container's limit is 1.5; a training uses 1 threads" in fact.line
    assert check_cores(train_params(threads=1), tmp_path).mark is Mark.OK
    assert check_cores(train_params(threads=1024), tmp_path).mark is Mark.WARNING


def test_a_line_has_no_password_and_no_control_character() -> None:
    line = warning("MLflow", "https://anna:secret@host/ said\x1b[2J\nno", "ask anna").line
    assert line == r"MLflow: https://host/ said\x1b[2J no; ask anna"
