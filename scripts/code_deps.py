"""Write the code that each stage imports into dvc.yaml, as dependencies of the stage: `make deps`.

DVC runs a stage again if one of its dependencies has changed. In each list of dependencies, data comes before code.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML  # keeps comments; DVC installs it

from charloom.cells import CELLS
from charloom.errors import exit_with

CHECKOUT = Path(__file__).parents[1]
SRC = CHECKOUT / "src"
LOADS_CELLS = SRC / "charloom/model/network.py"  # imports the modules that cells.py names as strings
# Code that decides no output of a stage: everything in tracking/ (MLflow), the progress bar, and what removes old
# checkpoints. If this code were a dependency, a corrected warning in it would make DVC train every model again.
DECIDES_NO_OUTPUT = ("src/charloom/tracking", "src/charloom/training/progress.py", "src/charloom/leftovers.py")


def module_file(name: str) -> Path | None:
    """The file of a charloom module; None for another package and for a name inside a module."""
    candidates = (SRC / Path(*name.split("."), "__init__.py"), SRC / Path(*name.split(".")).with_suffix(".py"))
    return next((path for path in candidates if name.split(".")[0] == "charloom" and path.is_file()), None)


def imported(path: Path) -> set[Path]:
    """The charloom files that a file imports directly, also inside functions, and the packages that contain them."""
    names: set[str] = set()  # dotted names of modules, and of what is imported from them
    for node in nodes_that_run(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}:{node.lineno}: a relative import"
            module = node.module or ""
            names |= {module, *(f"{module}.{alias.name}" for alias in node.names)}
    if path == LOADS_CELLS:
        names |= {cell.module for cell in CELLS.values()}
    parts = [name.split(".") for name in names]
    with_packages = {".".join(part[:end]) for part in parts for end in range(1, len(part) + 1)}
    return {file for file in map(module_file, with_packages) if file}


def nodes_that_run(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a syntax tree, except `if TYPE_CHECKING:` blocks. Their imports are for the type checker only."""
    yield node
    for child in ast.iter_child_nodes(node):
        if not (isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"):
            yield from nodes_that_run(child)


def decides_output(path: Path) -> bool:
    """Whether a change of this file can change what a stage writes."""
    return not any(path.is_relative_to(CHECKOUT / name) for name in DECIDES_NO_OUTPUT)


def closure(path: Path) -> set[Path]:
    """A file and every file that it imports, directly or indirectly, except those that decide no output."""
    found: set[Path] = set()
    new = {path}
    while new:
        found |= new
        new = {file for file in set().union(*map(imported, new)) - found if decides_output(file)}
    return found


def code_deps(command: str) -> list[str]:
    """The code dependencies of a stage with this command: the stage's script first. Paths start at the checkout."""
    script = CHECKOUT / next(word for word in command.split() if word.endswith(".py"))
    rest = sorted(path.relative_to(CHECKOUT).as_posix() for path in closure(script) - {script})
    return [script.relative_to(CHECKOUT).as_posix(), *rest]


def main() -> None:
    editor = YAML()
    editor.width = 120
    editor.indent(mapping=2, sequence=4, offset=2)
    path = CHECKOUT / "dvc.yaml"
    pipeline: dict[str, Any] = editor.load(path)
    for stage in pipeline["stages"].values():
        data = [dep for dep in stage["deps"] if not dep.endswith(".py")]
        stage["deps"][:] = [*data, *code_deps(stage["cmd"])]
    with path.open("w", encoding="utf-8") as file:
        editor.dump(pipeline, file)


if __name__ == "__main__":
    exit_with(main)
