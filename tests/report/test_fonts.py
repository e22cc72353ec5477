"""Class names of any script in the pictures: the fonts that draw them, and what is said about missing characters."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from PIL import Image

from tests.conftest import CHECKOUT

# Characters that no font has: they are not assigned
FIRST, SECOND = "\U0002fffd", "\U0003fffd"
DRAW = """
import sys
from pathlib import Path
from charloom.evaluation.breakdown import BreakdownPart
from charloom.report.pictures import draw_parts
for number in range(2):
    parts = [BreakdownPart(name, 1, 2.0) for name in sys.argv[2:]]
    draw_parts(Path(sys.argv[1]), "Parts", parts, parts, "5-gram")
"""


def write_font(path: Path, characters: str) -> None:
    """Write a font in which each of these characters is a triangle."""
    pen = TTGlyphPen(None)
    pen.moveTo((100, 0))
    pen.lineTo((900, 0))
    pen.lineTo((500, 800))
    pen.closePath()
    triangle = pen.glyph()
    names = {ord(char): f"u{ord(char):X}" for char in characters}
    glyphs = [".notdef", *names.values()]
    font = FontBuilder(1000, isTTF=True)
    font.setupGlyphOrder(glyphs)
    font.setupCharacterMap(names)
    font.setupGlyf(dict.fromkeys(glyphs, triangle))
    font.setupHorizontalMetrics(dict.fromkeys(glyphs, (1000, 100)))
    font.setupHorizontalHeader(ascent=800, descent=-200)
    font.setupNameTable({"familyName": "Triangles", "styleName": "Regular"})
    font.setupOS2()
    font.setupPost()
    path.parent.mkdir(parents=True)
    font.save(path)


def draw(folder: Path, *names: str) -> tuple[bytes, str]:
    """Draw a picture with these names, twice. Returns the pixels and what is printed. The user's fonts are in `folder`.

    matplotlib's list of fonts is in the folder, too, so the list can be older than a font.
    """
    environment = {
        **os.environ,
        "PYTHONPATH": str(CHECKOUT / "src"),
        "PYTHONWARNINGS": "always::UserWarning",
        "XDG_DATA_HOME": str(folder),
        "MPLCONFIGDIR": str(folder / "matplotlib"),
    }
    command = [sys.executable, "-c", DRAW, str(folder / "parts.png"), *names]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    with Image.open(folder / "parts.png") as image:
        return image.tobytes(), done.stdout + done.stderr


def test_a_font_that_the_user_installs_draws_its_characters(tmp_path: Path) -> None:
    boxes, said = draw(tmp_path, FIRST + SECOND)
    assert said.count("\n") == 1, "said once, and matplotlib says nothing"
    assert said.startswith("warning: the fonts of this machine lack 2 character(s) of the class names (")
    write_font(tmp_path / "fonts/triangles.ttf", FIRST)
    half, said = draw(tmp_path, FIRST + SECOND)
    assert said.startswith("warning: the fonts of this machine lack 1 character(s) of the class names (")
    assert half != boxes
    assert draw(tmp_path, FIRST)[1] == ""


def test_long_names_and_names_of_several_scripts_are_drawn_without_a_warning(tmp_path: Path) -> None:
    assert draw(tmp_path, "x" * 300, "Новости", "العربية", "😀", "two\nlines", "")[1] == ""


@pytest.mark.parametrize("name", ["/dev/null", "/proc/nowhere"])
def test_a_list_of_fonts_that_cannot_be_stored_is_no_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("HOME", name)
    for variable in ("XDG_CONFIG_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(variable, name)
    command = [sys.executable, "-c", DRAW, str(tmp_path / "parts.png"), "a"]
    environment = {each: value for each, value in os.environ.items() if each != "MPLCONFIGDIR"}
    environment["PYTHONPATH"] = str(CHECKOUT / "src")
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout + done.stderr == ""
