"""Repair what keeps DVC from running: `repair_dvc.py`, then `dvc repro`.

DVC writes two files in place: .dvc/tmp/rwlock, its list of locks, and dvc.lock. If one of them is damaged, DVC refuses
to run. This script removes a damaged list of locks. That is safe, because the locks of processes that have ended are
void. The script renames a damaged dvc.lock to dvc.lock.broken. No result is lost, because DVC's run cache also records
what each stage read and wrote.

A folder without a git repository, such as an unpacked ZIP file of a checkout, also keeps DVC from running. This script
then sets DVC's option core.no_scm in .dvc/config.local, which git ignores.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import yaml
from dvc.lock import LockError, make_lock
from dvc.rwlock import RWLOCK_FILE, RWLOCK_LOCK
from dvc.rwlock import SCHEMA as RWLOCK_SCHEMA
from dvc.schema import COMPILED_LOCKFILE_SCHEMA
from voluptuous import Invalid

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))  # the code of this project, not of an installed copy

from charloom.doctor.programs import NO_SCM, lacks_git
from charloom.errors import exit_with

TEMPORARY = Path(".dvc/tmp")


def read_locks(text: str) -> object:
    """The list of locks, if DVC accepts it."""
    return RWLOCK_SCHEMA(json.loads(text))


def read_results(text: str) -> object:
    """The content of a dvc.lock, if DVC accepts it. Half of a dvc.lock may be valid YAML, but it lacks keys."""
    return COMPILED_LOCKFILE_SCHEMA(yaml.safe_load(text))


def is_damaged(path: Path, read: Callable[[str], object]) -> bool:
    """Whether a file exists and `read` refuses its text."""
    try:
        read(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return False
    except (ValueError, yaml.YAMLError, Invalid):
        return True
    return False


def main() -> None:
    if lacks_git(Path()):
        subprocess.run(NO_SCM.split(), check=True)
        print(f"this folder is not in a git repository, so this was done: {NO_SCM}")
    repair_files()


def repair_files() -> None:
    """Repair the list of locks and dvc.lock."""
    locks, results = TEMPORARY / RWLOCK_FILE, Path("dvc.lock")
    if is_damaged(locks, read_locks):
        try:
            with make_lock(str(TEMPORARY / RWLOCK_LOCK), tmp_dir=str(TEMPORARY)):  # keeps another dvc from writing it
                if is_damaged(locks, read_locks):
                    locks.unlink()
                    print(f"removed {locks}, which a killed dvc left half-written")
        except LockError:
            return  # another dvc is running and may be writing these files
    if is_damaged(results, read_results):
        results.replace("dvc.lock.broken")
        print("renamed dvc.lock to dvc.lock.broken: a killed dvc left it half-written")


if __name__ == "__main__":
    exit_with(main)
