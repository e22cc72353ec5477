"""Errors of `charloom sample` and `charloom score`: no such model, no such device, wrong arguments."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.cli.conftest import Charloom

SUBCOMMANDS = [("sample", ()), ("score", ("-",))]


@pytest.mark.parametrize(("subcommand", "arguments"), SUBCOMMANDS)
def test_a_folder_without_a_model_is_an_error_that_names_it(
    charloom: Charloom, tmp_path: Path, subcommand: str, arguments: tuple[str, ...]
) -> None:
    for folder in (tmp_path, tmp_path / "absent"):
        ended = charloom(subcommand, *arguments, model=folder)
        assert (ended.code, ended.out) == (2, "")
        assert ended.err.startswith(f"error: {folder}: no model here (no model.json); train one with `dvc repro`")
        assert ended.err.count("\n") == 1


@pytest.mark.parametrize(("subcommand", "arguments"), SUBCOMMANDS)
def test_a_model_of_another_format_version_is_refused(
    charloom: Charloom, tmp_path: Path, model_folder: Path, subcommand: str, arguments: tuple[str, ...]
) -> None:
    newer = Path(shutil.copytree(model_folder, tmp_path / "newer"))
    about = json.loads((newer / "model.json").read_text())
    (newer / "model.json").write_text(json.dumps(about | {"version": 2}))
    ended = charloom(subcommand, *arguments, model=newer)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith(f"error: {newer / 'model.json'}: expected charloom-model of format version 1, found")
    assert ended.err.count("\n") == 1


def test_an_unknown_device_is_refused(charloom: Charloom) -> None:
    ended = charloom("sample", "--device", "quantum")
    assert ended.code == 2
    assert ended.err.startswith("error: --device = 'quantum': not on this machine, which has")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [(("score",), "Missing argument"), (("score", "absent.txt"), "does not exist"), (("sample", "-n", "0"), "x>=1")],
)
def test_a_wrong_argument_is_an_error_with_exit_code_2(
    charloom: Charloom, arguments: tuple[str, ...], complaint: str
) -> None:
    ended = charloom(*arguments)
    assert ended.code == 2
    assert complaint in ended.err


ADDRESS = "http://alice:Xs3cretX@host/x?token=Xs3cretX"


@pytest.mark.parametrize(
    "arguments",
    [
        ("score", ADDRESS),
        ("score", "-", "--format", ADDRESS),
        ("sample", "--length", ADDRESS),
        ("sample", ADDRESS),
        ("score", "-", f"--absent={ADDRESS}"),
        (ADDRESS,),
    ],
)
def test_an_error_about_an_argument_shows_no_password(charloom: Charloom, arguments: tuple[str, ...]) -> None:
    ended = charloom(*arguments, model=Path(ADDRESS) if arguments[0] == "score" else None)
    assert (ended.code, ended.out) == (2, "")
    assert "Error: " in ended.err
    assert "Xs3cretX" not in ended.err


def test_an_error_about_an_argument_escapes_control_characters(charloom: Charloom) -> None:
    ended = charloom("sample", "a\x1b]0;owned\x07")
    assert ended.code == 2
    assert "a\\x1b]0;owned\\x07" in ended.err
