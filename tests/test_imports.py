"""Imports go one way, as DESIGN.md has it, and the stages before training load neither torch nor MLflow."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from tests.conftest import CHECKOUT, Run

SOURCE = CHECKOUT / "src" / "charloom"

# A module imports from its own layer, without a circle, and from those above it in this list.
LAYERS = (
    {"errors", "extras", "files", "terminal"},
    {"params", "history"},
    {"dvclock"},
    {"catalogue", "corpus", "download", "formats", "intake", "locations", "sources"},
    {"vocab", "windows", "texts", "summary", "stage", "breakdown", "ngrams", "baselines", "calibration", "classifiers"},
    {"model", "device", "batches", "keys", "optimizer", "parallel"},
    {"training", "checkpoint", "scoring", "sampling", "classification"},
    {"evaluation", "tracking", "card", "progress"},
    {"report"},
    {"cli"},
)
DEPTH = {module: depth for depth, layer in enumerate(LAYERS) for module in layer}
# each with its files: a module's one, a package's all
MODULES = {path.stem: [path] for path in SOURCE.glob("*.py") if path.stem != "__init__"} | {
    path.parent.name: sorted(path.parent.rglob("*.py")) for path in SOURCE.glob("*/__init__.py")
}

LOADED = """
import importlib, sys
sys.path.insert(0, sys.argv[1])
importlib.import_module(sys.argv[2])
print(*sorted({"torch", "mlflow"} & sys.modules.keys()))
"""


def imported(path: Path) -> Iterator[str]:
    """The dotted names that a file imports, inside its functions too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports by dots"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def siblings(module: str) -> set[str]:
    names = (name.split(".") for path in MODULES[module] for name in imported(path))
    return {parts[1] for parts in names if parts[0] == "charloom" and parts[1] in MODULES.keys() - {module}}


@pytest.mark.parametrize("module", sorted(MODULES))
def test_a_module_imports_nothing_below_its_layer(module: str) -> None:
    assert module in DEPTH, f"{module} has no layer in {__file__}: give it one"
    assert {name for name in siblings(module) if DEPTH.get(name, len(LAYERS)) > DEPTH[module]} == set()


def test_no_import_goes_in_a_circle() -> None:
    order = list(TopologicalSorter({module: siblings(module) for module in MODULES}).static_order())
    assert sorted(order) == sorted(MODULES)


def test_only_tracking_knows_mlflow() -> None:
    files = [path for folder in ("src/charloom", "stages") for path in (CHECKOUT / folder).rglob("*.py")]
    knowing = {path for path in files if any(name.split(".")[0] == "mlflow" for name in imported(path))}
    assert knowing
    assert knowing <= set(MODULES["tracking"])


@pytest.mark.parametrize(
    "module",
    ["params", "corpus", "intake", "locations", "sources", "vocab", "windows", "history", "stage", "baselines"],
)
def test_a_module_before_training_loads_neither_torch_nor_mlflow(run_python: Run, module: str) -> None:
    done = run_python(LOADED, CHECKOUT / "src", f"charloom.{module}")
    assert (done.stdout, done.stderr) == ("\n", "")


@pytest.mark.parametrize("stage", ["download", "build_vocab", "make_windows", "measure_baselines"])
def test_a_stage_before_training_loads_neither_torch_nor_mlflow(run_python: Run, stage: str) -> None:
    done = run_python(LOADED, CHECKOUT / "stages", stage)
    assert (done.stdout, done.stderr) == ("\n", "")


def test_the_model_does_load_torch(run_python: Run) -> None:
    assert run_python(LOADED, CHECKOUT / "src", "charloom.model").stdout == "torch\n"
