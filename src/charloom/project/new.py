"""`charloom new`: a folder with everything that its owner can run and change, under git and DVC."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from importlib.metadata import distributions
from pathlib import Path

from charloom.errors import InputError, RunError
from charloom.project.files import FOR_OWNERS, copy_files
from charloom.project.workspace import make_workspace

# The values with which a new project, and `make demo`, train on the embedded sample. The project's README lists the
# values of a larger corpus.
SAMPLE_SETTINGS: dict[str, object] = {
    "data.source": "sample",
    "data.valid_fraction": 0.05,
    "model.hidden_size": 256,
    "model.dropout": 0.3,  # a model overfits such a small corpus after a few epochs
    "train.batch_size": 8,
    "train.epochs": 6.0,
    "train.validate_every": 100,
    "train.log_every": 10,
}
README = Path(__file__).with_name("README.md")
OF_ANOTHER_REPOSITORY = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE")  # a git hook sets these variables


def new_project(folder: Path) -> str:
    """Make a project in `folder`, which must not exist or be empty. Returns a sentence about its git repository.

    The project is made under a temporary name and then renamed, so `folder` never contains half of a project.

    Raises InputError if the project cannot be made in this place, and RunError if making it fails, for example because
    the disk is full.
    """
    folder = Path(os.path.realpath(folder))
    _check_free(folder)
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    try:
        _make_folder(temporary)
        _fill(temporary)
        about_git = _begin_git(temporary, folder)
        temporary.rename(folder)
    except OSError as error:
        raise RunError(f"{folder}: the project could not be written: {error.strerror}") from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return about_git


def _check_free(folder: Path) -> None:
    """Raise InputError if there is something that a new project would replace."""
    try:
        os.fsencode(folder).decode("utf-8")
    except UnicodeDecodeError:
        raise InputError(f"{folder}: the name is not valid UTF-8, which DVC needs; choose another name") from None
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: is a file; give the name of a new folder")
    if folder.is_dir() and any(folder.iterdir()):
        raise InputError(f"{folder}: is not empty; give the name of a new folder")
    if folder == Path.cwd():  # the shell would stay in the empty folder, which the project replaces
        raise InputError(f"{folder}: is the current folder; call `charloom new` in the folder above it")


def _make_folder(temporary: Path) -> None:
    try:
        temporary.mkdir()
    except OSError as error:
        raise InputError(f"{temporary.parent}: no folder can be made here: {error.strerror}") from None


def _fill(folder: Path) -> None:
    """Write all files of the project."""
    make_workspace(folder, SAMPLE_SETTINGS, git=bool(shutil.which("git")))
    copy_files(folder, FOR_OWNERS)
    (folder / "constraints.txt").write_text(_pins(), encoding="utf-8")
    shutil.copyfile(README, folder / "README.md")


def _pins() -> str:
    """One line for each installed package except charloom: its name and version.

    A version is written without its local part, such as +cu128, because package indexes do not have it.
    """
    versions: dict[str, str] = {}
    for found in distributions():
        name = re.sub(r"[-_.]+", "-", found.metadata["Name"]).lower()
        versions.setdefault(name, found.version.partition("+")[0])  # of two versions, Python uses the first one
    versions.pop("charloom", None)
    return "".join(f"{name}=={version}\n" for name, version in sorted(versions.items()))


def _begin_git(temporary: Path, folder: Path) -> str:
    """Make a git repository with a first commit. Returns one sentence that says what was done or what to do."""
    if not shutil.which("git"):
        return "git is not installed: `dvc repro` works here without git, but `dvc exp run` needs git"
    # 1: in another repository, which does not ignore the folder; 0: it ignores the folder; 128: there is no repository
    if _git(folder.parent, "check-ignore", "--quiet", f"{folder}/").returncode == 1:
        return "the project is in the git repository around it: commit the new files there"
    for command in (("init", "--quiet"), ("add", "--all")):
        done = _git(temporary, *command)
        if done.returncode:
            raise RunError(f"{folder}: `git {command[0]}` failed: {_last_line(done.stderr)}")
    # Without useConfigOnly, git makes up an address from the names of the user and the machine.
    done = _git(temporary, "-c", "user.useConfigOnly=true", "commit", "--quiet", "--message", "New charloom project")
    if done.returncode:
        return (
            f"git could not make the first commit ({_last_line(done.stderr)}): if git does not know you, call there"
            " `git config user.name NAME` and `git config user.email ADDRESS`; then call `git commit`"
        )
    return "git has a first commit of all files"


def _git(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name not in OF_ANOTHER_REPOSITORY}
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, errors="replace", check=False)


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["no message"])[-1]
