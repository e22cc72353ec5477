import re
from pathlib import Path

import pytest

from charloom.training.checkpoint import Checkpoints
from charloom.training.loop import run_training
from charloom.training.progress import show_progress
from tests.learning import encode_sample, small_training


def test_without_a_terminal_progress_is_printed_as_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    training = small_training(encode_sample(tmp_path), log_every=1, validate_every=30)
    with show_progress(training) as progress:
        run_training(training, Checkpoints(tmp_path / "checkpoints"), [progress], lambda: False)
    lines = capsys.readouterr().out.splitlines()
    assert 2 < len(lines) < 10, "a line for each validation, and one every few seconds"
    assert all(re.match(r"step +[\d,]+/[\d,]+ +loss \d\.\d+ nats +\d\.\d+ bpc", line) for line in lines)
    assert re.search(r"valid \d\.\d+ bpc +[\d,]+ characters/s +0:00:00 left", lines[-1])
