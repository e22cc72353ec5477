"""Opens one file of a corpus: on this machine, on a web server or in an object store, compressed or not."""

from __future__ import annotations

import io
import lzma
import re
import shutil
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

from charloom.corpus.contents import seems_to_be
from charloom.corpus.encodings import HEAD_BYTES, check_head, recognise
from charloom.corpus.formats import READERS
from charloom.corpus.intake import ClassedText
from charloom.corpus.settings import TableColumns
from charloom.errors import CharloomError, InputError, RunError
from charloom.secrets import without_secrets

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

COMPRESSED = {".gz": "gzip", ".bz2": "bz2", ".xz": "xz"}  # file ending → fsspec's name
# The errors for a damaged compressed file. gzip and bz2 raise an OSError without an errno.
DAMAGED = (EOFError, zlib.error, lzma.LZMAError, OSError)
BUFFER_BYTES = 1 << 20
PARQUET = b"PAR1"  # a Parquet file begins with it
_WEB_PAGE = re.compile(rb"\s*<(!doctype )?html", re.IGNORECASE)  # such as the page in which one must log in


class Kind(NamedTuple):
    """What the name of a file says about its content: the format (a key of READERS) and the compression."""

    format: str
    compression: str | None

    @classmethod
    def of(cls, path: str) -> Kind | None:
        """The kind of a path or URL. None if charloom cannot read files with this ending."""
        named = PurePosixPath(path.partition("?")[0] if "://" in path else path)
        compression = COMPRESSED.get(named.suffix.lower())
        suffix = (named.with_suffix("") if compression else named).suffix.lower()
        return cls(suffix, compression) if suffix in READERS else None


@dataclass(frozen=True)
class File:
    """A file of a corpus."""

    system: AbstractFileSystem
    path: str
    kind: Kind
    # train or test, if the name of the file or of a folder below the base folder begins with that word
    split: str | None

    @property
    def name(self) -> str:
        """The name in messages."""
        return name_of(self.system, self.path)

    def articles(self, columns: TableColumns) -> Iterator[ClassedText]:
        """Read the articles. Raises the errors of `opened`, and InputError if the content has another format."""
        with self.opened() as file:
            yield from READERS[self.kind.format](file, self.name, columns)

    @contextmanager
    def opened(self) -> Iterator[io.BufferedReader]:
        """Open the unpacked content.

        Raises InputError if the content does not have the format and compression that the name of the file says, and
        RunError if a remote file cannot be read, also for an error in the block.
        """
        with explain_remote_errors(self.system, self.name), self.unpacked() as file:
            self._check(file)
            yield file

    @contextmanager
    def unpacked(self) -> Iterator[io.BufferedReader]:
        """Open the unpacked content, whatever it is. Raises InputError if it cannot be unpacked, also in the block."""
        try:
            with self._open(self.kind.compression) as file:
                yield file
        except DAMAGED as error:
            if self.kind.compression is None or getattr(error, "errno", None):
                raise
            raise InputError(f"{self.name}: cannot be unpacked: {self._damage(error)}") from None

    def _check(self, file: io.BufferedReader) -> None:
        """Raise InputError if the first bytes show that the file has another format than its name says."""
        head = file.peek(HEAD_BYTES)[:HEAD_BYTES]
        if self.kind.format != ".parquet":
            check_head(head, self.name)
        if self.kind.format != ".txt" and _WEB_PAGE.match(head):
            raise InputError(
                f"{self.name}: this is a web page, not a {self.kind.format} file; download the file itself"
            )
        if self.kind.format == ".parquet" and head and not head.startswith(PARQUET):
            raise InputError(f"{self.name}: this is {'; '.join(seems_to_be(head))}")

    def _damage(self, error: Exception) -> str:
        """Why a compressed file cannot be unpacked: it is damaged, or its name states another compression."""
        with self._open(None) as file:
            found = recognise(file.peek(HEAD_BYTES)[:HEAD_BYTES])
        if found is None:
            return "it is not compressed; remove the last ending of its name"
        if found.what == f"compressed ({self.kind.compression})":
            return f"{error}; get or pack the file again"
        return f"it is {'; '.join(found)}"

    @contextmanager
    def _open(self, compression: str | None) -> Iterator[io.BufferedReader]:
        from fsspec.core import OpenFile

        with OpenFile(self.system, self.path, compression=compression) as opened:
            if self.kind.format == ".parquet" and (compression or not is_local(self.system)):
                with tempfile.TemporaryFile() as copy:  # Parquet needs a seekable file
                    shutil.copyfileobj(opened, copy, BUFFER_BYTES)
                    copy.seek(0)
                    yield io.BufferedReader(copy)
            else:
                yield io.BufferedReader(opened, BUFFER_BYTES)


def is_local(system: AbstractFileSystem) -> bool:
    """Whether a file system is that of this machine."""
    return "file" in ((system.protocol,) if isinstance(system.protocol, str) else system.protocol)


def name_of(system: AbstractFileSystem, path: str) -> str:
    """The name of a file in messages: its path on this machine, or its URL without secrets."""
    return path if is_local(system) else without_secrets(str(system.unstrip_protocol(path)))


@contextmanager
def explain_remote_errors(system: AbstractFileSystem, what: str) -> Iterator[None]:
    """Turn any error of a remote file system into a RunError. Each file system of fsspec raises other errors."""
    try:
        yield
    except CharloomError:
        raise
    except Exception as error:
        if is_local(system):
            raise
        raise RunError(f"{what}: cannot be read: {type(error).__name__}: {error}") from None
