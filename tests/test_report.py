"""The picture of a training, and its samples as text that a terminal may show."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import pytest
from PIL import Image

from charloom.history import Record
from charloom.report import draw_history, write_samples


def history(records: int) -> list[Record]:
    """A falling curve, every other record and the last one validated."""
    return [
        Record(step, step / 10, step * 1000, 0.01, 1.0, 3 / step, 4 / step, *((3.1 / step, 4.1 / step) * validated))
        for step in range(1, records + 1)
        for validated in [int(step % 2 == 0 or step == records)]
    ]


def drawn(path: Path, records: int = 20, test_bpc: float = 1.5) -> bytes:
    """The bytes of a picture."""
    draw_history(path, history(records), test_bpc)
    return path.read_bytes()


@pytest.mark.parametrize("records", [1, 20])
def test_the_picture_is_a_png_that_shows_validation_and_test(tmp_path: Path, records: int) -> None:
    drawn(tmp_path / "history.png", records)
    with Image.open(tmp_path / "history.png") as image:
        assert image.format == "PNG"
        assert image.size == (960, 540)
        colours = {pixel for _, pixel in image.convert("RGB").getcolors(1 << 20) or [] if isinstance(pixel, tuple)}
    assert any(blue - red > 90 for red, _, blue in colours)  # validation
    assert any(red - blue > 60 for red, _, blue in colours)  # test


def test_the_same_numbers_give_the_same_bytes(tmp_path: Path) -> None:
    assert drawn(tmp_path / "one.png") == drawn(tmp_path / "two.png")
    assert drawn(tmp_path / "three.png", test_bpc=2.0) != drawn(tmp_path / "one.png")


def test_the_picture_does_not_depend_on_a_persons_matplotlibrc(tmp_path: Path) -> None:
    before = drawn(tmp_path / "before.png")
    with matplotlib.rc_context({"figure.facecolor": "black", "font.size": 20, "savefig.bbox": "tight"}):
        assert drawn(tmp_path / "after.png") == before


def test_the_picture_names_no_program_and_no_time(tmp_path: Path) -> None:
    drawn(tmp_path / "history.png")
    with Image.open(tmp_path / "history.png") as image:
        assert set(image.info) == {"dpi"}


def test_samples_stand_under_headings_by_temperature(tmp_path: Path) -> None:
    write_samples(tmp_path / "samples.txt", {0.0: ["a a a "], 0.5: ["one\ntwo", "\nthree"], 1.0: ["é"]})
    assert (tmp_path / "samples.txt").read_bytes().decode() == (
        "=== greedy ===\n\na a a\n\n=== temperature 0.5 ===\n\none\ntwo\n\nthree\n\n=== temperature 1 ===\n\né\n"
    )


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J\x1b]0;owned\x07", r"\x1b[2J\x1b]0;owned\x07"),
        ("\x9b31m", r"\x9b31m"),
        ("hidden\rshown\x08\x7f\0", r"hidden\rshown\x08\x7f\x00"),
        ("\ud800", r"\ud800"),
        ("tab\tline\nend", "tab\tline\nend"),
        ("<script>alert(1)</script> &amp;", "<script>alert(1)</script> &amp;"),
        ("naïve — 日本 👍🏽 \\x1b", "naïve — 日本 👍🏽 \\x1b"),
    ],
)
def test_a_sample_is_harmless_text(tmp_path: Path, text: str, shown: str) -> None:
    write_samples(tmp_path / "samples.txt", {1.0: [text]})
    assert (tmp_path / "samples.txt").read_bytes().decode() == f"=== temperature 1 ===\n\n{shown}\n"
