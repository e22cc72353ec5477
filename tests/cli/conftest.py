"""Small models in folders, and the `charloom` command as a user calls it."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from charloom.cli import main
from charloom.model.saved import save_model
from charloom.text.split import ClassCount
from charloom.text.vocab import Vocabulary
from tests.learning import save_conditioned_model, save_small_model, small_model


class Ended(NamedTuple):
    """A call that has ended: its exit code, stdout and stderr."""

    code: object
    out: str
    err: str


Charloom = Callable[..., Ended]


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained model with the vocabulary of the corpus `sample`."""
    return save_small_model(tmp_path_factory.mktemp("model"), tmp_path_factory.mktemp("windows"))


@pytest.fixture(scope="session")
def conditioned_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model conditioned on the classes of AG_NEWS."""
    return save_conditioned_model(tmp_path_factory.mktemp("model"), tmp_path_factory.mktemp("windows"))


@pytest.fixture(scope="session")
def composed_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with two classes whose corpus was normalized to NFC. The vocabulary has é but no combining accent."""
    folder, vocabulary = tmp_path_factory.mktemp("model"), Vocabulary.build(["caf\u00e9 "], normalize="NFC")
    class_counts = [ClassCount(name=name, articles=1) for name in ("a", "b")]
    save_model(folder, small_model(len(vocabulary), classes=2), vocabulary, "t" * 64, class_counts)
    return folder


@pytest.fixture
def charloom(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], model_folder: Path) -> Charloom:
    """Call `charloom SUBCOMMAND --model FOLDER ARGUMENT…` in this process. If `model` is None, --model is left out."""

    def call(subcommand: str, *arguments: object, stdin: bytes = b"", model: Path | None = model_folder) -> Ended:
        options = [] if model is None else ["--model", str(model)]
        monkeypatch.setattr("sys.argv", ["charloom", subcommand, *options, *map(str, arguments)])
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        with pytest.raises(SystemExit) as end:
            main()
        return Ended(end.value.code or 0, *capfd.readouterr())

    return call
