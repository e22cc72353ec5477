"""The file of the page that contains a model. test_play_browser.py tests the page in a browser."""

from __future__ import annotations

from pathlib import Path

from charloom.model.saved import SavedModel
from charloom.report.play import write_play
from tests.learning import Encoded, default_params, remembering_model
from tests.report.playing import context_of, random_model

EVALUATE = default_params().evaluate


def written(path: Path, saved: SavedModel, encoded: Encoded, megabytes: float) -> str:
    params = EVALUATE.model_copy(update={"play_megabytes": megabytes})
    write_play(path, saved, encoded.test, context_of(saved), params)
    return path.read_text(encoding="utf-8")


def test_the_page_states_what_its_numbers_cost(encoded: Encoded, tmp_path: Path) -> None:
    page = written(tmp_path / "play.html", random_model(encoded, memory=4), encoded, 16)
    assert "the weights are int8 numbers, with a scale for each row" in page
    characters = f"{encoded.test.characters:,}"
    assert f"bits per character, measured on {characters} characters of the test" in page


def test_the_same_model_gives_the_same_bytes(encoded: Encoded, tmp_path: Path) -> None:
    saved = SavedModel(remembering_model(encoded).eval(), encoded.vocabulary, "t" * 64, "d" * 64)
    pages = {written(tmp_path / f"{n}.html", saved, encoded, 16) for n in range(2)}
    assert len(pages) == 1
    assert "/home/someone" not in pages.pop()


def test_a_page_over_the_limit_says_why_it_has_no_model(encoded: Encoded, tmp_path: Path) -> None:
    saved = random_model(encoded, memory=4)
    size = len(written(tmp_path / "whole.html", saved, encoded, 16).encode()) / 1e6
    assert len(written(tmp_path / "fits.html", saved, encoded, size).encode()) / 1e6 == size
    page = written(tmp_path / "play.html", saved, encoded, size * 0.9)
    assert f"because it would have {size:.1f} MB, and evaluate.play_megabytes is {size * 0.9:g}." in page
    assert "<script" not in page


def test_with_a_limit_of_0_nothing_is_measured(encoded: Encoded, tmp_path: Path) -> None:
    page = written(tmp_path / "play.html", random_model(encoded), encoded, 0)
    assert "does not, because evaluate.play_megabytes is 0." in page


def test_a_cell_that_the_script_does_not_know(encoded: Encoded, tmp_path: Path) -> None:
    saved = random_model(encoded)
    saved.model.params = saved.model.params.model_copy(update={"cell": "MGU"})
    page = written(tmp_path / "play.html", saved, encoded, 16)
    assert "because its script knows only RNN, LSTM, GRU, and model.cell is MGU." in page
