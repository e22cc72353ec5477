"""A model trained in one install is read by the other, and scores the same text alike."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import CHECKOUT

Install = Callable[..., Any]


@pytest.fixture
def installs() -> list[Install]:
    """This install and the other: each does `tests.installs`' ACTION FOLDER in a process of its own."""
    other = os.environ.get("CHARLOOM_OTHER_PYTHON")
    if not other:
        pytest.skip("CHARLOOM_OTHER_PYTHON is not set to the Python of another install, as make test-torchtext does")

    def install(python: str) -> Install:
        def do(action: str, folder: Path) -> Any:
            environment = {**os.environ, "PYTHONPATH": str(CHECKOUT / "src")}
            command = [python, "-m", "tests.installs", action, str(folder)]
            return json.loads(subprocess.check_output(command, cwd=CHECKOUT, env=environment, text=True))

        return do

    return [install(sys.executable), install(other)]


def test_what_one_install_trained_scores_alike_in_the_other(installs: list[Install], tmp_path: Path) -> None:
    for number, trained_by in enumerate(installs):
        folder = tmp_path / str(number)
        trained_by("train", folder)
        here, there = (scored_by("score", folder) for scored_by in installs)
        assert here.keys() == there.keys() == {"RNN", "LSTM", "GRU"}
        for cell in here:
            assert here[cell] == pytest.approx(there[cell], rel=1e-5)
