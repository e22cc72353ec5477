"""Asking git about the repository around the current folder, and saying why git does not answer."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path


def git(*arguments: str) -> str | None:
    """The output of a git command. None if the command fails."""
    try:
        done = _run(*arguments)
    except OSError:
        return None
    return None if done.returncode else done.stdout


def git_fault() -> str:
    """Why git cannot read the repository around this folder, and what to do. Empty without a fault or a repository."""
    try:
        done = _run("rev-parse", "--git-dir")
    except OSError:
        here = Path.cwd()
        in_repository = any((folder / ".git").exists() for folder in (here, *here.parents))
        return "git is not installed; install git" if in_repository else ""
    if done.returncode == 0 or "not a git repository (or any" in done.stderr:
        return ""
    lines = done.stderr.strip().splitlines() or ["it gives no reason"]
    last = lines[-1].strip()  # if the folder belongs to another user, the command that allows it
    remedy = f"run `{last}`" if last.startswith("git config") else "see `git status`"
    return f"git refuses to read this repository: {lines[0].removeprefix('fatal: ')}; {remedy}"


def in_repository() -> bool:
    """Whether this folder is in a git repository, even if git cannot read it."""
    return bool(git_fault()) or git("rev-parse", "--git-dir") is not None


def why_missing(commit: str) -> str:
    """Why a commit cannot be read here, and what to do. Empty if it can be read. `commit` is hexadecimal."""
    if fault := git_fault():
        return fault
    if not in_repository():
        return f"this folder is not in a git repository; use a clone that has the run's commit {commit[:8]}"
    if git("cat-file", "-e", f"{commit}^{{commit}}") is not None:
        return ""
    if (git("rev-parse", "--is-shallow-repository") or "").strip() == "true":
        return f"this clone is shallow and lacks the run's commit {commit[:8]}; run `git fetch --unshallow`"
    return f"the run's commit {commit[:8]} is not in this repository; run `git fetch`, or use the clone of the run"


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run git with English messages. Raises OSError if git is not installed."""
    english = {**os.environ, "LC_ALL": "C"}
    return subprocess.run(
        ["git", *arguments], env=english, capture_output=True, encoding="utf-8", errors="replace", check=False
    )
