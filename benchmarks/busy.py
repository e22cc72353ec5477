"""How much slower training is while another process keeps a core busy, for four ways in which OpenMP's threads wait.

Each rate is measured in a new process, because OpenMP reads GOMP_SPINCOUNT when torch is loaded.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
import os
import statistics
import subprocess
import sys

ROUNDS = 5
SECONDS = 3.0
# The name of each way to wait, and the environment variables that choose it.
WAYS = {
    "GNU's default (300,000 spins)": {"GOMP_SPINCOUNT": "300000"},
    "500 spins": {"GOMP_SPINCOUNT": "500"},
    "no spinning (OMP_WAIT_POLICY=passive)": {"OMP_WAIT_POLICY": "passive"},
    "charloom's (2,000 spins)": {},
}
RATE = """
import charloom
from arithmetic import bare_loop
from common import one_layer, rate_of
from charloom.model.device import set_threads
set_threads("auto")
bare = bare_loop(one_layer(256), 84, 16, 100)
bare.step()
print(rate_of(bare.step, {seconds}))
"""


def main() -> None:
    from common import machine

    rounds = [{way: (rate(env, busy=False), rate(env, busy=True)) for way, env in WAYS.items()} for _ in range(ROUNDS)]
    print(f"{machine()}; LSTM, hidden size 256, batch 16, median of {ROUNDS}\n")
    print("| threads wait by | alone | with a busy process | times slower |\n|---|---|---|---|")
    for way in WAYS:
        alone, disturbed = (statistics.median(each[way][index] for each in rounds) for index in (0, 1))
        slowdown = statistics.median(each[way][0] / each[way][1] for each in rounds)
        print(f"| {way} | {alone:,.0f} characters/s | {disturbed:,.0f} characters/s | **{slowdown:.2f}** |")


def rate(environment: dict[str, str], *, busy: bool) -> float:
    """Characters per second of a bare loop in a new process with these environment variables."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "GOMP_"))}
    with busy_process(busy):
        done = subprocess.run(
            [sys.executable, "-c", RATE.format(seconds=SECONDS)],
            env={**clean, "PYTHONPATH": sys.path[0], **environment},
            capture_output=True,
            text=True,
            check=True,
        )
    return float(done.stdout)


@contextmanager
def busy_process(wanted: bool) -> Iterator[None]:
    """If `wanted`, run a process that computes all the time during the block."""
    if not wanted:
        yield
        return
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        process.kill()
        process.wait()


if __name__ == "__main__":
    main()
