"""Writes the articles of any corpus to train.csv and test.csv: normalizes, splits and, if asked, deduplicates them."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from charloom.corpus.articles import MAX_LABEL, SPLITS, is_empty, normalized, read_articles
from charloom.corpus.digests import Overlap, falls_to_test
from charloom.corpus.shortage import Census
from charloom.errors import InputError
from charloom.files import atomic_path
from charloom.params import Normalization

ONE_CLASS = "all"  # the name of the only class if a corpus has no classes

# The class and the text of an article. The class is a label (from 1) if the corpus lists its class names, otherwise a
# class name, or None if the corpus has no classes.
ClassedText = tuple[int | str | None, str]


@dataclass(frozen=True)
class Source:
    """The articles of a corpus before they are written to train.csv and test.csv.

    `splits` has either the keys `train` and `test`, or the single key `all`. The articles of `all` are split by
    `take_in`. Each iterable is read once. Every text has passed `articles.check_text`.

    `class_names` are the names for labels 1, 2, …. If there are none, each article has a class name instead of a label,
    and `take_in` numbers the classes in sorted order of their names.

    `article_end` is data.article_end if it decides where an article ends.
    """

    splits: Mapping[str, Iterable[ClassedText]]
    class_names: Sequence[str] = ()
    article_end: str | int | None = None


@dataclass(frozen=True)
class Rules:
    """How articles are changed and split: data.normalize, data.deduplicate, data.test_fraction and data.seed."""

    normalize: Normalization
    deduplicate: bool
    test_fraction: float
    seed: int

    @property
    def change_nothing(self) -> bool:
        """Whether a corpus that has a test split is used without any change."""
        return self.normalize == "none" and not self.deduplicate


def take_in(source: Source, folder: Path, rules: Rules) -> tuple[list[str], Counter[str]]:
    """Write train.csv and test.csv to `folder`, each row a label and a text.

    Memory does not grow with the training split, but holds nine bytes for each test text.

    Returns the class names, by class id, and the counts: articles of `train` and `test`, `duplicates` (training texts
    that are also in test; dropped if data.deduplicate is true), `test_duplicates` (test texts that are also in train)
    and `empty` (texts of whitespace only, which are skipped).
    Raises InputError if a split has no articles.
    """
    labels: dict[str, int] = {}
    counts: Counter[str] = Counter(empty=0, **dict.fromkeys(SPLITS, 0))
    overlap = Overlap()
    census = Census()
    with ExitStack() as files:
        writers = {split: files.enter_context(_csv_writer(folder / f"{split}.csv")) for split in SPLITS}
        for split, class_, text in _prepared(source, rules):
            if is_empty(text):
                counts["empty"] += 1
                continue
            census.note(text)
            # For `all`, a hash of the text decides the split. Equal texts are then in the same split, so that no
            # training text can also be in the test split.
            repeated = "all" not in source.splits and overlap.note(split, text)
            if repeated and rules.deduplicate:
                continue
            writers[split].writerow((class_ if isinstance(class_, int) else _label(class_, labels), text))
            counts[split] += 1
        _check_counts(source, counts, rules, census)
    counts |= overlap.counts
    return list(source.class_names) or _sort_classes(list(labels), folder), counts


def _prepared(source: Source, rules: Rules) -> Iterator[tuple[str, int | str | None, str]]:
    """The split, the class and the normalized text of each article. The test split comes before the training split."""
    for name in ("test", "train", "all"):
        for class_, raw in source.splits.get(name, ()):
            text = normalized(raw, rules.normalize)
            if name == "all":
                yield "test" if falls_to_test(text, rules.test_fraction, rules.seed) else "train", class_, text
            else:
                yield name, class_, text


def _label(class_name: str | None, labels: dict[str, int]) -> int:
    """The label of a class name. A new name gets the next label in `labels`."""
    label = labels.setdefault(ONE_CLASS if class_name is None else class_name, len(labels) + 1)
    if label > MAX_LABEL:
        raise InputError(f"the corpus has more than {MAX_LABEL} classes; does data.class_column name the right column?")
    return label


def _check_counts(source: Source, counts: Counter[str], rules: Rules, census: Census) -> None:
    """Raise InputError if a split has no articles."""
    for split in SPLITS:
        if counts[split]:
            continue
        if "all" in source.splits and census.articles:
            why = f"data.test_fraction = {rules.test_fraction} leaves none for {split}"
            raise InputError(census.explain(why, source.article_end))
        text = " that contains text" * bool(counts["empty"])
        raise InputError(f"the corpus has no article for {split}{text}; add articles")


@contextmanager
def _csv_writer(path: Path) -> Iterator[Any]:
    """A CSV writer whose file appears at `path` only when it is complete."""
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        yield csv.writer(file, quoting=csv.QUOTE_ALL, lineterminator="\n")


def _sort_classes(names: list[str], folder: Path) -> list[str]:
    """Give the classes new labels in sorted order of their names, rewrite the files, and return the sorted names.

    `names[i]` is the name of the present label i + 1. If all names are numbers, they are sorted as numbers.
    """
    numeric = all(re.fullmatch("[0-9]{1,18}", name) for name in names)
    ordered = sorted(names, key=(lambda name: (int(name), name)) if numeric else None)
    if ordered != names:
        labels = {name: label for label, name in enumerate(ordered, start=1)}
        for path in (folder / f"{split}.csv" for split in SPLITS):
            with _csv_writer(path) as writer:
                writer.writerows((labels[names[each.label - 1]], each.text) for each in read_articles(path))
    return ordered
