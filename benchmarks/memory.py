"""Peak memory and rate of four stages on a generated gigabyte of text: `memory.py [MEGABYTES]`.

The memory of a stage must not grow with the corpus. Peak memory is the highest anonymous memory of the process
(RssAnon). Pages of mapped files are not anonymous, so they do not count.
"""

from __future__ import annotations

import os
from pathlib import Path
import random
import subprocess
import sys
import tempfile
import threading
import time

from common import CHECKOUT, machine

MEGABYTE = 1_000_000
STAGES = ("download", "build_vocab", "make_windows", "train")  # the names of the scripts
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
        # A few hundred steps of training are enough to show its memory.
        training = ("model.hidden_size=64", f"train.epochs={0.3 / size}")
        command: list[str | Path] = [
            sys.executable,
            CHECKOUT / "scripts/workspace.py",
            workspace,
            *settings,
            *training,
        ]
        subprocess.run(command, check=True)
        print(f"{machine()}; train.csv of {size:,.0f} MB\n")
        print("| stage | seconds | MB/s | peak memory |\n|---|---|---|---|")
        for stage in STAGES:
            seconds, peak = run_stage(workspace, stage)
            rate = "reads a part" if stage == "train" else f"{size / seconds:.0f}"
            print(f"| {stage} | {seconds:.0f} | {rate} | {peak:,.0f} MB |", flush=True)


def write_corpus(path: Path, size: int) -> None:
    """Write at least `size` bytes of rows of random words, with the columns of AG_NEWS."""
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
    """Store the highest anonymous memory of a process (MB) in peaks[0]. The memory is read twenty times per second."""
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
