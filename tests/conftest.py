"""Fixtures for several test files: child processes, small corpora, and the real corpus if this machine has it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any

import pytest

# Several test processes share the cores. One thread in each takes less time than a thread for each core: without it,
# tests/model and tests/evaluation took 275 s instead of 163 s in two processes on two cores.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import charloom  # noqa: F401 - it must be imported before torch, because it sets how long torch's threads spin
from charloom.files import exclusive, write_json

CHECKOUT = Path(__file__).parent.parent
SLOW = ("faults", "pipeline", "tracking")  # the folders with the slowest tests

Start = Callable[..., "subprocess.Popen[str]"]
Run = Callable[..., "subprocess.CompletedProcess[str]"]
WriteRows = Callable[[Path, Sequence[tuple[int, str, str]]], Path]
Once = Callable[[str, Callable[[Path], object]], tuple[Path, Any]]

# If a shell starts pytest in the background, pytest ignores Ctrl-C, and so does each process that pytest starts. The
# tests send Ctrl-C to such processes, so the normal handler is set here.
signal.signal(signal.SIGINT, signal.default_int_handler)


def line_of(stream: IO[str] | None) -> str:
    """The next line from a pipe of a child process."""
    assert stream is not None
    return stream.readline()


@pytest.fixture(scope="session", autouse=True)
def temporary_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Use a temporary folder that pytest removes. A process that a test kills leaves files there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(tmp_path_factory.mktemp("tmp")))
        patch.setattr(tempfile, "tempdir", None)
        yield


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Once:
    """Fill a folder once for all processes that run these tests.

    `once(name, make)` calls `make(folder)` in the first process that needs the folder, and stores the returned value as
    JSON. It returns the folder and this value.
    """
    base = tmp_path_factory.getbasetemp()
    root = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def fill(name: str, make: Callable[[Path], object]) -> tuple[Path, Any]:
        folder, returned = root / name, root / f"{name}.json"
        with exclusive(root / f"{name}.lock", name):
            if not returned.exists():
                folder.mkdir()
                write_json(returned, make(folder))
        return folder, json.loads(returned.read_text(encoding="utf-8"))

    return fill


@pytest.fixture(scope="session")
def tables(once: Once) -> Path:
    """An empty MLflow store in SQLite. Tests copy it, because MLflow takes five seconds to create the tables."""
    from mlflow import MlflowClient

    def make(folder: Path) -> None:
        MlflowClient(f"sqlite:///{folder / 'mlflow.db'}").search_experiments()

    return once("tables", make)[0] / "mlflow.db"


@pytest.fixture
def start_python(tmp_path: Path) -> Iterator[Start]:
    """Start `python -c code *args` in tmp_path with pipes. Processes that still run when the test ends are killed."""
    started: list[subprocess.Popen[str]] = []

    def start(code: str, *args: object) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-u", "-c", code, *map(str, args)],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(CHECKOUT / "src")},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        with process:  # closes the pipes and waits for the end of the process
            pass


@pytest.fixture
def run_python(start_python: Start) -> Run:
    """Run `python -c code *args` in tmp_path to its end."""

    def run(code: str, *args: object) -> subprocess.CompletedProcess[str]:
        process = start_python(code, *args)
        out, err = process.communicate(timeout=60)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    return run


@pytest.fixture(scope="session")
def write_rows() -> WriteRows:
    """Write rows (class, title, description) in the form of AG_NEWS' files."""

    def write(path: Path, rows: Sequence[tuple[int, str, str]]) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = (",".join('"' + str(cell).replace('"', '""') + '"' for cell in row) + "\n" for row in rows)
        path.write_text("".join(lines), encoding="utf-8", newline="")
        return path

    return write


@pytest.fixture(scope="session")
def ag_news_26k() -> Path:
    """26,364 training articles of AG_NEWS and the whole test split. Some machines have them in ../shared."""
    folder = CHECKOUT.parent / "shared" / "ag_news_26k"
    if not folder.is_dir():
        pytest.skip(f"{folder} does not exist")
    return folder


@pytest.fixture(scope="session")
def torchtext() -> None:
    """Skip a test that needs torchtext if this install does not have it. `make test-torchtext` makes one that has."""
    if find_spec("torchtext") is None:
        pytest.skip("torchtext is not in this install")


def pytest_make_parametrize_id(val: object) -> str | None:
    """Name bytes by their number. Compressed bytes contain the time, and all test processes must use the same names."""
    return f"{len(val)}-bytes" if isinstance(val, bytes) else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the slow files first. Otherwise one process may run a slow file at the end while the others have no work."""
    items.sort(key=lambda item: item.path.parent.name not in SLOW)
