"""Showing the progress of a training to the user: as a bar on a terminal, otherwise as a line every few seconds."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.text import Text

from charloom.terminal import on_one_line
from charloom.training.history import Listener, Record
from charloom.training.loop import Training

LINE_EVERY_S = 5.0


@contextmanager
def show_progress(training: Training) -> Iterator[Listener]:
    """Give a listener that shows the progress of `training` from its present step on.

    On a terminal, the listener also prints the latest sample of the training after each validation, cut to one line.
    """
    console = Console(stderr=True)
    clock = _Clock(training)
    if not console.is_terminal:
        yield _Lines(clock)
        return
    columns = TextColumn("step {task.completed:.0f}/{task.total:.0f}"), BarColumn(), TextColumn("{task.fields[text]}")
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("train", total=training.steps, completed=training.step, text="")

        def print_sample() -> None:
            for latest in training.samples[-1:]:
                text = Text(f"step {latest.step}: {on_one_line(latest.text)}")
                progress.console.print(text, no_wrap=True, overflow="ellipsis")

        def draw(record: Record) -> None:
            progress.update(bar, completed=record.step, text=clock.text(record))
            if record.valid_bpc is not None:
                progress.console.print(f"step {record.step}: {_scores(record)}")
                print_sample()

        print_sample()
        yield draw


class _Lines:
    """A listener that prints a line for each validation, and between validations a line every few seconds."""

    def __init__(self, clock: _Clock) -> None:
        self._clock = clock
        self._printed_at = -LINE_EVERY_S

    def __call__(self, record: Record) -> None:
        now = time.monotonic()
        if record.valid_bpc is None and now - self._printed_at < LINE_EVERY_S:
            return
        self._printed_at = now
        print(f"step {record.step}/{self._clock.steps}  {_scores(record)}  {self._clock.text(record)}", flush=True)


class _Clock:
    """Measures the speed since this process began to train, and estimates the time that is left."""

    def __init__(self, training: Training) -> None:
        self.steps = training.steps
        self._from_step = training.step
        self._from_characters = training.history[-1].characters if training.history else 0
        self._began = time.monotonic()

    def text(self, record: Record) -> str:
        """For example `31,200 characters/s  0:04:10 left`."""
        elapsed = time.monotonic() - self._began
        speed = (record.characters - self._from_characters) / elapsed
        left = elapsed / (record.step - self._from_step) * (self.steps - record.step)
        minutes, seconds = divmod(round(left), 60)
        return f"{speed:,.0f} characters/s  {minutes // 60}:{minutes % 60:02}:{seconds:02} left"


def _scores(record: Record) -> str:
    valid = "" if record.valid_bpc is None else f"  valid {record.valid_bpc:.3f} bpc"
    return f"loss {record.loss_nats:.4f} nats  {record.bpc:.3f} bpc{valid}"
