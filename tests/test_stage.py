from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import CHECKOUT, Run, Start, line_of
from tests.pipeline.workspace import clean_environment
from tests.test_errors import IN_ASCII

STAGE = """
import sys
from charloom.stage import run_stage

def work(params):
    print("working with seed", params.train.seed)
    sys.stdin.read()

run_stage("toy", work)
"""

LOOP = """
import time
from charloom.errors import exit_with
from charloom.stage import stop_requests

def main():
    with stop_requests() as stopping:
        print("ready")
        while not stopping():
            time.sleep(0.01)
        print("asked to stop")
        if {stubborn}:
            time.sleep(60)
    print("after the block")
    time.sleep(60)

exit_with(main)
"""


@pytest.fixture(autouse=True)
def params_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
    return Path(shutil.copyfile(CHECKOUT / "params.yaml", tmp_path / "params.yaml"))


def test_a_stage_reads_the_parameters_of_its_folder(run_python: Run) -> None:
    done = run_python(STAGE)
    assert (done.returncode, done.stdout, done.stderr) == (0, "working with seed 1\n", "")


def test_wrong_parameters_end_a_stage_before_its_work(run_python: Run, params_file: Path) -> None:
    text = params_file.read_text(encoding="utf-8")
    params_file.write_text(text.replace("batch_size: 16", "batch_size: -3"), encoding="utf-8")
    done = run_python(STAGE)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: params.yaml: train.batch_size = -3: must be greater than or equal to 1\n"


def test_a_second_stage_waits_for_the_first_and_says_so(start_python: Start) -> None:
    first = start_python(STAGE)
    assert line_of(first.stdout) == "working with seed 1\n"
    second = start_python(STAGE)
    assert line_of(second.stdout) == f"waiting for process {first.pid}: it is using stage toy in this folder\n"
    first.communicate(timeout=10)
    assert line_of(second.stdout) == "working with seed 1\n"


def test_a_different_stage_does_not_wait(start_python: Start, run_python: Run) -> None:
    first = start_python(STAGE)
    assert line_of(first.stdout) == "working with seed 1\n"
    assert run_python(STAGE.replace("toy", "other")).stdout == "working with seed 1\n"


def test_a_torchrun_worker_does_not_wait_for_the_lock_of_its_stage(
    start_python: Start, run_python: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = start_python(STAGE)
    assert line_of(first.stdout) == "working with seed 1\n"
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "charloom")
    assert run_python(STAGE).stdout == "working with seed 1\n"


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_is_noted_and_the_second_ends_the_process(
    start_python: Start, first: signal.Signals, second: signal.Signals
) -> None:
    process = start_python(LOOP.format(stubborn=True))
    assert line_of(process.stdout) == "ready\n"
    process.send_signal(first)
    assert line_of(process.stdout) == "asked to stop\n"
    assert process.poll() is None
    process.send_signal(second)
    assert process.communicate(timeout=10) == ("", "")
    assert process.returncode == -second


def test_a_second_signal_does_not_end_a_torchrun_worker(start_python: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "charloom")
    process = start_python(LOOP.format(stubborn=True).replace("time.sleep(60)", "time.sleep(0.3)"))
    assert line_of(process.stdout) == "ready\n"
    process.send_signal(signal.SIGINT)
    assert line_of(process.stdout) == "asked to stop\n"
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=10) == ("after the block\n", "")
    assert process.returncode == 0


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, -signal.SIGTERM)])
def test_after_the_block_signals_end_the_process_as_usual(
    start_python: Start, number: signal.Signals, code: int
) -> None:
    process = start_python(LOOP.format(stubborn=False))
    assert line_of(process.stdout) == "ready\n"
    process.send_signal(number)
    assert line_of(process.stdout) == "asked to stop\n"
    assert line_of(process.stdout) == "after the block\n"
    process.send_signal(number)
    process.wait(timeout=10)
    assert process.returncode == code


@pytest.mark.parametrize("script", sorted((CHECKOUT / "stages").glob("*.py")), ids=lambda path: path.stem)
def test_a_stage_runs_the_code_next_to_it_and_not_an_installed_copy(script: Path, tmp_path: Path) -> None:
    (tmp_path / "stages").mkdir()
    shutil.copyfile(script, tmp_path / "stages" / script.name)
    package = tmp_path / "src/charloom"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise SystemExit('the code next to it')")
    for cwd in (tmp_path, tmp_path / "stages"):
        command = [sys.executable, os.path.relpath(tmp_path / "stages" / script.name, cwd)]
        done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
        assert done.stderr == "the code next to it\n"


@pytest.mark.parametrize("variables", [{"PYTHONIOENCODING": "latin-1"}, {"PYTHONIOENCODING": "cp1252"}, IN_ASCII])
def test_a_stage_reads_a_corpus_whose_name_its_output_cannot_spell(tmp_path: Path, variables: dict[str, str]) -> None:
    text = (tmp_path / "params.yaml").read_text(encoding="utf-8")
    (tmp_path / "params.yaml").write_text(text.replace("source: ag_news", "source: новости"), encoding="utf-8")
    (tmp_path / "новости").mkdir()
    for split in ("train", "test"):
        (tmp_path / "новости" / f"{split}.txt").write_text("река и город\n", encoding="utf-8")
    command = [sys.executable, str(CHECKOUT / "stages/download.py")]
    environment = clean_environment(**variables)
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr
    if variables is IN_ASCII:
        assert (done.returncode, done.stderr.count("\n"), done.stderr[-17:]) == (2, 1, "set PYTHONUTF8=1\n")
    else:
        assert (done.returncode, done.stderr) == (0, "")
        assert r"reading \u043d\u043e" in done.stdout
