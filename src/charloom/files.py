"""Reading and writing files: atomic writes, JSON, CSV, errors for bytes that are not UTF-8, digests, file locks."""

from __future__ import annotations

import csv
import errno
import hashlib
import json
import os
import reprlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import portalocker

from charloom.errors import InputError, say

CHUNK_BYTES = 1 << 20
MAX_JSON_BYTES = 1 << 25  # a vocabulary of all Unicode characters takes 30 MB


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give a temporary path in the same folder, and rename it to `path` when the block succeeds.

    The file is flushed to disk first, so no program ever sees a half-written file at `path`. If the block fails, the
    temporary file is removed and the file at `path` stays as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        # If the disk is full, Python's error has no file name or, if a file was copied, the name of the source. What
        # the user must know is the target.
        if error.filename is None or error.errno == errno.ENOSPC:
            error.filename = str(path)
        raise
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text, atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path, value: Any) -> None:
    """Write indented JSON, atomically. The same value always gives the same bytes."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a CSV table with a header line, atomically."""
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def read_json(path: Path, *, kind: str, version: int) -> dict[str, Any]:
    """Read a JSON object that contains `"format": kind, "version": version`.

    Raises InputError if the file is missing, is not JSON, or has another format or version.
    """
    try:
        if path.stat().st_size > MAX_JSON_BYTES:
            raise InputError(f"{path}: has more than {MAX_JSON_BYTES} bytes, too many for {kind}")
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: not readable as JSON: {error}") from None
    if not isinstance(value, dict) or "format" not in value:
        raise InputError(f"{path}: expected {kind}, found other JSON; recreate the file with `dvc repro`")
    found = value["format"], value.get("version")
    if found != (kind, version):
        raise InputError(
            f"{path}: expected {kind} of format version {version}, found {reprlib.repr(found[0])} of version"
            f" {reprlib.repr(found[1])}; recreate the file with `dvc repro`"
        )
    return value


def not_utf8(
    place: str, error: UnicodeDecodeError, offset: int = 0, remedy: str = "convert the text to UTF-8"
) -> InputError:
    """The error for a byte that is not UTF-8. The caller raises it.

    `place` is the name of the file, with the number of the line if it is known. `offset` is the number of bytes in the
    file before the piece that could not be decoded.
    """
    byte = error.object[error.start]
    return InputError(f"{place}: byte {offset + error.start} (0x{byte:02x}) is not UTF-8; {remedy}")


def file_digest(path: Path, algorithm: str = "sha256") -> str:
    """The hexadecimal digest of a file's bytes. The file is read in chunks."""
    return file_digests(path, (algorithm,))[algorithm]


def file_digests(path: Path, algorithms: Sequence[str]) -> dict[str, str]:
    """The hexadecimal digests of a file's bytes by several algorithms. The file is read once."""
    digests = {algorithm: hashlib.new(algorithm, usedforsecurity=False) for algorithm in algorithms}
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            for digest in digests.values():
                digest.update(chunk)
    return {algorithm: digest.hexdigest() for algorithm, digest in digests.items()}


def value_digest(value: Any) -> str:
    """The SHA-256 of a JSON value. The order of its keys does not matter."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, allow_nan=False).encode()).hexdigest()


def flatten(values: Mapping[str, Any], separator: str = ".") -> dict[str, Any]:
    """Turn nested mappings into one mapping with joined keys: `{"a": {"b": 1}}` becomes `{"a.b": 1}`."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat |= {f"{name}{separator}{key}": each for key, each in flatten(value, separator).items()}
        else:
            flat[name] = value
    return flat


@contextmanager
def exclusive(path: Path, what: str) -> Iterator[None]:
    """Hold a lock on the file `path` during the block. `what` is the user's name for what the lock protects.

    If another process holds the lock, print the id of that process and wait. When a process ends, the operating system
    releases its locks, even if the process was killed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="utf-8") as file:
        if not try_lock(file):
            say(f"waiting for {_holder(file)}: it is using {what}")
            portalocker.lock(file, portalocker.LockFlags.EXCLUSIVE)
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def try_lock(file: IO[str]) -> bool:
    """Lock an open file, unless another process has locked it. Returns whether the file is locked now."""
    try:
        portalocker.lock(file, portalocker.LockFlags.EXCLUSIVE | portalocker.LockFlags.NON_BLOCKING)
    except portalocker.LockException:
        return False
    return True


def user_path(path: str, root: Path = Path()) -> Path:
    """The place of a path that a user wrote. `~` is the home folder, and a relative path starts at `root`."""
    # Path.expanduser would raise an error for a name such as ~draft.txt, because no user has the name draft.txt
    return root / os.path.expanduser(path)  # noqa: PTH111


def _holder(file: IO[str]) -> str:
    file.seek(0)
    pid = file.read(20).strip()
    return f"process {pid}" if pid else "another process"


def main_checkout() -> Path:
    """The checkout that keeps the files which several experiments share, such as checkpoints.

    DVC sets the environment variable DVC_ROOT to this folder, even if DVC runs a stage in a temporary copy of the
    checkout. Without DVC, it is the current folder.
    """
    return Path(os.environ.get("DVC_ROOT") or ".").resolve()
