"""What every stage script shares: its parameters, its lock, its exit code."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NoReturn

from charloom.errors import exit_with
from charloom.files import exclusive
from charloom.params import Params, load_params

STATE = Path(".charloom")  # ignored by git and DVC: locks, and in the main checkout the checkpoints


def run_stage(name: str, work: Callable[[Params], None]) -> NoReturn:
    """Validate params.yaml, then do a stage's work while holding its lock."""

    def main() -> None:
        params = load_params()
        with exclusive(STATE / f"{name}.lock", f"stage {name} here"):
            work(params)

    exit_with(main)


@contextmanager
def stop_requests() -> Iterator[Callable[[], bool]]:
    """Give a function that says whether SIGINT or SIGTERM has come; a second one ends the process at once."""
    came = False

    def note(number: int, _frame: FrameType | None) -> None:
        nonlocal came
        came = True
        signal.signal(number, signal.SIG_DFL)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
