from __future__ import annotations

import sys
import unicodedata

import pytest

from charloom.terminal import harmless, on_one_line

CONTROLS = {"Cc", "Cs", "Zl", "Zp"}
DIRECTIONS = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}  # Unicode annex 9


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
def test_control_characters_are_escaped_and_other_text_stays(text: str, shown: str) -> None:
    assert harmless(text) == shown


def test_controls_surrogates_and_direction_characters_are_escaped() -> None:
    characters = map(chr, range(sys.maxunicode + 1))
    escaped = {character for character in characters if harmless(character) != character}
    assert escaped == {
        character
        for character in map(chr, range(sys.maxunicode + 1))
        if character not in "\n\t"
        and (unicodedata.category(character) in CONTROLS or unicodedata.bidirectional(character) in DIRECTIONS)
    }


def test_a_text_on_one_line_has_visible_newlines_and_tabs() -> None:
    assert on_one_line("tab\tline\r\nend \x1b") == r"tab⇥line\r↵end \x1b"
