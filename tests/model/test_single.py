"""What a memory predicts symbol by symbol for one text agrees with what it predicts for many places at once."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from charloom.model.matching import HISTORY, keys_of
from charloom.model.memory import Cursor, Memory, Remembered
from charloom.model.single import key_of
from tests.model.slow_memory import CLASSES, NO_CLASS, Counted, count_small_text


@given(st.lists(st.integers(0, 5), min_size=HISTORY + 1, max_size=HISTORY + 40))
def test_the_key_of_a_place_is_the_one_that_is_computed_for_many_places(ids: list[int]) -> None:
    assert key_of(ids[-HISTORY:], eos=3) == int(keys_of(torch.tensor(ids)[:, None], 3)[-1])


# The order of the memory, a factor for the ids, and the order of the counts by class.
@pytest.fixture(scope="module", params=[(1, 1, 2), (7, 1, 3), (3, 1, 7), (6, 45, 5), (0, 1, 0), (8, 1, 0)], ids=str)
def counted(request: pytest.FixtureRequest) -> Counted:
    return count_small_text(*request.param)


def read_singly(memory: Memory, ids: torch.Tensor, classes: torch.Tensor | None) -> list[Remembered]:
    found, cursor = [], None
    for place, symbol in enumerate(ids):
        remembered, cursor = memory.read(symbol[None], cursor, None if classes is None else classes[place, None])
        found.append(remembered)
    return found


@pytest.mark.parametrize("given", [None, NO_CLASS, 2, "random"])
def test_reading_singly_agrees_with_reading_at_once(counted: Counted, given: int | str | None) -> None:
    """The text joins a counted text and another. The random classes change at each symbol, and some are too high."""
    memory = counted.memory
    ids = torch.tensor([*counted.text[:200], *counted.unseen])[:, None]
    random = torch.randint(0, CLASSES + 2, ids.shape, generator=torch.Generator().manual_seed(1))
    classes = random if isinstance(given, str) else None if given is None else torch.full_like(ids, given)
    at_once, _ = memory.read(ids, None, classes)
    singly = read_singly(memory, ids, classes)
    torch.testing.assert_close(torch.cat([each.probabilities for each in singly]), at_once.probabilities)
    for place, each in enumerate(singly):
        if at_once.class_ratios is None or (classes is not None and classes[place] >= CLASSES):
            assert each.class_ratios is None
        else:
            assert each.class_ratios is not None
            torch.testing.assert_close(each.class_ratios, at_once.class_ratios[place, None], rtol=1e-4, atol=5e-5)


def test_a_text_can_be_continued_singly_and_at_once(counted: Counted) -> None:
    ids = torch.tensor(counted.unseen)[:, None]
    whole = counted.memory.read(ids, None)[0].probabilities
    cursor: Cursor | None = None
    for begin, end in ((0, 9), (9, 10), (10, 11), (11, 40), (40, 41)):
        remembered, cursor = counted.memory.read(ids[begin:end], cursor)
        torch.testing.assert_close(remembered.probabilities, whole[begin:end])
