"""Many pipelines run in one process. None fails, and the process does not need ever more memory or open files."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys

from tests.conftest import CHECKOUT
from tests.pipeline.workspace import clean_environment

RUNS = int(os.environ.get("CHARLOOM_RUNS", "10"))  # `make soak` sets 500
# oneDNN keeps the compiled code for its last 1,024 shapes. Each run has different shapes, so the code would grow to 60
# MB. This is not a leak, but the test could not tell it from one. So oneDNN keeps only this many shapes.
KEPT_SHAPES = "8"


def test_pipelines_with_any_valid_parameters_leak_neither_memory_nor_files() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.soak", str(RUNS)],
        cwd=CHECKOUT,
        env=clean_environment(PYTHONPATH=f"{CHECKOUT}/src", ONEDNN_PRIMITIVE_CACHE_CAPACITY=KEPT_SHAPES),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    after_each_run = [tuple(map(int, line.split())) for line in done.stdout.splitlines() if line[0].isdigit()]
    assert len(after_each_run) == RUNS
    memory, files = zip(*after_each_run, strict=True)
    half = RUNS // 2  # the first half does not count, because it fills caches
    early, late = (statistics.median(memory[begin : begin + max(1, half // 3)]) for begin in (half, RUNS - half // 3))
    print(
        f"{RUNS} pipelines: {early / 1e6:.0f} MB in the middle, {late / 1e6:.0f} MB at the end, {files[-1]} open files"
    )
    assert len(set(files[half:])) == 1
    assert late < 1.1 * early
