"""The whole pipeline on a large generated corpus: time and peak memory of each stage, and what 50 GB would take.

The corpus has the columns of AG_NEWS. Its words are drawn at random from a generated vocabulary: word n has a
probability that is proportional to 1/n (Zipf). The same size gives the same bytes. The corpus and the workspace are in
a temporary folder (set TMPDIR for another disk), which is deleted at the end. It needs three times the corpus's size.

The stages run as users run them, except for SETTINGS: the training reads only a small part of the text.

Memory is read from all processes of a stage every TICK seconds. "RSS" is the memory of the largest process. It includes
pages of files that are mapped into memory, such as codes.npy. The kernel can drop these pages at any time, so they need
no free memory. "own" is the RSS without such pages. "all processes" is the sum of "own" over the processes. If a worker
shares a page with its parent, the sum contains the page twice.

If --gigabytes is at least 0.4, the pipeline also runs on a quarter of the corpus, and the program estimates 50 GB. For
a stage that reads the whole corpus, the seconds grow in proportion to the corpus. For the other stages they are
constant, because a parameter limits the text that the stage reads. The memory for 50 GB is on the line through the
memory of both sizes, if it grew by a quarter or more. A smaller growth cannot be told from chance. Then the program
estimates nothing, and arrays with a number for each article can still need gigabytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
import subprocess
import sys
import tempfile
import time
from typing import NamedTuple

import click
import numpy as np
import numpy.typing as npt
import psutil

from common import CHECKOUT, machine

MEGABYTE, GIGABYTE = 10**6, 10**9
LIMIT_MB = 1000  # the memory that a process may have
TARGET = 50 * GIGABYTE
SMALLEST = 0.1  # GB; on less text, the limits of params.yaml are not reached, so nothing can be estimated
GROWTH = 1.25  # times the memory of the smaller corpus; a smaller growth cannot be told from chance
TICK = 0.05  # seconds between two readings of the memory
VALID_CHARACTERS = 500_000  # about so many characters are held out for validation
SETTINGS = {
    "train.characters": 200_000,
    "train.valid_characters": 100_000,
    "evaluate.max_characters": 1_000_000,  # params.yaml has null: the whole test split
    "tracking.enabled": False,
}

WORDS = 30_000  # in the generated vocabulary
BLOCK_WORDS = 1 << 20  # words that are drawn at once
LETTERS = "etaoinshrdlucmfwypvbgkjqxz"  # the earlier, the more frequent
LONGEST_WORD = 9
CAPITALS = 10  # every tenth word begins with a capital letter
ENDS = (*[" "] * 11, ", ", ". ")  # what follows a word; 13 and 10 have no common divisor
TITLE_WORDS = 6
ARTICLE_WORDS = (20, 60)  # the fewest words of an article, and the most
CLASSES = 4
TEST_SHARE = 0.05


class Stage(NamedTuple):
    """A stage of the pipeline."""

    name: str
    script: str
    reads: tuple[str, ...]  # the files of which it reads every byte; if there are none, a parameter limits its work


STAGES = (
    Stage("download", "download", ("train.csv", "test.csv")),
    Stage("vocab", "build_vocab", ("train.csv",)),
    Stage("windows", "make_windows", ("train.csv", "test.csv")),
    Stage("train", "train", ()),
    Stage("baselines", "measure_baselines", ()),
    Stage("evaluate", "evaluate", ()),
)


class Peak(NamedTuple):
    """The highest memory in MB. The three numbers can be of different moments."""

    rss: float  # of the largest process
    own: float  # of the largest process, without pages of mapped files
    total: float  # own memory of all processes together


class Measured(NamedTuple):
    """What a stage took."""

    seconds: float
    megabytes: float  # that it read; 0 if a parameter limits its work
    peak: Peak


@click.command(help=__doc__)
@click.option("--gigabytes", type=click.FloatRange(0.005), default=2.0, show_default=True, help="Size of the corpus.")
def main(gigabytes: float) -> None:
    sizes = [gigabytes / 4, gigabytes] if gigabytes / 4 >= SMALLEST else [gigabytes]
    print(f"{machine()}; corpora of {' and '.join(f'{size:g} GB' for size in sizes)}\n", flush=True)
    measured = [run_pipeline(round(size * GIGABYTE)) for size in sizes]
    print(table(measured[-1], gigabytes))
    if len(sizes) == 2:
        print(estimates(measured[0], measured[1], gigabytes))


def run_pipeline(size: int) -> list[Measured]:
    """Generate a corpus of about `size` bytes, and run all stages on it."""
    with tempfile.TemporaryDirectory() as folder:
        corpus, workspace = Path(folder) / "corpus", Path(folder) / "workspace"
        began = time.perf_counter()
        write_corpus(corpus, size)
        click.echo(f"{size / GIGABYTE:g} GB written in {time.perf_counter() - began:.0f} s", err=True)
        make_workspace(workspace, corpus)
        return [run_stage(workspace, stage, corpus) for stage in STAGES]


def write_corpus(folder: Path, size: int) -> None:
    """Write train.csv and test.csv, together of about `size` bytes, in the form of AG_NEWS."""
    folder.mkdir()
    vocabulary, random = generated_words(), np.random.default_rng(1)
    for name, share in (("test.csv", TEST_SHARE), ("train.csv", 1 - TEST_SHARE)):
        with (folder / name).open("wb") as file:
            for rows in blocks(vocabulary, random):
                rest = round(size * share) - file.tell()
                file.write(rows if len(rows) <= rest else rows[: rows.rindex(b"\n", 0, max(rest, 1000)) + 1])
                if len(rows) >= rest:
                    break


def generated_words() -> npt.NDArray[np.object_]:
    """The vocabulary, from the most frequent word to the rarest. A word includes the space after it."""
    random = np.random.default_rng(0)
    weights = 1 / np.arange(1, len(LETTERS) + 1)
    letters = "".join(random.choice(list(LETTERS), LONGEST_WORD * WORDS, p=weights / weights.sum()))
    lengths = random.integers(1, LONGEST_WORD + 1, WORDS).tolist()
    words = []
    for number, length in enumerate(lengths):
        word = letters[number * LONGEST_WORD : number * LONGEST_WORD + length]
        words.append(((word.capitalize() if number % CAPITALS == 0 else word) + ENDS[number % len(ENDS)]).encode())
    return np.array(words, dtype=object)


def blocks(vocabulary: npt.NDArray[np.object_], random: np.random.Generator) -> Iterator[bytes]:
    """Endless blocks of whole rows. All words of a block are drawn at once. Then some words become ends of fields."""
    heads = np.array([f'"\n"{label}","'.encode() for label in range(1, CLASSES + 1)], dtype=object)
    cumulative = np.cumsum(1 / np.arange(1, WORDS + 1))
    drawn = vocabulary[np.searchsorted(cumulative, random.random(BLOCK_WORDS) * cumulative[-1])]
    while True:
        words = drawn[random.integers(0, BLOCK_WORDS, BLOCK_WORDS)]
        articles = BLOCK_WORDS // ARTICLE_WORDS[1]
        begins = np.cumsum(random.integers(*ARTICLE_WORDS, articles)) - ARTICLE_WORDS[0]
        words[begins] = heads[random.integers(0, CLASSES, articles)]
        words[begins + TITLE_WORDS] = b'","'
        text = b"".join(words[begins[0] : begins[-1]].tolist())
        yield text.removeprefix(b'"\n') + b'"\n'


def make_workspace(workspace: Path, corpus: Path) -> None:
    """Copy the pipeline, with parameters for this corpus."""
    share = min(0.1, VALID_CHARACTERS / (corpus / "train.csv").stat().st_size)
    settings = {"data.source": corpus, "data.valid_fraction": f"{share:.10f}", **SETTINGS}
    arguments = [f"{name}={value}" for name, value in settings.items()]
    subprocess.run([sys.executable, CHECKOUT / "scripts/workspace.py", workspace, *arguments], check=True)


def run_stage(workspace: Path, stage: Stage, corpus: Path) -> Measured:
    """Run the script of a stage as a process."""
    began = time.perf_counter()
    process = psutil.Popen(
        [sys.executable, f"stages/{stage.script}.py"],
        cwd=workspace,
        stdout=subprocess.DEVNULL,
    )
    peak = Peak(0, 0, 0)
    while process.poll() is None:
        peak = Peak(*map(max, peak, memory_of(process)))
        time.sleep(TICK)
    seconds = time.perf_counter() - began
    if process.returncode:
        raise SystemExit(f"stage {stage.name} failed")
    click.echo(f"{stage.name}: {seconds:.1f} s, {peak}", err=True)
    return Measured(seconds, sum((corpus / name).stat().st_size for name in stage.reads) / MEGABYTE, peak)


def memory_of(process: psutil.Popen) -> Peak:
    """The present memory of a process and its descendants."""
    found = []
    try:
        for each in (process, *process.children(recursive=True)):
            memory = each.memory_info()
            found.append((memory.rss / MEGABYTE, (memory.rss - memory.shared) / MEGABYTE))
    except psutil.NoSuchProcess:  # it ended meanwhile; the next reading does not find it
        return Peak(0, 0, 0)
    rss, own = zip(*found, strict=True)
    return Peak(max(rss), max(own), sum(own))


def table(measured: list[Measured], gigabytes: float) -> str:
    """A Markdown table of the stages on a corpus of this size."""
    limit = f"under {LIMIT_MB / 1000:g} GB per process"
    lines = [
        f"| stage, {gigabytes:g} GB | seconds | MB/s | RSS | own | all processes | {limit} |",
        "|---|---|---|---|---|---|---|",
    ]
    for stage, each in zip(STAGES, measured, strict=True):
        rate = f"{each.megabytes / each.seconds:.0f}" if stage.reads else "reads a part"
        memory = " | ".join(f"{value:,.0f} MB" for value in each.peak)
        fits = "yes" if each.peak.own < LIMIT_MB else "**no**"
        lines.append(f"| {stage.name} | {each.seconds:.0f} | {rate} | {memory} | {fits} |")
    return "\n".join([*lines, ""])


def estimates(small: list[Measured], large: list[Measured], gigabytes: float) -> str:
    """A Markdown table of what both sizes took, and an estimate for 50 GB."""
    both = f"{gigabytes / 4:g} and {gigabytes:g} GB"
    lines = [
        f"| stage | seconds for {both} | for 50 GB | own memory for {both} | for 50 GB |",
        "|---|---|---|---|---|",
    ]
    for stage, a, b in zip(STAGES, small, large, strict=True):
        growth = TARGET / GIGABYTE / gigabytes
        seconds = f"{b.seconds * growth / 60:,.0f} minutes" if stage.reads else "constant"
        per_gigabyte = (b.peak.own - a.peak.own) / (gigabytes * 0.75)
        memory = (b.peak.own + per_gigabyte * (TARGET / GIGABYTE - gigabytes)) / 1000
        estimate = f"{memory:,.1f} GB" if b.peak.own >= GROWTH * a.peak.own else "not estimated"
        lines.append(
            f"| {stage.name} | {a.seconds:.0f}, {b.seconds:.0f} | {seconds}"
            f" | {a.peak.own:,.0f} MB, {b.peak.own:,.0f} MB | {estimate} |"
        )
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    main()
