from __future__ import annotations

import unicodedata
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charloom.text.texts import (
    cut_lines,
    encode,
    name_unknown,
    normalized_pieces,
    unknown,
    without_last_newline,
)
from charloom.text.vocab import Vocabulary

VOCABULARY = Vocabulary.build(["abc"])


def test_a_newline_becomes_eos_unless_it_is_in_the_vocabulary() -> None:
    assert encode(VOCABULARY, "a\nx").tolist() == [0, VOCABULARY.eos, VOCABULARY.unk]
    assert encode(Vocabulary.build(["a\n"]), "a\nx").tolist() == [0, 1, 3]


def test_unknown_characters_are_listed_by_frequency() -> None:
    assert unknown(VOCABULARY, "a\nxyx") == {"x": 2, "y": 1}
    assert name_unknown(unknown(VOCABULARY, "ay\x1bxxa")) == "'x' (2), 'y' (1), '\\x1b' (1)"
    many = unknown(VOCABULARY, "".join(chr(0x4E00 + number) for number in range(13)))
    assert name_unknown(many).endswith(" and 3 more")


@given(st.lists(st.text("ab \n", max_size=5)))
def test_pieces_give_the_lines_of_the_whole_text_without_blank_lines(pieces: list[str]) -> None:
    assert list(cut_lines(pieces)) == [line for line in "".join(pieces).split("\n") if line.strip()]


@pytest.mark.parametrize("form", ["NFC", "NFKC"])
@given(st.lists(st.text("\ne\u0301\u0327\u00e9\u1100\u1161\u11a8\ufb01\u00a8", max_size=4)))
def test_pieces_are_normalized_like_the_whole_text(form: Literal["NFC", "NFKC"], pieces: list[str]) -> None:
    normalized = list(normalized_pieces(Vocabulary.build(["ab"], normalize=form), pieces))
    assert "".join(normalized) == unicodedata.normalize(form, "".join(pieces))
    assert "" not in normalized
    assert list(normalized_pieces(VOCABULARY, pieces)) == pieces


@given(st.lists(st.text("a\n", max_size=3)))
def test_only_the_last_newline_of_a_text_is_removed(pieces: list[str]) -> None:
    assert "".join(without_last_newline(pieces)) == "".join(pieces).removesuffix("\n")
