"""`charloom plan` in a real workspace: it writes nothing, and its number of steps is that of the real training."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.cli.test_doctor import files
from tests.pipeline.workspace import PIPELINE, UNTRACKED, Ended, Workspace, commit, ready_to_train

PLAN = ("env", "PYTHONPATH=src", "python", "-c", "from charloom.cli import main; main()", "plan", "--seconds", "0.3")
SMALL = UNTRACKED | {"train.epochs": 0.2, "baselines.max_characters": 20_000, "evaluate.max_characters": 20_000}


def plan(workspace: Workspace, *options: str) -> Ended:
    ended = workspace.run(*PLAN, *options)
    assert "Traceback" not in ended.output
    return ended


@pytest.mark.parametrize("settings", [{}, {"model.conditioning": "class", "windows.scope": "stream"}])
def test_each_stage_has_a_time_and_the_number_of_steps_is_right(tmp_path: Path, settings: dict[str, object]) -> None:
    workspace = ready_to_train(tmp_path, SMALL | settings)
    before = files(tmp_path)
    ended = plan(workspace, "--hours", "2")
    assert ended.code == 0, ended.output
    assert files(tmp_path) == before
    for stage in ("baselines", "train", "evaluate", "a run"):
        assert re.search(rf"^{stage}: \d[\d.]* (s|min)", ended.output, re.MULTILINE)
    fitting = re.search(r"^2 hours are enough for a run with train\.characters: (\d+) or", ended.output, re.MULTILINE)
    assert fitting
    assert int(fitting[1]) > 0

    stated = re.search(r"([\d,]+) steps at", ended.output)
    workspace.run_script("train")
    assert stated
    assert int(stated[1].replace(",", "")) == json.loads((tmp_path / "details/train.json").read_text())["steps"]


def test_missing_and_other_windows_have_a_remedy(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    workspace.make()
    ended = plan(workspace)
    assert (ended.code, len(ended.output.splitlines())) == (2, 1)
    assert "there are no windows yet; make them with `dvc repro windows`" in ended.output


def test_the_experiments_of_the_queue_are_counted(tmp_path: Path) -> None:
    workspace = ready_to_train(tmp_path, SMALL)
    workspace.begin_git()
    (tmp_path / "dvc.lock").write_text("schema: '2.0'\nstages: {}\n", encoding="utf-8")
    assert workspace.run("git", "add", *PIPELINE).code == 0
    commit(workspace)
    for change in ("train.seed=2,3", "windows.length=16"):
        planned = workspace.run("dvc", "exp", "run", "--queue", "-S", change)
        assert planned.code == 0, planned.output
    ended = plan(workspace)
    assert ended.code == 0, ended.output
    (line,) = ended.lines("the queue: ")
    assert line.endswith(" for 3 experiments; 2 of them fit into 8 hours")
    (line,) = ended.lines("experiment ")
    assert "not estimated: data/windows: made with other parameters of windows" in line
