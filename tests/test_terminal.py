from __future__ import annotations

import sys
import unicodedata

import pytest

from charloom.terminal import harmless

CONTROLS = {"Cc", "Cs", "Zl", "Zp"}
TURNS = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}  # Unicode's annex 9, explicit formatting


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J\x1b]0;owned\x07", r"\x1b[2J\x1b]0;owned\x07"),
        ("\x9b31m", r"\x9b31m"),
        ("hidden\rshown\x08\x7f\0", r"hidden\rshown\x08\x7f\x00"),
        ("\ud800", r"\ud800"),
        ("txt\u202egpj.exe\u2066 line\u2028", r"txt\u202egpj.exe\u2066 line\u2028"),
        ("tab\tline\nend", "tab\tline\nend"),
        ("naïve — 日本 👍🏽 \\x1b", "naïve — 日本 👍🏽 \\x1b"),
    ],
)
def test_control_characters_are_escaped_and_nothing_else(text: str, shown: str) -> None:
    assert harmless(text) == shown


def test_what_is_escaped_is_unicodes_controls_surrogates_and_turns_of_direction() -> None:
    characters = map(chr, range(sys.maxunicode + 1))
    escaped = {character for character in characters if harmless(character) != character}
    assert escaped == {
        character
        for character in map(chr, range(sys.maxunicode + 1))
        if character not in "\n\t"
        and (
            unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") or unicodedata.bidirectional(character) in TURNS
        )
    }
