"""The workflow that runs the tests on each push."""

from __future__ import annotations

import tomllib

import pytest
import yaml
from packaging.specifiers import SpecifierSet

from tests.conftest import CHECKOUT

WORKFLOW = yaml.safe_load((CHECKOUT / ".github/workflows/test.yml").read_text(encoding="utf-8"))


def test_it_runs_make_test_on_each_push_and_pull_request() -> None:
    assert WORKFLOW[True] == ["push", "pull_request"]  # YAML 1.1 reads the key `on` as true
    assert WORKFLOW["jobs"]["test"]["steps"][-1]["run"] == "make test PYTHON=python"


@pytest.mark.parametrize("python", WORKFLOW["jobs"]["test"]["strategy"]["matrix"]["python"])
def test_its_pythons_are_those_that_charloom_supports(python: str) -> None:
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert python in SpecifierSet(project["requires-python"])
