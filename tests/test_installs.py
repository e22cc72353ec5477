"""A model that was trained in one install can be loaded in another install, and gives the same scores there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from charloom.cells import CELLS
from tests.conftest import CHECKOUT

Install = Callable[..., Any]


@pytest.fixture
def installs() -> list[Install]:
    """This install and the other one. Each runs `python -m tests.installs ACTION FOLDER` in a new process."""
    other = os.environ.get("CHARLOOM_OTHER_PYTHON")
    if not other:
        pytest.skip("CHARLOOM_OTHER_PYTHON does not name the Python of another install; make test-torchtext sets it")

    def install(python: str) -> Install:
        def do(action: str, folder: Path) -> Any:
            environment = {**os.environ, "PYTHONPATH": str(CHECKOUT / "src")}
            command = [python, "-m", "tests.installs", action, str(folder)]
            return json.loads(subprocess.check_output(command, cwd=CHECKOUT, env=environment, text=True))

        return do

    return [install(sys.executable), install(other)]


def test_a_model_of_one_install_gives_the_same_scores_in_the_other(installs: list[Install], tmp_path: Path) -> None:
    for number, trained_by in enumerate(installs):
        folder = tmp_path / str(number)
        trained_by("train", folder)
        here, there = (scored_by("score", folder) for scored_by in installs)
        assert here.keys() == there.keys() == CELLS.keys()
        for cell in here:
            assert here[cell] == pytest.approx(there[cell], rel=1e-5)
