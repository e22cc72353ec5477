"""What every stage script shares: its parameters, its lock, its exit code."""

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

STATE = Path(".charloom")  # ignored by git and DVC: locks, and in the main checkout the checkpoints
STOPS = (signal.SIGINT, signal.SIGTERM)


def run_stage(name: str, work: Callable[[Params], None]) -> NoReturn:
    """Validate params.yaml, then do a stage's work while holding its lock."""

    def main() -> None:
        params = load_params()
        # a worker of torchrun works under the lock of the stage that started it
        lock = nullcontext() if under_torchrun() else exclusive(STATE / f"{name}.lock", f"stage {name} here")
        with lock:
            work(params)

    exit_with(main)


def under_torchrun() -> bool:
    """Whether torchrun started this process as one of a group."""
    return "TORCHELASTIC_RUN_ID" in os.environ


@contextmanager
def stop_requests() -> Iterator[Callable[[], bool]]:
    """Give a function that says whether SIGINT or SIGTERM has come; a second one ends the process at once.

    A worker of torchrun gets one from the terminal and one from torchrun, which kills it if it takes too long.
    """
    came = False

    def note(_number: int, _frame: FrameType | None) -> None:
        nonlocal came
        came = True
        if not under_torchrun():
            for either in STOPS:
                signal.signal(either, signal.SIG_DFL)

    before = {number: signal.signal(number, note) for number in STOPS}
    try:
        yield lambda: came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
