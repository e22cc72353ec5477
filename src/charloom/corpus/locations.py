"""The files that data.source names: one, a folder's or a glob's, on this machine or where fsspec reaches."""

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
from charloom.corpus.intake import Labelled, Source
from charloom.errors import CharloomError, InputError, RunError, say

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

COMPRESSED = {".gz": "gzip", ".bz2": "bz2", ".xz": "xz"}  # as fsspec calls them
DAMAGED = (EOFError, zlib.error, lzma.LZMAError, OSError)  # an OSError without a number, for gzip and bz2
BUFFER_BYTES = 1 << 20
_SPLIT = re.compile("(train|test)(?![a-z])")


class Kind(NamedTuple):
    """What a file's name says of its content: a key of READERS, and how it is compressed."""

    format: str
    compression: str | None

    @classmethod
    def of(cls, path: str) -> Kind | None:
        """The kind of a path or URL, None where its name ends in nothing that is read."""
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
    split: str | None  # what its name, or that of a folder around it, begins with

    def articles(self, layout: TableColumns) -> Iterator[Labelled]:
        """Its articles; raises InputError where it is not what its name says, RunError where it is out of reach."""
        name = _name(self.system, self.path)
        with _reaching(self.system, name):
            try:
                with self._open() as file:
                    yield from READERS[self.kind.format](file, name, layout)
            except DAMAGED as error:
                if self.kind.compression is None or getattr(error, "errno", None):
                    raise
                raise InputError(f"{name}: cannot be unpacked: {error}") from None

    @contextmanager
    def _open(self) -> Iterator[IO[bytes]]:
        from fsspec.core import OpenFile

        with OpenFile(self.system, self.path, compression=self.kind.compression) as opened:
            if self.kind.format == ".parquet" and (self.kind.compression or not _is_local(self.system)):
                with tempfile.TemporaryFile() as copy:  # Parquet is read from its end
                    shutil.copyfileobj(opened, copy, BUFFER_BYTES)
                    copy.seek(0)
                    yield copy
            else:
                yield io.BufferedReader(opened, BUFFER_BYTES)


def open_files(source: str, root: Path, layout: TableColumns) -> Source:
    """The articles of the files that `source` names, which is taken from `root` where it is a relative path.

    Where files of both train and test are among them, by their names or their folders', these alone are read; else all,
    and the texts decide which of them are test's.
    """
    files = _find(source, root)
    own = {split: [file for file in files if file.split == split] for split in SPLITS}
    used = own if all(own.values()) else {"all": files}
    formats = sorted({file.kind.format for each in used.values() for file in each})
    if len(formats) > 1:
        raise InputError(f"data.source = {source!r}: holds {' and '.join(formats)} files; name those of one kind")
    read = {split: len(each) for split, each in used.items()}
    others = len(files) - sum(read.values())
    say(f"reads of {source} {', '.join(f'{n} file(s) for {split}' for split, n in read.items())}, {others} others not")
    return Source({split: _articles(each, layout) for split, each in used.items()})


def _articles(files: Iterable[File], layout: TableColumns) -> Iterator[Labelled]:
    return chain.from_iterable(file.articles(layout) for file in files)


def _find(source: str, root: Path) -> list[File]:
    """The files that can be read, in the order of their paths."""
    from fsspec.core import url_to_fs

    stated = f"data.source = {source!r}"
    try:
        system, path = url_to_fs(source if "://" in source else str(root / source))
        with _reaching(system, stated):
            base, paths = _expand(system, path)
    except (ValueError, ImportError) as error:  # no such protocol, one whose package is not installed, or no glob
        raise InputError(f"{stated}: {error}") from None
    if not paths:
        where = _name(system, path)
        known = "ag_news, sample, torchtext:NAME, a file, folder, glob or URL"
        raise InputError(f"{stated}: must be {known}; there is nothing at {where}")
    files = [File(system, each, kind, _split(each[len(base) :])) for each in sorted(paths) if (kind := Kind.of(each))]
    if not files:
        ends = ", ".join(READERS)
        raise InputError(f"{stated}: no file there ends in {ends}, or in one of these and {', '.join(COMPRESSED)}")
    return files


def _expand(system: AbstractFileSystem, path: str) -> tuple[str, list[str]]:
    """The files that a path stands for, hidden ones left out, and the folder from which on their names speak."""
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
    """A file for messages: its path on this machine, else its URL without a password."""
    return path if _is_local(system) else re.sub("//[^/@]*@", "//", str(system.unstrip_protocol(path)))


@contextmanager
def _reaching(system: AbstractFileSystem, what: str) -> Iterator[None]:
    """Make what another machine's file system raises, each in its own words, a RunError."""
    try:
        yield
    except CharloomError:
        raise
    except Exception as error:
        if _is_local(system):
            raise
        raise RunError(f"{what}: cannot be read: {type(error).__name__}: {error}") from None
