"""Pictures of a run: the same numbers give the same bytes, everywhere."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import pytest
from PIL import Image

from charloom.evaluation.breakdown import BreakdownPart
from charloom.evaluation.evaluation import Findings
from charloom.report.pictures import draw_history, draw_parts, draw_pictures
from tests.report.conftest import history


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


NAMES = ("history", "baselines", "by_class", "by_position", "by_kind", "accuracy", "confusion")


def test_every_chart_is_a_picture(tmp_path: Path, findings: Findings) -> None:
    draw_pictures(tmp_path, findings)
    assert {path.name for path in tmp_path.iterdir()} == {f"{name}.png" for name in NAMES}
    for path in tmp_path.iterdir():
        with Image.open(path) as image:
            assert image.size == (960, 540)
            assert len(image.convert("RGB").getcolors(1 << 20) or []) > 20


def test_a_classifier_has_its_own_and_they_show_what_it_tells_apart(
    tmp_path: Path, findings: Findings, told_findings: Findings
) -> None:
    for name, found in (("told", told_findings), ("untold", findings)):
        draw_pictures(tmp_path / name, found)
    for name in ("accuracy.png", "confusion.png"):
        told, untold = ((tmp_path / folder / name).read_bytes() for folder in ("told", "untold"))
        assert told != untold
    assert (tmp_path / "told/history.png").read_bytes() == (tmp_path / "untold/history.png").read_bytes()


def test_a_name_is_not_taken_for_a_formula(tmp_path: Path) -> None:
    parts = [BreakdownPart("$\\frac{$", 1, 2.0), BreakdownPart("$x^2$", 1, 3.0)]
    draw_parts(tmp_path / "parts.png", "Parts", parts, parts, "5-gram")
    assert (tmp_path / "parts.png").stat().st_size > 1000
