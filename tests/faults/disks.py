"""Turn a command into one for which a folder is a small disk or a read-only disk.

The disk is mounted in a mount namespace that only the command sees. Mounting needs no root if the kernel lets users
make namespaces. On other machines the tests are skipped.
"""

from __future__ import annotations

import functools
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest


def on_small_disk(folder: Path, kib: int, command: Sequence[str]) -> list[str]:
    """The command, run with `folder` as an empty disk of `kib` KiB. What it writes there is lost when it ends."""
    return _mounted(f'mount -t tmpfs -o size={kib}k tmpfs "$1"', folder, command)


def on_read_only_disk(folder: Path, command: Sequence[str]) -> list[str]:
    """The command, run with `folder` as a read-only disk."""
    return _mounted('mount --bind "$1" "$1"; mount -o remount,bind,ro "$1"', folder, command)


def _mounted(mount: str, folder: Path, command: Sequence[str]) -> list[str]:
    if not _can_mount():
        pytest.skip("on this machine users may not mount disks in a new namespace")
    return _unshared(mount, folder, command)


@functools.cache
def _can_mount() -> bool:
    trial = _unshared('mount -t tmpfs tmpfs "$1"', Path("/mnt"), ["true"])
    return bool(shutil.which("unshare")) and subprocess.run(trial, capture_output=True, check=False).returncode == 0


def _unshared(mount: str, folder: Path, command: Sequence[str]) -> list[str]:
    """In a new mount namespace, run the shell script `mount` with "$1" = `folder`, then the command."""
    script = f'{mount}; shift; exec "$@"'
    return ["unshare", "--user", "--map-root-user", "--mount", "sh", "-ec", script, "sh", str(folder), *command]
