"""The files of a project. They are copied from a checkout or, if there is none, from the installed package.

In a checkout and in a project, these files are in the folder that contains src/. An installed package has a copy of
them in charloom/project/files, which setup.py puts there. setup.py imports this module, so this module imports only the
standard library.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

PACKAGE = Path(__file__).parents[1]
INSTALLED = "project/files"  # the copy of the files in an installed package, in the folder of the package
# What `dvc repro` needs in addition to the package and params.yaml
PIPELINE = (
    "dvc.yaml",
    ".dvc/config",
    ".dvc/.gitignore",
    ".dvcignore",
    ".gitignore",
    ".gitattributes",
    "corpora/README.md",
    "stages",
)
# What a project has in addition to the pipeline: presets, and what is needed to change and to install the code
FOR_OWNERS = ("presets", "scripts/code_deps.py", "scripts/repair_dvc.py", "pyproject.toml", "setup.py")
FILES = ("params.yaml", *PIPELINE, *FOR_OWNERS)


def origin() -> Path:
    """The folder that contains the files of a project."""
    installed = PACKAGE / INSTALLED
    return installed if installed.is_dir() else PACKAGE.parents[1]


def copy_files(folder: Path, names: Iterable[str]) -> None:
    """Copy files and folders of a project to `folder`. A folder that exists there is replaced."""
    for name in names:
        _copy(origin() / name, folder / name)


def copy_package(folder: Path) -> None:
    """Copy the package charloom to `folder`/src/charloom, and replace the package that is there."""
    _copy(PACKAGE, folder / "src" / PACKAGE.name)


def files_in(path: Path) -> Iterator[Path]:
    """The path itself if it is a file; else every file in the folder, except Python's caches and `INSTALLED`.

    The paths are relative to `path`.
    """
    if path.is_file():
        yield Path()
        return
    for file in sorted(path.rglob("*")):
        relative = file.relative_to(path)
        if file.is_file() and "__pycache__" not in relative.parts and not relative.is_relative_to(INSTALLED):
            yield relative


def _copy(source: Path, target: Path) -> None:
    """Copy the content of files, but not their modes, because the files of an installed package can be read-only."""
    if target.is_dir():
        shutil.rmtree(target)
    for file in files_in(source):
        (target / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / file, target / file)
