"""Does the same work on many items in several processes. The results come in the order of the items.

A worker is a fork of this process. Therefore it starts within milliseconds and shares the memory of this process, for
example the vocabulary. A worker and this process exchange items and results through a pipe.
"""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing import get_all_start_methods, get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkProcess
from pathlib import Path
from typing import Any, TypeVar

from charloom.errors import CharloomError, RunError

BYTES_PER_PROCESS = 1 << 23  # one core encodes them in 0.2 s; starting a worker takes 0.01 s
WORKER_ENDED = "a worker process ended before its work was done; if the memory was full, run again"
RESULTS_PER_PROCESS = 4  # results that may wait until it is their turn

Item = TypeVar("Item")
Result = TypeVar("Result")


def usable_cores() -> int:
    """The number of CPU cores that this process may use. The machine can have more cores."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def processes_for(path: Path) -> int:
    """How many processes read a file: as many as there are usable cores, but only one if the file is small."""
    if "fork" not in get_all_start_methods():
        return 1
    size = path.stat().st_size if path.exists() else 0
    return max(1, min(usable_cores(), size // BYTES_PER_PROCESS))


def in_order(work: Callable[[Item], Result], items: Iterable[Item], processes: int) -> Iterator[Result]:
    """Yield the result of `work` for each item, in the order of the items. One process means this process.

    Memory holds a few results for each process. If `work` raises CharloomError, OSError or MemoryError in a worker, the
    same error is raised here. If a worker ends for another reason, RunError is raised.
    """
    if processes == 1:
        yield from map(work, items)
        return
    with _workers(work, processes) as workers:
        yield from _exchange(workers, items)


def _exchange(workers: list[Connection], items: Iterable[Item]) -> Iterator[Any]:
    """Give each idle worker the next item, and yield the results in the order of the items."""
    numbered = enumerate(items)
    upcoming = next(numbered, None)
    idle, busy = list[Any](workers), list[Any]()
    results: dict[int, Any] = {}
    turn = 0  # the number of the item whose result is yielded next
    while True:
        while idle and upcoming and upcoming[0] < turn + RESULTS_PER_PROCESS * len(workers):
            busy.append(idle.pop())
            _send(busy[-1], upcoming)
            upcoming = next(numbered, None)
        if turn in results:
            yield results.pop(turn)
            turn += 1
        elif busy:
            for worker in wait(busy):
                number, result = _receive(worker)
                results[number] = result
                busy.remove(worker)
                idle.append(worker)
        else:
            return


def _send(worker: Any, item: tuple[int, Any]) -> None:
    try:
        worker.send(item)
    except ConnectionError:
        raise RunError(WORKER_ENDED) from None


def _receive(worker: Any) -> tuple[int, Any]:
    """The number of an item and its result. Raises the error that the work raised."""
    try:
        answer = worker.recv()
    except (EOFError, ConnectionError):
        raise RunError(WORKER_ENDED) from None
    if isinstance(answer, Exception):
        raise answer
    return answer


@contextmanager
def _workers(work: Callable[[Any], Any], count: int) -> Iterator[list[Connection]]:
    """Start workers, and give the connections to them. At the end of the block they are killed: they own no files."""
    context = get_context("fork")
    connections: list[Connection] = []
    started: list[ForkProcess] = []
    try:
        with _ctrl_c_blocked():
            for _ in range(count):
                ours, theirs = context.Pipe()
                connections.append(ours)
                process = context.Process(target=_serve, args=(ours, theirs, work), daemon=True)
                process.start()
                started.append(process)
                theirs.close()
        yield connections
    finally:
        for process in started:
            process.kill()
        for process in started:
            process.join()
        for connection in connections:
            connection.close()


@contextmanager
def _ctrl_c_blocked() -> Iterator[None]:
    """A process that starts in this block never sees Ctrl-C. This process sees a Ctrl-C after the block."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(ours: Connection, theirs: Connection, work: Callable[[Any], Any]) -> None:
    """What a worker does: it works on items until the other process has ended."""
    gc.freeze()  # otherwise a garbage collection would copy the memory that this process shares with the other one
    ours.close()  # this is a copy; while a copy is open, the end of the other process would not be noticed
    with suppress(EOFError, ConnectionError):
        while True:
            theirs.send(_attempt(work, *theirs.recv()))


def _attempt(work: Callable[[Any], Any], number: int, item: Any) -> tuple[int, Any] | Exception:
    try:
        return number, work(item)
    except (CharloomError, OSError, MemoryError) as error:
        return error
