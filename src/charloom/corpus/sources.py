"""Stage download: gets the corpus that data.source names, from any of the four kinds of source.

The kinds are AG_NEWS (`ag_news`), the embedded sample (`sample`), a corpus of torchtext's catalogue (`torchtext:NAME`)
and the user's files (a file, a folder, a glob or a URL).
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from charloom.corpus.articles import (
    AG_NEWS_COLUMNS,
    AG_NEWS_FORM,
    COLUMNS,
    FORMAT,
    SPLITS,
    VERSION,
    LabelError,
    csv_rows,
    is_empty,
    open_csv,
    read_articles,
)
from charloom.corpus.catalogue import open_catalogue
from charloom.corpus.digests import Overlap
from charloom.corpus.download import RemoteFile, cache_folder, fetch
from charloom.corpus.guesses import as_yaml, head
from charloom.corpus.headers import check_no_header
from charloom.corpus.intake import Rules, Source, take_in
from charloom.corpus.lines import read_pieces
from charloom.corpus.locations import open_files
from charloom.corpus.settings import TableColumns
from charloom.errors import InputError
from charloom.files import atomic_path, file_digest, file_digests, user_path, write_json
from charloom.params import Params, corpus_form
from charloom.secrets import without_secrets

AG_NEWS_TABLE = TableColumns(**AG_NEWS_FORM.model_dump())
# The addresses and hashes are the same as in torchtext 0.18, file torchtext/datasets/ag_news.py.
AG_NEWS_URL = "https://raw.githubusercontent.com/mhjabreel/CharCnn_Keras/master/data/ag_news_csv/"
AG_NEWS = {
    "train": RemoteFile("train.csv", AG_NEWS_URL + "train.csv", "b1a00f826fdfbd249f79597b59e1dc12"),
    "test": RemoteFile("test.csv", AG_NEWS_URL + "test.csv", "d52ea96a97a2d943681189a97654912d"),
}
SAMPLE = Path(__file__).parent / "sample"
CATALOGUE = "torchtext:"
AG_NEWS_CLASSES = ("World", "Sports", "Business", "Sci/Tech")


def obtain(params: Params, folder: Path, *, root: Path, mirror: str | None) -> dict[str, int]:
    """Write train.csv, test.csv and source.json of the corpus data.source to `folder`.

    Files with AG_NEWS' columns are copied byte for byte, unless a text is empty or the parameters ask for changes. A
    relative path starts at `root`. `mirror` is a folder or base URL that is tried before the official address. All
    articles are read here, so that this stage and not a later one reports a wrong article.

    Returns the numbers of articles and bytes of each split, and the counts `duplicates`, `test_duplicates` and `empty`,
    which `take_in` explains. Raises InputError or RunError if the corpus cannot be read.
    """
    source = params.data.source
    ready = _ready_files(params, root, mirror)
    if ready is None:
        class_names, counts = take_in(_open(params, root), folder, _rules(params))
    else:
        class_names, counts = _take_ready({split: path for split, (_, path) in ready.items()}, folder, params, root)
    described = {
        split: _describe(folder / f"{split}.csv", ready[split][0] if ready else source, counts[split])
        for split in SPLITS
    }
    stated = {"source": without_secrets(source), "classes": class_names, **described}
    write_json(folder / "source.json", {"format": FORMAT, "version": VERSION, **stated})
    sizes = {f"{split}_{unit}": described[split][unit] for split in SPLITS for unit in ("articles", "bytes")}
    return sizes | {name: counts[name] for name in ("duplicates", "test_duplicates", "empty")}


def _open(params: Params, root: Path) -> Source:
    source = params.data.source
    if source.startswith(CATALOGUE):
        return open_catalogue(source.removeprefix(CATALOGUE), params.data.timeout)
    return open_files(source, root, _table_columns(params))


def _rules(params: Params) -> Rules:
    return Rules(params.data.normalize, params.data.deduplicate, params.data.test_fraction, params.data.seed)


def _table_columns(params: Params) -> TableColumns:
    return TableColumns(**corpus_form(params).model_dump())


def _ready_files(params: Params, root: Path, mirror: str | None) -> dict[str, tuple[str, Path]] | None:
    """For each split, its origin (for source.json) and the path of a local file with AG_NEWS' columns.

    None if data.source does not name a train.csv and a test.csv with these columns.
    """
    source = params.data.source
    if source == "ag_news":
        address = str(user_path(mirror, root)) if mirror and "://" not in mirror else mirror
        return {
            split: (remote.url, fetch(remote, cache_folder(), mirror=address, timeout_s=params.data.timeout))
            for split, remote in AG_NEWS.items()
        }
    folder = SAMPLE if source == "sample" else user_path(source, root)
    paths = {split: folder / f"{split}.csv" for split in SPLITS}
    stated = params.data.class_column, params.data.text_columns
    as_ag_news = source == "sample" or (stated == AG_NEWS_COLUMNS and params.data.header is not True)
    if as_ag_news and all(path.is_file() for path in paths.values()):
        return {split: (source, path) for split, path in paths.items()}
    return None


def _take_ready(paths: Mapping[str, Path], folder: Path, params: Params, root: Path) -> tuple[list[str], Counter[str]]:
    """Copy files with AG_NEWS' columns. If a text is empty or the parameters ask for changes, `take_in` writes them.

    Returns the class names and the counts, as `take_in` does.
    """
    rules, errors, source = _rules(params), params.data.errors, params.data.source
    if params.data.header == "auto":
        for path in paths.values():
            _check_first_row(path, errors)
    try:
        class_names, counts = _inspect(source, root, paths, errors)
    except LabelError as error:
        remedy = f"data.source: {as_yaml(source.rstrip('/') + '/*.csv')}"
        raise InputError(f"{error}; to read the classes as names, whatever they are, set {remedy}") from None
    if rules.change_nothing and errors == "strict" and not counts["empty"]:
        _copy(paths, folder)
        return class_names, counts
    texts = {
        split: ((article.label, article.text) for article in read_articles(path, errors))
        for split, path in paths.items()
    }
    return take_in(Source(texts, class_names), folder, rules)


def _check_first_row(path: Path, errors: str) -> None:
    """Raise InputError if a file with AG_NEWS' columns seems to begin with a header."""
    with open_csv(path, errors) as file:
        if rows := head(csv_rows(file, str(path))):
            check_no_header([row for _, row in rows], AG_NEWS_TABLE, f"{path}:{rows[0][0]}")


def _inspect(source: str, root: Path, paths: Mapping[str, Path], errors: str) -> tuple[list[str], Counter[str]]:
    """Read every row of files with AG_NEWS' columns. Returns the class names and the counts, as `take_in` does."""
    highest_label = 0
    counts: Counter[str] = Counter()
    overlap = Overlap()
    for split in ("test", "train"):
        for article in read_articles(paths[split], errors):
            if is_empty(article.text):
                counts["empty"] += 1
                continue
            highest_label = max(highest_label, article.label)
            counts[split] += 1
            overlap.note(split, article.text)
        if not counts[split]:
            raise InputError(
                f"{paths[split]}: has no article{' that contains text' * bool(counts['empty'])}; add rows of"
                f" {COLUMNS[3]}"
            )
    return _class_names(source, root, paths["test"], highest_label), counts | overlap.counts


def _copy(paths: Mapping[str, Path], folder: Path) -> None:
    for split, path in paths.items():
        with atomic_path(folder / f"{split}.csv") as temporary:
            shutil.copyfile(path, temporary)


def _describe(path: Path, origin: str, articles: int) -> dict[str, Any]:
    digests = file_digests(path, ("md5", "sha256"))
    return {"origin": without_secrets(origin), "bytes": path.stat().st_size, "articles": articles, **digests}


def _class_names(source: str, root: Path, test: Path, count: int) -> list[str]:
    """The names of `count` classes: the lines of classes.txt, or AG_NEWS' names, or numbers."""
    listed = (SAMPLE if source == "sample" else user_path(source, root)) / "classes.txt"
    if source != "ag_news" and listed.is_file():
        names = _read_class_names(listed)
    elif file_digest(test, "md5") == AG_NEWS["test"].md5:
        # AG_NEWS, or some of its training articles with the official test split
        names = list(AG_NEWS_CLASSES)
    else:
        names = [str(label) for label in range(1, count + 1)]
    if len(names) < count:
        raise InputError(f"{listed}: has {len(names)} class names, but the articles have classes up to {count}")
    if len(set(names)) < len(names):
        raise InputError(f"{listed}: contains a class name twice")
    return names


def _read_class_names(path: Path) -> list[str]:
    with path.open("rb") as file:
        text = "".join(read_pieces(file, str(path)))
    return [line.strip() for line in text.split("\n") if line.strip()]
