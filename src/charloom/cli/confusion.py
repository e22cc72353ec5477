"""The labels of a file, and how often the likeliest class of a text is the class that its label names."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rich.console import Console

from charloom.cli.reading import names_in_source
from charloom.cli.tables import begin_table, shown
from charloom.errors import say
from charloom.text.texts import name_unknown

if TYPE_CHECKING:
    from charloom.model.saved import SavedModel

LABEL_LENGTH = 40  # characters of an unknown label that a message shows


class Labels:
    """The class ids of the labels in a file.

    A label is the name of a class of the model. If no class of the model has a whole number as its name, the label may
    also be the number of the class, from 1 as in AG_NEWS. In a file that stage download wrote, it is always the number.
    """

    def __init__(self, saved: SavedModel, file: str) -> None:
        self.names = saved.class_names()
        ids = {name: class_id for class_id, name in enumerate(self.names)}
        numbered = names_in_source(file) or ([] if any(map(str.isdecimal, ids)) else self.names)
        self._ids = ids | {str(number): ids[name] for number, name in enumerate(numbered, start=1) if name in ids}
        self._file = file
        self._unknown: Counter[str] = Counter()

    def id_of(self, label: str | None) -> int | None:
        """The class id of a label. None if the text has no label, or if the model does not know the label."""
        class_id = None if label is None else self._ids.get(label)
        if label is not None and class_id is None:
            self._unknown[label[:LABEL_LENGTH]] += 1
        return class_id

    def warn_of_unknown(self, consequence: str) -> None:
        """If there were labels that the model does not know, print how many texts had them, and the `consequence`."""
        if self._unknown:
            classes = f"{', '.join(self.names):.200}"
            say(
                f"warning: {self._file}: {self._unknown.total()} text(s) have a label that is not a class of the model:"
                f" {name_unknown(self._unknown)}; {consequence}; the classes are {classes}",
                sys.stderr,
            )


class Confusion:
    """How often the likeliest class is the actual class."""

    def __init__(self, names: list[str]) -> None:
        self._names = names
        self._counts: Counter[tuple[int, int]] = Counter()  # by the class ids (actual, likeliest)

    def add(self, actual: int | None, likeliest: int) -> None:
        """Count a text, if its actual class is known."""
        if actual is not None:
            self._counts[actual, likeliest] += 1

    @property
    def texts(self) -> int:
        """The number of texts whose actual class is known."""
        return self._counts.total()

    @property
    def accuracy(self) -> float:
        """The share of the texts with a known actual class whose likeliest class is the actual class."""
        return sum(self._counts[class_id, class_id] for class_id in range(len(self._names))) / self.texts

    def as_json(self) -> dict[str, Any]:
        """The accuracy, and for each actual class the number of texts by their likeliest class."""
        confusion = {self._names[actual]: self._row(actual) for actual in self._actual()}
        return {"texts": self.texts, "accuracy": round(self.accuracy, 6), "confusion": confusion}

    def print_table(self) -> None:
        """Print the accuracy, and a table with a row for each actual class. A narrow terminal folds its cells."""
        print(f"\naccuracy  {self.accuracy:.4f}\ntexts     {self.texts}")
        table = begin_table()
        table.add_column("actual class", overflow="fold")
        table.add_column("texts", justify="right", no_wrap=True)
        table.add_column("accuracy", justify="right", no_wrap=True)
        table.add_column("likeliest class", overflow="fold")
        for actual in self._actual():
            row = self._row(actual)
            name, texts = self._names[actual], sum(row.values())
            likeliest = ", ".join(f"{name} {count}" for name, count in row.items())
            table.add_row(shown(name), str(texts), f"{row.get(name, 0) / texts:.4f}", shown(likeliest))
        Console(highlight=False).print(table)

    def _actual(self) -> list[int]:
        return sorted({actual for actual, _ in self._counts})

    def _row(self, actual: int) -> Mapping[str, int]:
        """The number of texts of a class by their likeliest class, the largest number first."""
        return {self._names[found]: count for (each, found), count in self._counts.most_common() if each == actual}
