"""Fetching a file so that only a whole, verified one ever appears under its name."""

from __future__ import annotations

import logging
import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from charloom.errors import RunError
from charloom.files import exclusive, file_digest

ATTEMPTS = 3  # a try and two more: enough for a hiccup, soon enough said when a host is gone


@dataclass(frozen=True)
class RemoteFile:
    """A published file: its name, its address, and the MD5 that its publisher or torchtext gives."""

    name: str
    url: str
    md5: str


def cache_folder() -> Path:
    """The per-user cache: CHARLOOM_CACHE, or where the operating system keeps such things."""
    import pooch

    return Path(os.environ.get("CHARLOOM_CACHE") or pooch.os_cache("charloom"))


def fetch(remote: RemoteFile, cache: Path, *, mirror: str | None, timeout_s: float) -> Path:
    """Give the path of a verified copy of `remote` in `cache`, downloading it where it is not there yet.

    `mirror`, a folder or a base URL, is tried first; the hash decides whatever the source. Of several processes
    one downloads and the others wait for it. Raises RunError saying what was tried and why each try failed.
    """
    final = cache / remote.md5 / remote.name
    with exclusive(cache / f"{remote.md5}.lock", f"the download of {remote.name}"):
        if final.exists() and file_digest(final, "md5") == remote.md5:
            return final
        incoming = cache / "incoming" / remote.md5
        shutil.rmtree(incoming, ignore_errors=True)  # what a killed download left
        try:
            verified = _first_that_works(remote, incoming, mirror, timeout_s)
            final.parent.mkdir(parents=True, exist_ok=True)
            verified.replace(final)
        finally:
            shutil.rmtree(incoming, ignore_errors=True)
    return final


def _first_that_works(remote: RemoteFile, incoming: Path, mirror: str | None, timeout_s: float) -> Path:
    failures = []
    for address in _addresses(remote, mirror):
        try:
            return _fetch_verified(address, remote, incoming, timeout_s)
        except (OSError, ValueError) as error:  # requests' exceptions are OSErrors, a wrong hash a ValueError
            failures.append(f"{address}: {_reason(error)}")
    raise RunError(
        f"cannot get {remote.name}. Tried " + "; ".join(failures) + ". Set data.mirror in params.yaml (or"
        " CHARLOOM_MIRROR) to a folder or URL that holds it, or run `make demo`, which needs no network"
    )


def _addresses(remote: RemoteFile, mirror: str | None) -> Sequence[str]:
    mirrored = [f"{mirror.rstrip('/')}/{remote.name}"] if mirror else []
    return [*mirrored, remote.url]


def _fetch_verified(address: str, remote: RemoteFile, incoming: Path, timeout_s: float) -> Path:
    import pooch

    pooch.get_logger().setLevel(logging.WARNING)
    if "://" in address:
        # (connect, read): a stalled server is given up after timeout_s without a byte
        downloader = pooch.HTTPDownloader(
            progressbar=sys.stderr.isatty(), timeout=(timeout_s, timeout_s), chunk_size=1 << 16
        )
        attempts = ATTEMPTS
    else:
        downloader, attempts = _copy, 1
    fetcher = pooch.create(
        path=incoming,
        base_url="",
        registry={remote.name: f"md5:{remote.md5}"},
        urls={remote.name: address},
        retry_if_failed=attempts - 1,
    )
    return Path(fetcher.fetch(remote.name, downloader=downloader))


def _copy(source: str, target: str | Path, _pooch: object, check_only: bool = False) -> None:
    shutil.copyfile(source, target)


def _reason(error: OSError | ValueError) -> str:
    if not isinstance(error, OSError):
        # pooch says that the hash does not match; any other ValueError is an address that cannot be used
        return "the content does not match the published MD5" if "hash" in str(error) else str(error)
    cause: BaseException = error
    while deeper := cause.__cause__ or cause.__context__:  # requests wraps urllib3's, which wraps the socket's
        cause = deeper
    return f"{type(error).__name__}: {getattr(cause, 'strerror', None) or cause}"
