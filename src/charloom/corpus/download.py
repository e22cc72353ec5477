"""Fetching a file so that only a whole, verified one ever appears under its name."""

from __future__ import annotations

import errno
import logging
import os
import re
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from io import BufferedWriter, FileIO
from pathlib import Path
from typing import TYPE_CHECKING

from charloom.errors import RunError
from charloom.files import exclusive, file_digest

if TYPE_CHECKING:
    from pooch import HTTPDownloader
    from pooch.typing import Downloader
    from requests import Response
    from typing_extensions import Buffer

ATTEMPTS = 3  # a try and two more: enough for a hiccup, soon enough said when a host is gone
PAUSE_S = 1.0  # after the first try; twice that after the second
PATIENCE_S = 60.0  # how long a server's Retry-After is obeyed; one that asks for more is given up
MAX_BYTES = 1 << 28  # a body without end must not fill the disk; AG_NEWS' larger file has 29 MB
BUSY = (408, 425, 429)  # of the 4xx answers, those that another try may change
LOCAL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO)


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
    if _is_whole(final, remote):  # before the lock: a cache that is filled may be read-only
        return final
    with exclusive(cache / f"{remote.md5}.lock", f"the download of {remote.name}"):
        if _is_whole(final, remote):
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


def _is_whole(path: Path, remote: RemoteFile) -> bool:
    return path.exists() and file_digest(path, "md5") == remote.md5


def _first_that_works(remote: RemoteFile, incoming: Path, mirror: str | None, timeout_s: float) -> Path:
    failures = []
    for address in _addresses(remote, mirror):
        try:
            return _fetch_verified(address, remote, incoming, timeout_s)
        except (OSError, ValueError) as error:  # requests' exceptions are OSErrors, a wrong hash a ValueError
            if isinstance(error, OSError) and error.errno in LOCAL:
                raise RunError(
                    f"cannot keep {remote.name} in {incoming}: {error.strerror}; mend that, or set CHARLOOM_CACHE to"
                    " another folder"
                ) from None
            failures.append(f"{address}: {_reason(error)}")
    tried = re.sub(r"//[^/@\s]*@", "//", "; ".join(failures))  # no password of a mirror goes to a log
    raise RunError(
        f"cannot get {remote.name}. Tried {tried}. Set data.mirror in params.yaml (or CHARLOOM_MIRROR) to a folder or"
        " URL that holds it, or run `make demo`, which needs no network"
    )


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
    # (connect, read): a stalled server is given up after timeout_s without a byte
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
    """Seconds until another try may help after this answer, or none; infinite where it cannot."""
    own = PAUSE_S * attempt
    if response is None:
        return own
    if response.status_code < 500 and response.status_code not in BUSY:
        return float("inf")
    return max(own, _retry_after_s(response) or 0)


def _retry_after_s(response: Response) -> float | None:
    """What a server asks for in seconds or as a date, None where it asks for nothing that can be read."""
    from urllib3.exceptions import InvalidHeader
    from urllib3.util import Retry

    try:
        return Retry().get_retry_after(response.raw)
    except InvalidHeader:
        return None


def _copy(source: str, target: str | Path, _pooch: object, check_only: bool = False) -> None:
    shutil.copyfile(source, target)


def _bounded(downloader: HTTPDownloader) -> Downloader:
    """The downloader, writing MAX_BYTES and no more: unpacked ones where a server sends gzip."""

    def download(url: str, target: str, pooch: object, check_only: bool = False) -> None:
        with _BoundedFile(FileIO(target, "w")) as file:
            downloader(url, file, pooch)

    return download


class _BoundedFile(BufferedWriter):
    def write(self, chunk: Buffer, /) -> int:
        if self.tell() + len(memoryview(chunk)) > MAX_BYTES:
            raise ValueError(f"sends more than {MAX_BYTES} bytes, which is no file of ours")
        return super().write(chunk)


def _reason(error: OSError | ValueError) -> str:
    if not isinstance(error, OSError):
        # pooch says that the hash does not match; any other ValueError is an address that cannot be used
        return "the content does not match the published MD5" if "hash" in str(error) else str(error)
    cause: BaseException = error
    while deeper := cause.__cause__ or cause.__context__:  # requests wraps urllib3's, which wraps the socket's
        cause = deeper
    return f"{type(error).__name__}: {getattr(cause, 'strerror', None) or cause}"
