"""Where a corpus comes from: AG_NEWS, the embedded sample, or a user's own folder."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from charloom.corpus import COLUMNS, FORMAT, SPLITS, VERSION, read_articles
from charloom.download import RemoteFile, cache_folder, fetch
from charloom.errors import InputError
from charloom.files import atomic_path, file_digest, write_json
from charloom.intake import Labelled, Overlap, Rules, Source, take_in
from charloom.params import Params

# The addresses, hashes and rows that torchtext 0.18 has in torchtext/datasets/ag_news.py.
AG_NEWS_URL = "https://raw.githubusercontent.com/mhjabreel/CharCnn_Keras/master/data/ag_news_csv/"
AG_NEWS = {
    "train": RemoteFile("train.csv", AG_NEWS_URL + "train.csv", "b1a00f826fdfbd249f79597b59e1dc12"),
    "test": RemoteFile("test.csv", AG_NEWS_URL + "test.csv", "d52ea96a97a2d943681189a97654912d"),
}
SAMPLE = Path(__file__).parent / "data" / "sample"
AG_NEWS_CLASSES = ("World", "Sports", "Business", "Sci/Tech")


def obtain(params: Params, folder: Path, *, root: Path, mirror: str | None) -> dict[str, int]:
    """Put train.csv and test.csv of the corpus data.source into `folder`, with source.json beside them.

    Files in AG_NEWS' layout are copied as they are, unless data.normalize or data.deduplicate asks for changes. Where
    a source or a mirror is a relative folder, it is taken from `root`. Every article is read once, so that a bad one is
    named here and not three stages later. Gives the articles and bytes of each split, the training articles whose text
    stands in test too, and the empty texts that were passed over.
    """
    source = params.data.source
    rules = Rules(params.data.normalize, params.data.deduplicate, params.data.test_fraction, params.data.seed)
    if mirror and "://" not in mirror:
        mirror = str(root / mirror)
    located = {split: _locate(source, split, root, mirror, params.data.timeout) for split in SPLITS}
    paths = {split: path for split, (_, path) in located.items()}
    names, counts = _inspect(source, root, paths)
    if rules.change_nothing:
        for split, path in paths.items():
            with atomic_path(folder / f"{split}.csv") as temporary:
                shutil.copyfile(path, temporary)
    else:
        names, counts = take_in(_laid_out(paths, names), folder, rules)
    described = {
        split: _describe(folder / f"{split}.csv", origin, counts[split]) for split, (origin, _) in located.items()
    }
    write_json(
        folder / "source.json",
        {"format": FORMAT, "version": VERSION, "source": source, "classes": names, **described},
    )
    sizes = {f"{split}_{unit}": described[split][unit] for split in SPLITS for unit in ("articles", "bytes")}
    return {**sizes, "duplicates": counts["duplicates"], "empty": counts["empty"]}


def _inspect(source: str, root: Path, paths: Mapping[str, Path]) -> tuple[list[str], Counter[str]]:
    """The classes and the counts of a corpus in AG_NEWS' layout, as `take_in` gives them; every row is read."""
    labels: set[int] = set()
    counts: Counter[str] = Counter()
    overlap = Overlap()
    for split in ("test", "train"):
        for article in read_articles(paths[split]):
            labels.add(article.label)
            counts[split] += 1
            overlap.note(split, article.text)
        if not counts[split]:
            raise InputError(f"{paths[split]}: holds no article; it must have rows of {COLUMNS[3]}")
    counts["duplicates"] = overlap.duplicates
    return _class_names(source, root, file_digest(paths["test"], "md5"), count=max(labels)), counts


def _laid_out(paths: Mapping[str, Path], names: Sequence[str]) -> Source:
    """The articles of files in AG_NEWS' layout."""

    def articles(path: Path) -> Iterator[Labelled]:
        return ((names[article.label - 1], article.text) for article in read_articles(path))

    return Source({split: articles(path) for split, path in paths.items()}, names)


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
    if len(set(names)) < len(names):
        raise InputError(f"{listed}: names a class twice")
    return names
