"""Peak memory and rate of the first stages over a generated gigabyte. Memory must not grow with the corpus.

`memory.py [MEGABYTES]`. Peak memory is the anonymous memory of the process (RssAnon): pages of mapped files do not
count.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from common import CHECKOUT, machine

MEGABYTE = 1_000_000
STAGES = ("download", "build_vocab", "make_windows", "train")
ARTICLE_WORDS = 40


def main() -> None:
    megabytes = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    with tempfile.TemporaryDirectory() as folder:
        corpus, workspace = Path(folder) / "corpus", Path(folder) / "workspace"
        corpus.mkdir()
        write_corpus(corpus / "train.csv", megabytes * MEGABYTE)
        write_corpus(corpus / "test.csv", MEGABYTE)
        size = (corpus / "train.csv").stat().st_size / MEGABYTE
        settings = (f"data.source={corpus}", "data.valid_fraction=0.0001", "tracking.enabled=false")
        training = ("model.hidden_size=64", f"train.epochs={0.3 / size}")  # some 200 steps show its memory
        make_workspace: list[str | Path] = [
            sys.executable,
            CHECKOUT / "scripts/workspace.py",
            workspace,
            *settings,
            *training,
        ]
        subprocess.run(make_workspace, check=True)
        print(f"{machine()}; train.csv of {size:,.0f} MB\n")
        print("| stage | seconds | MB/s | peak memory |\n|---|---|---|---|")
        for stage in STAGES:
            seconds, peak = run_stage(workspace, stage)
            rate = "reads a part" if stage == "train" else f"{size / seconds:.0f}"
            print(f"| {stage} | {seconds:.0f} | {rate} | {peak:,.0f} MB |", flush=True)


def write_corpus(path: Path, size: int) -> None:
    """Write rows of random words with the columns of AG_NEWS."""
    draw = random.Random(1)
    words = ["".join(draw.choices("etaoinshrdlucmfwypvbgkjqxz", k=draw.randint(1, 9))) for _ in range(5000)]
    with path.open("w", encoding="utf-8") as file:
        while file.tell() < size:
            rows = (
                f'"{draw.randint(1, 4)}","{" ".join(draw.choices(words, k=6))}",'
                f'"{" ".join(draw.choices(words, k=ARTICLE_WORDS))}"\n'
                for _ in range(1000)
            )
            file.writelines(rows)


def run_stage(workspace: Path, stage: str) -> tuple[float, float]:
    """Run a stage. Returns its seconds and the peak memory of its process in MB."""
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, f"stages/{stage}.py"],
        cwd=workspace,
        env={**os.environ, "PYTHONPATH": "src"},
        stdout=subprocess.DEVNULL,
    )
    peaks = [0.0]
    watcher = threading.Thread(target=watch, args=(process, peaks))
    watcher.start()
    if process.wait():
        raise SystemExit(f"{stage} failed")
    watcher.join()
    return time.perf_counter() - began, peaks[0]


def watch(process: subprocess.Popen[bytes], peaks: list[float]) -> None:
    """Keep the peak of a process's anonymous memory in peaks[0], looking twenty times per second."""
    status = Path(f"/proc/{process.pid}/status")
    while process.poll() is None:
        try:
            line = next((line for line in status.read_text().splitlines() if line.startswith("RssAnon")), None)
        except OSError:  # the process has just ended
            return
        if line:
            peaks[0] = max(peaks[0], int(line.split()[1]) * 1024 / MEGABYTE)
        time.sleep(0.05)


if __name__ == "__main__":
    main()
