"""Several processes work on items. Results come in order, errors and Ctrl-C end all processes."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from charloom.errors import InputError, RunError
from charloom.text.workers import BYTES_PER_PROCESS, in_order, processes_for, usable_cores
from tests.conftest import Start, line_of

# Works for a minute in two processes, and prints their ids.
WORK = """
import os, time
from charloom.errors import exit_with
from charloom.text.workers import in_order

def work(seconds):
    time.sleep(seconds)
    return os.getpid()

def main():
    for pid in in_order(work, [0.3, 0.3, *[0.1] * 1200], 2):
        print(pid, flush=True)

exit_with(main)
"""


@pytest.fixture
def no_child_remains() -> Iterator[None]:
    """The test leaves no child process behind. Other tests may have started some, such as a resource tracker."""
    before = psutil.Process().children()
    yield
    assert set(psutil.Process().children()) <= set(before)


def slow_square(number: int) -> int:
    time.sleep(random.Random(number).random() / 100)
    return number * number


@pytest.mark.parametrize("processes", [1, 2, 3])
def test_results_come_in_the_order_of_the_items(processes: int) -> None:
    assert list(in_order(slow_square, range(50), processes)) == [number * number for number in range(50)]
    assert list(in_order(slow_square, [], processes)) == []
    assert list(in_order(slow_square, [3], processes)) == [9]


def test_several_processes_work() -> None:
    def pid(_: int) -> int:
        time.sleep(0.05)
        return os.getpid()

    found = set(in_order(pid, range(6), 3))
    assert len(found) == 3
    assert os.getpid() not in found
    assert set(in_order(pid, range(2), 1)) == {os.getpid()}


def test_items_are_taken_only_shortly_before_they_are_needed() -> None:
    taken = []

    def items() -> Iterator[int]:
        for number in range(1000):
            taken.append(number)
            yield number

    with closing(in_order(slow_square, items(), 2)) as results:  # type: ignore[type-var]
        assert [next(results) for _ in range(5)] == [0, 1, 4, 9, 16]
        assert len(taken) < 20


def test_a_large_result_arrives_whole() -> None:
    assert [len(result) for result in in_order(lambda size: b"x" * size, [0, 1 << 24, 5], 2)] == [0, 1 << 24, 5]


@pytest.mark.parametrize("error", [InputError("a.csv:3: wrong"), OSError(2, "No such file", "a.csv"), MemoryError()])
@pytest.mark.usefixtures("no_child_remains")
def test_an_error_in_a_worker_is_raised_here(error: Exception) -> None:
    def work(number: int) -> int:
        if number == 7:
            raise error
        return number

    with pytest.raises(type(error)) as caught:
        list(in_order(work, range(100), 2))
    assert str(caught.value) == str(error)


@pytest.mark.usefixtures("no_child_remains")
def test_a_killed_worker_is_one_line(capfd: pytest.CaptureFixture[str]) -> None:
    def work(number: int) -> int:
        if number == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return number

    with pytest.raises(RunError, match="a worker process ended before its work was done"):
        list(in_order(work, range(100), 2))
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_worker_outlives_the_process_that_started_it(start_python: Start, stop: signal.Signals) -> None:
    process = start_python(WORK)
    workers = [psutil.Process(int(line_of(process.stdout))) for _ in range(2)]
    assert workers[0] != workers[1]
    send = {signal.SIGINT: send_to_group}.get(stop, lambda each: each.send_signal(stop))
    send(process)
    _, err = process.communicate(timeout=20)
    if stop == signal.SIGINT:
        assert (process.returncode, err) == (130, "error: interrupted\n")
    _, alive = psutil.wait_procs(workers, timeout=20)
    assert alive == []


def send_to_group(process: subprocess.Popen[str]) -> None:
    """Send Ctrl-C as a terminal does: to the process and its workers, which never see it."""
    for each in [*psutil.Process(process.pid).children(), psutil.Process(process.pid)]:
        each.send_signal(signal.SIGINT)


def test_a_small_file_is_read_by_one_process(tmp_path: Path) -> None:
    path = tmp_path / "train.csv"
    assert processes_for(path) == 1
    with path.open("wb") as file:
        file.truncate(BYTES_PER_PROCESS * 2 - 1)
        assert processes_for(path) == 1
        file.truncate(BYTES_PER_PROCESS * 1000)  # a sparse file
    assert processes_for(path) == usable_cores() == len(os.sched_getaffinity(0))
