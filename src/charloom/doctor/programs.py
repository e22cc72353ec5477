"""Facts about git and DVC, and the experiments that wait in DVC's queue."""

from __future__ import annotations

import getpass
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from configparser import ConfigParser
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from charloom.doctor.facts import Fact, fault, ok, warning
from charloom.tracking.repository import git_fault

LOCAL_S = 30.0  # a command that needs no network and takes longer than this has failed
QUEUE = "refs/exps/celery/stash"  # DVC stores each experiment that waits as a commit of this stash
# Prints nothing if no remote is configured, otherwise the address of the remote and, on the next line, whether the
# folder exists. A name of DVC's Python interface is not a promise, but `dvc status --cloud` would compare every file.
ASK_REMOTE = """
import sys
from dvc.config import Config
sys.stdout.reconfigure(encoding="utf-8")
if Config.from_cwd()["core"].get("remote"):
    from dvc.repo import Repo  # makes .dvc/tmp
    with Repo() as repo:
        odb = repo.cloud.get_remote_odb()
        print(odb.fs.unstrip_protocol(odb.path))
        print(odb.fs.exists(odb.path))
"""
NO_SCM = "dvc config --local core.no_scm true"  # DVC then works in a folder that is not in a git repository


class CommandError(Exception):
    """A command failed. The message is the last line of its output."""


def output_of(command: Sequence[str], timeout_s: float = LOCAL_S) -> str:
    """What a command prints on stdout. Raises CommandError if it fails or takes longer than `timeout_s`."""
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=timeout_s,
            stdin=subprocess.DEVNULL,
            check=False,
        )
    except FileNotFoundError:
        raise CommandError(f"{command[0]} is not installed") from None
    except subprocess.TimeoutExpired:
        raise CommandError(f"no answer after {timeout_s:g} seconds") from None
    if done.returncode:
        raise CommandError(((done.stderr or done.stdout).strip().splitlines() or ["it failed"])[-1])
    return done.stdout


def lacks_git(folder: Path) -> bool:
    """Whether DVC refuses to work in `folder`, because the folder is not in a git repository and DVC expects one.

    A ZIP file of a checkout, for example, has no git repository.
    """
    if any((each / ".git").exists() for each in (folder.resolve(), *folder.resolve().parents)):
        return False
    config = ConfigParser()
    config.read([folder / ".dvc/config", folder / ".dvc/config.local"], encoding="utf-8")
    return not config.getboolean("core", "no_scm", fallback=False)


def check_git() -> Fact:
    """Whether git is installed, and whether this folder is in a repository that has a commit."""
    try:
        release = output_of(["git", "--version"]).removeprefix("git version ").strip()
    except CommandError as error:
        return fault("git", str(error), "install git: DVC keeps experiments in it")
    if problem := git_fault():
        return warning("git", release, f"no run will state its commit: {problem}")
    try:
        commit = output_of(["git", "rev-parse", "--short", "HEAD"]).strip()
        changed = len(output_of(["git", "--no-optional-locks", "status", "--porcelain"]).splitlines())
    except CommandError:
        if lacks_git(Path()):
            remedy = f"call `{NO_SCM}` for `dvc repro`; `dvc exp run` needs `git init` and a commit"
            return fault("git", f"{release}, and this folder is not in a git repository", remedy)
        remedy = "`dvc repro` works without one, but `dvc exp run` needs `git init` and a commit"
        return warning("git", f"{release}, and this folder has no commit", remedy)
    return ok("git", f"{release}, commit {commit}, {changed} changed files")


def check_dvc(folder: Path) -> Fact:
    """Whether DVC is installed, and whether `folder` has a pipeline."""
    try:
        release = version("dvc")
    except PackageNotFoundError:
        return fault("DVC", "it is not installed", "run `make install`")
    missing = [name for name in (".dvc", "dvc.yaml") if not (folder / name).exists()]
    if missing:
        return fault(
            "DVC", f"{release}, but there is no {' and no '.join(missing)} here", "run this in a charloom checkout"
        )
    try:
        getpass.getuser()
    except (KeyError, OSError):  # DVC calls getuser, too
        found = f"{release}, but this user has no name: its id is {os.getuid()}"
        return fault("DVC", found, "set the environment variables USER to any name and HOME to a folder")
    return ok("DVC", release)


def check_remote(timeout_s: float) -> Iterator[Fact]:
    """Whether DVC's default remote can be reached, if one is configured. No training needs it."""
    try:
        lines = output_of([sys.executable, "-X", "utf8", "-c", ASK_REMOTE], timeout_s + LOCAL_S / 3).splitlines()
    except CommandError as error:
        remedy = "no training needs the remote; check `dvc remote list` before `dvc push`"
        yield warning("DVC remote", f"cannot be reached: {error}", remedy)
        return
    if not lines:
        yield ok("DVC remote", "none is configured")
    elif lines[-1] == "True":
        yield ok("DVC remote", f"{lines[0]} can be reached")
    else:
        yield warning("DVC remote", f"{lines[0]} does not exist yet", "`dvc push` makes it")


def queued() -> list[str]:
    """The commits of the experiments that wait in DVC's queue, the next one first. Changes nothing."""
    try:
        return output_of(["git", "log", "--walk-reflogs", "--format=%H", QUEUE, "--"]).split()[::-1]
    except CommandError:  # there is no queue
        return []
