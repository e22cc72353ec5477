"""Finds fonts of this machine for the characters of class names, which can be of any script."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING

from charloom.errors import warn

if TYPE_CHECKING:
    from matplotlib.font_manager import FontEntry

OWN = "DejaVu Sans"  # matplotlib contains this font
# Fonts that do not draw a character: a box for every character; and emoji in colours, which matplotlib cannot draw
USELESS = "LastResort", "Color"
SHOWN = 20  # a message shows at most this many characters


def fonts_for(texts: Iterable[str]) -> list[str]:
    """The names of the fonts with which matplotlib can draw these texts. Its own font is the first one.

    If no font of the machine has a character, matplotlib draws a box. A message says this once for each set of
    characters.
    """
    from matplotlib.font_manager import findfont

    characters = {char for text in texts for char in text if not char.isspace()}
    lacking = characters - _found(findfont(OWN), characters)
    return [OWN, *_others("".join(sorted(lacking)))]


@cache
def _others(characters: str) -> list[str]:
    """A few fonts that together have these characters."""
    names = []
    missing = set(characters)
    for font in _fonts() if missing else []:
        if found := _found(font.fname, missing):
            names.append(font.name)
            missing -= found
    if missing:
        _say_missing(sorted(missing))
    return names


def _fonts() -> list[FontEntry]:
    """The upright fonts of normal weight, those without serifs first."""
    from matplotlib.font_manager import findSystemFonts, fontManager

    # matplotlib stores its list of fonts, so the list can lack a font that was installed later.
    for path in set(findSystemFonts()) - {font.fname for font in fontManager.ttflist}:
        with suppress(Exception):  # a font of a kind that matplotlib cannot draw raises one of several errors
            fontManager.addfont(path)
    fonts = [font for font in fontManager.ttflist if (font.style, font.weight) == ("normal", 400)]
    fonts = [font for font in fonts if not any(word in font.name.replace(" ", "") for word in USELESS)]
    return sorted(fonts, key=lambda font: ("Sans" not in font.name, font.name))


def _found(path: str, characters: Iterable[str]) -> set[str]:
    """Which of the characters the font in a file has."""
    from matplotlib.ft2font import FT2Font

    try:
        font = FT2Font(path)
    except (OSError, RuntimeError):  # the file was removed, or is damaged
        return set()
    return {char for char in characters if font.get_char_index(ord(char))}


def _say_missing(characters: list[str]) -> None:
    shown = "".join(characters[:SHOWN]) + "…" * (len(characters) > SHOWN)
    warn(
        f"the fonts of this machine lack {len(characters)} character(s) of the class names ({shown}), so the"
        " pictures show boxes; install a font with these characters, such as one of https://fonts.google.com/noto"
    )
