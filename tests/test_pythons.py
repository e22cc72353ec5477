"""The versions of Python that charloom states, and the workflow that runs the tests on some of them."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

import pytest
import yaml
from packaging.specifiers import SpecifierSet

from tests.conftest import CHECKOUT
from tests.pipeline.workspace import clean_environment

PROJECT = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
STATED = [each.rpartition(" ")[2] for each in PROJECT["classifiers"]]
PINS = re.findall(r"^([\w.-]+)==", (CHECKOUT / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE)
WORKFLOW = yaml.safe_load((CHECKOUT / ".github/workflows/test.yml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("python", STATED)
def test_every_pin_allows_the_python(python: str) -> None:
    """A pin that is not installed here, such as one for another system, is not checked."""
    allowed = {}
    for name in PINS:
        try:
            stated = metadata(name).json
            allowed[name] = SpecifierSet(str(stated.get("requires_python", "")))
        except PackageNotFoundError:
            continue
    assert len(allowed) > 0.9 * len(PINS)
    assert [name for name, specifiers in allowed.items() if f"{python}.7" not in specifiers] == []
    assert python in SpecifierSet(PROJECT["requires-python"])


def test_an_older_python_is_named_before_anything_is_installed(tmp_path: Path) -> None:
    old = tmp_path / "python3.9"
    old.write_text(f'#!/bin/sh\nshift\nexec {sys.executable} -c "import sys; sys.version_info = (3, 9, 1); $*"\n')
    old.chmod(0o755)
    command = ["make", "-C", str(CHECKOUT), "demo", f"PYTHON={old}", f"VENV={tmp_path / 'venv'}"]
    done = subprocess.run(command, env=clean_environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {old} is Python 3.9, but charloom needs 3.11 or newer; name a newer one:")
    assert not (tmp_path / "venv").exists()


def test_the_workflow_runs_make_test_on_each_push_and_pull_request() -> None:
    assert WORKFLOW[True] == ["push", "pull_request"]  # YAML 1.1 reads the key `on` as true
    assert WORKFLOW["jobs"]["test"]["steps"][-1]["run"] == "make test PYTHON=python"


def test_the_workflow_runs_on_stated_pythons() -> None:
    assert set(WORKFLOW["jobs"]["test"]["strategy"]["matrix"]["python"]) <= set(STATED)
