"""The stages vocab and windows: two processes compared with one, and what more cores should give.

The corpus is train.csv of AG_NEWS-26k (or of the embedded sample), repeated to 100 MB. One and two processes take
turns. On a busy machine, two processes cannot get two cores. Therefore the table also has the CPU
time, which other work changes less. "workers" is what the workers do in parallel. "main" is what the main process does
meanwhile: it receives the arrays, writes them and computes their digests.

The last lines estimate the rate on more cores. With n cores, the workers need 1/n of their time, and the main process
needs all of its time. The longer of the two times decides. The time of a disk is not in this estimate.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
import resource
import statistics
import tempfile
import time
from typing import NamedTuple

from charloom.corpus.sources import SAMPLE
from charloom.params_file import load_params
from charloom.text.encode import encode_splits
from charloom.text.frequencies import count_file
from charloom.text.vocab import Vocabulary

from common import AG_NEWS_26K, CHECKOUT, PAIRS, machine

BYTES = 100_000_000


class Time(NamedTuple):
    """Seconds: elapsed, and the CPU time of this process and of the workers that ended meanwhile."""

    elapsed: float
    main_process: float
    workers: float


Work = Callable[[int], object]  # does the work with so many processes


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        raw = repeated_corpus(Path(folder) / "raw")
        megabytes = sum(path.stat().st_size for path in raw.iterdir()) / 1e6
        vocabulary = Vocabulary.from_counts(*count_file(raw / "train.csv"))
        params = load_params(CHECKOUT / "params.yaml")

        def windows(processes: int) -> object:
            return encode_splits(
                raw,
                Path(folder) / "windows",
                vocabulary,
                params.windows,
                valid_fraction=params.data.valid_fraction,
                seed=params.data.seed,
                processes=processes,
            )

        works: dict[str, Work] = {
            "vocab": lambda processes: count_file(raw / "train.csv", processes=processes),
            "windows": windows,
        }
        times = {name: measured(work) for name, work in works.items()}
    print(f"{machine()}; {megabytes:.0f} MB, {PAIRS} pairs\n")
    print("| stage | 2 processes | 1 process | ratio | CPU seconds of 1 process | of 2: workers | of 2: main |")
    print("|---|---|---|---|---|---|---|")
    for name, pairs in times.items():
        print(row(name, pairs, megabytes))
    for name, pairs in times.items():
        rates = {cores: estimate(pairs, megabytes, cores) for cores in (2, 16, 64)}
        print(f"\n{name}: " + ", ".join(f"{cores} cores: {rate:,.0f} MB/s" for cores, rate in rates.items()))


def repeated_corpus(folder: Path) -> Path:
    """A folder with a train.csv of about 100 MB and a test.csv of one row."""
    source = AG_NEWS_26K if AG_NEWS_26K.is_dir() else SAMPLE
    folder.mkdir()
    rows = (source / "train.csv").read_bytes().rstrip(b"\n") + b"\n"
    (folder / "train.csv").write_bytes(rows * (BYTES // len(rows)))
    (folder / "test.csv").write_bytes(b'"1","Title","Description"\n')
    return folder


def measured(work: Work) -> list[tuple[Time, Time]]:
    """The times of two processes and of one, which take turns."""
    return [(timed(lambda: work(2)), timed(lambda: work(1))) for _ in range(PAIRS)]


def timed(work: Callable[[], object]) -> Time:
    def now() -> tuple[float, float, float]:
        own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        return time.perf_counter(), own.ru_utime + own.ru_stime, children.ru_utime + children.ru_stime

    before = now()
    work()
    return Time(*(b - a for a, b in zip(before, now(), strict=True)))


def median(pairs: list[tuple[Time, Time]]) -> tuple[Time, Time]:
    """The median times of two processes and of one."""
    two, one = (Time(*map(statistics.median, zip(*times, strict=True))) for times in zip(*pairs, strict=True))
    return two, one


def row(name: str, pairs: list[tuple[Time, Time]], megabytes: float) -> str:
    two, one = median(pairs)
    ratios = sorted(b.elapsed / a.elapsed for a, b in pairs)
    ratio = f"**{statistics.median(ratios):.2f}** ({ratios[0]:.2f} to {ratios[-1]:.2f})"
    rates = f"{megabytes / two.elapsed:.0f} MB/s | {megabytes / one.elapsed:.0f} MB/s"
    return f"| {name} | {rates} | {ratio} | {one.main_process:.2f} | {two.workers:.2f} | {two.main_process:.2f} |"


def estimate(pairs: list[tuple[Time, Time]], megabytes: float, cores: int) -> float:
    """MB/s with so many cores."""
    two, _ = median(pairs)
    return megabytes / max((two.workers + two.main_process) / cores, two.main_process)


if __name__ == "__main__":
    main()
