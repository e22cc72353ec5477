"""Many pipelines in one process: none fails, and what the process holds does not grow."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys

from tests.conftest import CHECKOUT
from tests.pipeline.workspace import clean_environment

RUNS = int(os.environ.get("CHARLOOM_RUNS", "10"))  # `make soak` says 500
SHAPES = "8"  # of the last 1,024 oneDNN would keep the code: no leak, but as each run has others, 60 MB by and by


def test_pipelines_of_any_legal_parameters_end_and_give_everything_back() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.soak", str(RUNS)],
        cwd=CHECKOUT,
        env=clean_environment(PYTHONPATH=f"{CHECKOUT}/src", ONEDNN_PRIMITIVE_CACHE_CAPACITY=SHAPES),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    held = [tuple(map(int, line.split())) for line in done.stdout.splitlines() if line[0].isdigit()]
    assert len(held) == RUNS
    memory, files = zip(*held, strict=True)
    half = RUNS // 2  # the first ones fill caches
    early, late = (statistics.median(memory[begin : begin + max(1, half // 3)]) for begin in (half, RUNS - half // 3))
    print(
        f"{RUNS} pipelines: {early / 1e6:.0f} MB in the middle, {late / 1e6:.0f} MB at the end, {files[-1]} open files"
    )
    assert len(set(files[half:])) == 1
    assert late < 1.1 * early
