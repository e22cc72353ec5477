"""Counting a text into a memory: the shares are those that predict the text best, each symbol left out once."""

from __future__ import annotations

import pytest
import torch

from charloom.model.counting import count_ngrams, fit_shares, make_memory
from charloom.model.memory import BUCKETS, Memory
from tests.learning import Encoded, encode_sample


@pytest.fixture(scope="module")
def encoded(tmp_path_factory: pytest.TempPathFactory) -> Encoded:
    return encode_sample(tmp_path_factory.mktemp("windows"))


@pytest.fixture(scope="module")
def codes(encoded: Encoded) -> torch.Tensor:
    return torch.from_numpy(encoded.train.codes.astype("int64"))


def nats(memory: Memory, codes: torch.Tensor) -> float:
    """The mean cost of a symbol of the text that the memory counted, each left out once."""
    found = memory.leave_one_out(codes[:, None], torch.ones(len(codes) - 9, 1, dtype=torch.bool), 8)
    return -float(found[:, 0].gather(1, codes[9:, None]).log().mean())


def test_fitted_shares_predict_better_than_equal_ones(encoded: Encoded, codes: torch.Tensor) -> None:
    symbols, eos = len(encoded.vocabulary), encoded.vocabulary.eos
    stored = count_ngrams(codes, symbols, eos, 6)
    equal = [
        nats(Memory(stored | {"shares": torch.full((7, BUCKETS), share)}, symbols, eos), codes)
        for share in (0.3, 0.6, 0.8)
    ]
    fitted = make_memory(codes, symbols, eos, 6)
    assert nats(fitted, codes) < min(equal) - 0.02
    again = fit_shares(fitted, codes)
    assert float((again - fitted.shares).abs().max()) < 1e-6


def test_an_unseen_text_costs_what_the_text_itself_costs_with_each_symbol_left_out(encoded: Encoded) -> None:
    """Otherwise the network would learn to trust the memory more, or less, than it deserves."""
    codes = torch.from_numpy(encoded.train.codes.astype("int64"))
    memory = make_memory(codes, len(encoded.vocabulary), encoded.vocabulary.eos, 6)
    unseen = torch.from_numpy(encoded.test.codes.astype("int64"))
    found, _ = memory.read(unseen[:-1, None], None)
    cost = -float(found[:, 0].gather(1, unseen[1:, None]).log().mean())
    assert cost == pytest.approx(nats(memory, codes), rel=0.05)


def test_counting_the_same_text_gives_the_same_tensors(encoded: Encoded, codes: torch.Tensor) -> None:
    first, second = (make_memory(codes, len(encoded.vocabulary), encoded.vocabulary.eos, 5).stored for _ in range(2))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_text_of_one_symbol_can_be_counted() -> None:
    memory = make_memory(torch.tensor([2, 0, 2]), 4, 2, 3)
    found, _ = memory.read(torch.tensor([[2], [0]]), None)
    assert float((found.sum(-1) - 1).abs().max()) < 1e-5
