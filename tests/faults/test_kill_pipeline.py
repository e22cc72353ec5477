"""`dvc repro` whose stage, dvc, or both are killed at random moments, again and again: it goes on without help."""

from __future__ import annotations

import os
import random
import subprocess
from collections import Counter
from pathlib import Path

import psutil

from tests.pipeline.workspace import STAGES, Workspace

KILLS = int(os.environ.get("CHARLOOM_PIPELINE_KILLS", "3"))  # `make soak` says 60
WHOM = ("dvc", "stage", "both")


def test_killed_anywhere_it_goes_on_to_the_same_bytes(undisturbed: tuple[Workspace, float], tmp_path: Path) -> None:
    expected, seconds = undisturbed
    moments, done = random.Random(1), Counter[str]()
    workspace = expected.copy(tmp_path / "0", results=False)
    finished = 0
    while done.total() < KILLS:
        whom = WHOM[done.total() % len(WHOM)]
        struck = kill_repro(workspace, whom, moments.uniform(0.05, 0.5) * seconds)
        if struck is None:  # over before its moment: the same again from nothing
            assert_same(workspace, expected)
            finished += 1
            workspace = expected.copy(tmp_path / str(finished), results=False)
        else:
            done[f"{whom} in {struck}"] += 1
    workspace.repro()
    assert_same(workspace, expected)
    print(f"{done.total()} kills over {finished + 1} whole pipelines: {dict(sorted(done.items()))}")


def assert_same(workspace: Workspace, expected: Workspace) -> None:
    assert workspace.recorded() == expected.recorded()
    for stage in STAGES:
        assert workspace.digests(stage) == expected.digests(stage)
    assert workspace.run("dvc", "status").output.strip() == "Data and pipelines are up to date."


def kill_repro(workspace: Workspace, whom: str, after_s: float) -> str | None:
    """Start `dvc repro` and kill dvc, its stage, or both; gives the stage that was running, None where it was over."""
    log = workspace.folder / "repro.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            ["dvc", "repro"], cwd=workspace.folder, env=workspace.environment, stdout=output, stderr=output
        )
    with process:
        try:
            process.wait(after_s)
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
