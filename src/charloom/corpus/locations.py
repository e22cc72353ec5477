"""Finds and opens the files that data.source names: a file, a folder, a glob or a URL.

fsspec reads from this machine, web servers and object stores alike.
"""

from __future__ import annotations

import io
import lzma
import re
import shutil
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, NamedTuple

from charloom.corpus.articles import SPLITS
from charloom.corpus.formats import READERS, TableColumns
from charloom.corpus.intake import ClassedText, Source
from charloom.errors import CharloomError, InputError, RunError, say

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

COMPRESSED = {".gz": "gzip", ".bz2": "bz2", ".xz": "xz"}  # file ending → fsspec's name
DAMAGED = (EOFError, zlib.error, lzma.LZMAError, OSError)  # gzip and bz2 raise an OSError without an errno
BUFFER_BYTES = 1 << 20
_SPLIT = re.compile("(train|test)(?![a-z])")  # train-00000 and Test1, not testimony


class Kind(NamedTuple):
    """What a file's name says about its content: the format (a key of READERS) and the compression."""

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
    split: str | None  # train or test, if the name of the file or of a folder above it begins with this word

    def articles(self, columns: TableColumns) -> Iterator[ClassedText]:
        """Read the articles.

        Raises InputError if the content is not what the name says, RunError if a remote file cannot be read.
        """
        name = _name(self.system, self.path)
        with _reaching(self.system, name):
            try:
                with self._open() as file:
                    yield from READERS[self.kind.format](file, name, columns)
            except DAMAGED as error:
                if self.kind.compression is None or getattr(error, "errno", None):
                    raise
                raise InputError(f"{name}: cannot be unpacked: {error}") from None

    @contextmanager
    def _open(self) -> Iterator[IO[bytes]]:
        from fsspec.core import OpenFile

        with OpenFile(self.system, self.path, compression=self.kind.compression) as opened:
            if self.kind.format == ".parquet" and (self.kind.compression or not _is_local(self.system)):
                with tempfile.TemporaryFile() as copy:  # Parquet needs a seekable file
                    shutil.copyfileobj(opened, copy, BUFFER_BYTES)
                    copy.seek(0)
                    yield copy
            else:
                yield io.BufferedReader(opened, BUFFER_BYTES)


def open_files(source: str, root: Path, columns: TableColumns) -> Source:
    """Open the files that `source` names. A relative path starts at `root`.

    If some files belong to train and some to test, by the names of the files or their folders, only these are read.
    Otherwise all files are read, and `take_in` splits their articles.
    """
    files = _find(source, root)
    by_split = {split: [file for file in files if file.split == split] for split in SPLITS}
    used = by_split if all(by_split.values()) else {"all": files}
    formats = sorted({file.kind.format for each in used.values() for file in each})
    if len(formats) > 1:
        raise InputError(f"data.source = {source!r}: contains {' and '.join(formats)} files; name files of one format")
    counts = {split: len(each) for split, each in used.items()}
    read = ", ".join(f"{count} file(s) for {split}" for split, count in counts.items())
    say(f"reading {source}: {read}; {len(files) - sum(counts.values())} other file(s) are not read")
    return Source({split: _articles(each, columns) for split, each in used.items()})


def _articles(files: Iterable[File], columns: TableColumns) -> Iterator[ClassedText]:
    return chain.from_iterable(file.articles(columns) for file in files)


def _find(source: str, root: Path) -> list[File]:
    """The files of a source that charloom can read, in the order of their paths."""
    from fsspec.core import url_to_fs

    stated = f"data.source = {source!r}"
    try:
        system, path = url_to_fs(source if "://" in source else str(root / source))
        with _reaching(system, stated):
            base, paths = _expand(system, path)
    except (ValueError, ImportError) as error:  # an unknown protocol, a missing package, or an invalid glob
        raise InputError(f"{stated}: {error}") from None
    if not paths:
        known = "ag_news, sample, torchtext:NAME, or a file, folder, glob or URL"
        raise InputError(f"{stated}: found nothing at {_name(system, path)}; data.source must be {known}")
    files = [File(system, each, kind, _split(each[len(base) :])) for each in sorted(paths) if (kind := Kind.of(each))]
    if not files:
        endings, packed = ", ".join(READERS), ", ".join(COMPRESSED)
        raise InputError(f"{stated}: no file there ends in {endings} (with or without {packed} after it)")
    return files


def _expand(system: AbstractFileSystem, path: str) -> tuple[str, list[str]]:
    """The base folder and the files of a path. Hidden files are left out.

    Only the part of a path below the base folder is searched for `train` and `test`.
    """
    try:
        kind = system.info(path)["type"]
    except FileNotFoundError:
        base = re.split(r"[*?\[]", path, maxsplit=1)[0].rpartition("/")[0]
        paths = [each for each, about in system.glob(path, detail=True).items() if about["type"] == "file"]
    else:
        if kind == "file":
            return path.rpartition("/")[0], [path]
        base, paths = path, system.find(path)
    return base, [each for each in paths if not PurePosixPath(each).name.startswith(".")]


def _split(path: str) -> str | None:
    return next((found[1] for part in path.lower().split("/") if (found := _SPLIT.match(part))), None)


def _is_local(system: AbstractFileSystem) -> bool:
    return "file" in ((system.protocol,) if isinstance(system.protocol, str) else system.protocol)


def _name(system: AbstractFileSystem, path: str) -> str:
    """A file's name for messages: its path on this machine, or its URL without the password."""
    return path if _is_local(system) else re.sub("//[^/@]*@", "//", str(system.unstrip_protocol(path)))


@contextmanager
def _reaching(system: AbstractFileSystem, what: str) -> Iterator[None]:
    """Turn any error of a remote file system into a RunError, because each file system raises its own errors."""
    try:
        yield
    except CharloomError:
        raise
    except Exception as error:
        if _is_local(system):
            raise
        raise RunError(f"{what}: cannot be read: {type(error).__name__}: {error}") from None
