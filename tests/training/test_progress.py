import os
import pty
import re
import sys
from collections.abc import Callable
from pathlib import Path
from threading import Thread

import pytest

from charloom.training.checkpoint import Checkpoints
from charloom.training.history import Listener, Record
from charloom.training.loop import Training, run_training
from charloom.training.progress import show_progress
from charloom.training.sampler import TrainingSample
from tests.learning import encode_sample, never, small_training

COLUMNS = 70


def test_without_a_terminal_progress_is_printed_as_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    training = small_training(encode_sample(tmp_path), log_every=1, validate_every=30)
    with show_progress(training) as progress:
        run_training(training, Checkpoints(tmp_path / "checkpoints"), [progress], lambda: False)
    lines = capsys.readouterr().out.splitlines()
    assert 2 < len(lines) < 10, "a line for each validation, and one every few seconds"
    assert all(re.match(r"step +[\d,]+/[\d,]+ +loss \d\.\d+ nats +\d\.\d+ bpc", line) for line in lines)
    assert re.search(r"valid \d\.\d+ bpc +[\d,]+ characters/s +0:00:00 left", lines[-1])


def test_on_a_terminal_each_sample_is_one_line_without_control_characters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    training = small_training(encode_sample(tmp_path), log_every=5, validate_every=20)
    training.samples.append(TrainingSample(0, 0, None, "[red]noise[/red] :smile: \x1b[2J\n\tend"))

    def write(record: Record) -> None:
        if record.valid_bpc is not None:
            training.samples.append(TrainingSample(record.step, 0, None, "long " * 100))

    shown = lines_on_terminal(monkeypatch, lambda: watch(training, tmp_path, write))
    assert shown[0] == r"step 0: [red]noise[/red] :smile: \x1b[2J↵⇥end"
    steps = [record.step for record in training.history if record.valid_bpc is not None]
    assert len(steps) > 1
    for step in steps:
        place = next(index for index, line in enumerate(shown) if line.startswith(f"step {step}: loss"))
        assert shown[place + 1] == (f"step {step}: " + "long " * 100)[: COLUMNS - 1] + "…"


def watch(training: Training, folder: Path, write: Listener) -> None:
    with show_progress(training) as progress:
        run_training(training, Checkpoints(folder / "checkpoints"), [write, progress], never)


def lines_on_terminal(monkeypatch: pytest.MonkeyPatch, work: Callable[[], None]) -> list[str]:
    """The lines that `work` prints to a terminal of COLUMNS columns as its stderr, without the progress bar."""
    ours, theirs = pty.openpty()
    received: list[bytes] = []
    reader = Thread(target=lambda: received.extend(iter(lambda: read_terminal(ours), b"")))
    reader.start()
    with os.fdopen(theirs, "w", encoding="utf-8") as terminal, monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", terminal)
        patch.setenv("TERM", "xterm")
        patch.setenv("COLUMNS", str(COLUMNS))
        work()
    reader.join()
    os.close(ours)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", b"".join(received).decode())
    return [line for line in re.split(r"[\r\n]+", text) if line.strip() and "━" not in line]


def read_terminal(descriptor: int) -> bytes:
    """What was written to the terminal; empty when it is closed."""
    try:
        return os.read(descriptor, 65536)
    except OSError:
        return b""
