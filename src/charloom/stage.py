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
from charloom.files import exclusive, main_checkout
from charloom.leftovers import forget_recorded
from charloom.params import Params
from charloom.params_file import load_params

# The folder of the locks and, in the main checkout only, of the checkpoints. Git and DVC ignore it.
STATE = Path(".charloom")
STOPS = (signal.SIGINT, signal.SIGTERM)  # the signals that ask a stage to stop


def run_stage(name: str, work: Callable[[Params], None]) -> NoReturn:
    """Read params.yaml, hold the lock of stage `name`, and do its `work`. Ends the process with an exit code.

    DVC records a stage in dvc.lock before it starts the next one. So the stage after train deletes the checkpoints of
    the training, which nothing needs any more.
    """

    def main() -> None:
        params = load_params()
        # A worker of torchrun takes no lock, because the stage that started torchrun holds the lock.
        lock = nullcontext() if under_torchrun() else exclusive(STATE / f"{name}.lock", f"stage {name} in this folder")
        with lock:
            forget_recorded(checkpoints_root(), Path("dvc.lock"))
            work(params)

    exit_with(main)


def checkpoints_root() -> Path:
    """The folder with a folder of checkpoints for each training."""
    return main_checkout() / STATE / "checkpoints"


def under_torchrun() -> bool:
    """Whether torchrun started this process as one of its workers."""
    return "TORCHELASTIC_RUN_ID" in os.environ


@contextmanager
def stop_requests() -> Iterator[Callable[[], bool]]:
    """Give a function that says whether SIGINT or SIGTERM has arrived. A second signal ends the process at once.

    In a worker of torchrun, a second signal has no effect. Reason: for one Ctrl-C, a worker gets two signals, one from
    the terminal and one from torchrun. If a worker takes too long to stop, torchrun kills it.
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
