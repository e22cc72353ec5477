"""Put right what a killed dvc may leave half-written, since it refuses to go on with it: `mend.py`, then `dvc repro`.

DVC writes its list of held locks (.dvc/tmp/rwlock) and dvc.lock in place. A list that is no JSON is removed: the locks
of processes that have ended are void. A dvc.lock that is no YAML is set aside: the run cache has what it stated.
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


def is_broken(path: Path, read: Callable[[str], Any]) -> bool:
    """Whether a file is there and is not what `read` reads."""
    try:
        read(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return False
    except (ValueError, yaml.YAMLError):
        return True
    return False


def main() -> None:
    locks, stated = TEMPORARY / RWLOCK_FILE, Path("dvc.lock")
    if is_broken(locks, json.loads):
        try:
            with make_lock(str(TEMPORARY / RWLOCK_LOCK), tmp_dir=str(TEMPORARY)):  # no other dvc is writing it
                if is_broken(locks, json.loads):
                    locks.unlink()
                    print(f"removed {locks}, which a killed dvc left half-written")
        except LockError:
            return  # a dvc is running: its files are its own
    if is_broken(stated, yaml.safe_load):
        stated.replace("dvc.lock.broken")
        print("set dvc.lock aside as dvc.lock.broken, which a killed dvc left half-written")


if __name__ == "__main__":
    main()
