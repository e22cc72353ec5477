"""`make repro` continues after its stage, dvc, or both were killed at random moments.

`make repro` runs scripts/repair_dvc.py before `dvc repro`, because a kill can leave a file of DVC half-written.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

import psutil
import pytest

from tests.pipeline.workspace import CHECKOUT, STAGES, Workspace

KILLS = int(os.environ.get("CHARLOOM_PIPELINE_KILLS", "3"))  # `make soak` sets 60
Undisturbed = tuple[Workspace, float]

WHOM = ("dvc", "stage", "both")  # the processes to kill


def test_a_pipeline_killed_at_any_moment_ends_in_the_same_bytes(undisturbed: Undisturbed, tmp_path: Path) -> None:
    expected, seconds = undisturbed
    moments, kills, repaired = random.Random(1), Counter[str](), 0
    workspace = expected.copy(tmp_path / "0", results=False)
    finished = 0
    while kills.total() < KILLS:
        whom = WHOM[kills.total() % len(WHOM)]
        repaired += repair(workspace)
        running = kill_repro(workspace, whom, moments.uniform(0.05, 0.4) * seconds)
        if running is None:  # `dvc repro` ended before the kill: start again without results
            assert_same(workspace, expected)
            finished += 1
            workspace = expected.copy(tmp_path / str(finished), results=False)
        else:
            kills[f"{whom} in {running}"] += 1
    repaired += repair(workspace)
    workspace.repro()
    assert_same(workspace, expected)
    print(f"{kills.total()} kills in {finished + 1} whole pipelines: {dict(sorted(kills.items()))}")
    print(f"{repaired} kills left a file of DVC half-written")


@pytest.mark.parametrize(
    ("name", "left"),
    [
        (".dvc/tmp/rwlock", "{"),
        (".dvc/tmp/rwlock", '{"data/vocab.json": {"read": 5}}'),
        ("dvc.lock", "schema: '2.0'\nstages:\n  download:\n    cmd: python\n  x: ["),
        ("dvc.lock", "schema: '2.0'\nstages:\n  download:\n    deps:\n    - path: corpora\n"),
        ("dvc.lock", "stages:\n"),
        ("dvc.lock", ""),
    ],
)
def test_files_that_dvc_left_half_written_are_repaired(
    undisturbed: Undisturbed, tmp_path: Path, name: str, left: str
) -> None:
    workspace = undisturbed[0].copy(tmp_path / "broken")
    assert not repair(workspace)
    path = workspace.folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(left)
    assert workspace.run("dvc", "repro").code != 0
    assert repair(workspace)
    assert workspace.repro().stages == []  # the results are restored, no stage runs again
    assert_same(workspace, undisturbed[0])


def repair(workspace: Workspace) -> bool:
    """Run scripts/repair_dvc.py, as `make repro` does. Returns whether a file was repaired."""
    ended = workspace.run(sys.executable, str(CHECKOUT / "scripts" / "repair_dvc.py"))
    assert ended.code == 0, ended.output
    return bool(ended.output)


def assert_same(workspace: Workspace, expected: Workspace) -> None:
    assert workspace.recorded() == expected.recorded()
    for stage in STAGES:
        assert workspace.digests(stage) == expected.digests(stage)
    assert workspace.run("dvc", "status").output.strip() == "Data and pipelines are up to date."


def kill_repro(workspace: Workspace, whom: str, after_s: float) -> str | None:
    """Start `dvc repro` and kill dvc, its stage, or both. Returns the running stage, or None if all had ended."""
    log = workspace.folder / "repro.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            ["dvc", "repro"], cwd=workspace.folder, env=workspace.environment, stdout=output, stderr=output
        )
    with process:
        try:
            assert process.wait(after_s) == 0, log.read_text()  # it ended before the kill
        except subprocess.TimeoutExpired:
            stages = psutil.Process(process.pid).children(recursive=True)
            if whom != "stage" or not stages:
                process.kill()
            for stage in stages if whom != "dvc" else []:
                stage.kill()
    text = log.read_text()
    assert "Traceback" not in text, text
    if process.returncode == 0:
        return None
    ran = [line.split("'")[1] for line in text.splitlines() if line.startswith("Running stage")]
    return ran[-1] if ran else "no stage"
