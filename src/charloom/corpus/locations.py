"""Finds the files that data.source names: a file, a folder, a glob or a URL.

The files are found and read with fsspec, which knows this machine, web servers and object stores.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from charloom.corpus.articles import SPLITS
from charloom.corpus.contents import seems_to_be
from charloom.corpus.encodings import HEAD_BYTES
from charloom.corpus.formats import READERS
from charloom.corpus.intake import ClassedText, Source
from charloom.corpus.opening import COMPRESSED, File, Kind, explain_remote_errors, is_local, name_of
from charloom.corpus.settings import TableColumns
from charloom.errors import InputError, RunError, say
from charloom.files import user_path
from charloom.secrets import without_secrets

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

NOT_THERE = (404, 410)  # the answers of a web server that has no such file
# An object store reads its keys from the environment. In an address it would take them for the name of a bucket.
_BUCKET_WITH_KEY = re.compile("(s3a?|gs|gcs|oss)://[^/@]*[:@]")
_KEYS_FROM_ELSEWHERE = "give the keys by the store's own means, such as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
_WILDCARD = re.compile(r"[*?\[]")
_SPLIT = re.compile("(train|test)(?![a-z])")  # train-00000 and Test1, not testimony


def open_files(source: str, root: Path, columns: TableColumns) -> Source:
    """Open the files that `source` names. A relative path starts at `root`. The articles of `all` must be split."""
    used = files_of_splits(source, root)
    is_cut = next(iter(used.values()))[0].kind.format == ".txt" or isinstance(columns.article_end, int)
    articles = {split: _articles(each, columns) for split, each in used.items()}
    return Source(articles, article_end=columns.article_end if is_cut else None)


def files_of_splits(source: str, root: Path) -> Mapping[str, Sequence[File]]:
    """The files that `source` names, by split, and print how many there are. A relative path starts at `root`.

    If the names of files or folders say that some files belong to train and some to test, only these files are read.
    Otherwise all files are read, as the split `all`. Raises InputError if there is no file, or files of two formats.
    """
    files = _find(source, root)
    by_split = {split: [file for file in files if file.split == split] for split in SPLITS}
    used = by_split if all(by_split.values()) else {"all": files}
    formats = sorted({file.kind.format for each in used.values() for file in each})
    if len(formats) > 1:
        raise InputError(f"{_stated(source)}: contains {' and '.join(formats)} files; name files of one format")
    say(f"reading {source}: {_in_words(used, len(files))}")
    return used


def _articles(files: Iterable[File], columns: TableColumns) -> Iterator[ClassedText]:
    return chain.from_iterable(file.articles(columns) for file in files)


def _in_words(used: Mapping[str, list[File]], found: int) -> str:
    """How many files are read for each split, and how many of the files that were found are not read."""
    counts = {split: len(each) for split, each in used.items()}
    if "all" in counts:
        return f"{counts['all']} file(s), whose articles are split into train and test"
    read = ", ".join(f"{count} file(s) for {split}" for split, count in counts.items())
    return f"{read}; {found - sum(counts.values())} other file(s) are not read"


def _find(source: str, root: Path) -> list[File]:
    """The files of a source that charloom can read, in the order of their paths."""
    stated = _stated(source)
    if _BUCKET_WITH_KEY.match(source):
        raise InputError(f"{stated}: this address takes no user and password; {_KEYS_FROM_ELSEWHERE}")
    try:
        system, path = _system(source, root)
        with explain_remote_errors(system, stated):
            base, paths = _expand(system, path)
    except UnicodeEncodeError:  # a ValueError, too, but the name is not wrong: `exit_with` explains it
        raise
    except (ValueError, ImportError) as error:  # unknown protocol, missing package, or invalid path or glob
        raise InputError(f"{stated}: {error}") from None
    if not paths:
        known = "ag_news, sample, torchtext:NAME, or a file, folder, glob or URL"
        raise InputError(f"{stated}: found nothing at {name_of(system, path)}; data.source must be {known}")
    files = [File(system, each, kind, _split(each[len(base) :])) for each in sorted(paths) if (kind := Kind.of(each))]
    if not files:
        with explain_remote_errors(system, stated):
            raise _unknown_endings(system, paths, stated)
    return files


def _unknown_endings(system: AbstractFileSystem, paths: Sequence[str], stated: str) -> InputError:
    """The error for files with other endings. It says what the first file, unpacked, is by its content."""
    endings, compressed = ", ".join(READERS), ", ".join(COMPRESSED)
    path = PurePosixPath(paths[0])
    packed = path.suffix if path.suffix.lower() in COMPRESSED else ""
    with File(system, paths[0], Kind(".txt", COMPRESSED.get(packed.lower())), None).unpacked() as file:
        seems = seems_to_be(file.peek(HEAD_BYTES)[:HEAD_BYTES], packed)
    others = f", and the other {len(paths) - 1:,} file(s) too" if len(paths) > 1 else ""
    return InputError(
        f"{stated}: no file there ends in {endings} (with or without {compressed} after it);"
        f" {path.name} seems to be {seems.what}; {seems.remedy}{others}"
    )


def _system(source: str, root: Path) -> tuple[AbstractFileSystem, str]:
    """The file system of a source, and the path there. Some file systems connect to their server here."""
    from fsspec.core import url_to_fs
    from fsspec.implementations.local import LocalFileSystem

    if "://" not in source:  # not url_to_fs, for which `::` in a path joins two file systems
        return LocalFileSystem(), user_path(source, root).as_posix()
    try:
        return url_to_fs(source)
    except OSError as error:
        raise RunError(f"{_stated(source)}: cannot be read: {type(error).__name__}: {error}") from None


def _expand(system: AbstractFileSystem, path: str) -> tuple[str, list[str]]:
    """The base folder and the files of a path. Hidden files and pipes are left out. To open a pipe can wait forever.

    Only the part of a path below the base folder is searched for `train` and `test`.
    """
    try:
        entry = system.info(path)["type"]
    except FileNotFoundError as error:
        _check_server(error)
        base, found = (_expand_local_glob if is_local(system) else _expand_glob)(system, path)
    else:
        if entry == "file":
            return path.rpartition("/")[0], [path]
        base, found = path, system.find(path, detail=True)
    files = (each for each, about in found.items() if about["type"] == "file")
    return base, [each for each in files if not PurePosixPath(each).name.startswith(".")]


def _expand_glob(system: AbstractFileSystem, path: str) -> tuple[str, dict[str, Any]]:
    """The base folder of a glob, and what it matches, with fsspec's description."""
    base = _WILDCARD.split(path, maxsplit=1)[0].rpartition("/")[0]
    return base, system.glob(path, detail=True)


def _expand_local_glob(system: AbstractFileSystem, path: str) -> tuple[str, dict[str, Any]]:
    """The base folder of a glob on this machine, and what it matches, with fsspec's description.

    The longest existing folder is taken literally, because `[`, `?` and `*` may occur in the name of a checkout. fsspec
    can only match whole paths, so the part of each path below that folder is matched here.
    """
    from fsspec.utils import glob_translate

    base = next(str(each) for each in PurePosixPath(path).parents if system.isdir(str(each)))
    pattern = path[len(base) :].lstrip("/")
    matches = re.compile(glob_translate(pattern)).match
    if not _WILDCARD.search(pattern.partition("/")[0]):
        return base, {}  # a folder without wildcards that does not exist
    depth = None if "**" in pattern else pattern.count("/") + 1
    found = system.find(base, maxdepth=depth, detail=True)
    return base, {each: about for each, about in found.items() if matches(each[len(base) :].lstrip("/"))}


def _check_server(error: FileNotFoundError) -> None:
    """Raise the failure of a web server. fsspec reports each of its failures as a file that is not there."""
    cause = error.__cause__
    if cause is None:
        return
    from aiohttp import ClientError  # takes 0.2 s

    if isinstance(cause, ClientError | TimeoutError) and getattr(cause, "status", None) not in NOT_THERE:
        raise cause


def _split(path: str) -> str | None:
    """The split that the first fitting part of a path names, or None."""
    return next((found[1] for part in path.lower().split("/") if (found := _SPLIT.match(part))), None)


def _stated(source: str) -> str:
    return f"data.source = {without_secrets(source)!r}"
