"""Repair the files that a killed dvc may leave half-written: `repair_dvc.py`, then `dvc repro`.

DVC writes two files in place: .dvc/tmp/rwlock, its list of locks, and dvc.lock. If one of them is damaged, DVC refuses
to run. This script removes a damaged list of locks. That is safe, because the locks of processes that have ended are
void. The script renames a damaged dvc.lock to dvc.lock.broken. No result is lost, because DVC's run cache also records
what each stage read and wrote.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from dvc.lock import LockError, make_lock
from dvc.rwlock import RWLOCK_FILE, RWLOCK_LOCK

TEMPORARY = Path(".dvc/tmp")


def is_damaged(path: Path, read: Callable[[str], Any]) -> bool:
    """Whether a file exists and `read` cannot read its text."""
    try:
        read(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return False
    except (ValueError, yaml.YAMLError):
        return True
    return False


def main() -> None:
    locks, results = TEMPORARY / RWLOCK_FILE, Path("dvc.lock")
    if is_damaged(locks, json.loads):
        try:
            with make_lock(str(TEMPORARY / RWLOCK_LOCK), tmp_dir=str(TEMPORARY)):  # keeps another dvc from writing it
                if is_damaged(locks, json.loads):
                    locks.unlink()
                    print(f"removed {locks}, which a killed dvc left half-written")
        except LockError:
            return  # another dvc is running and may be writing these files
    if is_damaged(results, yaml.safe_load):
        results.replace("dvc.lock.broken")
        print("renamed dvc.lock to dvc.lock.broken: a killed dvc left it half-written")


if __name__ == "__main__":
    main()
