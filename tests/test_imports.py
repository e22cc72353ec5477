"""The packages of charloom import each other in one direction only. Stages before training load no torch, no MLflow."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from code_deps import nodes_that_run
from tests.conftest import CHECKOUT, Run

SOURCE = CHECKOUT / "src" / "charloom"

# A room is a package of charloom. The rooms are listed in the order of the pipeline. A module imports only from its own
# room and from rooms earlier in this list. The floor is the modules in src/charloom itself, which all rooms may use.
FLOOR = "floor"
ROOMS = (FLOOR, "corpus", "text", "model", "training", "evaluation", "report", "tracking", "doctor", "project", "cli")
MODULES = {
    ".".join(path.relative_to(SOURCE.parent).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(SOURCE.rglob("*.py"))
}

LOADED = """
import importlib, sys
sys.path.insert(0, sys.argv[1])
importlib.import_module(sys.argv[2])
print(*sorted({"torch", "mlflow"} & sys.modules.keys()))
"""


def imported(path: Path) -> Iterator[str]:
    """The dotted names that a file imports when it runs. Imports inside functions count too."""
    for node in nodes_that_run(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: has a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room(module: str) -> str:
    parts = module.split(".")
    return parts[1] if (SOURCE / "/".join(parts[1:2])).is_dir() and len(parts) > 1 else FLOOR


def charloom_imports(module: str) -> set[str]:
    """The modules of charloom that a module imports."""
    names = set(imported(MODULES[module]))
    return {found for name in names for found in (name, name.rpartition(".")[0]) if found in MODULES} - {module}


@pytest.mark.parametrize("module", sorted(MODULES))
def test_a_module_imports_only_from_its_room_and_earlier_rooms(module: str) -> None:
    allowed = ROOMS[: ROOMS.index(room(module)) + 1]
    assert {name for name in charloom_imports(module) if room(name) not in allowed} == set()


def test_every_folder_is_a_room() -> None:
    assert {path.parent.name for path in SOURCE.glob("*/__init__.py")} == set(ROOMS) - {FLOOR}


def test_there_is_no_circular_import() -> None:
    order = list(TopologicalSorter({module: charloom_imports(module) for module in MODULES}).static_order())
    assert sorted(order) == sorted(MODULES)


def test_only_tracking_imports_mlflow() -> None:
    files = [path for folder in ("src/charloom", "stages") for path in (CHECKOUT / folder).rglob("*.py")]
    importing = {path for path in files if any(name.split(".")[0] == "mlflow" for name in imported(path))}
    assert importing
    assert all(path.is_relative_to(SOURCE / "tracking") for path in importing)


@pytest.mark.parametrize(
    "module",
    [
        "params",
        "stage",
        "corpus.articles",
        "corpus.intake",
        "corpus.locations",
        "corpus.sources",
        "text.vocab",
        "text.split",
        "text.encode",
        "training.history",
        "evaluation.measuring",
    ],
)
def test_a_module_before_training_loads_neither_torch_nor_mlflow(run_python: Run, module: str) -> None:
    done = run_python(LOADED, CHECKOUT / "src", f"charloom.{module}")
    assert (done.stdout, done.stderr) == ("\n", "")


@pytest.mark.parametrize("stage", ["download", "build_vocab", "make_windows", "measure_baselines"])
def test_a_stage_before_training_loads_neither_torch_nor_mlflow(run_python: Run, stage: str) -> None:
    done = run_python(LOADED, CHECKOUT / "stages", stage)
    assert (done.stdout, done.stderr) == ("\n", "")


def test_the_model_does_load_torch(run_python: Run) -> None:
    assert run_python(LOADED, CHECKOUT / "src", "charloom.model.network").stdout == "torch\n"
