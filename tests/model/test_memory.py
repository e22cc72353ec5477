"""The n-gram memory: its predictions equal those of a slow implementation of the same formula, over dictionaries."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from charloom.model.counting import make_memory
from charloom.model.memory import BUCKETS, MAX_DENSE, Memory, bucket

SYMBOLS, EOS = 6, 4
Context = tuple[int, ...]
Rows = dict[Context, Counter[int]]


@pytest.fixture(scope="module")
def text() -> list[int]:
    """Articles of symbols 0 to 3 that repeat one another's parts, each ended by `<eos>`."""
    random = torch.Generator().manual_seed(5)
    words = [[0, 1, 2], [1, 1], [3], [2, 0, 0, 3], [2, 1]]
    ids = [EOS]
    for length in torch.randint(0, 7, (45,), generator=random).tolist():
        for word in torch.randint(0, len(words), (length,), generator=random).tolist():
            ids += words[word]
        ids.append(EOS)
    return ids


@pytest.fixture(scope="module", params=[1, 2, 3, 6])
def memory(text: list[int], request: pytest.FixtureRequest) -> Memory:
    return make_memory(torch.tensor(text), SYMBOLS, EOS, request.param)


def contexts(ids: Sequence[int], order: int) -> Iterator[Context]:
    """The contexts of 0, 1, … `order` symbols that end with `ids`; none has an `<eos>` behind another symbol."""
    for n in range(min(order, len(ids)) + 1):
        context = tuple(ids[len(ids) - n :])
        if EOS in context[1:]:
            return
        yield context


def count(ids: Sequence[int], order: int) -> Rows:
    rows: Rows = defaultdict(Counter)
    for place in range(1, len(ids)):
        for context in contexts(ids[:place], order):
            rows[context][ids[place]] += 1
    return rows


def predict(rows: Rows, shares: Tensor, ids: Sequence[int], order: int) -> list[float]:
    """The probability of each symbol after `ids`."""
    found = [1 / SYMBOLS] * SYMBOLS
    for context in contexts(ids, order):
        row = +rows.get(context, Counter())
        if total := row.total():
            share = float(shares[len(context), bucket(torch.tensor(float(total)), torch.tensor(float(len(row))))])
            found = [share * row[symbol] / total + (1 - share) * found[symbol] for symbol in range(SYMBOLS)]
    return found


def test_predictions_equal_those_of_the_formula(memory: Memory, text: list[int]) -> None:
    rows = count(text, memory.order)
    unseen = [EOS, 3, 3, 3, 0, 5, 1, 2, 1, 1, EOS, 0, EOS, EOS, 2]
    found, _ = memory.read(torch.tensor([text[:200], (unseen * 20)[:200]]).T, None)
    for column, ids in enumerate((text[:200], (unseen * 20)[:200])):
        expected = [predict(rows, memory.shares, ids[: place + 1], memory.order) for place in range(200)]
        torch.testing.assert_close(found[:, column], torch.tensor(expected), rtol=1e-5, atol=1e-7)


def test_a_place_left_out_is_predicted_as_if_it_had_not_been_counted(
    memory: Memory, text: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("charloom.model.memory.RARE", 1000)  # nothing is approximated
    order, history = memory.order, memory.order + 1
    first, time = 40, 50
    ids = torch.tensor(text[first - history : first + time + 1])[:, None]
    counted = torch.rand(time, 1, generator=torch.Generator().manual_seed(1)) < 0.7
    found = memory.leave_one_out(ids, counted, history)
    rows = count(text, order)
    for place in range(time):
        before, target = text[: first + place + 1], text[first + place + 1]
        for context in contexts(before, order):
            rows[context][target] -= bool(counted[place])
        expected = predict(rows, memory.shares, before, order)
        for context in contexts(before, order):
            rows[context][target] += bool(counted[place])
        torch.testing.assert_close(found[place, 0], torch.tensor(expected), rtol=1e-5, atol=1e-7)


def test_probabilities_sum_to_one(memory: Memory, text: list[int]) -> None:
    ids = torch.tensor(text)[:, None]
    found, _ = memory.read(ids, None)
    left_out = memory.leave_one_out(ids, torch.ones(len(text) - 10, 1, dtype=torch.bool), 9)
    assert float(found.min()) > 0
    assert float((found.sum(-1) - 1).abs().max()) < 1e-5
    assert float((left_out.sum(-1) - 1).abs().max()) < 1e-5


@pytest.mark.parametrize("size", [1, 2, 7])
def test_a_text_read_in_pieces_has_the_same_predictions(memory: Memory, text: list[int], size: int) -> None:
    ids = torch.tensor(text[:100])[:, None]
    whole, _ = memory.read(ids, None)
    rows, pieces = None, []
    for piece in ids.split(size):
        found, rows = memory.read(piece, rows)
        pieces.append(found)
    assert torch.equal(torch.cat(pieces), whole)


def test_nothing_before_the_opening_eos_of_an_article_matters(memory: Memory) -> None:
    article = [EOS, 0, 1, 2, 1]
    behind_another, _ = memory.read(torch.tensor([EOS, 3, 2, 0, *article])[:, None], None)
    alone, _ = memory.read(torch.tensor(article)[:, None], None)
    assert torch.equal(behind_another[4:], alone)


def test_a_row_with_a_large_count_keeps_its_proportions() -> None:
    text = [EOS] + ([0] * 3 + [1]) * 1000 + [EOS]
    memory = make_memory(torch.tensor(text), SYMBOLS, EOS, 1)
    counts = memory.levels[0].counts.tolist()
    assert max(counts) == 255
    assert counts[0] / counts[1] == pytest.approx(3, rel=0.02)


def test_the_stored_form_gives_the_same_memory_back(memory: Memory, text: list[int]) -> None:
    again = Memory(memory.stored, SYMBOLS, EOS)
    ids = torch.tensor(text)[:, None]
    assert torch.equal(again.read(ids, None)[0], memory.read(ids, None)[0])


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("symbols.1", lambda tensor: tensor + 200),
        ("symbols.1", lambda tensor: tensor.flip(0)),
        ("symbols.0", lambda tensor: tensor[:-1]),
        ("symbols.1", lambda tensor: tensor[None]),
        ("symbols.1", lambda tensor: tensor.half()),
        ("sizes.1", lambda tensor: tensor.double()),
        ("shares", lambda tensor: tensor.half()),
        ("counts.1", lambda tensor: tensor * 0),
        ("counts.1", lambda tensor: tensor.float()),
        ("sizes.1", lambda tensor: tensor + 1),
        ("sizes.1", lambda tensor: tensor[:-1]),
        ("sizes.0", lambda tensor: tensor[:0]),
        ("shares", lambda tensor: tensor * float("nan")),
        ("shares", lambda tensor: tensor + 2),
        ("shares", lambda tensor: tensor[:, :3]),
    ],
)
def test_a_damaged_memory_is_refused(memory: Memory, name: str, change: Any) -> None:
    stored = memory.stored | {name: change(memory.stored[name])}
    with pytest.raises(ValueError, match=r"^a level |shares|a share"):
        Memory(stored, SYMBOLS, EOS)


def test_a_memory_without_a_level_is_refused(memory: Memory) -> None:
    stored = {name: tensor for name, tensor in memory.stored.items() if name != f"counts.{memory.order}"}
    with pytest.raises(ValueError, match="other names"):
        Memory(stored, SYMBOLS, EOS)


def test_a_memory_with_an_unknown_tensor_is_refused(memory: Memory) -> None:
    with pytest.raises(ValueError, match="other names"):
        Memory(memory.stored | {"more": torch.zeros(1)}, SYMBOLS, EOS)


def test_a_memory_without_contexts_is_refused(memory: Memory) -> None:
    """Only level 0 is left. Its predictions would not need a state, so `read` could not return one."""
    stored = {name: memory.stored[name] for name in ("symbols.0", "counts.0", "sizes.0")}
    with pytest.raises(ValueError, match="other names"):
        Memory(stored | {"shares": memory.shares[:1]}, SYMBOLS, EOS)


def test_a_context_of_symbols_that_were_never_counted_is_refused() -> None:
    """After `<eos>` comes only 0, and level 0 knows nothing but 0. A forged level 1 says that 3 follows 0."""
    byte = torch.uint8
    one = {"counts.0": [1], "sizes.0": [0], "symbols.0": [0], "counts.1": [1], "sizes.1": [0], "symbols.1": [3]}
    one |= {"counts.2": [1], "sizes.2": [0], "symbols.2": [0]}
    stored = {name: torch.tensor(values, dtype=byte) for name, values in one.items()}
    with pytest.raises(ValueError, match="a symbol that was never counted"):
        Memory(stored | {"shares": torch.full((3, BUCKETS), 0.5)}, SYMBOLS, EOS)


@pytest.mark.parametrize("most", [0, 20, 60])
def test_the_dense_probabilities_only_save_time(
    memory: Memory, text: list[int], most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("charloom.model.memory.MAX_DENSE", most)
    again = Memory(memory.stored, SYMBOLS, EOS)
    ids = torch.tensor(text)[:, None]
    torch.testing.assert_close(again.read(ids, None)[0], memory.read(ids, None)[0], rtol=1e-5, atol=1e-8)


def test_a_memory_of_many_symbols_takes_little_memory() -> None:
    """50,000 symbols, each followed by one symbol. The probabilities after each would be 10 GB; the file has 1 MB."""
    symbols = 50_000
    each = torch.arange(symbols, dtype=torch.int32)
    ones, zeros = torch.ones(symbols, dtype=torch.uint8), torch.zeros(symbols, dtype=torch.int32)
    stored = {"symbols.0": each, "counts.0": ones, "sizes.0": torch.tensor([symbols - 1], dtype=torch.int32)}
    stored |= {"symbols.1": each, "counts.1": ones, "sizes.1": zeros, "shares": torch.full((2, BUCKETS), 0.5)}
    memory = Memory(stored, symbols, symbols - 2)
    assert memory._dense.numel() <= MAX_DENSE
    found, _ = memory.read(torch.tensor([[7]]), None)
    assert float(found[0, 0, 7]) == pytest.approx(0.5 + 0.5 * (0.5 / symbols + 0.5 / symbols))
