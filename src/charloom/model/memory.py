"""The n-gram memory: how often each symbol followed each context in the training text, and what this predicts.

A context consists of the last n symbols before a place of a text, and the memory predicts the symbol after the place. A
context begins at the `<eos>` before its article, or later. counts.py
predicts from contexts of up to `order` symbols, and matching.py from longer contexts. counting.py counts a text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from charloom.model.counts import Counts, Places, checked_shares
from charloom.model.interpolation import Prediction
from charloom.model.matching import HISTORY, LENGTHS, LongContexts, Matches, follow, keys_of
from charloom.model.single import Floats, SingleContexts, SingleCounts
from charloom.model.trie import ID_TYPES, Stored

MIN_PROBABILITY = 1e-9  # the network needs logarithms of the probabilities
TEXT, MATCH_SHARES = "text", "match_shares"
BY_CLASS = "by_class."  # the names of the tensors of the counts by class begin with this word


class Remembered(NamedTuple):
    """What a memory predicts for the symbol after each place."""

    probabilities: Tensor  # (time, batch, symbols)
    # (time, batch, symbols): how many times likelier the symbol is in articles of the given class than in all articles,
    # after the same contexts. It is 1 where no class is given. None if the memory does not count the classes. `read`
    # also returns None if no class is given at all.
    class_ratios: Tensor | None = None

    def columns(self, columns: slice) -> Remembered:
        """The predictions for these columns of the batch."""
        ratios = None if self.class_ratios is None else self.class_ratios[:, columns]
        return Remembered(self.probabilities[:, columns], ratios)


class Cursor(NamedTuple):
    """What a memory needs to continue a text that comes in pieces."""

    recent: Tensor  # (HISTORY, batch): the last ids
    rows: Tensor  # (levels, batch): the rows of the contexts that end with the last id, in the counts of all articles
    class_rows: Tensor | None = None  # the same in the counts by class; None if no class was given


class Memory:
    """The counts and the text of an n-gram memory, and their predictions.

    None of its numbers is trained by gradient descent.
    """

    def __init__(self, counts: Counts, text: Tensor, eos: int, match_shares: Tensor, by_class: Counts | None) -> None:
        """`counts` are those of all articles, and `by_class` those of each class.

        `text` (symbols) has the ids of the counted text, in one row. `match_shares` (lengths, levels) are the
        shares of the long contexts. Raises ValueError if text or shares are invalid.
        """
        self.counts = counts
        self.by_class = by_class
        self.symbols = counts.trie.alphabet
        self.order = counts.order
        self.by_frequency = counts.trie.frequencies().argsort(descending=True, stable=True)  # (symbols): ids
        self._text = _checked_text(text, self.symbols, eos)
        self._eos = eos
        self._long = LongContexts(text.to(counts.shares.device), eos)
        self.use_match_shares(match_shares)

    @classmethod
    def from_stored(
        cls, stored: Stored, symbols: int, eos: int, classes: int = 0, device: torch.device | str = "cpu"
    ) -> Memory:
        """Make a memory from the tensors that `stored` has. model.safetensors contains them.

        `classes` is the number of classes that it counts, 0 for a memory without them. Raises ValueError if the tensors
        are damaged.
        """
        names = {name for name in stored if name.startswith(BY_CLASS)}
        if not stored.keys() >= {TEXT, MATCH_SHARES} or bool(names) != bool(classes):
            raise ValueError("tensors are missing or have unknown names")
        by_class = {name.removeprefix(BY_CLASS): stored[name] for name in names}
        counts = {name: stored[name] for name in stored.keys() - names - {TEXT, MATCH_SHARES}}
        return cls(
            Counts(counts, symbols, eos, device=device),
            stored[TEXT],
            eos,
            stored[MATCH_SHARES],
            Counts(by_class, symbols, eos, classes, device) if classes else None,
        )

    @property
    def stored(self) -> dict[str, Tensor]:
        """The tensors from which `from_stored` makes the same memory: those of the counts, the text, and the shares."""
        by_class: Mapping[str, Tensor] = {} if self.by_class is None else self.by_class.stored
        own = {TEXT: self._text, MATCH_SHARES: self._match_shares.cpu()}
        return self.counts.stored | own | {BY_CLASS + name: tensor for name, tensor in by_class.items()}

    def use_match_shares(self, match_shares: Tensor) -> None:
        """Use these shares for the matches of long contexts from now on. Raises ValueError if they do not fit."""
        checked = checked_shares(match_shares, (len(LENGTHS), self.order + 1))
        self._match_shares = checked.to(self.counts.shares.device)

    def to(self, device: torch.device | str) -> Memory:
        """The same memory on another device. If it is on this device already, the result is the memory itself."""
        if torch.device(device) == self._match_shares.device:
            return self
        classes = 0 if self.by_class is None else self.by_class.trie.roots
        return Memory.from_stored(self.stored, self.symbols, self._eos, classes, device)

    def read(self, ids: Tensor, cursor: Cursor | None, classes: Tensor | None = None) -> tuple[Remembered, Cursor]:
        """Predict the symbol after each of the ids (time, batch).

        `classes` (batch) or (time, batch) are class ids. None, or ids that are too high, mean that no class is given. A
        memory that does not count the classes ignores them. `cursor` is what the call for the piece before returned. At
        the beginning of a text it is None.
        """
        if cursor is None:
            cursor = self._start(ids)
        if ids.numel() == 1 and ids.device.type == "cpu":
            return self._read_one(ids, cursor, classes)
        joined = torch.cat([cursor.recent, ids])
        matches = self._long.find(keys_of(joined, self._eos)[HISTORY:].flatten())
        rows, _ = self.counts.trie.walk(ids, torch.zeros_like(ids), cursor.rows)
        probabilities = self._predict(self.counts.predict(rows.flatten(1)), matches).view(*ids.shape, self.symbols)
        after = Cursor(joined[-HISTORY:], rows[:, -1])
        if self.by_class is None or classes is None:
            return Remembered(probabilities), after
        classes = classes.expand_as(ids)
        before = self.by_class.trie.no_context(ids.shape[1]) if cursor.class_rows is None else cursor.class_rows
        class_rows, _ = self.by_class.trie.walk(ids, self._roots(classes), before)
        after = after._replace(class_rows=class_rows[:, -1])
        if not bool((classes < self.by_class.trie.roots).any()):  # this saves the time of ratios that are all 1
            return Remembered(probabilities), after
        in_all = self.counts.predict(rows[: self.by_class.order + 1].flatten(1))
        ratios = self._ratios(self.by_class.predict(class_rows.flatten(1)), in_all, classes)
        return Remembered(probabilities, ratios), after

    def _read_one(self, ids: Tensor, cursor: Cursor, classes: Tensor | None) -> tuple[Remembered, Cursor]:
        """`read` for a single symbol."""
        counts, _, contexts = self._single
        symbol = int(ids)
        recent = [*cursor.recent[1:, 0].tolist(), symbol]
        rows = counts.walk(cursor.rows[:, 0].tolist(), symbol, 0)
        found, depth = counts.predict(rows)
        match, length = contexts.find(recent)
        if length:
            share = float(self._match_shares[length - 1, depth])
            found *= 1 - share
            found[match] += share
        remembered = Remembered(_as_one_place(found))
        after = Cursor(torch.tensor(recent)[:, None], torch.tensor(rows)[:, None])
        if self.by_class is None or classes is None:
            return remembered, after
        before = self.by_class.trie.no_context(1) if cursor.class_rows is None else cursor.class_rows
        ratios, class_rows = self._read_one_class(symbol, int(classes), rows, before[:, 0].tolist())
        return remembered._replace(class_ratios=ratios), after._replace(class_rows=torch.tensor(class_rows)[:, None])

    def _read_one_class(
        self, symbol: int, class_id: int, rows: Sequence[int], before: Sequence[int]
    ) -> tuple[Tensor | None, list[int]]:
        """The class ratios (1, 1, symbols) after a symbol, and the rows of the contexts in the counts by class.

        `rows` are the contexts after the symbol in the counts of all articles. `before` are those before the symbol in
        the counts by class. If the class id is too high, there are no ratios.
        """
        counts, by_class, _ = self._single
        assert by_class is not None
        class_rows = by_class.walk(before, symbol, by_class.root_of(class_id))
        if by_class.root_of(class_id) != class_id:
            return None, class_rows
        in_class, in_all = by_class.predict(class_rows)[0], counts.predict(rows[: len(class_rows)])[0]
        return _as_one_place(in_class) / _as_one_place(in_all), class_rows

    @cached_property
    def _single(self) -> tuple[SingleCounts, SingleCounts | None, SingleContexts]:
        by_class = None if self.by_class is None else self.by_class.single()
        return self.counts.single(), by_class, SingleContexts(self._long, self._eos)

    def _start(self, ids: Tensor) -> Cursor:
        """The cursor before texts, which begin with the ids (time, batch)."""
        recent = torch.full_like(ids[:1], self._eos).repeat(HISTORY, 1)  # no context contains these `<eos>`
        return Cursor(recent, self.counts.trie.no_context(ids.shape[1]))

    def leave_one_out(self, ids: Tensor, articles: Tensor, classes: Tensor | None = None) -> Remembered:
        """Predict at places of the training text, each left out of the counts.

        The first place is after `ids[HISTORY]`, so the targets are `ids[HISTORY + 1:]`. `ids` is (HISTORY + time + 1,
        batch). `articles` (time, batch) has, for each target, the number of its article in the counted text. If this
        article was not counted, the number is −1. `classes` (time, batch) is that of `read`.
        """
        numbers = articles.flatten()
        places = self.places(ids)
        found = self._predict(*self.predict_left_out(places, self.keys(ids), numbers))
        remembered = Remembered(found.view(*articles.shape, self.symbols))
        if self.by_class is not None and classes is not None:
            in_all = self.counts.leave_one_out(places.up_to(self.by_class.order), numbers >= 0)
            in_class = self.by_class.leave_one_out(self.by_class.places(ids, self._roots(classes)), numbers >= 0)
            remembered = remembered._replace(class_ratios=self._ratios(in_class, in_all, classes))
        return remembered

    def predict_left_out(self, places: Places, keys: Tensor, articles: Tensor) -> tuple[Prediction, Matches]:
        """The two parts of `leave_one_out`: the prediction from the counts, and the matches of long contexts."""
        return self.counts.leave_one_out(places, articles >= 0), self._long.find(keys, articles)

    def places(self, ids: Tensor) -> Places:
        """The time · batch places of a text in the counts of all articles. `ids` is that of `leave_one_out`."""
        return self.counts.places(ids, torch.zeros_like(ids[HISTORY:-1]))

    def keys(self, ids: Tensor) -> Tensor:
        """The keys (time · batch) of the long contexts at places. `ids` is that of `leave_one_out`."""
        return keys_of(ids[:-1], self._eos)[HISTORY:].flatten()

    def _predict(self, prediction: Prediction, matches: Matches) -> Tensor:
        found = follow(prediction.probabilities, matches, self._match_shares, prediction.depths)
        return found.clamp_(min=MIN_PROBABILITY)

    def _roots(self, classes: Tensor) -> Tensor:
        """The rows (time, batch) of level 0 in the counts by class. If no class is given, this is the unknown row."""
        assert self.by_class is not None
        return torch.where(classes < self.by_class.trie.roots, classes, self.by_class.trie.unknown_row)

    def _ratios(self, in_class: Prediction, in_all: Prediction, classes: Tensor) -> Tensor:
        """The class ratios (time, batch, symbols) of two predictions for the same places."""
        assert self.by_class is not None
        ratios = in_class.probabilities.clamp_(min=MIN_PROBABILITY) / in_all.probabilities.clamp_(min=MIN_PROBABILITY)
        given = (classes < self.by_class.trie.roots)[..., None]
        return torch.where(given, ratios.view(*classes.shape, self.symbols), 1.0)


def _as_one_place(probabilities: Floats) -> Tensor:
    """The probabilities (symbols) as a tensor (1, 1, symbols), none of them 0."""
    return torch.from_numpy(probabilities).clamp_(min=MIN_PROBABILITY)[None, None]


def _checked_text(text: Tensor, symbols: int, eos: int) -> Tensor:
    if text.dim() != 1 or text.dtype not in ID_TYPES or len(text) < 2:
        raise ValueError("a text of another shape or type")
    if int(text.min()) < 0 or int(text.max()) >= symbols or int(text[0]) != eos:
        raise ValueError("a text with an invalid symbol")
    return text
