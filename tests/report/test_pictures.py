"""The pictures of a report: what they contain, and that the same numbers give the same bytes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import matplotlib
import pytest
from PIL import Image

from charloom.evaluation.breakdown import BreakdownPart
from charloom.report.pictures import draw_history, draw_parts, draw_pictures
from tests.learning import history
from tests.report.conftest import Reported, sampled, unmeasured


def drawn(path: Path, records: int = 20, test_bpc: float = 1.5) -> bytes:
    """The bytes of a picture of the training."""
    draw_history(path, history(records), test_bpc)
    return path.read_bytes()


@pytest.mark.parametrize("records", [1, 20])
def test_the_history_is_a_png_that_shows_validation_and_test(tmp_path: Path, records: int) -> None:
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


def test_the_picture_does_not_depend_on_the_users_matplotlibrc(tmp_path: Path) -> None:
    before = drawn(tmp_path / "before.png")
    with matplotlib.rc_context({"figure.facecolor": "black", "font.size": 20, "savefig.bbox": "tight"}):
        assert drawn(tmp_path / "after.png") == before


def test_the_metadata_of_a_picture_has_no_program_and_no_time(tmp_path: Path) -> None:
    drawn(tmp_path / "history.png")
    with Image.open(tmp_path / "history.png") as image:
        assert set(image.info) == {"dpi"}


NAMES = ("history", "baselines", "by_class", "by_position", "by_kind", "accuracy", "confusion")


def test_every_chart_is_a_picture(tmp_path: Path, reported: Reported) -> None:
    draw_pictures(tmp_path, *reported)
    assert {path.name for path in tmp_path.iterdir()} == {f"{name}.png" for name in NAMES}
    for path in tmp_path.iterdir():
        with Image.open(path) as image:
            assert image.size == (960, 540)
            assert len(image.convert("RGB").getcolors(1 << 20) or []) > 20


def test_only_a_conditioned_model_has_charts_of_accuracy_and_confusion(
    tmp_path: Path, reported: Reported, classified: Reported
) -> None:
    for folder, each in (("plain", reported), ("conditioned", classified)):
        draw_pictures(tmp_path / folder, *each)
    for name, the_same in (("accuracy.png", False), ("confusion.png", False), ("history.png", True)):
        plain, conditioned = ((tmp_path / folder / name).read_bytes() for folder in ("plain", "conditioned"))
        assert (plain == conditioned) == the_same


def test_a_name_is_not_read_as_a_formula(tmp_path: Path) -> None:
    parts = [BreakdownPart("$\\frac{$", 1, 2.0), BreakdownPart("$x^2$", 1, 3.0)]
    draw_parts(tmp_path / "parts.png", "Parts", parts, parts, "5-gram")
    assert (tmp_path / "parts.png").stat().st_size > 1000


@pytest.mark.parametrize("change", [sampled, unmeasured])
def test_pictures_with_a_sample_and_without_simpler_models_have_a_note(
    tmp_path: Path, classified: Reported, change: Callable[[Reported], Reported]
) -> None:
    draw_pictures(tmp_path / "before", *classified)
    draw_pictures(tmp_path / "after", *change(classified))
    with_note = {"baselines", "by_class", "by_position", "by_kind", "accuracy"}
    for name in NAMES:
        before, after = ((tmp_path / folder / f"{name}.png").read_bytes() for folder in ("before", "after"))
        assert (before != after) == (name in with_note)
