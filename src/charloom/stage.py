"""What every stage script does: read params.yaml, hold the stage's lock, set the exit code."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import FrameType
from typing import NoReturn

from charloom.errors import exit_with
from charloom.files import exclusive
from charloom.params import Params
from charloom.params_file import load_params

STATE = Path(".charloom")  # ignored by git and DVC: the locks and, in the main checkout, the checkpoints
STOPS = (signal.SIGINT, signal.SIGTERM)


def run_stage(name: str, work: Callable[[Params], None]) -> NoReturn:
    """Read params.yaml, hold the lock of stage `name`, and do its `work`. Ends the process with an exit code."""

    def main() -> None:
        params = load_params()
        # A worker of torchrun takes no lock: the stage that started it holds the lock.
        lock = nullcontext() if under_torchrun() else exclusive(STATE / f"{name}.lock", f"stage {name} in this folder")
        with lock:
            work(params)

    exit_with(main)


def under_torchrun() -> bool:
    """Whether torchrun started this process as one of a group."""
    return "TORCHELASTIC_RUN_ID" in os.environ


@contextmanager
def stop_requests() -> Iterator[Callable[[], bool]]:
    """Give a function that tells whether SIGINT or SIGTERM has arrived. A second signal ends the process at once.

    A worker of torchrun gets two signals for one Ctrl-C, from the terminal and from torchrun. So a second signal does
    not end a worker. torchrun kills a worker that takes too long.
    """
    arrived = False

    def note(_number: int, _frame: FrameType | None) -> None:
        nonlocal arrived
        arrived = True
        if not under_torchrun():
            for number in STOPS:
                signal.signal(number, signal.SIG_DFL)

    before = {number: signal.signal(number, note) for number in STOPS}
    try:
        yield lambda: arrived
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
