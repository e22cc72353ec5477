"""Downloads a file into a cache. Only a complete file with the right hash ever appears under the final name."""

from __future__ import annotations

import errno
import logging
import os
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from io import BufferedWriter, FileIO
from pathlib import Path
from typing import TYPE_CHECKING

from charloom.errors import RunError
from charloom.files import exclusive, file_digest, user_path

if TYPE_CHECKING:
    from pooch import HTTPDownloader
    from pooch.typing import Downloader
    from requests import Response
    from typing_extensions import Buffer

ATTEMPTS = 3  # enough for a short failure, and few enough to report an unreachable host soon
PAUSE_S = 1.0  # after the first attempt; twice as long after the second
PATIENCE_S = 60.0  # the longest Retry-After that is obeyed; if a server asks for a longer pause, the attempts end
MAX_BYTES = 1 << 28  # an endless response must not fill the disk; the larger file of AG_NEWS has 29 MB
BUSY = (408, 425, 429)  # the 4xx answers for which another attempt may succeed
# Errors that this machine causes. Another address would not help.
LOCAL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO)


@dataclass(frozen=True)
class RemoteFile:
    """A published file: its name, its address, and the MD5 that the publisher or torchtext states."""

    name: str
    url: str
    md5: str


def cache_folder() -> Path:
    """The user's cache folder: CHARLOOM_CACHE, or the usual place of the operating system."""
    import pooch

    return user_path(os.environ.get("CHARLOOM_CACHE") or str(pooch.os_cache("charloom")))


@contextmanager
def usable_cache(folder: Path, variable: str = "CHARLOOM_CACHE") -> Iterator[None]:
    """Turn an error of the disk into a RunError that names a cache folder, and the variable that moves the folder."""
    try:
        yield
    except OSError as error:
        raise RunError(
            f"cannot use the cache folder {folder}: {error.strerror or error}; correct this, or set {variable} to"
            " another folder"
        ) from None


@contextmanager
def cache_lock(path: Path, what: str, variable: str = "CHARLOOM_CACHE") -> Iterator[None]:
    """Hold a lock in a cache folder, as `exclusive` does. Raises RunError if the folder cannot be made or written."""
    with ExitStack() as held:
        with usable_cache(path.parent, variable):
            held.enter_context(exclusive(path, what))
        yield


def fetch(remote: RemoteFile, cache: Path, *, mirror: str | None, timeout_s: float) -> Path:
    """Return the path of a verified copy of `remote` in `cache`, and download the file if it is not there yet.

    `mirror` is a folder or a base URL that is tried first. The hash is checked wherever the file comes from. If several
    processes want the same file, one process downloads it and the others wait.

    Raises RunError. Its message names each address that was tried, with the reason of its failure.
    """
    final = cache / remote.md5 / remote.name
    with usable_cache(cache):
        if _is_verified(final, remote):  # checked before the lock is taken, because a filled cache may be read-only
            return final
        with exclusive(cache / f"{remote.md5}.lock", f"the download of {remote.name}"):
            if not _is_verified(final, remote):
                _fetch_into(final, remote, cache / "incoming" / remote.md5, mirror, timeout_s)
    return final


def _fetch_into(final: Path, remote: RemoteFile, incoming: Path, mirror: str | None, timeout_s: float) -> None:
    """Download a file to the folder `incoming`, and move it to its final place."""
    shutil.rmtree(incoming, ignore_errors=True)  # left by a killed download
    try:
        verified = _first_that_works(remote, incoming, mirror, timeout_s)
        final.parent.mkdir(parents=True, exist_ok=True)
        verified.replace(final)
    finally:
        shutil.rmtree(incoming, ignore_errors=True)


def _is_verified(path: Path, remote: RemoteFile) -> bool:
    return path.exists() and file_digest(path, "md5") == remote.md5


def _first_that_works(remote: RemoteFile, incoming: Path, mirror: str | None, timeout_s: float) -> Path:
    failures = []
    for address in _addresses(remote, mirror):
        try:
            return _fetch_verified(address, remote, incoming, timeout_s)
        except (OSError, ValueError) as error:  # requests' exceptions are OSErrors; a wrong hash is a ValueError
            if isinstance(error, OSError) and _is_local(error, address):
                raise
            failures.append(f"{address}: {_reason(error)}")
    raise RunError(
        f"cannot get {remote.name}. Tried {'; '.join(failures)}. Set data.mirror in params.yaml (or CHARLOOM_MIRROR)"
        " to a folder or URL with this file, or run `make demo`, which needs no network"
    )


def _is_local(error: OSError, address: str) -> bool:
    """Whether this machine causes the error, so that another address would not help.

    An unreadable mirror folder does not count, because the next address may be readable.
    """
    unreadable_mirror = error.filename == address and error.errno in (errno.EACCES, errno.EPERM)
    return error.errno in LOCAL and not unreadable_mirror


def _addresses(remote: RemoteFile, mirror: str | None) -> Sequence[str]:
    mirrored = [f"{mirror.rstrip('/')}/{remote.name}"] if mirror else []
    return [*mirrored, remote.url]


def _fetch_verified(address: str, remote: RemoteFile, incoming: Path, timeout_s: float) -> Path:
    import pooch
    import requests

    pooch.get_logger().setLevel(logging.WARNING)
    fetcher = pooch.create(
        path=incoming, base_url="", registry={remote.name: f"md5:{remote.md5}"}, urls={remote.name: address}
    )
    if "://" not in address:
        return Path(fetcher.fetch(remote.name, downloader=_copy))
    # timeout=(connect, read): an attempt fails if the server sends nothing for timeout_s
    http = pooch.HTTPDownloader(progressbar=sys.stderr.isatty(), timeout=(timeout_s, timeout_s), chunk_size=1 << 16)
    attempt = 0
    while True:
        attempt += 1
        try:
            return Path(fetcher.fetch(remote.name, downloader=_bounded(http)))
        except (requests.RequestException, ValueError) as error:
            pause_s = _pause_s(getattr(error, "response", None), attempt)
            if attempt == ATTEMPTS or pause_s > PATIENCE_S:
                raise
        time.sleep(pause_s)


def _pause_s(response: Response | None, attempt: int) -> float:
    """Seconds to wait before the next attempt; infinite if another attempt cannot help.

    `response` is None if no response came from the server.
    """
    pause_s = PAUSE_S * attempt
    if response is None:
        return pause_s
    if response.status_code < 500 and response.status_code not in BUSY:
        return float("inf")
    return max(pause_s, _retry_after_s(response) or 0)


def _retry_after_s(response: Response) -> float | None:
    """The server's Retry-After in seconds. None if there is no Retry-After or it is malformed."""
    from urllib3.exceptions import InvalidHeader
    from urllib3.util import Retry

    try:
        return Retry().get_retry_after(response.raw)
    except InvalidHeader:
        return None


def _copy(source: str, target: str | Path, _pooch: object, check_only: bool = False) -> None:
    shutil.copyfile(source, target)


def _bounded(downloader: HTTPDownloader) -> Downloader:
    """A downloader that fails after MAX_BYTES. If a server sends gzip, the unpacked bytes are counted."""

    def download(url: str, target: str, pooch: object, check_only: bool = False) -> None:
        with _BoundedFile(FileIO(target, "w")) as file:
            downloader(url, file, pooch)

    return download


class _BoundedFile(BufferedWriter):
    def write(self, chunk: Buffer, /) -> int:
        if self.tell() + len(memoryview(chunk)) > MAX_BYTES:
            raise ValueError(f"sends more than {MAX_BYTES} bytes, too many for this file")
        return super().write(chunk)


def _reason(error: OSError | ValueError) -> str:
    if not isinstance(error, OSError):
        # pooch raises a ValueError if the hash differs. Any other ValueError comes from an invalid address.
        return "the content does not match the published MD5" if "hash" in str(error) else str(error)
    cause: BaseException = error
    while deeper := cause.__cause__ or cause.__context__:  # requests wraps urllib3's error, which wraps the socket's
        cause = deeper
    return f"{type(error).__name__}: {getattr(cause, 'strerror', None) or cause}"
