"""What several test files share: real child processes, small corpora, and the real one where it lies at hand."""

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

import charloom  # noqa: F401 - before any test imports torch: it says how long torch's threads spin
from charloom.files import exclusive, write_json

CHECKOUT = Path(__file__).parent.parent
SLOW = ("faults", "pipeline", "tracking")

Start = Callable[..., "subprocess.Popen[str]"]
Run = Callable[..., "subprocess.CompletedProcess[str]"]
WriteRows = Callable[[Path, Sequence[tuple[int, str, str]]], Path]
Once = Callable[[str, Callable[[Path], object]], tuple[Path, Any]]

# a shell starts background jobs deaf to Ctrl-C, and so would be the processes that the tests interrupt
signal.signal(signal.SIGINT, signal.default_int_handler)


def line_of(stream: IO[str] | None) -> str:
    """The next line of a child process' pipe."""
    assert stream is not None
    return stream.readline()


@pytest.fixture(scope="session", autouse=True)
def temporary_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What killed processes leave in the machine's temporary folder goes where pytest removes it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(tmp_path_factory.mktemp("tmp")))
        patch.setattr(tempfile, "tempdir", None)
        yield


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Once:
    """Fill a folder once for all processes that run these tests; gives it, and what its maker said, as JSON."""
    base = tmp_path_factory.getbasetemp()
    root = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def made(name: str, make: Callable[[Path], object]) -> tuple[Path, Any]:
        folder, said = root / name, root / f"{name}.json"
        with exclusive(root / f"{name}.lock", name):
            if not said.exists():
                folder.mkdir()
                write_json(said, make(folder))
        return folder, json.loads(said.read_text(encoding="utf-8"))

    return made


@pytest.fixture(scope="session")
def tables(once: Once) -> Path:
    """A SQLite store with its tables made, which takes MLflow five seconds, and nothing in it."""
    from mlflow import MlflowClient

    def make(folder: Path) -> None:
        MlflowClient(f"sqlite:///{folder / 'mlflow.db'}").search_experiments()

    return once("tables", make)[0] / "mlflow.db"


@pytest.fixture
def start_python(tmp_path: Path) -> Iterator[Start]:
    """Start `python -c code *args` in tmp_path with pipes; what still runs at the end of the test is killed."""
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
        with process:  # closes its pipes and waits for it
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
    """Write rows (class, title, description) as AG_NEWS' files have them."""

    def write(path: Path, rows: Sequence[tuple[int, str, str]]) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = (",".join('"' + str(cell).replace('"', '""') + '"' for cell in row) + "\n" for row in rows)
        path.write_text("".join(lines), encoding="utf-8", newline="")
        return path

    return write


@pytest.fixture(scope="session")
def ag_news_26k() -> Path:
    """26,364 of AG_NEWS' training articles and its whole test split, which lie beside some checkouts."""
    folder = CHECKOUT.parent / "shared" / "ag_news_26k"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there")
    return folder


@pytest.fixture(scope="session")
def torchtext() -> None:
    """What needs torchtext, which the other install has (make test-torchtext)."""
    if find_spec("torchtext") is None:
        pytest.skip("torchtext is not in this install")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The slow files first, so that no process is left with one when the others are done."""
    items.sort(key=lambda item: item.path.parent.name not in SLOW)
