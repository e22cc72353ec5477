"""Any corpus made train.csv and test.csv as the pipeline reads them: split, normalized, without copies of test."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

from charloom.corpus.articles import MAX_CLASS, SPLITS, normalized, read_articles
from charloom.errors import InputError
from charloom.files import atomic_path
from charloom.params import Normalization

ONE_CLASS = "all"  # the class of every article of a corpus that has none

Labelled = tuple[str | None, str]  # the name of an article's class, None where the corpus has none; its text


@dataclass(frozen=True)
class Source:
    """The articles of a corpus, each read once: those of `train` and of `test`, or `all`, which are split here.

    Every text has passed `corpus.check_text`. `classes` are the names in the order of their numbers, where the corpus
    has an order; otherwise those that its articles have are numbered from 1 in sorted order.
    """

    splits: Mapping[str, Iterable[Labelled]]
    classes: Sequence[str] = ()


@dataclass(frozen=True)
class Rules:
    """What is done to the articles: data.normalize, data.deduplicate, data.test_fraction and data.seed."""

    normalize: Normalization
    deduplicate: bool
    test_fraction: float
    seed: int

    @property
    def change_nothing(self) -> bool:
        """Whether a corpus that is split already stays as it is."""
        return self.normalize == "none" and not self.deduplicate


class Overlap:
    """Counts the texts of train that stand in test too, exactly; it remembers a digest of each text of test."""

    def __init__(self) -> None:
        self.duplicates = 0
        self._test: set[int] = set()

    def note(self, split: str, text: str) -> bool:
        """Whether a text of train stands in test too; all texts of test come first."""
        digest = text_digest(text)
        if split == "test":
            self._test.add(digest)
            return False
        self.duplicates += digest in self._test
        return digest in self._test


def take_in(source: Source, folder: Path, rules: Rules) -> tuple[list[str], Counter[str]]:
    """Write train.csv and test.csv, rows of class and text, to `folder`; memory use does not grow with train.

    Gives the names of the classes, and counts: the articles of each split, the `duplicates` (of test in train; dropped
    with data.deduplicate) and the `empty` texts (of whitespace alone; passed over). Raises InputError where a split
    is left without articles.
    """
    numbers = {name: number for number, name in enumerate(source.classes, start=1)}
    counts: Counter[str] = Counter(duplicates=0, empty=0, **dict.fromkeys(SPLITS, 0))
    overlap = Overlap()
    with ExitStack() as files:
        rows = {split: files.enter_context(_rows(folder / f"{split}.csv")) for split in SPLITS}
        for split, label, text in _prepared(source, rules):
            if not text.strip():
                counts["empty"] += 1
                continue
            # where the text decides the split there is no such thing
            repeated = "all" not in source.splits and overlap.note(split, text)
            if repeated and rules.deduplicate:
                continue
            number = numbers.setdefault(ONE_CLASS if label is None else label, len(numbers) + 1)
            if number > MAX_CLASS:
                raise InputError(f"the corpus has more than {MAX_CLASS} classes; does data.class_column hold a class?")
            rows[split].writerow((number, text))
            counts[split] += 1
        _check(source, counts, rules)
    counts["duplicates"] = overlap.duplicates
    if source.classes:
        return list(numbers), counts
    return _sort_classes(list(numbers), folder), counts


def text_digest(text: str, key: bytes = b"") -> int:
    """64 bits that are the same for the same text and key, everywhere; for other texts by chance only."""
    return int.from_bytes(blake2b(text.encode(), digest_size=8, key=key).digest(), "big")


def falls_to_test(text: str, fraction: float, seed: int) -> bool:
    """Whether a text is one of test's: a matter of the text and the seed alone, whatever else the corpus holds."""
    return text_digest(text, seed.to_bytes(8, "big")) < fraction * 2**64


def _prepared(source: Source, rules: Rules) -> Iterator[tuple[str, str | None, str]]:
    """The split, the class and the normalized text of each article, test's before train's."""
    for name in ("test", "train", "all"):
        for label, raw in source.splits.get(name, ()):
            text = normalized(raw, rules.normalize)
            if name == "all":
                yield "test" if falls_to_test(text, rules.test_fraction, rules.seed) else "train", label, text
            else:
                yield name, label, text


def _check(source: Source, counts: Counter[str], rules: Rules) -> None:
    for split in SPLITS:
        if counts[split]:
            continue
        if "all" in source.splits and (articles := counts["train"] + counts["test"]):
            raise InputError(
                f"none of the corpus' {articles} article(s) falls to {split} at data.test_fraction ="
                f" {rules.test_fraction}; it is too small for that"
            )
        raise InputError(f"the corpus holds no article for {split}" + " that has a text" * bool(counts["empty"]))


@contextmanager
def _rows(path: Path) -> Iterator[Any]:
    """A writer of rows in AG_NEWS' layout, to a file that appears whole or not at all."""
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        yield csv.writer(file, quoting=csv.QUOTE_ALL, lineterminator="\n")


def _sort_classes(names: list[str], folder: Path) -> list[str]:
    """Number the classes anew in the order of their names, as numbers where all are; give that order."""
    numeric = all(re.fullmatch("[0-9]{1,18}", name) for name in names)
    ordered = sorted(names, key=(lambda name: (int(name), name)) if numeric else None)
    if ordered != names:
        numbers = {name: number for number, name in enumerate(ordered, start=1)}
        for path in (folder / f"{split}.csv" for split in SPLITS):
            with _rows(path) as rows:
                rows.writerows((numbers[names[each.label - 1]], each.text) for each in read_articles(path))
    return ordered
