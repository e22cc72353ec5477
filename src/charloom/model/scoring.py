"""Scoring text with a model: the surprisal of every symbol in nats, bits per character, perplexity."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, repeat
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from charloom.model.memory import Cursor
from charloom.model.network import CharModel, evaluating
from charloom.model.states import MemoryState, State, make_state, split_state, state_tensors
from charloom.text.split import EncodedSplit
from charloom.text.vocab import Codes, chunked, nats_of_unknown

# The number of texts in a batch. 32 to 128 were equally fast at hidden size 256 on two cores. The texts of a batch have
# similar lengths, so only 1.6 % of the symbols that are read for AG_NEWS are padding.
BATCH_TEXTS = 64
# The number of time steps that the model reads in one call. The logits of so few steps fit in the processor's cache.
# The state is carried over from call to call.
STEPS_PER_CALL = 128
# When fewer than 16 texts of a batch are left, a call reads more steps: up to this number of symbols in all, and only
# to the end of the shortest text. A long text then takes 0.83 times the time at hidden size 256, and 0.27 times at
# hidden size 64 with a memory. With 8,192 symbols in a call it takes 0.95 and 0.25 times the time.
SYMBOLS_PER_CALL = 2048
MAX_NATS = 700  # exp of a larger number is infinite in float64


@dataclass(frozen=True)
class Cost:
    """The total surprisal of one or more texts, and their length. The costs of two texts can be added."""

    nats: float = 0.0
    symbols: int = 0  # the characters, and one `<eos>` at the end of each text
    characters: int = 0

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.nats + other.nats, self.symbols + other.symbols, self.characters + other.characters)

    @property
    def bits(self) -> float:
        """The total surprisal in bits."""
        return self.nats / math.log(2)

    @property
    def bits_per_character(self) -> float:
        """The bits of all symbols, divided by the number of characters.

        The bits of `<eos>` are included, because a model must also predict where a text ends. `<eos>` is not counted as
        a character, so the result can be compared with the bits per character of a compressor.
        """
        return self.bits / self.characters

    @property
    def nats_per_symbol(self) -> float:
        """The mean surprisal of a symbol. This is the loss that training lowers."""
        return self.nats / self.symbols

    @property
    def perplexity(self) -> float:
        """exp of the mean nats per symbol."""
        return math.exp(min(self.nats_per_symbol, MAX_NATS))


@dataclass(frozen=True)
class Scores:
    """The surprisal of each article of a split, and its length."""

    nats: npt.NDArray[np.float64]  # (articles,), with the nats of the `<eos>` at the end of the article
    characters: npt.NDArray[np.int64]  # (articles,)

    @property
    def total(self) -> Cost:
        """The cost of all articles together."""
        characters = int(self.characters.sum())
        return Cost(float(self.nats.sum()), characters + len(self.characters), characters)


@dataclass(frozen=True)
class Surprisal:
    """The surprisal of each symbol of a text, and the symbols that the model expected in its place."""

    # (symbols,): −ln of the probability of the symbol, and for an `<unk>` also `nats_of_unknown`
    nats: npt.NDArray[np.float64]
    expected: npt.NDArray[np.int64]  # (symbols, top): the ids of the likeliest symbols, the likeliest first
    probabilities: npt.NDArray[np.float64]  # (symbols, top): the probabilities of the expected symbols
    # (symbols,): the logarithm of the memory's class ratio of the symbol (memory.py). It is 0 if no class is given, or
    # if the memory does not count the classes.
    log_ratios: npt.NDArray[np.float64]

    @property
    def bits(self) -> npt.NDArray[np.float64]:
        """(symbols,): the nats in bits."""
        return self.nats / math.log(2)


def score_articles(model: CharModel, split: EncodedSplit) -> Scores:
    """Score every article of a split, each from its initial state and without a class."""
    articles = (split.article(index) for index in range(split.articles))
    nats = [each.nats.sum() for each in surprisals(model, articles)]
    return Scores(np.array(nats), split.lengths - 1)


def surprisals(
    model: CharModel, texts: Iterable[Codes], top: int = 0, classes: Iterable[int] | None = None
) -> Iterator[Surprisal]:
    """Score texts, each from its initial state. Yields the results in the order of the texts.

    Each text begins with an `<eos>`. The model reads this `<eos>` but does not predict it, so it has no surprisal.
    `top` is the number of likeliest symbols to report for each symbol of the text. `classes` contains a class id for
    each text, for a conditioned model. None means that no class is given.

    About 2^20 symbols of the texts are in memory at once, or the longest text if it is longer. A long text takes as
    much time with short texts as alone.
    """
    class_ids = repeat(model.no_class) if classes is None else iter(classes)
    for chunk in chunked(texts, len):
        class_of_each = list(islice(class_ids, len(chunk)))
        found: dict[int, Surprisal] = {}
        for batch in _batches_by_length([len(text) for text in chunk]):
            batch_classes = torch.tensor([class_of_each[index] for index in batch])
            scored, _ = _score_batch(model, [chunk[index] for index in batch], None, top, batch_classes)
            found |= zip(batch, scored, strict=True)
        yield from (found.pop(index) for index in range(len(chunk)))


def surprisals_of_pieces(model: CharModel, pieces: Iterable[Codes], class_id: int | None = None) -> Iterator[Surprisal]:
    """Score one long text that comes in pieces. The state is carried over from piece to piece.

    The first piece begins with an `<eos>`, which has no surprisal. `class_id` is the class of the text, for a
    conditioned model. None means that no class is given.
    """
    state: State | None = None
    classes = torch.tensor([model.no_class if class_id is None else class_id])
    before = np.empty(0, dtype=np.int64)
    for piece in pieces:
        symbols = np.concatenate([before, piece.astype(np.int64)])
        [scored], state = _score_batch(model, [symbols], state, 0, classes)
        yield scored
        before = symbols[-1:]


def _batches_by_length(lengths: Sequence[int]) -> Iterator[list[int]]:
    """The indices of texts in batches, sorted from the longest text to the shortest, to have little padding."""
    order: list[int] = np.argsort(lengths, kind="stable")[::-1].tolist()
    for begin in range(0, len(order), BATCH_TEXTS):
        yield order[begin : begin + BATCH_TEXTS]


class _Row(NamedTuple):
    """The texts of a batch in one row, sorted from the longest text to the shortest. Nothing is padded here."""

    lengths: npt.NDArray[np.int64]  # (texts,): the number of symbols of each text
    ids: Tensor  # (symbols)
    first: Tensor  # (texts): the index of the first symbol of each text
    last: Tensor  # (texts): the index of the last symbol of each text

    @classmethod
    def of(cls, texts: Sequence[Codes], device: torch.device) -> _Row:
        """Join texts. The first text must be the longest."""
        lengths = np.array([len(text) for text in texts])
        ends = torch.from_numpy(lengths.cumsum())
        ids = torch.from_numpy(np.concatenate(texts).astype(np.int64))
        first, last = ends - torch.from_numpy(lengths), ends - 1
        return cls(lengths, ids.to(device), first.to(device), last.to(device))

    def pieces(self) -> Iterator[_Piece]:
        """The time steps of the texts in pieces, one for each call of the model. Each has only unfinished texts.

        If a text ends within a piece, its last symbol is repeated up to the end of the piece. Such a piece has at most
        STEPS_PER_CALL steps, so a text is padded with fewer than STEPS_PER_CALL symbols.
        """
        begin, inputs = 0, self.lengths - 1
        while unfinished := int((inputs > begin).sum()):
            until_a_text_ends = int(inputs[unfinished - 1]) - begin
            steps = max(STEPS_PER_CALL, min(SYMBOLS_PER_CALL // unfinished, until_a_text_ends))
            end = min(begin + steps, int(inputs[0]))
            yield self._piece(begin, end, unfinished)
            begin = end

    def _piece(self, begin: int, end: int, texts: int) -> _Piece:
        """The time steps from `begin` to `end` of the first texts."""
        last = self.last[:texts]
        steps = torch.arange(begin, end, device=last.device)[:, None]
        places = torch.minimum(self.first[:texts] + steps, last)
        return _Piece(places, self.ids[places], self.ids[torch.minimum(places + 1, last)])


class _Piece(NamedTuple):
    """Some time steps of the unfinished texts of a row. Each tensor has the shape (time, texts)."""

    places: Tensor  # the indices of the inputs in the row
    inputs: Tensor  # ids
    targets: Tensor  # ids: each input's next symbol


class _Predictions(NamedTuple):
    """What the model predicts for the symbol after each symbol of a row.

    The numbers at the last symbol of a text have no meaning, because no symbol follows.
    """

    log_p: Tensor  # (symbols): the logarithm of the probability of the next symbol
    expected: Tensor  # (symbols, top): the ids of the likeliest symbols
    expected_log_p: Tensor  # (symbols, top): the logarithms of their probabilities
    log_ratios: Tensor  # (symbols): as in Surprisal

    @classmethod
    def empty(cls, symbols: int, top: int, device: torch.device) -> _Predictions:
        """Predictions for so many symbols, to be filled by `_score_piece`."""
        return cls(
            torch.zeros(symbols, device=device),
            torch.zeros(symbols, top, dtype=torch.int64, device=device),
            torch.zeros(symbols, top, device=device),
            torch.zeros(symbols, device=device),
        )

    def by_text(self, lengths: Iterable[int]) -> Iterator[Surprisal]:
        """The surprisals of each text, as copies, so that the predictions for the whole row can be freed."""
        log_p, expected, expected_log_p, log_ratios = (tensor.cpu().numpy() for tensor in self)
        end = 0
        for length in lengths:
            begin, end = end, end + length
            part = slice(begin, end - 1)
            yield Surprisal(
                -log_p[part].astype(np.float64),
                expected[part].copy(),
                np.exp(expected_log_p[part].astype(np.float64)),
                log_ratios[part].astype(np.float64),
            )


@torch.inference_mode()
def _score_batch(
    model: CharModel, texts: Sequence[Codes], state: State | None, top: int, classes: Tensor
) -> tuple[list[Surprisal], State | None]:
    """Score all symbols of texts except the first of each text. The first text must be the longest.

    Also returns the state after the symbol before the last one of the longest text. If this text comes in pieces, the
    next piece begins with the last symbol.
    """
    row, classes = _Row.of(texts, model.device), classes.to(model.device)
    predictions = _Predictions.empty(len(row.ids), top, model.device)
    with evaluating(model):
        for piece in row.pieces():
            unfinished = piece.inputs.shape[1]
            state = _score_piece(model, piece, _first_texts(state, unfinished), classes[:unfinished], predictions)
    return list(predictions.by_text(row.lengths.tolist())), state


def _score_piece(
    model: CharModel, piece: _Piece, state: State | None, classes: Tensor, predictions: _Predictions
) -> State:
    """Write the predictions for the targets of a piece into `predictions`. Returns the state after the piece."""
    remembered, state = model.remember(piece.inputs, state, classes)
    logits, state = model(piece.inputs, state, classes, remembered)
    log_probabilities = torch.log_softmax(logits.float(), -1)
    which_character = nats_of_unknown(model.symbols) * (piece.targets == model.unk)
    predictions.log_p[piece.places] = values_of(piece.targets, log_probabilities) - which_character
    if remembered is not None and remembered.class_ratios is not None:
        predictions.log_ratios[piece.places] = values_of(piece.targets, remembered.class_ratios).log()
    if predictions.expected.shape[1]:
        likeliest = log_probabilities.topk(predictions.expected.shape[1])
        predictions.expected_log_p[piece.places], predictions.expected[piece.places] = likeliest
    return state


def _first_texts(state: State | None, texts: int) -> State | None:
    """The state of the first texts of a batch."""
    hidden = make_state([tensor[:, :texts] for tensor in state_tensors(state)])
    _, cursor = split_state(state)
    if cursor is None:
        return hidden
    class_rows = None if cursor.class_rows is None else cursor.class_rows[:, :texts]
    return MemoryState(hidden, Cursor(cursor.recent[:, :texts], cursor.rows[:, :texts], class_rows))


def values_of(ids: Tensor, values: Tensor) -> Tensor:
    """The values (time, texts) of ids (time, texts), from the values (time, texts, symbols) of all symbols."""
    return values.gather(-1, ids[..., None])[..., 0]
