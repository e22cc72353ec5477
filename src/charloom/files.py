"""Files that another program never sees half-written, their digests, and locks between processes."""

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
MAX_JSON_BYTES = 1 << 25  # a vocabulary of all of Unicode has 30 MB


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; flush it to disk and rename it to `path` when the block succeeds.

    If the block fails, the temporary file is removed and whatever was at `path` stays as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        if error.filename is None or error.errno == errno.ENOSPC:  # which names no file, or the one copied from
            error.filename = str(path)
        raise
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path, value: Any) -> None:
    """Write JSON that a person can read, whole or not at all; the same value gives the same bytes."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a CSV table with a header line, whole or not at all."""
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def read_json(path: Path, *, kind: str, version: int) -> dict[str, Any]:
    """Read a JSON object that says `"format": kind, "version": version`.

    Raises InputError where the file is missing, is not JSON, or is of another kind or version.
    """
    try:
        if path.stat().st_size > MAX_JSON_BYTES:
            raise InputError(f"{path}: larger than {MAX_JSON_BYTES} bytes, which is no {kind}")
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: not readable as JSON: {error}") from None
    if not isinstance(value, dict) or "format" not in value:
        raise InputError(f"{path}: expected {kind}, found other JSON; make it again with `dvc repro`")
    found = value["format"], value.get("version")
    if found != (kind, version):
        raise InputError(
            f"{path}: expected {kind} of format version {version}, found {reprlib.repr(found[0])} of version"
            f" {reprlib.repr(found[1])}; make it again with `dvc repro`"
        )
    return value


def file_digest(path: Path, algorithm: str = "sha256") -> str:
    """The hexadecimal digest of a file's bytes, read in chunks."""
    digest = hashlib.new(algorithm, usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def value_digest(value: Any) -> str:
    """The SHA-256 of a JSON value, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, allow_nan=False).encode()).hexdigest()


def flatten(values: Mapping[str, Any], separator: str = ".") -> dict[str, Any]:
    """A mapping of mappings as one mapping, whose keys are joined: `{"a": {"b": 1}}` becomes `{"a.b": 1}`."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat |= {f"{name}{separator}{key}": each for key, each in flatten(value, separator).items()}
        else:
            flat[name] = value
    return flat


@contextmanager
def exclusive(path: Path, what: str) -> Iterator[None]:
    """Hold the lock file `path`; where another process holds it, say which one and wait for it.

    The operating system lets go of the lock when its holder ends, however it ends.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="utf-8") as file:
        try:
            portalocker.lock(file, portalocker.LockFlags.EXCLUSIVE | portalocker.LockFlags.NON_BLOCKING)
        except portalocker.LockException:
            say(f"waiting for {_holder(file)}: it is using {what}")
            portalocker.lock(file, portalocker.LockFlags.EXCLUSIVE)
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def _holder(file: IO[str]) -> str:
    file.seek(0)
    pid = file.read(20).strip()
    return f"process {pid}" if pid else "another process"


def main_checkout() -> Path:
    """The folder that holds what outlives a run: DVC names it in DVC_ROOT, in its temporary copies too."""
    return Path(os.environ.get("DVC_ROOT") or ".").resolve()
