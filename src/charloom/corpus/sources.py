"""Where a corpus comes from: AG_NEWS, the embedded sample, torchtext's catalogue, or files of a user's own."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from charloom.corpus.articles import COLUMNS, FORMAT, SPLITS, VERSION, read_articles
from charloom.corpus.catalogue import open_catalogue
from charloom.corpus.download import RemoteFile, cache_folder, fetch
from charloom.corpus.formats import TableColumns
from charloom.corpus.intake import Labelled, Overlap, Rules, Source, take_in
from charloom.corpus.locations import open_files
from charloom.errors import InputError
from charloom.files import atomic_path, file_digest, write_json
from charloom.params import Params

# The addresses, hashes and rows that torchtext 0.18 has in torchtext/datasets/ag_news.py.
AG_NEWS_URL = "https://raw.githubusercontent.com/mhjabreel/CharCnn_Keras/master/data/ag_news_csv/"
AG_NEWS = {
    "train": RemoteFile("train.csv", AG_NEWS_URL + "train.csv", "b1a00f826fdfbd249f79597b59e1dc12"),
    "test": RemoteFile("test.csv", AG_NEWS_URL + "test.csv", "d52ea96a97a2d943681189a97654912d"),
}
SAMPLE = Path(__file__).parent / "sample"
AG_NEWS_COLUMNS = 1, [2, 3]  # data.class_column and data.text_columns
CATALOGUE = "torchtext:"
AG_NEWS_CLASSES = ("World", "Sports", "Business", "Sci/Tech")


def obtain(params: Params, folder: Path, *, root: Path, mirror: str | None) -> dict[str, int]:
    """Put train.csv and test.csv of the corpus data.source into `folder`, with source.json beside them.

    Files in AG_NEWS' layout are copied byte for byte, unless the parameters ask for changes. A relative path is taken
    from `root`. Every article is read here, so that a bad one is named now and not three stages later. Gives the
    articles and bytes of each split, the training articles whose text stands in test too, and the empty texts that were
    passed over.
    """
    source, rules = params.data.source, _rules(params)
    laid_out = _laid_out(params, root, mirror)
    if laid_out is None:
        names, counts = take_in(_open(params, root), folder, rules)
    else:
        paths = {split: path for split, (_, path) in laid_out.items()}
        names, counts = _inspect(source, root, paths, params.data.errors)
        if rules.change_nothing and params.data.errors == "strict":
            _copy(paths, folder)
        else:
            names, counts = take_in(_labelled(paths, names, params.data.errors), folder, rules)
    described = {
        split: _describe(folder / f"{split}.csv", laid_out[split][0] if laid_out else source, counts[split])
        for split in SPLITS
    }
    write_json(
        folder / "source.json",
        {"format": FORMAT, "version": VERSION, "source": source, "classes": names, **described},
    )
    sizes = {f"{split}_{unit}": described[split][unit] for split in SPLITS for unit in ("articles", "bytes")}
    return {**sizes, "duplicates": counts["duplicates"], "empty": counts["empty"]}


def _open(params: Params, root: Path) -> Source:
    source = params.data.source
    if source.startswith(CATALOGUE):
        return open_catalogue(source.removeprefix(CATALOGUE), params.data.timeout)
    return open_files(source, root, _layout(params))


def _rules(params: Params) -> Rules:
    return Rules(params.data.normalize, params.data.deduplicate, params.data.test_fraction, params.data.seed)


def _layout(params: Params) -> TableColumns:
    return TableColumns(params.data.text_columns, params.data.class_column, params.data.article_end, params.data.errors)


def _laid_out(params: Params, root: Path, mirror: str | None) -> dict[str, tuple[str, Path]] | None:
    """For each split where it comes from, as source.json states it, and a local path to read it from.

    None where data.source does not name train.csv and test.csv in AG_NEWS' layout.
    """
    source = params.data.source
    if source == "ag_news":
        address = str(root / mirror) if mirror and "://" not in mirror else mirror
        return {
            split: (remote.url, fetch(remote, cache_folder(), mirror=address, timeout_s=params.data.timeout))
            for split, remote in AG_NEWS.items()
        }
    folder = SAMPLE if source == "sample" else root / source
    paths = {split: folder / f"{split}.csv" for split in SPLITS}
    as_ag_news = source == "sample" or (params.data.class_column, params.data.text_columns) == AG_NEWS_COLUMNS
    if as_ag_news and all(path.is_file() for path in paths.values()):
        return {split: (source, path) for split, path in paths.items()}
    return None


def _inspect(source: str, root: Path, paths: Mapping[str, Path], errors: str) -> tuple[list[str], Counter[str]]:
    """The classes and the counts of a corpus in AG_NEWS' layout, as `take_in` gives them; every row is read."""
    labels: set[int] = set()
    counts: Counter[str] = Counter()
    overlap = Overlap()
    for split in ("test", "train"):
        for article in read_articles(paths[split], errors):
            labels.add(article.label)
            counts[split] += 1
            overlap.note(split, article.text)
        if not counts[split]:
            raise InputError(f"{paths[split]}: holds no article; it must have rows of {COLUMNS[3]}")
    counts["duplicates"] = overlap.duplicates
    return _class_names(source, root, file_digest(paths["test"], "md5"), count=max(labels)), counts


def _copy(paths: Mapping[str, Path], folder: Path) -> None:
    for split, path in paths.items():
        with atomic_path(folder / f"{split}.csv") as temporary:
            shutil.copyfile(path, temporary)


def _labelled(paths: Mapping[str, Path], names: Sequence[str], errors: str) -> Source:
    """The articles of files in AG_NEWS' layout."""

    def articles(path: Path) -> Iterator[Labelled]:
        return ((names[article.label - 1], article.text) for article in read_articles(path, errors))

    return Source({split: articles(path) for split, path in paths.items()}, names)


def _describe(path: Path, origin: str, articles: int) -> dict[str, Any]:
    return {
        "origin": origin,
        "bytes": path.stat().st_size,
        "articles": articles,
        "md5": file_digest(path, "md5"),
        "sha256": file_digest(path),
    }


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
