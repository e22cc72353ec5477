"""Where a corpus comes from: AG_NEWS, the embedded sample, or a user's own folder."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path
from typing import Any

from charloom.corpus import FORMAT, SPLITS, VERSION, read_articles
from charloom.download import RemoteFile, cache_folder, fetch
from charloom.errors import InputError
from charloom.files import atomic_path, file_digest, write_json

# The addresses, hashes and rows that torchtext 0.18 has in torchtext/datasets/ag_news.py.
AG_NEWS_URL = "https://raw.githubusercontent.com/mhjabreel/CharCnn_Keras/master/data/ag_news_csv/"
AG_NEWS = {
    "train": RemoteFile("train.csv", AG_NEWS_URL + "train.csv", "b1a00f826fdfbd249f79597b59e1dc12"),
    "test": RemoteFile("test.csv", AG_NEWS_URL + "test.csv", "d52ea96a97a2d943681189a97654912d"),
}
SAMPLE = Path(__file__).parent / "data" / "sample"
AG_NEWS_CLASSES = ("World", "Sports", "Business", "Sci/Tech")


def obtain(source: str, folder: Path, *, root: Path, mirror: str | None, timeout_s: float) -> dict[str, int]:
    """Put verified copies of a corpus' train.csv and test.csv into `folder`, with source.json beside them.

    `source` is `ag_news`, `sample` or a folder, which is taken from `root` where it is relative, as a mirror folder is.
    Every row is read once, so that a bad one is named here and not three stages later. Gives the articles and bytes
    of each split.
    """
    if mirror and "://" not in mirror:
        mirror = str(root / mirror)
    described = {}
    labels: Counter[int] = Counter()
    for split in SPLITS:
        origin, path = _locate(source, split, root, mirror, timeout_s)
        counted = Counter(article.label for article in read_articles(path))
        if not counted:
            raise InputError(f"{path}: holds no article; it must have rows of class, title, description")
        with atomic_path(folder / path.name) as temporary:
            shutil.copyfile(path, temporary)
        described[split] = _describe(folder / path.name, origin, counted.total())
        labels += counted
    names = _class_names(source, root, described["test"]["md5"], count=max(labels))
    write_json(
        folder / "source.json",
        {"format": FORMAT, "version": VERSION, "source": source, "classes": names, **described},
    )
    return {f"{split}_{unit}": described[split][unit] for split in SPLITS for unit in ("articles", "bytes")}


def _describe(path: Path, origin: str, articles: int) -> dict[str, Any]:
    return {
        "origin": origin,
        "bytes": path.stat().st_size,
        "articles": articles,
        "md5": file_digest(path, "md5"),
        "sha256": file_digest(path),
    }


def _locate(source: str, split: str, root: Path, mirror: str | None, timeout_s: float) -> tuple[str, Path]:
    """Where a split comes from, as source.json states it, and a local path to read it from."""
    if source == "ag_news":
        remote = AG_NEWS[split]
        return remote.url, fetch(remote, cache_folder(), mirror=mirror, timeout_s=timeout_s)
    folder = SAMPLE if source == "sample" else root / source
    if not folder.is_dir():
        raise InputError(f"data.source = {source!r}: must be ag_news, sample or a folder; there is no folder {folder}")
    path = folder / f"{split}.csv"
    if not path.is_file():
        raise InputError(f"data.source = {source!r}: {path} is missing; the folder must hold train.csv and test.csv")
    return source, path


def _class_names(source: str, root: Path, test_md5: str, count: int) -> list[str]:
    """The names that come with the corpus: its classes.txt, a name a line as AG_NEWS ships it, else numbers."""
    listed = (SAMPLE if source == "sample" else root / source) / "classes.txt"
    if source != "ag_news" and listed.is_file():
        try:
            lines = listed.read_text(encoding="utf-8-sig").split("\n")
        except UnicodeDecodeError:
            raise InputError(f"{listed}: not UTF-8; convert the file to UTF-8") from None
        names = [line.strip() for line in lines if line.strip()]
    elif test_md5 == AG_NEWS["test"].md5:  # AG_NEWS itself, or a part of it with the official test split
        names = list(AG_NEWS_CLASSES)
    else:
        names = [str(number) for number in range(1, count + 1)]
    if len(names) < count:
        raise InputError(f"{listed}: names {len(names)} classes, but the articles have classes up to {count}")
    return names
